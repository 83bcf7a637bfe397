import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { closeMonth } from '../src/domain/usage/close.ts'
import { monthOf, nextMonth, plusMonths } from '../src/kit/months.ts'
import { inTransaction } from '../src/platform/database.ts'
import { type Answer, Deployment, onBothBackends } from './support/deployment.ts'
import { moveToMidMonth } from './support/tokens.ts'

const USAGE = '/api/v1/billing/usage'
const DAY = 86_400_000

onBothBackends('usage', (backend) => {
  let bursar: Deployment
  let users = 0
  /** A user of whom nobody has heard. */
  const somebody = () => `user_${++users}`

  beforeAll(async () => {
    bursar = await Deployment.start({ backend })
    moveToMidMonth(bursar.clock)
  })
  afterAll(() => bursar.stop())

  const record = (user: string, body: unknown) => bursar.do('POST', USAGE, body, { as: user })
  const usageOf = async (user: string, month?: string): Promise<Answer['body']> => {
    const { status, body } = await bursar.get(`${USAGE}${month === undefined ? '' : `?month=${month}`}`, { as: user })
    expect(status, JSON.stringify(body)).toBe(200)
    return body
  }
  const calls = (quantity: number | string, more = {}) => ({ metric: 'api_calls', quantity, ...more })
  const at = (offsetMs: number) => new Date(bursar.clock.now().getTime() + offsetMs).toISOString()
  const thisMonth = () => monthOf(bursar.clock.now(), 'UTC')
  const close = (month: string, customerId: string) =>
    inTransaction(bursar.pool, (sql) => closeMonth(sql, { month, customerId, now: bursar.clock.now() }))
  const quantityOf = async (user: string, metric: string, month?: string) =>
    (await usageOf(user, month)).metrics.find((one: { metric: string }) => one.metric === metric)?.quantity
  const outcomes = (answer: Answer) =>
    answer.body.events.map((one: { outcome: string; reason?: string }) => one.reason ?? one.outcome)

  test('of a request as the platform’s clients send it is recorded', async () => {
    const user = somebody()
    const answer = await record(user, { metric: 'api_calls', quantity: 150, timestamp: at(-60_000) })
    expect([answer.status, answer.body]).toMatchObject([
      200,
      { success: true, recorded: 1, duplicates: 0, refused: 0, events: [{ index: 0, outcome: 'recorded' }] },
    ])
    expect(await quantityOf(user, 'api_calls')).toBe(150)
  })

  test('within the allowance of the first plan costs nothing, and beyond it what the plan says', async () => {
    const user = somebody()
    await record(user, calls(1000))
    expect(await usageOf(user)).toMatchObject({ plan: 'free', currency: 'USD', expected_cost: 0 })
    await record(user, calls(250))
    expect(await usageOf(user)).toMatchObject({
      expected_cost: 0.5,
      lines: [{ metric: 'api_calls', quantity: 250, unit_price: 0.002, amount: 0.5 }],
    })
  })

  test('with one id counts once: within a request, in the next one, and whatever the second one says', async () => {
    const user = somebody()
    const first = await record(user, {
      events: [calls(1, { event_id: 'a' }), calls(2, { event_id: 'b' }), calls(4, { event_id: 'a' })],
    })
    expect(outcomes(first)).toEqual(['recorded', 'recorded', 'duplicate'])
    expect(first.body).toMatchObject({ success: true, recorded: 2, duplicates: 1 })
    const second = await record(user, { events: [calls(100, { event_id: 'b' }), calls(8, { event_id: 'c' })] })
    expect(outcomes(second)).toEqual(['duplicate', 'recorded'])
    expect(await quantityOf(user, 'api_calls')).toBe(11)
  })

  test('with one id counts for each of two users', async () => {
    const [one, other] = [somebody(), somebody()]
    expect((await record(one, calls(3, { event_id: 'shared' }))).body.recorded).toBe(1)
    expect((await record(other, calls(5, { event_id: 'shared' }))).body.recorded).toBe(1)
    expect([await quantityOf(one, 'api_calls'), await quantityOf(other, 'api_calls')]).toEqual([3, 5])
  })

  test('without an id counts again when it is sent again, except under the same Idempotency-Key', async () => {
    const user = somebody()
    await record(user, calls(1))
    await record(user, calls(1))
    const keyed = { as: user, headers: { 'Idempotency-Key': 'once' } }
    const first = await bursar.do('POST', USAGE, calls(10), keyed)
    const again = await bursar.do('POST', USAGE, calls(10), keyed)
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    expect(again.body).toEqual(first.body)
    expect(await quantityOf(user, 'api_calls')).toBe(12)
  })

  test('that is bad is refused event by event, each with its reason, and the rest is taken', async () => {
    const user = somebody()
    const answer = await record(user, {
      events: [
        calls(1, { event_id: 'good' }),
        { metric: 'moon_landings', quantity: 1 },
        calls(1, { timestamp: at(-35 * DAY - 60_000) }),
        calls(2, { event_id: 'old', timestamp: at(-35 * DAY + 60_000) }),
        calls(1, { timestamp: at(5 * 60_000 + 30_000) }),
        calls(4, { timestamp: at(4 * 60_000) }),
        { metric: 'agent_runs', quantity: 2 },
        { metric: 'storage_gb', quantity: -1 },
        { metric: 'active_users' },
        { metric: 'active_users', value: 'ada', quantity: 1.5 },
      ],
    })
    expect(answer.status).toBe(200)
    expect(outcomes(answer)).toEqual([
      'recorded',
      'unknown_metric',
      'too_old',
      'recorded',
      'in_future',
      'recorded',
      'invalid_quantity',
      'invalid_quantity',
      'value_missing',
      'invalid_quantity',
    ])
    expect(answer.body).toMatchObject({ success: false, recorded: 3, refused: 7 })
    expect(answer.body.events[1]).toEqual({
      index: 1,
      event_id: `${answer.headers.get('operation-id')}.1`,
      outcome: 'refused',
      reason: 'unknown_metric',
      message: 'There is no metric moon_landings: GET /api/v1/billing/metrics lists those that are declared.',
    })
  })

  test('of somebody who sends nothing good makes no customer of them', async () => {
    const user = somebody()
    await record(user, { metric: 'moon_landings' })
    const { rows } = await bursar.pool.query('select from billing_customer where id = $1', [user])
    expect(rows).toEqual([])
    expect(await usageOf(user)).toMatchObject({ plan: 'free', metrics: [], lines: [], expected_cost: 0 })
  })

  test('does not grow too old while it waits for a worker', async () => {
    const user = somebody()
    await bursar.workers?.stop()
    const { body } = await bursar.ask('POST', USAGE, { body: calls(7, { timestamp: at(-35 * DAY + 5_000) }), as: user })
    bursar.clock.advance({ seconds: 3_600 })
    await bursar.startWorkers()
    const { result } = await bursar.settled(body.operation_id, { as: user })
    expect(result).toMatchObject({ recorded: 1 })
  })

  test('before a customer’s first day or after the last is refused', async () => {
    const user = somebody()
    await record(user, calls(1))
    const today = bursar.clock.now().toISOString().slice(0, 10)
    await bursar.pool.query(
      'update billing_customer set starts_on = $2::date - 2, ends_on = $2::date - 1 where id = $1',
      [user, today],
    )
    const days = [-3, -2, -1, 0].map((day) => calls(1, { timestamp: at(day * DAY) }))
    expect(outcomes(await record(user, { events: days }))).toEqual([
      'before_start',
      'recorded',
      'recorded',
      'after_end',
    ])
  })

  test('for a month that is invoiced is late: it stands in the next open month and leaves its own as it was', async () => {
    const user = somebody()
    const month = thisMonth()
    const last = plusMonths(month, -1)
    const inLast = at(-20 * DAY)
    expect(inLast.slice(0, 7)).toBe(last)
    await record(user, calls(900, { timestamp: inLast }))
    await close(last, user)

    const answer = await record(user, calls(600, { timestamp: inLast }))
    expect(answer.body.events).toMatchObject([{ outcome: 'recorded', late_for: month }])
    expect(await usageOf(user, last)).toMatchObject({ expected_cost: 0, metrics: [{ quantity: 900 }] })
    expect(await usageOf(user, month)).toMatchObject({
      expected_cost: 1,
      metrics: [{ metric: 'api_calls', quantity: 1500, events: 1, late: { month: last, before: 900 } }],
      lines: [{ month: last, quantity: 500, unit_price: null, amount: 1 }],
    })

    await close(month, user)
    const later = await record(user, { events: [calls(10, { timestamp: inLast }), calls(20)] })
    expect(later.body.events).toMatchObject([{ late_for: nextMonth(month) }, { late_for: nextMonth(month) }])
    expect(await usageOf(user, month)).toMatchObject({ expected_cost: 1 })
    const next = await usageOf(user, nextMonth(month))
    expect(next.metrics.map((one: Answer['body']) => [one.late.month, one.late.before, one.quantity])).toEqual([
      [last, 1500, 1510],
      [month, 0, 20],
    ])
  })

  test('is never between an invoice that did not see it and a month that was still open', async () => {
    const user = somebody()
    const month = plusMonths(thisMonth(), -1)
    const recording = Array.from({ length: 40 }, (_, index) =>
      record(user, calls(1, { event_id: `race_${index}`, timestamp: at(-20 * DAY) })),
    )
    await Promise.race(recording)
    await close(month, user)
    const seen = await quantityOf(user, 'api_calls', month)
    const lates = (await Promise.all(recording)).filter(({ body }) => body.events[0].late_for !== undefined)
    expect(await quantityOf(user, 'api_calls', month)).toBe(seen)
    expect((seen ?? 0) + lates.length).toBe(40)
  })

  test('of two workers and many requests with the same events is counted once', async () => {
    const user = somebody()
    const first = bursar.workers
    await bursar.startWorkers({ relay: false })
    const events = Array.from({ length: 200 }, (_, index) => calls(1, { event_id: `shared_${index}` }))
    const answers = await Promise.all(
      Array.from({ length: 24 }, (_, turn) => record(user, { events: turn % 2 === 0 ? events : events.toReversed() })),
    )
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    const sum = (field: string) => answers.reduce((total, { body }) => total + body[field], 0)
    expect([sum('recorded'), sum('duplicates'), sum('refused')]).toEqual([200, 23 * 200, 0])
    expect(await quantityOf(user, 'api_calls')).toBe(200)
    await first?.stop()
  })

  describe('at the door', () => {
    test('is one event or many, and never both', async () => {
      const user = somebody()
      const neither = await record(user, { quantity: 1 })
      const both = await record(user, { metric: 'api_calls', events: [calls(1)] })
      const none = await record(user, { events: [] })
      const tooMany = await record(user, { events: Array.from({ length: 1_001 }, () => calls(1)) })
      expect([neither, both, none, tooMany].map(({ status }) => status)).toEqual([422, 422, 422, 422])
      expect(neither.body.detail).toMatchObject([{ loc: ['body', 'metric'], msg: 'is required, or events' }])
    })

    test('tells of every malformed event by its place, and then takes none', async () => {
      const user = somebody()
      const { status, body } = await record(user, {
        events: [calls(1), calls('1.0000001'), { metric: 'API calls' }, calls(1, { timestamp: 'yesterday' })],
      })
      expect(status).toBe(422)
      expect(body.detail.map(({ loc }: { loc: unknown[] }) => loc)).toEqual([
        ['body', 'events', 1, 'quantity'],
        ['body', 'events', 2, 'metric'],
        ['body', 'events', 3, 'timestamp'],
      ])
      expect(await usageOf(user)).toMatchObject({ metrics: [] })
    })

    test('is one’s own; back ends record for anybody, and for many at once', async () => {
      const [user, other] = [somebody(), somebody()]
      expect((await record(user, { ...calls(1), user_id: other })).status).toBe(403)
      expect((await record(user, { events: [calls(1), { ...calls(1), user_id: other }] })).status).toBe(403)
      expect((await bursar.get(`${USAGE}?user_id=${other}`, { as: user })).status).toBe(403)
      const backEnd = { as: 'backend', roles: ['service'] } as const
      const events = [
        { ...calls(2), user_id: user },
        { ...calls(3), user_id: other },
      ]
      expect((await bursar.do('POST', USAGE, { events }, backEnd)).body).toMatchObject({ recorded: 2 })
      expect([await quantityOf(user, 'api_calls'), await quantityOf(other, 'api_calls')]).toEqual([2, 3])
    })
  })

  test('of 1,000 events is taken by one request', async () => {
    const user = somebody()
    const events = Array.from({ length: 1_000 }, (_, index) => calls('0.001', { event_id: `e${index}` }))
    const answer = await record(user, { events })
    expect(answer.body).toMatchObject({ recorded: 1_000 })
    expect(await quantityOf(user, 'api_calls')).toBe(1)
  })

  test('for a month that is closed for everybody is late for everybody', async () => {
    const user = somebody()
    const last = plusMonths(thisMonth(), -1)
    await inTransaction(bursar.pool, (sql) => closeMonth(sql, { month: last, now: bursar.clock.now() }))
    const { body } = await record(user, { events: [calls(5, { timestamp: at(-20 * DAY) }), calls(7)] })
    expect(body.events.map((one: Answer['body']) => one.late_for)).toEqual([thisMonth(), undefined])
    expect((await usageOf(user)).metrics).toMatchObject([
      { quantity: 7 },
      { quantity: 5, late: { month: last, before: 0 } },
    ])
  })
})
