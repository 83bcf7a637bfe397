import type { Sql } from '../../kit/sql.ts'
import { openBooks } from './books.ts'

/**
 * Gives back what holds have set aside whose time is over, at most `limit` at a time; answers how many. Wants a
 * transaction around it. A hold that ends in another way before its account is locked stays as it is.
 */
export async function releaseExpiredHolds(sql: Sql, now: Date, limit: number): Promise<number> {
  const due = await sql.query<{ id: string; account_id: string }>(
    `select id, account_id from hold where status = 'held' and expires_at <= $1 order by expires_at limit $2`,
    [now, limit],
  )
  const ids = due.map(({ id }) => id)
  const accountIds = due.map(({ account_id }) => account_id)
  const books = await openBooks(sql, accountIds, now, { holds: ids })
  const expired = ids.map((id) => books.placedHold(id)).filter(({ status }) => status === 'held')
  for (const hold of expired) books.expire(hold)
  await books.write(sql)
  return expired.length
}
