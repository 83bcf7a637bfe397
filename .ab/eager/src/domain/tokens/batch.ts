import type { Sql } from '../../kit/sql.ts'
import type { Account } from '../ledger/books.ts'
import { tokenRefusals } from './refusals.ts'
import { isExpired, type TokenStatus } from './token.ts'

/** A token that was issued, as hot ledger work sees it. All but the status stays as it is for ever. */
export interface IssuedToken {
  readonly id: string
  readonly accountId: string
  readonly expiresAt: Date
  readonly status: TokenStatus
}

export type IssuedTokens = ReadonlyMap<string, IssuedToken>

/** Those of these tokens that were ever issued. */
export async function issuedTokens(sql: Sql, ids: readonly string[]): Promise<IssuedTokens> {
  const rows = await sql.query<{ id: string; account_id: string; expires_at: Date; status: TokenStatus }>(
    `select id, account_id, expires_at, status from token where id = any($1::uuid[]) and account_id is not null`,
    [[...new Set(ids)]],
  )
  return new Map(
    rows.map((row) => [
      row.id,
      { id: row.id, accountId: row.account_id, expiresAt: row.expires_at, status: row.status },
    ]),
  )
}

/**
 * The token behind an id, if it may still be spent; refuses otherwise. `account` must be read under its lock: a token
 * that was revoked or swept while we waited for it has a closed account by now, whatever its row said before.
 */
export function spendable(
  tokens: IssuedTokens,
  id: string,
  account: (id: string) => Account,
  now: Date,
): { token: IssuedToken; account: Account } {
  const token = tokens.get(id.toLowerCase())
  if (token === undefined) throw tokenRefusals.notFound()
  const locked = account(token.accountId)
  if (token.status === 'revoked') throw tokenRefusals.revoked()
  if (isExpired(token, now)) throw tokenRefusals.expired()
  if (locked.closed) throw tokenRefusals.revoked()
  return { token, account: locked }
}

/** Moves tokens whose accounts were closed in this transaction to their last state. */
export async function closeTokens(
  sql: Sql,
  ids: readonly string[],
  status: 'expired' | 'revoked',
  now: Date,
): Promise<void> {
  await sql.query(`update token set status = $2, closed_at = $3 where id = any($1::uuid[]) and status = 'active'`, [
    ids,
    status,
    now,
  ])
}

/** Active tokens whose time is over, the longest over first. */
export async function overdueTokens(sql: Sql, now: Date, limit: number): Promise<{ id: string; accountId: string }[]> {
  const rows = await sql.query<{ id: string; account_id: string }>(
    `select id, account_id from token where status = 'active' and expires_at <= $1 order by expires_at limit $2`,
    [now, limit],
  )
  return rows.map((row) => ({ id: row.id, accountId: row.account_id }))
}
