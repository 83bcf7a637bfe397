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

/** The attempt that an event is about, at this gateway; undefined when nobody here knows it. */
export async function findAttempt(sql: Sql, gateway: GatewayName, named: Named): Promise<string | undefined> {
  const verb = VERBS[named.object]
  const { reference } = named
  if (reference !== undefined && isUuid(reference)) {
    const [row] = await sql.query<{ id: string }>(
      'select id from gateway_attempt where id = $1 and gateway = $2 and verb = $3',
      [reference, gateway, verb],
    )
    if (row !== undefined) return row.id
  }
  const id = named.object === 'dispute' ? named.chargeId : named.id
  if (id === undefined) return undefined
  const [row] = await sql.query<{ id: string }>(
    `select id from (
       select id, position from gateway_attempt where gateway = $1 and verb = $2 and moved_id = $3
       union
       select id, position from gateway_attempt where gateway = $1 and verb = $2 and gateway_id = $3
     ) named order by position limit 1`,
    [gateway, verb, id],
  )
  return row?.id
}
