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

/**
 * Turns ticks into operations. The tick only says «look»; what runs is decided by the periods that are over and have no
 * row yet, so that three replicas, a restart, a clock step or a night with two two-o'clocks give each period once.
 */
export class Clockwork {
  readonly #parts: ClockworkParts
  readonly #schedules: readonly Schedule[]
  #tasks: ScheduledTask[] = []
  #running = new Set<Promise<void>>()

  constructor(schedules: readonly Schedule[], parts: ClockworkParts) {
    this.#schedules = schedules
    this.#parts = parts
  }

  start(): void {
    for (const schedule of this.#schedules) {
      const look = () => this.#track(this.look(schedule))
      this.#tasks.push(everyTick(schedule.cron, look, { timezone: schedule.timezone, name: schedule.name }))
      look()
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#tasks.map((task) => task.destroy()))
    await Promise.all(this.#running)
  }

  #track(looking: Promise<unknown>): void {
    const tracked: Promise<void> = looking
      .then(
        () => {},
        () => {},
      )
      .finally(() => this.#running.delete(tracked))
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
    const [newest] = await sql.query<{ period: Date | null }>(
      'select max(period) as period from schedule_run where schedule = $1',
      [schedule.name],
    )
    const due = duePeriods(schedule, newest?.period ?? undefined, now)
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

/** The periods after `newest` that have begun by `now`, oldest first. A schedule that never ran begins with its newest one. */
export function duePeriods(schedule: Schedule, newest: Date | undefined, now: Date): Date[] {
  const options = { tz: schedule.timezone }
  const last = CronExpressionParser.parse(schedule.cron, { ...options, currentDate: new Date(now.getTime() + 1) })
    .prev()
    .toDate()
  if (newest === undefined || schedule.catchUp === 'last') return newest !== undefined && last <= newest ? [] : [last]
  const missed: Date[] = []
  const ticks = CronExpressionParser.parse(schedule.cron, { ...options, currentDate: newest })
  while (missed.length < MAX_CAUGHT_UP) {
    const period = ticks.next().toDate()
    if (period > now) break
    missed.push(period)
  }
  return missed
}
