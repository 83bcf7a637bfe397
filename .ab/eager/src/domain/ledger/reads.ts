import { assert } from '../../kit/assert.ts'
import { MAX_AMOUNT } from '../../kit/money.ts'
import type { Sql } from '../../kit/sql.ts'
import type { PlatformAccount } from './platform-accounts.ts'

/** One line of an account's statement. */
export interface StatementLine {
  readonly entry: bigint
  readonly transferId: string
  readonly operationId: string
  readonly movement: string
  /** The account on the other side. */
  readonly counterparty: string
  /** Minor units; below 0 when it left the account. */
  readonly change: bigint
  /** After it. */
  readonly balance: bigint
  readonly memo: string | undefined
  readonly postedAt: Date
}

interface LineRow {
  entry: string
  id: string
  operation_id: string
  movement: string
  counterparty: string
  change: string
  balance: string
  memo: string | null
  posted_at: Date | string
}

/**
 * Newest first. The next page begins before the last line's entry. Each side is read backwards in its own index, so that
 * a page costs the same at the end of a long statement as at its beginning.
 */
export async function accountStatement(
  sql: Sql,
  accountId: string,
  page: { limit: number; beforeEntry?: bigint | undefined },
): Promise<StatementLine[]> {
  const rows = await sql.query<LineRow>(
    `(select credit_entry as entry, id, operation_id, movement, debit_id as counterparty, amount as change,
        credit_balance as balance, memo, posted_at
      from transfer where credit_id = $1 and credit_entry < $2 order by credit_entry desc limit $3)
     union all
     (select debit_entry, id, operation_id, movement, credit_id, -amount, debit_balance, memo, posted_at
      from transfer where debit_id = $1 and debit_entry < $2 order by debit_entry desc limit $3)
     order by entry desc limit $3`,
    [accountId, page.beforeEntry ?? MAX_AMOUNT, page.limit],
  )
  return rows.map((row) => ({
    entry: BigInt(row.entry),
    transferId: row.id,
    operationId: row.operation_id,
    movement: row.movement,
    counterparty: row.counterparty,
    change: BigInt(row.change),
    balance: BigInt(row.balance),
    memo: row.memo ?? undefined,
    postedAt: new Date(row.posted_at),
  }))
}

/** What a platform account has rolled up, and what it has gathered since. */
export async function platformBalance(sql: Sql, account: PlatformAccount): Promise<bigint> {
  const [row] = await sql.query<{ balance: string }>(
    `select balance + coalesce((select sum(amount) from account_delta where account_id = account.id), 0) as balance
     from account where id = $1`,
    [account.id],
  )
  assert(row, `Platform account ${account.purpose} in ${account.asset} is not open`)
  return BigInt(row.balance)
}
