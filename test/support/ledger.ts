import type pg from 'pg'
import { type Books, openBooks } from '../../src/domain/ledger/books.ts'
import { checkLedger, type Finding, inSnapshot } from '../../src/domain/ledger/check.ts'
import { platformAccount } from '../../src/domain/ledger/platform-accounts.ts'
import { newId } from '../../src/kit/ids.ts'
import { type Amount, amount } from '../../src/kit/money.ts'
import { inTransaction, sqlOf } from '../../src/platform/database.ts'

export const issuance = platformAccount('issuance', 'BUDGET')
export const revenue = platformAccount('revenue', 'BUDGET')

export const NOON = new Date('2026-11-20T12:00:00Z')

/** Opens books in a transaction of their own, works on them, writes and commits. */
export function withBooks<Result>(
  pool: pg.Pool,
  accountIds: readonly string[],
  work: (books: Books) => Result,
  options: { now?: Date; holds?: readonly string[] } = {},
): Promise<Result> {
  return inTransaction(pool, async (sql) => {
    const books = await openBooks(sql, accountIds, options.now ?? NOON, options)
    const result = work(books)
    await books.write(sql)
    return result
  })
}

/** A token's account with this budget on it. */
export function issueToken(pool: pg.Pool, budget: number): Promise<string> {
  return withBooks(pool, [], (books) => {
    const token = books.open({ owner: `token:${newId()}`, purpose: 'token', asset: 'BUDGET' })
    if (budget > 0) issue(books, token.id, amount(budget))
    return token.id
  })
}

export const issue = (books: Books, tokenId: string, some: Amount) =>
  books.post('token.issue', { debit: issuance, credit: books.account(tokenId), amount: some, operationId: newId() })

export const deduct = (books: Books, tokenId: string, some: Amount, operationId: string = newId()) =>
  books.post('token.deduct', { debit: books.account(tokenId), credit: revenue, amount: some, operationId })

export const deductFrom = (pool: pg.Pool, tokenId: string, some: number, operationId: string = newId()) =>
  withBooks(pool, [tokenId], (books) => deduct(books, tokenId, amount(some), operationId))

export interface Standing {
  readonly balance: bigint
  readonly held: bigint
  readonly entries: bigint
  readonly closed: boolean
}

/** How an account stands in the database. */
export async function standing(pool: pg.Pool, id: string): Promise<Standing> {
  const [row] = await sqlOf(pool).query<{ balance: string; held: string; entries: string; closed: boolean }>(
    'select balance, held, entries, closed from account where id = $1',
    [id],
  )
  if (row === undefined) throw new Error(`No account ${id}`)
  return { balance: BigInt(row.balance), held: BigInt(row.held), entries: BigInt(row.entries), closed: row.closed }
}

export const findingsIn = (pool: pg.Pool, now = NOON, options = {}): Promise<Finding[]> =>
  inTransaction(pool, (sql) => inSnapshot(sql, () => checkLedger(sql, now, options)))

/** How many rows an answer to this question has. */
export async function count(pool: pg.Pool, from: string, parameters: readonly unknown[] = []): Promise<number> {
  const [row] = await sqlOf(pool).query<{ count: string }>(`select count(*) from ${from}`, parameters)
  return Number(row?.count)
}
