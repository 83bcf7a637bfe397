import type { Sql } from '../../kit/sql.ts'

/**
 * Moves what platform accounts have gathered in deltas into their balances, at most `limit` deltas at a time, oldest
 * first; answers how many. One statement, so that a delta is never gone without being in a balance. Several may run at
 * once: they skip each other's deltas, and update accounts in the order of their ids.
 */
export async function rollUp(sql: Sql, limit: number): Promise<number> {
  const [row] = await sql.query<{ deltas: string | null }>(
    `with due as (select id from account_delta order by id limit $1 for update skip locked),
          gone as (
            delete from account_delta using due where account_delta.id = due.id
            returning account_id, account_delta.amount, entries
          ),
          moved as (
            select account_id, sum(amount)::bigint as amount, sum(entries)::bigint as entries, count(*) as deltas
            from gone group by account_id
          ),
          locked as materialized (
            select id from account where id in (select account_id from moved) order by id for no key update
          ),
          added as (
            update account set balance = balance + moved.amount, entries = account.entries + moved.entries
            from locked join moved on moved.account_id = locked.id
            where account.id = locked.id
            returning moved.deltas
          )
     select sum(deltas) as deltas from added`,
    [limit],
  )
  return Number(row?.deltas ?? 0)
}
