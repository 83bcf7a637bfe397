import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { InvoicingTerms } from '../src/domain/billing/invoice.ts'
import { recordUsage } from '../src/domain/usage/record.ts'
import { Dispatcher } from '../src/jobs/dispatch.ts'
import { Relay } from '../src/jobs/relay.ts'
import { progressOf } from '../src/jobs/runs.ts'
import { Decimal } from '../src/kit/decimal.ts'
import { newId } from '../src/kit/ids.ts'
import { dayOf, dayStart, monthOf, monthSpan, monthStart, plusMonths } from '../src/kit/months.ts'
import { inTransaction, sqlOf } from '../src/platform/database.ts'
import { invoiceRun } from '../src/processors/billing/run.ts'
import { Clockwork, duePeriods } from '../src/schedules/clockwork.ts'
import { inZone, schedules } from '../src/schedules/table.ts'
import { Issuer } from './support/billing.ts'
import { readForEach } from './support/rows-read.ts'
import { Workshop } from './support/workshop.ts'

let shop: Workshop
let issuer: Issuer
const terms: { -readonly [Key in keyof InvoicingTerms]: InvoicingTerms[Key] } = {
  ...{ issuer: 'default', timeZone: 'UTC', currency: 'USD', dueDays: 30, prefix: 'AH', autoSend: true },
  ...{ country: undefined, minimums: {}, publicUrl: 'https://pay.example' },
}

beforeAll(async () => {
  shop = await Workshop.open({ invoicing: terms })
  issuer = new Issuer(shop)
})
afterAll(() => shop.close())
beforeEach(async () => {
  terms.timeZone = 'UTC'
  await issuer.startOver()
})
afterEach(async () => {
  expect(await issuer.findings()).toEqual([])
})

/** So many customers on the plan with a fee, and some usage of each. */
async function customers(count: number, month = '2026-12', { pool } = shop): Promise<void> {
  await pool.query(
    `insert into billing_customer (id, plan, currency, starts_on, created_at)
     select 'user_' || lpad(n::text, 6, '0'), 'pro', 'USD', '2024-01-01', now() from generate_series(1, $1::int) n`,
    [count],
  )
  await pool.query(
    `insert into usage_event (customer_id, at, metric, quantity, event_id, received_at)
     select id, ($1 || '-15')::date, 'api_calls', 50000 + number, 'first', now() from billing_customer`,
    [month],
  )
}

/** Rows of everything that a run writes, without what differs from run to run. */
const books = () =>
  issuer.rows(
    `select sequence::int, number, customer_id, month, total::int, status, (select count(*)::int from invoice_line where invoice_id = id) as lines
     from invoice order by sequence`,
  )

const chunksOf = () => shop.queue.sent.filter(({ kind }) => kind === 'invoice.chunk')

