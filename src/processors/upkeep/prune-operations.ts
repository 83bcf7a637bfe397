import { pruneOperations } from '../../jobs/upkeep.ts'
import { firstIdAt } from '../../kit/ids.ts'
import { transact } from '../shapes/transact.ts'

const DAY_MS = 86_400_000

/** The contract keeps keys at least 30 days; the day more covers clocks that disagree. */
const KEY_DAYS = 31

/** Two whole months behind the present one. */
const ALLOWANCE_DAYS = 62

/** Banks let customers dispute a payment for up to thirteen months: what it looked like is kept as long. */
const DECISION_DAYS = 400

/** Rows of each table in one run, so that no transaction grows without bound; what is left is the next run's, at once. */
const MAX_ROWS = 100_000

/**
 * Only what is final is forgotten: an operation that is open or stuck is kept, however old. Rows are chosen by their places, not
 * by a join, which the planner would do row by row where it believes that a table is still as empty as it was last left.
 */
export const operationPrune = transact(pruneOperations, {
  async perform({ sql, now, input, followUp }, { retentionDays }) {
    const before = (days: number) => new Date(now.getTime() - days * DAY_MS)
    // An operation outlives its key, so that a replay always finds it.
    const oldest = before(Math.max(retentionDays, KEY_DAYS + 1))
    const keys = await sql.query(
      `delete from idempotency_key where ctid = any(array(select ctid from idempotency_key where created_at < $1 limit ${MAX_ROWS}))
       returning 1`,
      [before(KEY_DAYS)],
    )
    const operations = await sql.query(
      `delete from operation where ctid = any(array(
         select ctid from operation where id < $1 and status in ('succeeded', 'failed') order by id limit ${MAX_ROWS}
       )) returning 1`,
      [firstIdAt(oldest)],
    )
    // The newest period of each schedule stays: catching up starts from it.
    const periods = await sql.query(
      `delete from schedule_run old where period < $1
         and exists (select from schedule_run newer where newer.schedule = old.schedule and newer.period > old.period)
       returning 1`,
      [oldest],
    )
    // Days and months sort among each other as text; a month is over long before its allowance is forgotten.
    const allowances = await sql.query(`delete from voice_allowance where period < $1 returning 1`, [
      before(ALLOWANCE_DAYS).toISOString().slice(0, 7),
    ])
    // What a person has looked at stays.
    const decisions = await sql.query(
      `delete from fraud_decision where ctid = any(array(
         select ctid from fraud_decision where id < $1 and decision in ('allow', 'observed') order by id limit ${MAX_ROWS}
       )) returning 1`,
      [firstIdAt(before(DECISION_DAYS))],
    )
    // A day at full load leaves more than one run may forget.
    if (Math.max(keys.length, operations.length, decisions.length) === MAX_ROWS)
      followUp({ kind: 'operation.prune', input })
    return {
      operations: operations.length,
      keys: keys.length,
      periods: periods.length,
      allowances: allowances.length,
      decisions: decisions.length,
    }
  },
})
