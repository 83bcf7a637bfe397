import { CronExpressionParser } from 'cron-parser'
import { schedule as everyTick, type ScheduledTask } from 'node-cron'
import type { Envelope } from '../jobs/envelope.ts'
import { insertFollowUps } from '../jobs/followup.ts'
import type { Clock } from '../kit/clock.ts'
import { newId } from '../kit/ids.ts'
import type { Keyring } from '../kit/keyring.ts'
import type { Sql } from '../kit/sql.ts'
import type { Schedule } from './table.ts'

/** Missed periods started in one go: a year of days. What is beyond comes at the next tick. */
const MAX_CAUGHT_UP = 400

export interface ClockworkParts {
  readonly transaction: <Result>(work: (sql: Sql) => Promise<Result>) => Promise<Result>
  readonly keyring: Keyring
  readonly clock: Clock
  readonly dispatch: (envelopes: readonly Envelope[]) => void
  readonly onError: (error: unknown, schedule: Schedule) => void
}

/** As often as the finest schedule, so that a look that failed, or a tick that was missed, costs a minute and not a day. */
const LOOK = '* * * * *'

/**
 * Turns ticks into operations. The tick only says «look»; what runs is decided by the periods that have begun and have no
 * row yet, so that three replicas, a restart, a clock step or a night with two two-o'clocks give each period once.
 */
export class Clockwork {
  readonly #parts: ClockworkParts
  readonly #schedules: readonly Schedule[]
  #ticking: ScheduledTask | undefined
  readonly #running = new Set<Promise<unknown>>()

  constructor(schedules: readonly Schedule[], parts: ClockworkParts) {
    this.#schedules = schedules
    this.#parts = parts
  }

