import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type KindName, kinds } from '../src/jobs/catalogue.ts'
import type { Envelope } from '../src/jobs/envelope.ts'
import { firstIdAt, newCredential, newId } from '../src/kit/ids.ts'
import { Keyring } from '../src/kit/keyring.ts'
import { Secret } from '../src/kit/secret.ts'
import { inTransaction } from '../src/platform/database.ts'
import { processors } from '../src/processors/index.ts'
import { Clockwork, duePeriods } from '../src/schedules/clockwork.ts'
import { inZone, type Schedule, schedules } from '../src/schedules/table.ts'
import { freshDatabase, type TestDatabase } from './support/database.ts'
import { Deployment } from './support/deployment.ts'
import { count } from './support/ledger.ts'
import { Workshop } from './support/workshop.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

const nightly: Schedule = {
  name: 'nightly',
  kind: 'ledger.check',
  cron: '30 2 * * *',
  timezone: 'UTC',
  catchUp: 'all',
  says: 'For tests',
}

const isoOf = (periods: readonly Date[]) => periods.map((period) => period.toISOString())

describe('The clockwork', () => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await freshDatabase()
  })
  afterAll(() => database.drop())
  afterEach(() =>
    database.pool.query('delete from schedule_run; delete from schedule_first_look; delete from operation'),
  )

  const keyring = new Keyring(new Secret('a passphrase for tests'))

  /** A scheduler process on the shared database, whose clock is set by hand. */
  function replica(at: string) {
    const sent: Envelope[] = []
    const errors: unknown[] = []
    const clock = { time: new Date(at), now: () => clock.time }
    const clockwork = new Clockwork(schedules, {
      transaction: (work) => inTransaction(database.pool, work),
      keyring,
      clock,
      dispatch: (envelopes) => sent.push(...envelopes),
      onError: (error) => errors.push(error),
    })
    return { clockwork, clock, sent, errors, look: async (one: Schedule) => isoOf(await clockwork.look(one)) }
  }

  /** What was asked for, in the order in which it was. */
  async function asked(): Promise<{ kind: string; period: string }[]> {
    const { rows } = await database.pool.query(`select kind, input->>'period' as period from operation order by id`)
    return rows
  }

  test('starts the period that is due, with its operation, and sends the job', async () => {
    const { look, sent } = replica('2026-11-20T02:31:00Z')
    expect(await look(nightly)).toEqual(['2026-11-20T02:30:00.000Z'])
    expect(await asked()).toEqual([{ kind: 'ledger.check', period: '2026-11-20T02:30:00.000Z' }])
    const { rows } = await database.pool.query(
      `select submitted_by from operation join schedule_run on operation_id = id where schedule = 'nightly'`,
    )
    expect(rows).toEqual([{ submitted_by: ' bursar' }])
    expect(sent.map(({ kind }) => kind)).toEqual(['ledger.check'])
  })

  test('counts a period as begun in its first instant, and not before', async () => {
    const one = replica('2026-11-20T02:30:00Z')
    expect(await one.look(nightly)).toEqual(['2026-11-20T02:30:00.000Z'])
    one.clock.time = new Date('2026-11-21T02:29:59.999Z')
    expect(await one.look(nightly)).toEqual([])
    one.clock.time = new Date('2026-11-21T02:30:00.000Z')
    expect(await one.look(nightly)).toEqual(['2026-11-21T02:30:00.000Z'])
  })

  test('of three replicas that look at once, each period is started by one', async () => {
    await replica('2026-11-10T03:00:00Z').look(nightly)
    const replicas = [1, 2, 3].map(() => replica('2026-11-20T03:00:00Z'))
    const started = await Promise.all(replicas.flatMap(({ look }) => [look(nightly), look(nightly)]))
    expect(started.flat().sort()).toEqual(Array.from({ length: 10 }, (_, day) => `2026-11-${11 + day}T02:30:00.000Z`))
    expect(new Set((await asked()).map(({ period }) => period)).size).toBe(11)
    expect(await asked()).toHaveLength(11)
    expect(replicas.flatMap(({ sent }) => sent)).toHaveLength(10)
    expect(replicas.flatMap(({ errors }) => errors)).toEqual([])
  })

  test('after downtime over several periods, catches up on all of them in order, or on the newest only', async () => {
    const hourly: Schedule = { ...nightly, name: 'hourly', cron: '0 * * * *', kind: 'ledger.tidy', catchUp: 'last' }
    const before = replica('2026-11-16T12:00:00Z')
    await before.look(nightly)
    await before.look(hourly)
    const after = replica('2026-11-20T12:34:56Z')
    expect(await after.look(nightly)).toEqual([17, 18, 19, 20].map((day) => `2026-11-${day}T02:30:00.000Z`))
    expect(await after.look(hourly)).toEqual(['2026-11-20T12:00:00.000Z'])
    // Ids grow, so their order is the order in which the operations will be looked at.
    const checks = (await asked()).filter(({ kind }) => kind === 'ledger.check').map(({ period }) => period)
    expect(checks).toEqual(checks.toSorted())
  })

  test('restarted, it begins nothing anew', async () => {
    await replica('2026-11-20T12:00:00Z').look(nightly)
    expect(await replica('2026-11-20T12:00:01Z').look(nightly)).toEqual([])
    expect(await asked()).toHaveLength(1)
  })

  test('a clock that is set back repeats nothing; one that was far ahead does not silence what is due', async () => {
    const one = replica('2026-11-20T12:00:00Z')
    await one.look(nightly)
    one.clock.time = new Date('2026-11-20T02:00:00Z')
    expect(await one.look({ ...nightly, catchUp: 'last' })).toEqual(['2026-11-19T02:30:00.000Z'])
    expect(await one.look(nightly)).toEqual([])
    one.clock.time = new Date('2026-11-20T02:31:00Z')
    expect(await one.look(nightly)).toEqual([])

    one.clock.time = new Date('2036-01-01T12:00:00Z')
    expect(await one.look({ ...nightly, catchUp: 'last' })).toEqual(['2036-01-01T02:30:00.000Z'])
    one.clock.time = new Date('2026-11-21T12:00:00Z')
    expect(await one.look(nightly)).toEqual(['2026-11-21T02:30:00.000Z'])
    const periods = (await asked()).map(({ period }) => period)
    expect(new Set(periods).size).toBe(periods.length)
  })

  test('a period and its operation are there together or not at all', async () => {
    const one = replica('2026-11-20T12:00:00Z')
    const { pool } = database
    await pool.query(`alter table operation add constraint nothing_new check (kind <> 'ledger.check')`)
    expect(await one.look(nightly)).toEqual([])
    expect(one.errors).toHaveLength(1)
    expect(await count(pool, 'schedule_run')).toBe(0)
    expect(one.sent).toEqual([])
    await pool.query('alter table operation drop constraint nothing_new')
    expect(await one.look(nightly)).toEqual(['2026-11-20T02:30:00.000Z'])
    expect(await asked()).toHaveLength(1)
  })

  test('looks at everything when it starts, and waits for its looks when it stops', async () => {
    const one = replica('2026-11-20T12:00:00Z')
    one.clockwork.start()
    await one.clockwork.stop()
    const atOnce = inZone(schedules, 'UTC').filter(({ first }) => first !== 'next')
    expect((await asked()).map(({ kind }) => kind).sort()).toEqual(atOnce.map(({ kind }) => kind).sort())
    expect(one.errors).toEqual([])
  })

  describe('of a schedule that begins with the next period', () => {
    const monthly: Schedule = { ...nightly, name: 'monthly', cron: '0 0 1 * *', first: 'next' }
    const first = (months: readonly string[]) => months.map((month) => `${month}-01T00:00:00.000Z`)

    test('starts nothing of what was before it was installed, and everything after it, whatever was missed', async () => {
      const one = replica('2026-11-20T12:00:00Z')
      expect(await one.look(monthly)).toEqual([])
      one.clock.time = new Date('2026-11-30T23:59:59Z')
      expect(await one.look(monthly)).toEqual([])
      expect(await replica('2027-02-10T12:00:00Z').look(monthly)).toEqual(first(['2026-12', '2027-01', '2027-02']))
      expect(await replica('2027-03-01T00:00:00Z').look(monthly)).toEqual(first(['2027-03']))
    })

    test('lets three replicas that look first at once begin alike', async () => {
      const replicas = [1, 2, 3].map(() => replica('2026-11-20T12:00:00Z'))
      expect((await Promise.all(replicas.map(({ look }) => look(monthly)))).flat()).toEqual([])
      const later = [1, 2, 3].map(() => replica('2026-12-01T00:00:30Z'))
      expect((await Promise.all(later.map(({ look }) => look(monthly)))).flat()).toEqual(first(['2026-12']))
    })

    test('does not take an earlier period that an operator has started for the beginning of a backlog', async () => {
      const one = replica('2026-11-20T12:00:00Z')
      await one.look(monthly)
      await database.pool.query(`insert into schedule_run values ('monthly', '2026-08-01T00:00:00Z', $1, now())`, [
        newId(),
      ])
      expect(await one.look(monthly)).toEqual([])
      one.clock.time = new Date('2026-12-01T00:00:00Z')
      expect(await one.look(monthly)).toEqual(first(['2026-12']))
    })

    test('catches up where it had run before anybody wrote down when it first looked', async () => {
      await database.pool.query(`insert into schedule_run values ('monthly', '2026-08-01T00:00:00Z', $1, now())`, [
        newId(),
      ])
      const one = replica('2026-11-20T12:00:00Z')
      expect(await one.look(monthly)).toEqual(first(['2026-09', '2026-10', '2026-11']))
    })

    test('is not silenced by a first look of a clock that was far ahead', async () => {
      const one = replica('2036-01-15T12:00:00Z')
      expect(await one.look(monthly)).toEqual([])
      one.clock.time = new Date('2026-11-20T12:00:00Z')
      expect(await one.look(monthly)).toEqual([])
      one.clock.time = new Date('2026-12-01T00:00:00Z')
      expect(await one.look(monthly)).toEqual(first(['2026-12']))
    })
  })

  test('a thousand missed periods are caught up on in bounded steps', async () => {
    const everyMinute = { ...nightly, name: 'every-minute', cron: '* * * * *' }
    await replica('2026-11-20T00:00:00Z').look(everyMinute)
    const after = replica('2026-11-20T16:40:00Z')
    const steps = []
    for (let step = 0; step < 4; step++) steps.push((await after.look(everyMinute)).length)
    expect(steps).toEqual([400, 400, 200, 0])
  })
})

