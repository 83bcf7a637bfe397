import { afterAll, beforeAll, expect, test } from 'vitest'
import { monthOf, monthStart, plusMonths } from '../src/kit/months.ts'
import { Deployment, onBothBackends } from './support/deployment.ts'
import { OPERATOR } from './support/tokens.ts'

const ZONE = 'Asia/Kolkata'

onBothBackends('Schedules', (backend) => {
  let bursar: Deployment
  beforeAll(async () => {
    bursar = await Deployment.start({ backend, env: { ISSUER_TIME_ZONE: ZONE } })
    await bursar.pool.query(
      `insert into billing_customer (id, plan, currency, starts_on, created_at)
       select 'user_' || n, 'pro', 'USD', '2024-01-01', now() from generate_series(1, 1500) n`,
    )
  })
  afterAll(() => bursar.stop())

  /** The beginning of this month and of the last, where the issuer is. */
  const begins = (back: number) => monthStart(plusMonths(monthOf(bursar.clock.now(), ZONE), -back), ZONE).toISOString()

  const listed = async (name: string) => {
    const { body } = await bursar.get('/api/v1/schedules', OPERATOR)
    return body.schedules.find((one: { name: string }) => one.name === name)
  }

  test('are listed with their zones, and with the period that begins next', async () => {
    const { status, body } = await bursar.get('/api/v1/schedules', OPERATOR)
    expect(status).toBe(200)
    expect(body.schedules.map(({ name }: { name: string }) => name)).toEqual(
      expect.arrayContaining(['invoice-month', 'mark-overdue', 'dun-invoices', 'expire-tokens', 'check-ledger']),
    )
    expect(await listed('invoice-month')).toMatchObject({
      ...{ kind: 'invoice.run', cron: '0 0 1 * *', time_zone: ZONE, catch_up: 'all', last: null },
      next: begins(-1),
    })
    for (const { next } of body.schedules) expect(Date.parse(next)).toBeGreaterThan(bursar.clock.now().getTime())
  })

  test('have a period started by an operator once, and its run tells how far it is', async () => {
    const path = '/api/v1/schedules/invoice-month/start'
    const started = await bursar.do('POST', path, { period: begins(0) }, OPERATOR)
    expect(started.body).toMatchObject({ success: true, schedule: 'invoice-month', period: begins(0), started: true })
    const again = await bursar.do('POST', path, { period: begins(0).replace('Z', '+00:00') }, OPERATOR)
    expect(again.body).toEqual({ ...started.body, started: false })

    const run = await bursar.settled(started.body.operation_id, OPERATOR)
    expect(run).toMatchObject({
      status: 'succeeded',
      result: { customers: 1_500, invoices: 1_500, failed: 0 },
      progress: { status: 'closed', total: 1_500, done: 1_500, made: 1_500, seconds_left: 0 },
    })
    expect(run.progress.per_second).toBeGreaterThan(0)
    const { rows } = await bursar.pool.query(
      'select count(*)::int, max(sequence)::int, count(distinct customer_id)::int as customers from invoice',
    )
    expect(rows).toEqual([{ count: 1_500, max: 1_500, customers: 1_500 }])
    expect((await listed('invoice-month')).last).toMatchObject({
      ...{ period: begins(0), operation_id: started.body.operation_id, status: 'succeeded' },
    })
    await bursar.expectCleanBooks()
  })

  test('show on the board how far their runs are', async () => {
    const { body } = await bursar.get('/admin/queues/api/queues?activeQueue=runs&status=completed', OPERATOR)
    const queue = body.queues.find(({ name }: { name: string }) => name === 'runs')
    const shown = queue.jobs.find(({ name }: { name: string }) => name === 'invoice.run')
    expect(shown.progress).toMatchObject({ status: 'closed', total: 1_500, done: 1_500 })
  })

  test('refuse what is no period of theirs, what has not begun, and whoever is no operator', async () => {
    const start = (schedule: string, period: string, asking: object = OPERATOR) =>
      bursar.do('POST', `/api/v1/schedules/${schedule}/start`, { period }, asking)
    const off = new Date(Date.parse(begins(1)) + 60_000).toISOString()
    for (const period of [off, begins(-1), '1970-01-01T00:00:00Z', '0001-01-01T00:00:00Z', 'yesterday'])
      expect(await start('invoice-month', period), period).toMatchObject({ status: 422 })
    expect(await start('no-such', begins(0))).toMatchObject({ status: 404, body: { code: 'schedules.notFound' } })
    expect(await start('invoice-month', begins(0), { as: 'alice' })).toMatchObject({ status: 403 })
    expect(await bursar.get('/api/v1/schedules', { as: 'alice' })).toMatchObject({ status: 403 })
  })
})
