import type { Sql } from '../../kit/sql.ts'
import { type Block, brokenBlocks, type Chain, lastBlockOf, type SealOptions, sealNext } from './chain.ts'

const TRANSFERS: Chain = {
  table: 'transfer',
  blocks: 'ledger_block',
  called: 'transfers',
  columns: `id, movement, operation_id, position, debit_id, credit_id, asset, amount, debit_balance, debit_entry,
    credit_balance, credit_entry, memo, (extract(epoch from posted_at) * 1000000)::bigint`,
  lock: 7_205_759_404,
}

/** Seals the next transfers, if there are any. */
export const sealBlock = (sql: Sql, options: SealOptions): Promise<Block | undefined> =>
  sealNext(sql, TRANSFERS, options)

export const lastBlock = (sql: Sql): Promise<Block | undefined> => lastBlockOf(sql, TRANSFERS)

/** Blocks whose transfers are not what was sealed: the first `limit`, and how many in all. */
export const verifyBlocks = (sql: Sql, limit = 100) => brokenBlocks(sql, TRANSFERS, limit)
