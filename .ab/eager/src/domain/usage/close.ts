import { assert } from '../../kit/assert.ts'
import type { Month } from '../../kit/months.ts'
import type { Sql } from '../../kit/sql.ts'

/** Any number: whoever records usage holds it shared, whoever closes a month holds it alone. */
const CLOSING_LOCK = 7_205_759_405

/**
 * Before usage is written: until this transaction ends no month is closed, so that each event is either seen by the
 * invoice of its month or known to be late. Read what is closed after this, and write in the same transaction.
 */
export const keepMonthsOpen = async (sql: Sql): Promise<void> => {
  await sql.query('select pg_advisory_xact_lock_shared($1)', [CLOSING_LOCK])
}

/**
 * An instant of the database's clock before which nothing is written any more that cannot be seen yet: now, or when the
 * oldest of those began who are writing usage. Read what was written in a later statement.
 */
export async function writtenBefore(sql: Sql): Promise<Date> {
  // First: who begins to write after it writes after it.
  const [clock] = await sql.query<{ now: Date }>('select clock_timestamp() as now')
  const [writers] = await sql.query<{ since: Date | null }>(
    `select min(xact_start) as since from pg_locks join pg_stat_activity using (pid)
     where locktype = 'advisory' and objsubid = 1 and (classid::bigint << 32) | objid::bigint = $1
       and pg_locks.database = (select oid from pg_database where datname = current_database())`,
    [CLOSING_LOCK],
  )
  assert(clock !== undefined, 'The database has no clock')
  const since = writers?.since ?? clock.now
  return since < clock.now ? since : clock.now
}

/**
 * Closes a month for its invoices: for everybody, or for one customer. Waits for usage that is being written; what comes
 * after is late, and belongs to a later month. In a transaction of its own, before the month is added up. Closing it
 * again changes nothing.
 */
export async function closeMonth(sql: Sql, closing: { month: Month; customerId?: string; now: Date }): Promise<void> {
  await sql.query('select pg_advisory_xact_lock($1)', [CLOSING_LOCK])
  await sql.query(
    `insert into closed_month (month, customer_id, closed_at) values ($1, $2, $3) on conflict do nothing`,
    [closing.month, closing.customerId ?? EVERYBODY, closing.now],
  )
}

/** Stands for all customers; no user's id is empty. */
const EVERYBODY = ''

/** The months that are closed for these customers, or for everybody. Hold `keepMonthsOpen` while relying on it. */
export async function closedMonths(
  sql: Sql,
  wanted: { customers: readonly string[]; since: Month },
): Promise<(customerId: string, month: Month) => boolean> {
  const rows = await sql.query<{ month: Month; customer_id: string }>(
    `select month, customer_id from closed_month where month >= $1 and customer_id = any($2::text[])`,
    [wanted.since, [EVERYBODY, ...new Set(wanted.customers)]],
  )
  const closed = new Set(rows.map((row) => `${row.month} ${row.customer_id}`))
  return (customerId, month) => closed.has(`${month} ${EVERYBODY}`) || closed.has(`${month} ${customerId}`)
}
