import type { Sql } from '../../kit/sql.ts'
import { type Block, brokenBlocks, type Chain, lastBlockOf, type SealOptions, sealNext } from '../ledger/chain.ts'

const EVENTS: Chain = {
  table: 'audit_event',
  blocks: 'audit_block',
  called: 'events',
  // The body letter by letter.
  columns: `id, type, category, user_id, body::text, encode(audit_hash, 'hex'), (extract(epoch from at) * 1000000)::bigint`,
  lock: 7_205_759_406,
}

/** Seals the next events, if there are any. */
export const sealEvents = (sql: Sql, options: SealOptions): Promise<Block | undefined> => sealNext(sql, EVENTS, options)

export const lastAuditBlock = (sql: Sql): Promise<Block | undefined> => lastBlockOf(sql, EVENTS)

/** Blocks that do not follow the one before, or whose events are not those that were sealed. */
export const brokenAuditBlocks = (sql: Sql, limit: number) => brokenBlocks(sql, EVENTS, limit)