describe('A month for everybody', () => {
  test('is billed in chunks, numbered in the order of its customers, and tells how far it is', async () => {
    await customers(2_345)
    issuer.after('2026-12')
    const id = await issuer.startRun('2026-12')
    await shop.run('invoice.run', [id])
    expect(await shop.operation(id)).toMatchObject({ status: 'processing' })
    const chunks = chunksOf()
    expect(chunks).toHaveLength(3)
    shop.queue.sent.length = 0
    const progress = async () => (await progressOf(sqlOf(shop.pool), [id], shop.clock.now())).get(id)
    expect(await progress()).toMatchObject({ status: 'running', total: 2_345, done: 0, failed: 0, period: '2026-12' })

    for (const [index, job] of chunks.entries()) {
      await shop.run('invoice.chunk', job.data.operations)
      expect((await progress())?.done).toBe([1_000, 2_000, 2_345][index])
    }
    expect(await progress()).toMatchObject({ status: 'closed', made: 2_345, secondsLeft: 0 })
    expect(await shop.operation(id)).toMatchObject({
      status: 'succeeded',
      result: { month: '2026-12', customers: 2_345, invoices: 2_345, failed: 0, already_done: false },
    })
    const rows = await books()
    expect(rows.map(({ customer_id }) => customer_id)).toEqual(rows.map(({ customer_id }) => customer_id).toSorted())
    expect(rows[41]).toMatchObject({ sequence: 42, number: 'AH-2026-12-000042-20270101', status: 'open', lines: 2 })
  })

  test('reads as much for each customer however many there are, though the planner believes there are none', async () => {
    const bill = async (own: Workshop, count: number) => {
      const ownIssuer = new Issuer(own)
      await customers(count, '2026-12', own)
      ownIssuer.after('2026-12')
      expect((await ownIssuer.run('2026-12')).result).toMatchObject({ invoices: count, failed: 0 })
    }
    const read = (count: number) => readForEach(count, bill, { invoicing: terms })
    const [few, many] = [await read(100), await read(1_000)]
    expect(few).toBeGreaterThan(5)
    expect(many).toBeLessThan(1.5 * few)
  })

  test('is billed once: run again it answers with the same, and makes nothing', async () => {
    await customers(12)
    issuer.after('2026-12')
    const first = await issuer.run('2026-12')
    const again = await issuer.run('2026-12')
    expect(again.result).toEqual({ ...(first.result as object), already_done: true })
    expect(await issuer.invoices()).toHaveLength(12)
  })

  test('passes over those who were billed one by one, and whoever has nothing to pay for', async () => {
    await customers(5)
    const free = await issuer.customer({ plan: 'free' }, 'zz_free')
    const gone = await issuer.customer({ endsOn: '2026-11-30' }, 'zz_gone')
    const future = await issuer.customer({ startsOn: '2027-01-01' }, 'zz_future')
    issuer.after('2026-12')
    await issuer.done('invoice.create', { user_id: 'user_000003', month: '2026-12' })
    expect((await issuer.run('2026-12')).result).toMatchObject({ invoices: 4, failed: 0 })
    for (const id of [free, gone, future]) expect(await issuer.invoices(id)).toEqual([])
    expect(await issuer.invoices()).toHaveLength(5)
  })

  test('passes over one whose month cannot be reckoned, and tells of them: nobody else waits for that', async () => {
    await customers(5)
    await shop.pool.query(
      `insert into plan_price (plan, metric, currency, starts_on, model, terms)
       values ('enterprise', 'api_calls', 'USD', '2026-01-01', 'per_unit', '{"unit_amount": "many"}')
       on conflict (plan, metric, currency, starts_on) do update set model = excluded.model, terms = excluded.terms`,
    )
    await shop.pool.query(`update billing_customer set plan = 'enterprise' where id = 'user_000002'`)
    issuer.after('2026-12')
    const { result } = await issuer.run('2026-12')
    expect(result).toMatchObject({ customers: 5, invoices: 4, failed: 1 })
    const [chunk] = await issuer.rows(`select result from operation where kind = 'invoice.chunk'`)
    expect(chunk.result.problems).toEqual([{ subject: 'user_000002', message: expect.stringContaining('many') }])
    await shop.pool.query(`delete from plan_price where plan = 'enterprise' and starts_on = '2026-01-01'`)
    await shop.pool.query(`update billing_customer set plan = 'pro' where id = 'user_000002'`)
    expect(await issuer.done('invoice.create', { user_id: 'user_000002', month: '2026-12' })).toMatchObject({
      success: true,
    })
  })

  test('has no customers, and closes at once', async () => {
    issuer.after('2026-12')
    expect(await issuer.run('2026-12')).toMatchObject({ status: 'succeeded', result: { customers: 0, invoices: 0 } })
  })

  test('adds the same up whatever it is cut into and in whichever order its chunks are done', async () => {
    await customers(3_100)
    issuer.after('2026-12')
    const id = await issuer.startRun('2026-12')
    await shop.run('invoice.run', [id])
    const chunks = chunksOf().toReversed()
    shop.queue.sent.length = 0
    await Promise.all(chunks.map((job) => shop.run('invoice.chunk', job.data.operations)))
    expect((await shop.operation(id)).result).toMatchObject({ invoices: 3_100 })
    const [sums] = await issuer.rows('select count(*)::int, sum(total)::int as total from invoice')
    expect(sums).toEqual({ count: 3_100, total: sums.total })
    expect(-(await issuer.balance('receivable'))).toBe(sums.total)
  })
})

/** What a worker that is killed leaves: everything up to its last commit. `statement` is the one that it dies at. */
class Killed extends Error {
  readonly code = '57P01'
}