describe('Every schedule', () => {
  test.each(schedules)('$name asks for a kind that takes a period', ({ kind, cron, timezone }) => {
    expect(kinds[kind].input.safeParse({ period: '2026-11-20T12:00:00.000Z' }).success).toBe(true)
    const now = new Date('2026-11-20T12:34:56Z')
    const [period] = duePeriods({ ...nightly, cron, timezone }, undefined, now)
    expect(period?.getTime()).toBeLessThanOrEqual(now.getTime())
    // The rarest of them is a month apart.
    expect(period?.getTime()).toBeGreaterThan(now.getTime() - 32 * 24 * HOUR_MS)
  })

  test('has a name of its own', () => {
    expect(new Set(schedules.map(({ name }) => name)).size).toBe(schedules.length)
  })
})

describe('In nights in which clocks are changed', () => {
  const nights = [
    ...['2026-03-29', '2026-10-25', '2027-03-28'].map((night) => ['Europe/Berlin', night] as const),
    ...['2026-03-08', '2026-11-01', '2027-03-14'].map((night) => ['America/New_York', night] as const),
  ]

  /** Every period that is started when somebody looks at these instants. */
  function started(schedule: Schedule, from: Date, looks: readonly Date[]): Date[] {
    const periods: Date[] = []
    let newest = from
    for (const now of looks) {
      const due = duePeriods(schedule, newest, now)
      periods.push(...due)
      newest = due.at(-1) ?? newest
    }
    return periods
  }

  /** From the second morning before the night to the second afternoon after it, so that no schedule is at a border. */
  function around(night: string) {
    const noon = new Date(`${night}T12:00:00Z`).getTime()
    const from = new Date(noon - 50 * HOUR_MS)
    const looks = (everyMs: number, hours = 50) =>
      Array.from({ length: (2 * hours * HOUR_MS) / everyMs }, (_, n) => noon - hours * HOUR_MS + (n + 1) * everyMs)
    // Every six hours, and in the night and the morning every quarter of an hour.
    const closely = [...looks(6 * HOUR_MS), ...looks(15 * MINUTE_MS, 12), noon + 50 * HOUR_MS]
    return { from, closely: closely.sort((a, b) => a - b).map((at) => new Date(at)), to: new Date(noon + 50 * HOUR_MS) }
  }

  const dayIn = (timezone: string, instant: Date) =>
    new Intl.DateTimeFormat('en-CA', { timeZone: timezone, dateStyle: 'short' }).format(instant)

  const daily = ['30 2 * * *', '15 1 * * *', '0 3 * * *']

  test.each(nights)('%s, %s: a daily schedule runs once each day, however it is caught up', (timezone, night) => {
    const { from, closely } = around(night)
    for (const cron of daily) {
      for (const catchUp of ['all', 'last'] as const) {
        const periods = started({ ...nightly, cron, timezone, catchUp }, from, closely)
        const days = new Set(periods.map((period) => dayIn(timezone, period)))
        const label = { cron, catchUp, periods: isoOf(periods) }
        expect({ ...label, runs: periods.length, days: days.size }).toEqual({ ...label, runs: 4, days: 4 })
      }
    }
  })

  test.each(nights)('%s, %s: an hourly schedule runs in every hour that passes, once', (timezone, night) => {
    const { from, closely } = around(night)
    const periods = started({ ...nightly, cron: '0 * * * *', timezone }, from, closely)
    const instants = periods.map((period) => period.getTime())
    const gaps = instants.slice(1).map((instant, index) => (instant - (instants[index] ?? 0)) / HOUR_MS)
    expect(new Set(gaps)).toEqual(new Set([1]))
    expect(periods).toHaveLength(100)
  })

  test.each(nights)('%s, %s: whoever was away all night finds the same periods', (timezone, night) => {
    const { from, to, closely } = around(night)
    for (const cron of ['30 2 * * *', '15 1 * * *', '*/30 * * * *']) {
      const schedule: Schedule = { ...nightly, cron, timezone }
      const watched = isoOf(started(schedule, from, closely))
      expect({ cron, periods: isoOf(duePeriods(schedule, from, to)) }).toEqual({ cron, periods: watched })
      // One that never ran begins with the newest of them, whenever it is started.
      for (const now of closely.filter((_, n) => n % 8 === 7)) {
        const [first] = isoOf(duePeriods(schedule, undefined, now))
        const newest = watched.filter((period) => period <= now.toISOString()).at(-1)
        if (newest !== undefined) expect({ cron, now, first }).toEqual({ cron, now, first: newest })
      }
    }
  })
})

