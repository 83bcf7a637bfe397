import type { Sql } from '../../kit/sql.ts'
import type { Books } from '../ledger/books.ts'
import type { Currency } from './names.ts'
import { walletOwner } from './payment.ts'

/** Somebody with a wallet, locked until the transaction ends: what concerns one user happens one after the other. */
export interface Holder {
  readonly userId: string
  /** Their days and months begin at midnight here. */
  readonly timeZone: string
}

/** Opens the holder's row the first time. Everything that moves a user's money takes this lock before any other. */
export async function lockHolder(sql: Sql, userId: string, now: Date): Promise<Holder> {
  const lock = () =>
    sql.query<{ time_zone: string }>(`select time_zone from wallet_holder where user_id = $1 for no key update`, [
      userId,
    ])
  let [row] = await lock()
  if (row === undefined) {
    await sql.query(`insert into wallet_holder (user_id, opened_at) values ($1, $2) on conflict do nothing`, [
      userId,
      now,
    ])
    ;[row] = await lock()
  }
  return { userId, timeZone: row?.time_zone ?? 'UTC' }
}

/** The user's wallet account in a currency, if they have ever had one. The holder must be locked. */
export async function walletAccount(sql: Sql, userId: string, currency: Currency): Promise<string | undefined> {
  const [row] = await sql.query<{ id: string }>(
    `select id from account where owner = $1 and purpose = 'wallet' and asset = $2`,
    [walletOwner(userId), currency],
  )
  return row?.id
}

/** The same, opened when it is not there yet. */
export async function openWallet(
  desk: { sql: Sql; books(ids: readonly string[]): Promise<Books> },
  userId: string,
  currency: Currency,
): Promise<string> {
  const known = await walletAccount(desk.sql, userId, currency)
  if (known !== undefined) return known
  const books = await desk.books([])
  return books.open({ owner: walletOwner(userId), purpose: 'wallet', asset: currency }).id
}
