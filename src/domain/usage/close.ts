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