  start(): void {
    const lookAtAll = () => {
      for (const schedule of this.#schedules) this.#track(this.look(schedule))
    }
    this.#ticking = everyTick(LOOK, lookAtAll, { timezone: 'UTC' })
    lookAtAll()
  }

  async stop(): Promise<void> {
    await this.#ticking?.destroy()
    await Promise.all(this.#running)
  }

  #track(looking: Promise<unknown>): void {
    const tracked = looking.finally(() => this.#running.delete(tracked))
    this.#running.add(tracked)
  }

  /** Starts every period of one schedule that is due. Answers with those that it started. */
  async look(schedule: Schedule): Promise<Date[]> {
    try {
      const { started, jobs } = await this.#parts.transaction((sql) => this.#startDue(sql, schedule))
      this.#parts.dispatch(jobs)
      return started
    } catch (error) {
      this.#parts.onError(error, schedule)
      return []
    }
  }

  /** The period's row and its operation commit together, so that neither is ever there without the other. */
  async #startDue(sql: Sql, schedule: Schedule): Promise<{ started: Date[]; jobs: Envelope[] }> {
    const now = this.#parts.clock.now()
    const settled = (await lastSettled(sql, schedule, now)) ?? (await begun(sql, schedule, now))
    const due = duePeriods(schedule, settled, now)
    const started: Date[] = []
    const jobs: Envelope[] = []
    for (const period of due) {
      const id = newId()
      const claimed = await sql.query(
        `insert into schedule_run (schedule, period, operation_id, started_at) values ($1, $2, $3, $4)
         on conflict do nothing returning 1`,
        [schedule.name, period, id, now],
      )
      // Another replica was first.
      if (claimed.length === 0) continue
      const followUp = { id, kind: schedule.kind, input: { period: period.toISOString() } }
      jobs.push(...(await insertFollowUps(sql, this.#parts.keyring, [followUp], now)))
      started.push(period)
    }
    return { started, jobs }
  }
}

/**
 * Up to where nothing is due any more: the newest period that was started. Of a schedule that begins with the next one, what
 * was before the first look is no debt either, also once an operator has started some of it.
 */
async function lastSettled(sql: Sql, schedule: Schedule, now: Date): Promise<Date | undefined> {
  // Periods ahead of us come from a clock that was wrong, and must not silence the schedule until then.
  const [newest] = await sql.query<{ period: Date | null }>(
    'select max(period) as period from schedule_run where schedule = $1 and period <= $2',
    [schedule.name, now],
  )
  const started = newest?.period ?? undefined
  if (schedule.first !== 'next') return started
  const looked = await firstLook(sql, schedule, now)
  return looked === undefined || (started !== undefined && started > looked) ? started : looked
}

/** Writes down the first look at one that begins with the period after it, and answers with that. */
async function begun(sql: Sql, schedule: Schedule, now: Date): Promise<Date | undefined> {
  if (schedule.first !== 'next') return undefined
  await sql.query(
    `insert into schedule_first_look (schedule, looked_at) values ($1, $2)
     on conflict (schedule) do update set looked_at = least(schedule_first_look.looked_at, excluded.looked_at)`,
    [schedule.name, now],
  )
  return firstLook(sql, schedule, now)
}

/** Milliseconds after which a period that nobody has started is overdue: a few looks of a scheduler. */
const OVERDUE_MS = 5 * 60_000

/** The names of schedules whose period has begun a while ago, and nobody has started it. */
export async function overdueSchedules(sql: Sql, schedules: readonly Schedule[], now: Date): Promise<string[]> {
  const overdue: string[] = []
  for (const schedule of schedules) {
    const settled = await lastSettled(sql, schedule, now)
    // Nobody has ever looked at one that begins with the next period: there is none yet.
    if (settled === undefined && schedule.first === 'next') continue
    if (duePeriods(schedule, settled, new Date(now.getTime() - OVERDUE_MS)).length > 0) overdue.push(schedule.name)
  }
  return overdue
}

/** One ahead of us comes from a clock that was wrong, too. */
async function firstLook(sql: Sql, schedule: Schedule, now: Date): Promise<Date | undefined> {
  const [first] = await sql.query<{ looked_at: Date }>(
    'select looked_at from schedule_first_look where schedule = $1 and looked_at <= $2',
    [schedule.name, now],
  )
  return first?.looked_at
}

/** The periods after `newest` that have begun by `now`, oldest first. A schedule that never ran begins with its newest one. */
export function duePeriods(schedule: Schedule, newest: Date | undefined, now: Date): Date[] {
  if (newest !== undefined && schedule.catchUp === 'all') return periodsBetween(schedule, newest, now, MAX_CAUGHT_UP)
  const last = lastPeriod(schedule, newest, now)
  return last === undefined ? [] : [last]
}

/** The period that begins next. */
export function nextPeriod(schedule: Schedule, now: Date): Date {
  const from = lastPeriod(schedule, undefined, now) ?? now
  const [next] = periodsBetween(schedule, from, END_OF_TIME, 1)
  if (next === undefined) throw new Error(`${schedule.name} has no next period`)
  return next
}

const END_OF_TIME = new Date('2300-01-01T00:00:00Z')

/** Whether a period of the schedule begins at this very instant. */
export const isPeriod = (schedule: Schedule, instant: Date): boolean =>
  lastPeriod(schedule, undefined, instant)?.getTime() === instant.getTime()

/** Hours to look back for the last period: far enough for schedules of a minute, a day, a week, a month, a leap year. */
const LOOK_BACK_HOURS = [1, 3 * 24, 40 * 24, 400 * 24, 3_000 * 24]

/**
 * Walks forward to the last period. cron-parser's way backward skips a night whose hour is left out and doubles one that
 * has it twice. Its first step from just anywhere may be the second of a doubled hour, which a period must not be: so
 * steps count from a period, or from the second on.
 */
function lastPeriod(schedule: Schedule, newest: Date | undefined, now: Date): Date | undefined {
  for (const hours of LOOK_BACK_HOURS) {
    const from = new Date(now.getTime() - hours * 3_600_000)
    if (newest !== undefined && from <= newest) return periodsBetween(schedule, newest, now).at(-1)
    const periods = periodsBetween(schedule, from, now)
    if (periods.length > 1) return periods.at(-1)
  }
  return undefined
}

/** Excludes `after`, includes `until`. */
function periodsBetween(schedule: Schedule, after: Date, until: Date, limit = Number.POSITIVE_INFINITY): Date[] {
  const ticks = CronExpressionParser.parse(schedule.cron, { tz: schedule.timezone, currentDate: after })
  const periods: Date[] = []
  while (periods.length < limit) {
    const period = ticks.next().toDate()
    if (period > until) break
    periods.push(period)
  }
  return periods
}
