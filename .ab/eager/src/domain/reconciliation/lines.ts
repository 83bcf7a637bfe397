import type { Sql } from '../../kit/sql.ts'
import type { Verb } from './finding.ts'

/** One line of a gateway's list, or what it answered when it was asked for one. */
export interface Line {
  readonly type: Verb
  readonly gatewayId: string
  readonly reference: string | undefined
  readonly status: 'succeeded' | 'pending' | 'failed' | 'returned' | 'absent'
  /** Minor units. */
  readonly amount: bigint | undefined
  readonly currency: string | undefined
  readonly at: Date | undefined
}

/** Keeps lines of a run; a line that comes again, because the list moved on while it was read, is the same one. */
export async function keepLines(sql: Sql, runId: string, lines: readonly Line[], asked: boolean): Promise<void> {
  // The last one counts: one statement may not touch a row twice.
  const byKey = new Map(lines.map((line) => [`${line.type} ${line.gatewayId}`, line]))
  const rows = [...byKey.values()]
  if (rows.length === 0) return
  await sql.query(
    `insert into reconciliation_line (reconciliation_id, type, gateway_id, reference, status, amount, currency, at, asked)
     select $1, type, gateway_id, reference, status, amount, currency, at, $9
     from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::timestamptz[])
       as line (type, gateway_id, reference, status, amount, currency, at)
     on conflict (reconciliation_id, type, gateway_id) do update set
       reference = excluded.reference, status = excluded.status, amount = excluded.amount, currency = excluded.currency,
       at = excluded.at, asked = reconciliation_line.asked or excluded.asked`,
    [
      runId,
      rows.map(({ type }) => type),
      rows.map(({ gatewayId }) => gatewayId),
      rows.map(({ reference }) => reference ?? null),
      rows.map(({ status }) => status),
      rows.map(({ amount }) => amount?.toString() ?? null),
      rows.map(({ currency }) => currency ?? null),
      rows.map(({ at }) => at?.toISOString() ?? null),
      asked,
    ],
  )
}
