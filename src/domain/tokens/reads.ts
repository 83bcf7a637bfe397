import type { Sql } from '../../kit/sql.ts'
import { tokenRefusals } from './refusals.ts'
import type { TokenStatus } from './token.ts'

export { tokenRefusals }

/** A token with what is left of its budget. */
export interface TokenBalance {
  readonly status: TokenStatus
  readonly accountId: string
  readonly budget: bigint
  readonly balance: bigint
  readonly expiresAt: Date
}

/** A token that was issued. Refuses with `notFound` when there is none. */
export async function tokenBalance(sql: Sql, tokenId: string): Promise<TokenBalance> {
  const [row] = await sql.query<{
    status: TokenStatus
    account_id: string
    budget: string
    left: string
    expires_at: Date
  }>(
    `select token.status, token.account_id, token.budget, token.expires_at, account.balance - account.held as left
     from token join account on account.id = token.account_id where token.id = $1`,
    [tokenId],
  )
  if (row === undefined) throw tokenRefusals.notFound()
  return {
    status: row.status,
    accountId: row.account_id,
    budget: BigInt(row.budget),
    balance: BigInt(row.left),
    expiresAt: row.expires_at,
  }
}

/** The same, but only while it may be spent: refuses with `expired` or `revoked`. */
export async function spendableBalance(sql: Sql, tokenId: string, now: Date): Promise<TokenBalance> {
  const token = await tokenBalance(sql, tokenId)
  if (token.status === 'revoked') throw tokenRefusals.revoked()
  if (token.status === 'expired' || token.expiresAt <= now) throw tokenRefusals.expired()
  return token
}

export interface TokenTransaction {
  readonly id: string
  readonly entry: bigint
  readonly amount: bigint
  readonly description: string | undefined
  readonly at: Date
}

interface TransactionRow {
  id: string
  entry: string
  amount: string
  memo: string | null
  posted_at: Date
}

const transaction = (row: TransactionRow): TokenTransaction => ({
  id: row.id,
  entry: BigInt(row.entry),
  amount: BigInt(row.amount),
  description: row.memo ?? undefined,
  at: row.posted_at,
})

/** Deductions, newest first. `before` is the entry number of the last one of the page before. */
export async function tokenTransactions(
  sql: Sql,
  accountId: string,
  page: { limit: number; before: bigint | undefined },
): Promise<TokenTransaction[]> {
  const rows = await sql.query<TransactionRow>(
    `select id, debit_entry as entry, amount, memo, posted_at from transfer
     where debit_id = $1 and debit_entry is not null and ($2::bigint is null or debit_entry < $2) and movement = 'token.deduct'
     order by debit_entry desc limit $3`,
    [accountId, page.before ?? null, page.limit],
  )
  return rows.map(transaction)
}

export interface TokenSpending {
  readonly consumed: bigint
  readonly count: number
  readonly last: TokenTransaction | undefined
}

/** What a token has spent so far. */
export async function tokenSpending(sql: Sql, accountId: string): Promise<TokenSpending> {
  const [[total], [last]] = await Promise.all([
    sql.query<{ consumed: string; count: string }>(
      `select coalesce(sum(amount), 0) as consumed, count(*) as count from transfer
       where debit_id = $1 and debit_entry is not null and movement = 'token.deduct'`,
      [accountId],
    ),
    tokenTransactions(sql, accountId, { limit: 1, before: undefined }),
  ])
  return { consumed: BigInt(total?.consumed ?? 0), count: Number(total?.count ?? 0), last }
}

/** How many tokens may be spent now, and how much is left on them together. */
export async function tokensInUse(sql: Sql, now: Date): Promise<{ active: number; budget: bigint }> {
  const [row] = await sql.query<{ active: string; budget: string }>(
    `select count(*) as active, coalesce(sum(account.balance - account.held), 0) as budget
     from token join account on account.id = token.account_id
     where token.status = 'active' and token.expires_at > $1`,
    [now],
  )
  return { active: Number(row?.active ?? 0), budget: BigInt(row?.budget ?? 0) }
}
