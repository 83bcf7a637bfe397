import type { Sql } from '../../kit/sql.ts'
import { BEFORE_ALL } from '../ledger/chain.ts'
import { brokenAuditBlocks } from './seal.ts'

/** Something that is not as it was written. */
export interface AuditFinding {
  readonly event?: string
  readonly block?: bigint
  readonly message: string
}

export interface AuditReport {
  readonly events: bigint
  readonly blocks: bigint
  /** Written since the last block: their own hashes are checked, the chain does not hold them yet. */
  readonly unsealed: bigint
  /** The first ones. */
  readonly findings: readonly AuditFinding[]
  readonly total: number
}

/** Computes every hash again. Wants one snapshot around it, so that what is sealed meanwhile does not confuse it. */
export async function verifyAudit(sql: Sql, limit = 100): Promise<AuditReport> {
  const [counted] = await sql.query<{ events: string; blocks: string; unsealed: string }>(
    `select (select count(*) from audit_event) as events, (select count(*) from audit_block) as blocks,
       (select count(*) from audit_event
        where id > coalesce((select through_id from audit_block order by number desc limit 1), $1)) as unsealed`,
    [BEFORE_ALL],
  )
  const events = await changedEvents(sql, limit)
  const broken = await brokenAuditBlocks(sql, limit)
  return {
    events: BigInt(counted?.events ?? 0),
    blocks: BigInt(counted?.blocks ?? 0),
    unsealed: BigInt(counted?.unsealed ?? 0),
    findings: [
      ...events.map(({ event, message }) => ({ event, message })),
      ...broken.blocks.map(({ number, message }) => ({ block: number, message })),
    ],
    total: Number(events[0]?.total ?? 0) + broken.total,
  }
}

/** Events whose text is not what was hashed, or whose columns say something else than their text. */
async function changedEvents(sql: Sql, limit: number): Promise<(AuditFinding & { total: string })[]> {
  return sql.query<AuditFinding & { event: string; total: string }>(
    `select id as event, count(*) over () as total,
       case when rehashed then 'its fields are not what was hashed'
         else 'its type, user or time is not what its fields say' end as message
     from (
       select id, sha256(convert_to(body::text, 'UTF8')) <> audit_hash as rehashed,
         type is distinct from body ->> 'event_type' or user_id is distinct from body ->> 'user_id'
           or to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') is distinct from body ->> 'timestamp' as misplaced
       from audit_event
     ) looked
     where rehashed or misplaced
     order by id limit $1`,
    [limit],
  )
}