describe('Upkeep that the clock asks for', () => {
  let workshop: Workshop
  beforeAll(async () => {
    workshop = await Workshop.open()
  })
  afterAll(() => workshop.close())
  beforeEach(() => workshop.pool.query('delete from operation; delete from idempotency_key; delete from schedule_run'))

  const DAY_MS = 24 * HOUR_MS

  async function run(kind: KindName): Promise<unknown> {
    const id = await workshop.submit(kind, { period: new Date().toISOString() })
    await workshop.run(kind, [id], processors[kind])
    return (await workshop.operation(id)).result
  }

  test('pruning forgets what is final and old, and keeps what is open, stuck or young', async () => {
    const ended = { succeeded: [`'{}'`, 'null', 'now()'], failed: ['null', `'{}'`, 'now()'] } as const
    const open = {
      queued: ['null', 'null', 'null'],
      processing: ['null', 'null', 'null'],
      stuck: ['null', `'{}'`, 'null'],
    } as const
    const ids = new Map<string, string>()
    for (const [status, values] of Object.entries({ ...ended, ...open })) {
      for (const days of [500, 399, 1]) {
        const at = new Date(Date.now() - days * DAY_MS)
        // Two of one instant may not have one id.
        const id = firstIdAt(at).slice(0, 24) + newId().slice(24)
        ids.set(`${status}, ${days} days`, id)
        await workshop.pool.query(
          `insert into operation (id, kind, job_id, input, submitted_at, status, result, error, finished_at)
           values ($1, 'token.deduct', 'gone', '{}', $2, $3, ${values.join(', ')})`,
          [id, at, status],
        )
      }
    }
    for (const days of [60, 32, 30, 1]) {
      await workshop.pool.query(`insert into idempotency_key values ($1, 'x', $2, $3)`, [
        Buffer.alloc(32, days),
        newCredential(),
        new Date(Date.now() - days * DAY_MS),
      ])
    }
    for (const [schedule, days] of [
      ['busy', 500],
      ['busy', 450],
      ['busy', 1],
      ['forgotten', 500],
    ] as const) {
      await workshop.pool.query('insert into schedule_run values ($1, $2, $3, now())', [
        schedule,
        new Date(Date.now() - days * DAY_MS),
        newId(),
      ])
    }

    expect(await run('operation.prune')).toMatchObject({ operations: 2, keys: 2, periods: 2 })
    const { rows } = await workshop.pool.query(`select id from operation where kind = 'token.deduct'`)
    const kept = new Set(rows.map(({ id }) => id))
    const gone = [...ids].filter(([, id]) => !kept.has(id)).map(([name]) => name)
    expect(gone).toEqual(['succeeded, 500 days', 'failed, 500 days'])
    const left = await workshop.pool.query('select schedule from schedule_run order by 1')
    expect(left.rows.map(({ schedule }) => schedule)).toEqual(['busy', 'forgotten'])
    expect(await run('operation.prune')).toMatchObject({ operations: 0, keys: 0, periods: 0 })
  })
})

