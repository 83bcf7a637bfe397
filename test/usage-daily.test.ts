import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { keepMonthsOpen } from '../src/domain/usage/close.ts'
import { type RolledUp, rollUpUsage } from '../src/domain/usage/roll-up.ts'
import { newId } from '../src/kit/ids.ts'
import { inTransaction } from '../src/platform/database.ts'
import { Deployment } from './support/deployment.ts'
import { moveToMidMonth, OPERATOR } from './support/tokens.ts'

const USAGE = '/api/v1/billing/usage'
/** Days here begin eleven hours before London's. */
const ZONE = 'Pacific/Noumea'
const DAY_MS = 86_400_000

let bursar: Deployment
beforeAll(async () => {
  bursar = await Deployment.start({ env: { ISSUER_TIME_ZONE: ZONE } })
  moveToMidMonth(bursar.clock)
})
afterAll(() => bursar.stop())

const BACK_END = { as: 'shop', roles: ['service'] } as const

/** The day of the issuer's that is so many days back, and an instant of it. */
const dayBack = (days: number, hour = 12) => {
  const day = new Date(bursar.clock.now().getTime() - days * DAY_MS).toISOString().slice(0, 10)
  return { day, at: `${day}T${String(hour).padStart(2, '0')}:00:00+11:00` }
}

async function record(user: string, metric: string, quantity: number, timestamp: string, more = {}): Promise<void> {
  const body = { user_id: user, metric, quantity, timestamp, ...more }
  const answer = await bursar.do('POST', USAGE, body, BACK_END)
  expect(answer.body, JSON.stringify(answer.body)).toMatchObject({ success: true })
}

const step = (): Promise<RolledUp> => inTransaction(bursar.pool, (sql) => rollUpUsage(sql, ZONE))

/** As the schedule has it every hour, with all that follows. */
async function rollUp(): Promise<number> {
  let days = 0
  for (;;) {
    const done = await step()
    days += done.days
    if (!done.more) return days
  }
}

async function daily(user: string, query = '', asking: object = BACK_END) {
  const { status, body } = await bursar.get(`${USAGE}/daily?user_id=${user}${query}`, asking)
  expect(status, JSON.stringify(body)).toBe(200)
  return body
}

const shown = async (user: string, query = '') =>
  (await daily(user, query)).days.map((one: { day: string; metric: string; quantity: number; events: number }) => [
    ...[one.day, one.metric, one.quantity, one.events],
  ])