async function killedAt(statement: RegExp, work: () => Promise<unknown>): Promise<boolean> {
  const { database } = shop.context
  const original = database.unitOfWork
  let died = false
  const dying: typeof original = (play) =>
    original((tx) =>
      play({
        ...tx,
        sql: {
          async query(text: string, parameters?: readonly unknown[]) {
            if (!died && statement.test(text)) {
              died = true
              throw new Killed('terminating connection due to administrator command')
            }
            return tx.sql.query(text, parameters) as never
          },
        },
      }),
    )
  Object.assign(database, { unitOfWork: dying })
  try {
    await work().catch((error) => {
      if (!(error instanceof Killed)) throw error
    })
  } finally {
    Object.assign(database, { unitOfWork: original })
  }
  return died
}

describe('A run that is killed', () => {
  const stages: [string, RegExp][] = [
    ['before it is begun', /insert into run \(/],
    ['while the month is closed', /insert into closed_month/],
    ['while it is planned', /insert into run_chunk/],
    ['when it is planned', /update run set status = 'running'/],
    ['while usage is read', /from usage_event/],
    ['when numbers are given', /insert into invoice_counter/],
    ['while invoices are written', /insert into invoice \(/],
    ['while lines are written', /insert into invoice_line/],
    ['while it is posted', /new_transfer as/],
    ['while it is counted', /update run set done/],
    ['while it is closed', /update run set status = 'closed'/],
  ]

  test.each(stages)('%s goes on without a gap and without a double number', async (_stage, statement) => {
    await customers(2_100)
    issuer.after('2026-12')
    const id = await issuer.startRun('2026-12')
    let deaths = 0
    const survive = async (kind: 'invoice.run' | 'invoice.chunk', ids: readonly string[]) => {
      // Each step dies once at this statement, if it comes to it, and is delivered again.
      if (await killedAt(statement, () => shop.run(kind, ids))) deaths += 1
      else return
      await shop.run(kind, ids)
    }
    await survive('invoice.run', [id])
    const chunks = chunksOf()
    for (const job of chunks) await survive('invoice.chunk', job.data.operations)
    shop.queue.sent.length = 0
    expect(deaths).toBeGreaterThan(0)
    expect(await shop.operation(id)).toMatchObject({ status: 'succeeded', result: { invoices: 2_100, failed: 0 } })
    const rows = await books()
    expect(rows.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 2_100 }, (_, index) => index + 1))
    expect(new Set(rows.map(({ customer_id }) => customer_id)).size).toBe(2_100)
  })

  test('between its steps is brought back by the relay, and left alone while its chunks are at work', async () => {
    await customers(1_500)
    issuer.after('2026-12')
    const id = await issuer.startRun('2026-12')
    const relay = new Relay({
      transaction: (work) => inTransaction(shop.pool, work),
      messenger: shop.queue,
      dispatcher: new Dispatcher(shop.queue, shop.context.log),
      clock: shop.clock,
      graceMs: 0,
    })
    shop.queue.sent.length = 0
    shop.clock.advance({ seconds: 60 })
    expect(await relay.round()).toMatchObject({ redispatched: 1 })
    await shop.run('invoice.run', [id])
    shop.queue.sent.length = 0
    shop.clock.advance({ seconds: 60 })
    // The queue knows nothing at all: the two chunks come back, their run has no job to lose.
    expect(await relay.round()).toMatchObject({ looked: 2, redispatched: 2 })
    await issuer.work()
    expect(await shop.operation(id)).toMatchObject({ status: 'succeeded', result: { invoices: 1_500 } })
  })

  test('has its jobs doubled and run at once, and bills everybody once', async () => {
    await customers(1_200)
    issuer.after('2026-12')
    const id = await issuer.startRun('2026-12')
    const settled = (all: Promise<unknown>[]) => Promise.allSettled(all)
    await settled([1, 2, 3].map(() => shop.run('invoice.run', [id])))
    await shop.run('invoice.run', [id])
    const chunks = chunksOf()
    expect(chunks).toHaveLength(2)
    shop.queue.sent.length = 0
    await settled(chunks.flatMap(({ data }) => [1, 2, 3].map(() => shop.run('invoice.chunk', data.operations))))
    for (const { data } of chunks) await shop.run('invoice.chunk', data.operations)
    expect(await shop.operation(id)).toMatchObject({ status: 'succeeded' })
    expect(await issuer.invoices()).toHaveLength(1_200)
  })
})