describe('The check of the books', () => {
  let bursar: Deployment
  beforeAll(async () => {
    bursar = await Deployment.start()
  })
  afterAll(() => bursar.stop())

  /** Checks the books as the schedule does, and answers with what the metric says afterwards. */
  async function checked(): Promise<{ found: number; metric: number }> {
    const clockwork = new Clockwork(schedules, {
      transaction: (work) => inTransaction(bursar.pool, work),
      keyring: bursar.foundation.keyring,
      clock: bursar.clock,
      dispatch: (envelopes) => void bursar.foundation.queues.send('ledger', envelopes),
      onError: (error) => expect.unreachable(String(error)),
    })
    bursar.clock.advance({ seconds: 3_600 })
    const schedule = schedules.find(({ kind }) => kind === 'ledger.check')
    const [period] = schedule === undefined ? [] : await clockwork.look(schedule)
    const { rows } = await bursar.pool.query('select operation_id from schedule_run where period = $1', [period])
    const { result } = await bursar.settled(rows[0].operation_id, { as: 'operator_1', roles: ['operator'] })
    const { body } = await bursar.get('/metrics', { as: 'operator_1', roles: ['operator'] })
    return { found: result.findings, metric: Number(/^bursar_ledger_findings (\d+)$/m.exec(body)?.[1]) }
  }

  test('stores what it found and sets the metric; books that were tampered with raise the alarm', async () => {
    const token = await bursar.issue(100)
    await bursar.deduct(token, 30)
    expect(await checked()).toEqual({ found: 0, metric: 0 })
    await bursar.pool.query(`update account set balance = balance + 1 where purpose = 'token'`)
    const alarm = await checked()
    expect(alarm.found).toBeGreaterThan(0)
    expect(alarm.metric).toBe(alarm.found)
    const { rows } = await bursar.pool.query(
      'select json_array_length(findings) as found from ledger_check order by id',
    )
    expect(rows.map(({ found }) => found)).toEqual([0, alarm.found])
    await bursar.pool.query(`update account set balance = balance - 1 where purpose = 'token'`)
    expect(await checked()).toEqual({ found: 0, metric: 0 })
  })
})
