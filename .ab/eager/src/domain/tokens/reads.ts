import type { Sql } from '../../kit/sql.ts'
import { tokenRefusals } from './refusals.ts'
import { isExpired, type TokenStatus } from './token.ts'

export { tokenRefusals }

/** A token with what is left of its budget. */
export interface TokenBalance {
  readonly status: TokenStatus
  readonly accountId: string
  readonly budget: bigint
  readonly balance: bigint
  readonly expiresAt: Date
}

interface BalanceRow {
  status: TokenStatus
  account_id: string
  budget: string
  left: string
  expires_at: Date
}

const BALANCE = 'token.status, token.account_id, token.budget, token.expires_at, account.balance - account.held as left'
const ISSUED = 'token join account on account.id = token.account_id'

const balance = (row: BalanceRow): TokenBalance => ({
  status: row.status,
  accountId: row.account_id,
  budget: BigInt(row.budget),
  balance: BigInt(row.left),
  expiresAt: row.expires_at,
})

/** A token that was issued. Refuses with `notFound` when there is none. */
export async function tokenBalance(sql: Sql, tokenId: string): Promise<TokenBalance> {
  const [row] = await sql.query<BalanceRow>(`select ${BALANCE} from ${ISSUED} where token.id = $1`, [tokenId])
  if (row === undefined) throw tokenRefusals.notFound()
  return balance(row)
}

/** How a token stands now: it is over the moment that its time is, whenever it is swept. */
export const standingAt = (token: TokenBalance, now: Date): TokenStatus =>
  token.status === 'active' && isExpired(token, now) ? 'expired' : token.status

/** The same token, but only while it may be spent: refuses with `expired` or `revoked`. */
export async function spendableBalance(sql: Sql, tokenId: string, now: Date): Promise<TokenBalance> {
  const token = await tokenBalance(sql, tokenId)
  const standing = standingAt(token, now)
  if (standing === 'revoked') throw tokenRefusals.revoked()
  if (standing === 'expired') throw tokenRefusals.expired()
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

const DEDUCTION = 'id, debit_entry as entry, amount, memo, posted_at'
/** Of a token's account: its other transfers issued it and ended it. */
const IS_DEDUCTION = `debit_entry is not null and movement = 'token.deduct'`

/** Deductions, newest first. `before` is the entry number of the last one of the page before. */
export async function tokenTransactions(
  sql: Sql,
  accountId: string,
  page: { limit: number; before: bigint | undefined },
): Promise<TokenTransaction[]> {
  const rows = await sql.query<TransactionRow>(
    `select ${DEDUCTION} from transfer
     where debit_id = $1 and ${IS_DEDUCTION} and ($2::bigint is null or debit_entry < $2)
     order by debit_entry desc limit $3`,
    [accountId, page.before ?? null, page.limit],
  )
  return rows.map(transaction)
}

/** A token with what it has spent so far. */
export interface TokenSpending extends TokenBalance {
  readonly consumed: bigint
  readonly count: number
  readonly last: TokenTransaction | undefined
}

type SpendingRow = BalanceRow & { consumed: string; count: string } & (TransactionRow | { id: null })

/** One statement, so that everything is of one moment: what is consumed and what is left add up while others deduct. */
export async function tokenSpending(sql: Sql, tokenId: string): Promise<TokenSpending> {
  const [row] = await sql.query<SpendingRow>(
    `select ${BALANCE}, spent.*, last.*
     from ${ISSUED}
     cross join lateral (
       select coalesce(sum(amount), 0) as consumed, count(*) from transfer where debit_id = account.id and ${IS_DEDUCTION}
     ) as spent
     left join lateral (
       select ${DEDUCTION} from transfer where debit_id = account.id and ${IS_DEDUCTION} order by debit_entry desc limit 1
     ) as last on true
     where token.id = $1`,
    [tokenId],
  )
  if (row === undefined) throw tokenRefusals.notFound()
  return {
    ...balance(row),
    consumed: BigInt(row.consumed),
    count: Number(row.count),
    last: row.id === null ? undefined : transaction(row),
  }
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