describe('Usage by day', () => {
  let user: string
  beforeEach(async () => {
    user = `user_${newId()}`
    await rollUp()
  })

  test('sums each metric in its own way, in days of the issuer’s', async () => {
    const [late, early] = [dayBack(3), dayBack(4)]
    await record(user, 'api_calls', 100, `${late.day}T00:00:00+11:00`)
    await record(user, 'api_calls', 50, `${late.day}T23:59:59+11:00`)
    await record(user, 'api_calls', 7, `${early.day}T23:59:59+11:00`)
    await record(user, 'storage_gb', 3, `${late.day}T08:00:00+11:00`)
    await record(user, 'storage_gb', 2, `${late.day}T09:00:00+11:00`)
    await record(user, 'seats', 5, `${late.day}T08:00:00+11:00`)
    await record(user, 'seats', 4, `${late.day}T09:00:00+11:00`)
    for (const value of ['ada', 'bob', 'ada']) await record(user, 'active_users', 1, late.at, { value })
    expect(await shown(user)).toEqual([])
    expect(await rollUp()).toBe(2)
    expect(await shown(user)).toEqual([
      [late.day, 'active_users', 2, 3],
      [late.day, 'api_calls', 150, 2],
      [late.day, 'seats', 4, 2],
      [late.day, 'storage_gb', 3, 2],
      [early.day, 'api_calls', 7, 1],
    ])
  })

  test('counts what comes later, and corrections, into the day that they are for, and each event once', async () => {
    const [first, second] = [dayBack(5), dayBack(2)]
    await record(user, 'api_calls', 10, first.at)
    await rollUp()
    await record(user, 'api_calls', 5, first.at, { event_id: 'late' })
    await record(user, 'api_calls', 5, first.at, { event_id: 'late' })
    await record(user, 'api_calls', -4, second.at)
    await rollUp()
    await rollUp()
    expect(await shown(user)).toEqual([
      [second.day, 'api_calls', -4, 1],
      [first.day, 'api_calls', 15, 2],
    ])
  })

  test('says how far it is, and keeps to that while somebody is still writing', async () => {
    const { day, at } = dayBack(1)
    const { as_of: before } = await daily(user)
    const writer = await bursar.pool.connect()
    try {
      await writer.query('begin')
      await keepMonthsOpen({ query: async (text, values) => (await writer.query(text, values as unknown[])).rows })
      await writer.query(
        `insert into usage_event (customer_id, at, metric, quantity, event_id, received_at)
         values ($1, $2, 'api_calls', 3, 'slow', now())`,
        [user, at],
      )
      const { rows } = await writer.query('select now() as began')
      // Others are quicker, and are seen.
      await record(user, 'agent_runs', 1, at)
      await rollUp()
      const { as_of: meanwhile } = await daily(user)
      expect(new Date(meanwhile).getTime()).toBeGreaterThanOrEqual(new Date(before).getTime())
      expect(new Date(meanwhile).getTime()).toBeLessThanOrEqual(rows[0].began.getTime())
      await writer.query('commit')
    } finally {
      writer.release()
    }
    await rollUp()
    expect(await shown(user)).toEqual([
      [day, 'agent_runs', 1, 1],
      [day, 'api_calls', 3, 1],
    ])
  })

  test('goes on in bounded steps after a year in which nobody has looked, and is right when it is killed between them', async () => {
    const instants = Array.from({ length: 6 }, (_, n) => dayBack(n + 1))
    for (const { at } of instants) await record(user, 'api_calls', 1, at)
    await bursar.pool.query(
      `update usage_event set written_at = now() - (extract(day from at) * 10 + 5) * interval '1 day'`,
    )
    await bursar.pool.query(
      `truncate usage_day, usage_day_stale; update usage_roll_up set gathered_until = '2000-01-01', as_of = null`,
    )
    expect((await daily(user)).as_of).toBeNull()
    let steps = 0
    for (let more = true; more; steps += 1) {
      if (steps % 2 === 1) {
        const killed = inTransaction(bursar.pool, async (sql) => {
          await rollUpUsage(sql, ZONE)
          throw new Error('killed')
        })
        await expect(killed).rejects.toThrow('killed')
      }
      more = (await step()).more
    }
    expect(steps).toBeGreaterThan(6)
    expect(await shown(user)).toEqual(instants.map(({ day }) => [day, 'api_calls', 1, 1]))
    expect((await daily(user)).as_of).not.toBeNull()
  })

  test('comes to an end when more was recorded in a minute than one step sums', async () => {
    const { rowCount } = await bursar.pool.query(
      `insert into usage_event (customer_id, at, metric, quantity, event_id, received_at)
       select $1 || person, now() - day * interval '1 day', 'api_calls', 1, 'crowd ' || day, now()
       from generate_series(1, 1000) person, generate_series(1, 11) day`,
      [`${user}_`],
    )
    expect(rowCount).toBe(11_000)
    const steps: RolledUp[] = []
    do steps.push(await step())
    while (steps.at(-1)?.more === true && steps.length < 10)
    expect(steps.map(({ days, more }) => [days, more])).toEqual([
      [5_000, true],
      [5_000, true],
      [expect.any(Number), false],
    ])
    expect(steps[1]?.asOf).toEqual(steps[0]?.asOf)
    expect(steps[2]?.asOf?.getTime()).toBeGreaterThan(steps[0]?.asOf?.getTime() ?? 0)
    const { rows } = await bursar.pool.query(
      'select count(*)::int as days, sum(quantity)::int as calls from usage_day where starts_with(customer_id, $1)',
      [`${user}_`],
    )
    expect(rows).toEqual([{ days: 11_000, calls: 11_000 }])
    // Not of the last minutes for the tests that follow.
    await bursar.pool.query(
      `update usage_event set written_at = now() - interval '1 hour' where starts_with(event_id, 'crowd')`,
    )
  })

  test('reads each noted day a few times at most, though the planner believes there are none', async () => {
    const note = (days: number) =>
      bursar.pool.query(
        `insert into usage_day_stale select '2020-01-01'::date + day, $1 from generate_series(1, $2) day`,
        [user, days],
      )
    await note(2_000)
    await bursar.pool.query('delete from usage_day_stale')
    // What autovacuum leaves of a table that was just emptied: pages, and nothing in them.
    await bursar.pool.query('vacuum (analyze, truncate off) usage_day_stale')
    await note(2_000)
    const read = await inTransaction(bursar.pool, async (sql) => {
      expect(await rollUpUsage(sql, ZONE)).toMatchObject({ days: 2_000 })
      const [{ tuples } = { tuples: 0 }] = await sql.query<{ tuples: number }>(
        `select (seq_tup_read + idx_tup_fetch)::int as tuples from pg_stat_xact_user_tables where relname = 'usage_day_stale'`,
      )
      return tuples
    })
    expect(read).toBeGreaterThanOrEqual(2_000)
    expect(read).toBeLessThan(40_000)
  })

  test('comes to what the events come to, whoever writes and rolls up at once', async () => {
    const users = Array.from({ length: 5 }, () => `user_${newId()}`)
    const recording = users.flatMap((one) =>
      Array.from({ length: 12 }, (_, n) => record(one, 'api_calls', n, dayBack(n % 4).at)),
    )
    const rolling = Array.from({ length: 4 }, async () => {
      for (let n = 0; n < 10; n++) await step()
    })
    await Promise.all([...recording, ...rolling])
    await rollUp()
    const { rows: events } = await bursar.pool.query(
      `select customer_id, (at at time zone $1)::date::text as day, sum(quantity)::int as quantity, count(*)::int as events
       from usage_event where customer_id = any($2) group by 1, 2 order by 1, 2`,
      [ZONE, users],
    )
    const { rows: days } = await bursar.pool.query(
      `select customer_id, day::text, quantity::int, events::int from usage_day where customer_id = any($1) order by 1, 2`,
      [users],
    )
    expect(days).toEqual(events)
    expect(days).toHaveLength(20)
  })

  test('goes on from its first event when nothing was recorded for years before it', async () => {
    await record(user, 'api_calls', 1, dayBack(1).at)
    await bursar.pool.query(`update usage_roll_up set gathered_until = '2000-01-01', as_of = null`)
    await rollUp()
    expect(await shown(user)).toEqual([[dayBack(1).day, 'api_calls', 1, 1]])
    await bursar.pool.query('delete from usage_day where customer_id = $1', [user])
    await bursar.pool.query(
      `update usage_event set written_at = now() - interval '30 minutes' where customer_id <> $1`,
      [user],
    )
    await bursar.pool.query(`update usage_roll_up set gathered_until = now() - interval '20 minutes'`)
    await rollUp()
    expect(await shown(user)).toEqual([[dayBack(1).day, 'api_calls', 1, 1]])
  })

  test('is read by metric, by days and in pages', async () => {
    const days = [1, 2, 3].map((n) => dayBack(n))
    for (const { at } of days) {
      await record(user, 'api_calls', 1, at)
      await record(user, 'agent_runs', 1, at)
    }
    await rollUp()
    const [one, two, three] = days.map(({ day }) => day)
    expect(await shown(user, '&metric=agent_runs')).toEqual(days.map(({ day }) => [day, 'agent_runs', 1, 1]))
    expect(await shown(user, `&metric=api_calls&from=${three}&to=${two}`)).toEqual([
      [two, 'api_calls', 1, 1],
      [three, 'api_calls', 1, 1],
    ])
    const read: string[] = []
    let cursor = ''
    do {
      const page = await daily(user, `&limit=4${cursor}`)
      read.push(...page.days.map((row: { day: string; metric: string }) => `${row.day} ${row.metric}`))
      cursor = page.next_cursor === null ? '' : `&cursor=${page.next_cursor}`
    } while (cursor !== '')
    expect(read).toEqual([one, two, three].flatMap((day) => [`${day} agent_runs`, `${day} api_calls`]))
    expect((await daily(user)).days[0]).toMatchObject({ aggregation: 'count', unit: 'run' })
  })

  test('is a user’s own, and anybody’s for back ends and operators; what is no day or page is refused', async () => {
    await record(user, 'api_calls', 1, dayBack(1).at)
    await rollUp()
    expect((await daily(user, '', { as: user })).days).toHaveLength(1)
    expect((await daily(user, '', OPERATOR)).days).toHaveLength(1)
    expect((await bursar.get(`${USAGE}/daily`, { as: user })).body.days).toHaveLength(1)
    expect(await bursar.get(`${USAGE}/daily?user_id=${user}`, { as: 'mallory' })).toMatchObject({ status: 403 })
    for (const [odd, days] of [
      ['to=0000-01-01', 0],
      ['from=0000-01-01', 1],
      ['cursor=2099-02-30.api_calls', 1],
    ] as const)
      expect((await daily(user, `&${odd}`)).days, odd).toHaveLength(days)
    for (const bad of ['from=2026-02-30', 'to=tomorrow', 'cursor=x', 'metric=A'])
      expect(await bursar.get(`${USAGE}/daily?${bad}`, { as: user }), bad).toMatchObject({ status: 422 })
  })
})

test('The clock has usage summed', async () => {
  const user = `user_${newId()}`
  await record(user, 'api_calls', 2, dayBack(1).at)
  const start = await bursar.do(
    'POST',
    '/api/v1/schedules/roll-up-usage/start',
    { period: new Date(Math.floor(bursar.clock.now().getTime() / 3_600_000) * 3_600_000 - 23 * 60_000).toISOString() },
    OPERATOR,
  )
  const operation = await bursar.settled(start.body.operation_id, OPERATOR)
  expect(operation).toMatchObject({ status: 'succeeded', result: { as_of: expect.any(String) } })
  expect(operation.result.days).toBeGreaterThan(0)
  await bursar.quiet()
  expect(await shown(user)).toEqual([[dayBack(1).day, 'api_calls', 2, 1]])
})