describe('The schedule', () => {
  const monthly = () => {
    const found = inZone(schedules, terms.timeZone).find(({ name }) => name === 'invoice-month')
    if (found === undefined) throw new Error('Months have no schedule')
    return found
  }

  /** A scheduler process whose clock is set by hand. */
  const scheduler = (at: Date) =>
    new Clockwork([monthly()], {
      transaction: (work) => inTransaction(shop.pool, work),
      keyring: shop.context.services.keyring,
      clock: { now: () => at },
      dispatch: (jobs) => shop.queue.send('', jobs),
      onError: (error) => {
        throw error
      },
    })

  /** Somewhere in this month Bursar was started for the first time. */
  const installed = async (month: string) =>
    expect(await scheduler(new Date(`${month}-15T12:00:00Z`)).look(monthly())).toEqual([])

  test('of three schedulers gives one bill', async () => {
    await customers(30)
    await installed('2026-12')
    issuer.after('2026-12')
    const at = shop.clock.now()
    await Promise.all([1, 2, 3].map(() => scheduler(at).look(monthly())))
    await issuer.work()
    await Promise.all([1, 2, 3].map(() => scheduler(at).look(monthly())))
    await issuer.work()
    expect(await issuer.rows(`select count(*)::int from operation where kind = 'invoice.run'`)).toEqual([{ count: 1 }])
    expect(await issuer.invoices()).toHaveLength(30)
  })

  test('after three months of downtime bills month by month, in order, also when the jobs come in another', async () => {
    await customers(20)
    for (const month of ['2027-01', '2027-02', '2027-03']) {
      await shop.pool.query(
        `insert into usage_event (customer_id, at, metric, quantity, event_id, received_at)
         select id, ($1 || '-15')::date, 'api_calls', 60000, $1, now() from billing_customer`,
        [month],
      )
    }
    await installed('2026-12')
    issuer.after('2026-12')
    await scheduler(shop.clock.now()).look(monthly())
    await issuer.work()
    issuer.after('2027-03')
    const started = await scheduler(shop.clock.now()).look(monthly())
    expect(started.map((at) => at.toISOString().slice(0, 10))).toEqual(['2027-02-01', '2027-03-01', '2027-04-01'])
    const { sent } = shop.queue
    sent.reverse()
    // The latest first, and all at once: those that come too early wait for the earlier ones.
    await Promise.all(sent.splice(0).map((job) => shop.run(job.kind, job.data.operations)))
    await issuer.work()
    const rows = await books()
    expect(rows.map(({ month }) => month)).toEqual(
      ['2026-12', '2027-01', '2027-02', '2027-03'].flatMap((month) => Array(20).fill(month)),
    )
    const runs = await issuer.rows(`select status from operation where kind = 'invoice.run'`)
    expect(runs.map(({ status }) => status)).toEqual(Array(4).fill('succeeded'))
  })

  test('waits for an earlier month that is stuck, and goes on once an operator has had it tried again', async () => {
    await customers(3)
    issuer.after('2027-01')
    const earlier = await issuer.startRun('2026-12')
    const later = await issuer.startRun('2027-01')
    await shop.pool.query(`update operation set status = 'stuck', error = '{}' where id = $1`, [earlier])
    await shop.run('invoice.run', [later])
    shop.queue.sent.length = 0
    expect(await books()).toEqual([])
    await issuer.done('operation.retry', { operation_ids: [earlier] })
    await issuer.work()
    expect((await books()).map(({ month }) => month)).toEqual(
      ['2026-12', '2027-01'].flatMap((one) => Array(3).fill(one)),
    )
  })

  const ZONES = [
    'Pacific/Pago_Pago', // UTC−11
    'America/St_Johns',
    'America/New_York',
    'America/Asuncion', // midnights that were left out
    'Europe/Berlin',
    'Asia/Kolkata',
    'Asia/Kathmandu',
    'Australia/Lord_Howe', // half an hour of summer time
    'Pacific/Chatham',
    'Pacific/Apia', // a whole day that was left out
    'Pacific/Kiritimati', // UTC+14
  ]

  test.each(ZONES)('in %s has a period for each month, which begins with its first instant there', (zone) => {
    terms.timeZone = zone
    const from = new Date('2010-12-15T12:00:00Z')
    const periods = duePeriods(monthly(), from, new Date('2031-01-15T12:00:00Z'))
    expect(periods).toHaveLength(241)
    for (const [index, period] of periods.entries()) {
      const month = plusMonths('2011-01', index)
      expect(period.toISOString()).toBe(monthStart(month, zone).toISOString())
      expect(monthOf(period, zone)).toBe(month)
      expect(monthOf(new Date(period.getTime() - 1), zone)).toBe(plusMonths(month, -1))
    }
  })

  test.each(['Pacific/Pago_Pago', 'Pacific/Kiritimati', 'America/New_York', 'Europe/Berlin'])(
    'in %s bills each instant of usage in the month that it had there',
    async (zone) => {
      terms.timeZone = zone
      const id = await issuer.customer({ plan: 'free' })
      const { from, until } = monthSpan('2026-11', zone)
      const around: [Date, string][] = [
        [new Date(from.getTime() - 1), '2026-10'],
        [from, '2026-11'],
        [new Date(until.getTime() - 1), '2026-11'],
        [until, '2026-12'],
      ]
      for (const [at] of around) await issuer.used(id, at.toISOString(), 10)
      issuer.after('2026-12')
      for (const month of ['2026-10', '2026-11', '2026-12']) await issuer.run(month)
      const billed = await issuer.rows(
        `select invoice.month, sum(substring(invoice_line.description from '(\\d+) used')::int)::int as used
         from invoice join invoice_line on invoice_id = invoice.id group by 1 order by 1`,
      )
      expect(billed).toEqual([
        { month: '2026-10', used: 10 },
        { month: '2026-11', used: 20 },
        { month: '2026-12', used: 10 },
      ])
      const [first] = await issuer.invoices(id)
      expect(first.number).toContain(dayOf(first.issued_at, zone).replaceAll('-', ''))
    },
  )

  test('on nights when clocks change and in leap years bills whole months', async () => {
    for (const [zone, month, hours] of [
      ['Europe/Berlin', '2026-03', 31 * 24 - 1],
      ['Europe/Berlin', '2026-10', 31 * 24 + 1],
      ['America/New_York', '2026-11', 30 * 24 + 1],
      ['Australia/Lord_Howe', '2026-04', 30 * 24 + 0.5],
      ['UTC', '2024-02', 29 * 24],
      ['UTC', '2100-02', 28 * 24],
      ['UTC', '2000-02', 29 * 24],
      ['Pacific/Apia', '2011-12', 30 * 24],
    ] as const) {
      const { from, until } = monthSpan(month, zone)
      expect((until.getTime() - from.getTime()) / 3_600_000, `${month} in ${zone}`).toBe(hours)
    }
    expect(dayStart('2017-10-01', 'America/Asuncion').toISOString()).toBe('2017-10-01T04:00:00.000Z')
    const id = await issuer.customer({ plan: 'pro', startsOn: '2028-01-01' })
    await issuer.used(id, '2028-02-29T23:59:59.999Z', 50_001)
    issuer.after('2028-02')
    const { result } = await issuer.run('2028-02')
    expect(result).toMatchObject({ month: '2028-02', invoices: 1 })
    const [row] = await issuer.invoices(id)
    expect(row.number).toBe('AH-2028-02-000001-20280301')
    expect((await issuer.lines(row.id)).map(({ description }) => description).join()).toContain('50001 used')
  })
})

