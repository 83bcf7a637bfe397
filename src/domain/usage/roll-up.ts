import { arrayLiteral, textArrayLiteral } from '../../kit/array-literal.ts'
import { assert } from '../../kit/assert.ts'
import { dayStart, followingDay } from '../../kit/months.ts'
import type { Sql } from '../../kit/sql.ts'
import { usedIn } from './aggregate.ts'
import { writtenBefore } from './close.ts'

/*
 * Usage by day. Days in which something was written are noted as stale, and stale days are summed anew from their events:
 * whatever is late, taken back or looked at twice, a day is what its events come to.
 */

/** Minutes of writing whose days are gathered in one step: at full load some million events in one pass. */
const STEP_MINUTES = 10

/** Customers' days that are summed in one step: some seconds. */
const MAX_DAYS = 5_000

/** Minutes that are gathered twice: a server's clock may be put back by less. */
const OVERLAP_MINUTES = 5

const MINUTE_MS = 60_000

export interface RolledUp {
  /** Customers' days that were summed. */
  readonly days: number
  /** Everything recorded before it is summed; undefined: not everything was ever. */
  readonly asOf: Date | undefined
  /** There is more to do at once. */
  readonly more: boolean
}

/** One bounded step, in one transaction. Whoever else is at it waits for its end. */
export async function rollUpUsage(sql: Sql, zone: string): Promise<RolledUp> {
  const [state] = await sql.query<{ gathered_until: Date; as_of: Date | null }>(
    'select gathered_until, as_of from usage_roll_up for update',
  )
  assert(state !== undefined, 'The row of the roll-up is gone')
  const seen = await writtenBefore(sql)
  let until = state.gathered_until
  let stale = await takeStale(sql)
  // Only once all that was noted is summed: what is gathered twice would be summed for ever.
  if (stale.length === 0) {
    until = await gather(sql, { since: until, seen, zone })
    stale = await takeStale(sql)
  }
  await sumDays(sql, stale, zone)
  const isLeft = stale.length === MAX_DAYS && (await sql.query('select from usage_day_stale limit 1')).length > 0
  const asOf = isLeft ? state.as_of : until
  await sql.query('update usage_roll_up set gathered_until = $1, as_of = $2', [until, asOf])
  return { days: stale.length, asOf: asOf ?? undefined, more: isLeft || stepAfter(until) < seen }
}

const stepAfter = (instant: Date): Date => new Date(instant.getTime() + STEP_MINUTES * MINUTE_MS)

/** Notes the days of what was written since; answers how far that is. */
async function gather(sql: Sql, { since, seen, zone }: { since: Date; seen: Date; zone: string }): Promise<Date> {
  // Whoever holds us back may have begun before the last time, and have written only after it.
  if (seen <= since) return since
  const until = stepAfter(since) < seen ? stepAfter(since) : seen
  const noted = await sql.query(
    `insert into usage_day_stale (day, customer_id)
     select distinct (at at time zone $3)::date, customer_id from usage_event where written_at >= $1 and written_at < $2
     on conflict do nothing returning 1`,
    [new Date(since.getTime() - OVERLAP_MINUTES * MINUTE_MS), until, zone],
  )
  if (until >= seen || noted.length > 0) return until
  // Nothing for a while: on to when there was something, and not there by steps of minutes.
  const [next] = await sql.query<{ at: Date | null }>(
    'select min(written_at) as at from usage_event where written_at >= $1 and written_at < $2',
    [until, seen],
  )
  return next?.at == null ? seen : gather(sql, { since: next.at, seen, zone })
}

interface StaleDay {
  readonly day: string
  readonly customer_id: string
}

/**
 * By days, so that few periods are asked for. By the rows' places, not by a join: where the planner believes that the table is
 * still as empty as it was last left, it would choose the same rows again for each of them.
 */
const takeStale = (sql: Sql): Promise<StaleDay[]> =>
  sql.query<StaleDay>(
    `delete from usage_day_stale where ctid = any(array(
       select ctid from usage_day_stale order by day, customer_id limit ${MAX_DAYS}
     )) returning day::text, customer_id`,
  )

async function sumDays(sql: Sql, stale: readonly StaleDay[], zone: string): Promise<void> {
  for (const [day, customers] of Map.groupBy(stale, (one) => one.day)) {
    const used = await usedIn(sql, {
      customerIds: customers.map(({ customer_id }) => customer_id),
      from: dayStart(day, zone),
      until: dayStart(followingDay(day), zone),
    })
    await sql.query(
      `insert into usage_day (customer_id, day, metric, events, quantity)
       select customer_id, $1::date, metric, events, quantity
       from unnest($2::text[], $3::text[], $4::bigint[], $5::numeric[]) as used (customer_id, metric, events, quantity)
       on conflict (customer_id, day, metric) do update set events = excluded.events, quantity = excluded.quantity`,
      [
        day,
        textArrayLiteral(used.map(({ customerId }) => customerId)),
        arrayLiteral(used.map(({ metric }) => metric)),
        arrayLiteral(used.map(({ events }) => events)),
        arrayLiteral(used.map(({ quantity }) => quantity)),
      ],
    )
  }
}
