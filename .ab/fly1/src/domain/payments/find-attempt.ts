import { isUuid } from '../../kit/ids.ts'
import type { Sql } from '../../kit/sql.ts'
import type { GatewayName } from './names.ts'

/** What a gateway's event names: our reference where it carries it, its own ids otherwise. */
export interface Named {
  readonly object: 'charge' | 'refund' | 'payout' | 'dispute'
  readonly reference?: string | undefined
  readonly id?: string | undefined
  readonly chargeId?: string | undefined
}

const VERBS = { charge: 'charge', refund: 'refund', payout: 'payout', dispute: 'charge' } as const

/** The attempts that an event is about, at this gateway; none when nobody here knows them. Several only of one charge's refunds. */
export async function findAttempts(sql: Sql, gateway: GatewayName, named: Named): Promise<string[]> {
  const verb = VERBS[named.object]
  const { reference } = named
  if (reference !== undefined && isUuid(reference)) {
    const [row] = await sql.query<{ id: string }>(
      'select id from gateway_attempt where id = $1 and gateway = $2 and verb = $3',
      [reference, gateway, verb],
    )
    if (row !== undefined) return [row.id]
  }
  const id = named.object === 'dispute' ? named.chargeId : named.id
  if (id === undefined) return named.object === 'refund' ? refundsOf(sql, gateway, named.chargeId) : []
  const [row] = await sql.query<{ id: string }>(
    `select id from (
       select id, position from gateway_attempt where gateway = $1 and verb = $2 and moved_id = $3
       union
       select id, position from gateway_attempt where gateway = $1 and verb = $2 and gateway_id = $3
     ) named order by position limit 1`,
    [gateway, verb, id],
  )
  return row === undefined ? [] : [row.id]
}

/** Some gateways say of a refund only whose it is: every one of that charge may be meant. */
async function refundsOf(sql: Sql, gateway: GatewayName, chargeId: string | undefined): Promise<string[]> {
  const rows = await sql.query<{ id: string }>(
    `select id from gateway_attempt
     where gateway = $1 and verb = 'refund' and charge_id = $2 and status <> 'created' order by id limit ${MAX_REFUNDS}`,
    [gateway, chargeId ?? null],
  )
  return rows.map(({ id }) => id)
}

/** Refunds of one charge that are looked at for one event. */
const MAX_REFUNDS = 100