describe('Usage that comes late', () => {
  const tell = (customerId: string, at: string, quantity: number) =>
    inTransaction(shop.pool, async (sql) => {
      const event = { customerId, id: newId(), metric: 'api_calls', value: undefined, at: new Date(at) }
      const [recorded] = await recordUsage(
        sql,
        [{ event: { ...event, quantity: Decimal.of(String(quantity)) }, receivedAt: shop.clock.now() }],
        { plan: 'free', currency: 'USD', zone: terms.timeZone, now: shop.clock.now() },
      )
      return recorded
    })

  test('is on the next invoice as an adjustment, and changes no invoice that is finalised', async () => {
    const id = await issuer.customer({ plan: 'pro' })
    await issuer.used(id, '2026-12-10T00:00:00Z', 51_000)
    issuer.after('2026-12')
    await issuer.run('2026-12')
    const [before] = await issuer.invoices(id)
    const linesBefore = await issuer.lines(before.id)

    expect(await tell(id, '2026-12-31T23:00:00Z', 2_000)).toEqual({ outcome: 'recorded', lateFor: '2027-01' })
    expect(await tell(id, '2027-01-01T00:00:10Z', 100)).toEqual({ outcome: 'recorded' })
    issuer.after('2027-01')
    await issuer.run('2027-01')
    const [after, next] = await issuer.invoices(id)
    expect(after).toEqual(before)
    expect(await issuer.lines(before.id)).toEqual(linesBefore)
    const late = (await issuer.lines(next.id)).filter(({ month }) => month === '2026-12')
    expect(late).toHaveLength(1)
    expect(late[0].amount).toBe(linesBefore[1].amount * 2)

    issuer.after('2027-02')
    await issuer.run('2027-02')
    const [, , last] = await issuer.invoices(id)
    expect((await issuer.lines(last.id)).filter(({ month }) => month !== '2027-02')).toEqual([])
  })

  test('of a customer who left is billed after they left, without a fee', async () => {
    const id = await issuer.customer({ plan: 'pro', endsOn: '2026-12-31' })
    issuer.after('2026-12')
    await issuer.run('2026-12')
    expect(await tell(id, '2026-12-31T23:00:00Z', 51_000)).toEqual({ outcome: 'recorded', lateFor: '2027-01' })
    issuer.after('2027-01')
    await issuer.run('2027-01')
    const [, next] = await issuer.invoices(id)
    expect((await issuer.lines(next.id)).map(({ month }) => month)).toEqual(['2026-12'])
  })

  test('that makes a month cheaper is taken off, and what is left of it off the one after', async () => {
    const id = await issuer.customer({ plan: 'pro' })
    await issuer.used(id, '2026-12-10T00:00:00Z', 150_000)
    issuer.after('2026-12')
    await issuer.run('2026-12')
    const [first] = await issuer.invoices(id)
    await tell(id, '2026-12-31T00:00:00Z', -100_000)
    issuer.after('2027-01')
    await issuer.run('2027-01')
    issuer.after('2027-02')
    await issuer.run('2027-02')
    issuer.after('2027-05')
    for (const month of ['2027-03', '2027-04', '2027-05']) await issuer.run(month)
    const rows = await issuer.invoices(id)
    const totals = rows.map(({ total }) => total)
    expect(totals[1]).toBe(0)
    expect(rows[1].status).toBe('paid')
    // All months together cost what they would have, had nothing come late.
    const fee = 2_999
    expect(totals.reduce((sum, total) => sum + total, 0)).toBe(6 * fee)
    expect(first.total).toBeGreaterThan(fee)
    expect(await issuer.rows('select credit::int from billing_customer')).toEqual([{ credit: 0 }])
  })

  test('while a month is being closed is either on its invoice or late, never lost and never twice', async () => {
    const seed = Date.now() % 100_000
    const id = await issuer.customer({ plan: 'free' })
    issuer.after('2026-12')
    const counts = { onTime: 0, late: 0 }
    const tellAll = async () => {
      for (let turn = 0; turn < 40; turn++) {
        const recorded = await tell(id, '2026-12-31T12:00:00Z', 100)
        if (recorded?.outcome === 'recorded') counts[recorded.lateFor === undefined ? 'onTime' : 'late'] += 100
      }
    }
    const run = async () => {
      await tell(id, '2026-12-31T12:00:00Z', 100)
      counts.onTime += 100
      const one = await issuer.startRun('2026-12')
      await invoiceRun.run(shop.context, [one])
      await issuer.work()
    }
    await Promise.all([tellAll(), tellAll(), run()])
    issuer.after('2027-01')
    await issuer.run('2027-01')
    const used = await issuer.rows(
      `select invoice.month, substring(invoice_line.description from '(\\d+) used')::int as used
       from invoice join invoice_line on invoice_id = invoice.id order by invoice.id`,
    )
    expect(used[0], `seed ${seed}`).toEqual({ month: '2026-12', used: counts.onTime })
    expect(counts.onTime + counts.late).toBe(8_100)
    if (counts.late > 0) expect(used[1]).toEqual({ month: '2027-01', used: 8_100 })
  })
})
