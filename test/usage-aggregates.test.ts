import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aggregate } from '../src/domain/usage/aggregate.ts'
import { closeMonth } from '../src/domain/usage/close.ts'
import { recordUsage } from '../src/domain/usage/record.ts'
import { envelope, packed } from '../src/jobs/envelope.ts'
import { Decimal } from '../src/kit/decimal.ts'
import { newId } from '../src/kit/ids.ts'
import { monthSpan } from '../src/kit/months.ts'
import { inTransaction, sqlOf } from '../src/platform/database.ts'
import { freshDatabase, type TestDatabase } from './support/database.ts'

/** Months here begin eleven hours before London's. */
const ZONE = 'Pacific/Noumea'
const NOVEMBER = monthSpan('2026-11', ZONE)
const NOW = new Date('2026-11-21T12:00:00Z')

let database: TestDatabase
beforeAll(async () => {
  database = await freshDatabase()
})
afterAll(() => database.drop())

/** An event as `metric quantity value`, on a day and time of November, or at an instant. */
type Told = readonly [what: string, when: string, id?: string]

/** What a new customer's events come to in November. */
const comesTo = (...told: readonly Told[]) => comesToIn(NOVEMBER, ...told)

async function comesToIn(month: typeof NOVEMBER, ...told: readonly Told[]): Promise<Record<string, string>> {
  const customerId = newId()
  const events = told.map(([what, when, id = newId()]) => {
    const [metric = '', quantity = '1', value] = what.split(' ')
    const at = new Date(when.length > 8 ? when : `2026-11-${when}:00Z`)
    return { event: { customerId, id, metric, quantity: Decimal.of(quantity), value, at }, receivedAt: NOW }
  })
  const outcomes = await inTransaction(database.pool, (sql) =>
    recordUsage(sql, events, { plan: 'free', currency: 'USD', zone: ZONE, now: NOW }),
  )
  expect(outcomes.filter(({ outcome }) => outcome === 'refused')).toEqual([])
  const uses = await aggregate(sqlOf(database.pool), { customerIds: [customerId], ...month })
  return Object.fromEntries(
    (uses.get(customerId) ?? []).map(({ metric, quantity, clamped }) => [
      metric,
      clamped === undefined ? String(quantity) : `${quantity}, ${clamped} below`,
    ]),
  )
}

describe('a count', () => {
  test('is of events, less those that were taken back', async () => {
    expect(await comesTo(['agent_runs', '02T10'], ['agent_runs', '03T10'], ['agent_runs -1', '04T10'])).toEqual({
      agent_runs: '1',
    })
  })

  test('never goes below 0, and says how far it would have', async () => {
    expect(await comesTo(['agent_runs -1', '02T10'], ['agent_runs -1', '03T10'])).toEqual({ agent_runs: '0, 2 below' })
  })
})

describe('a sum', () => {
  test('adds up to the last decimal, corrections included', async () => {
    expect(
      await comesTo(['api_calls 0.1', '02T10'], ['api_calls 0.2', '03T10'], ['api_calls -0.000001', '04T10']),
    ).toEqual({ api_calls: '0.299999' })
  })

  test('never goes below 0, and says how far it would have', async () => {
    expect(await comesTo(['api_calls 100', '02T10'], ['api_calls -100.5', '03T10'])).toEqual({
      api_calls: '0, 0.5 below',
    })
  })

  test('has the month’s first instant in it, and not that of the next, at the issuer', async () => {
    const told: Told[] = [
      ['api_calls 1', '2026-10-31T12:59:59.999Z'],
      ['api_calls 10', '2026-10-31T13:00:00.000Z'],
      ['api_calls 100', '20T23:59'],
    ]
    expect(await comesTo(...told)).toEqual({ api_calls: '110' })
    expect(await comesToIn(monthSpan('2026-10', ZONE), ...told)).toEqual({ api_calls: '1' })
  })
})

describe('a highest quantity', () => {
  test('is the highest, whenever it was', async () => {
    expect(
      await comesTo(['storage_gb 9.5', '02T10'], ['storage_gb 12.25', '03T10'], ['storage_gb 10', '04T10']),
    ).toEqual({
      storage_gb: '12.25',
    })
  })
})

describe('a latest quantity', () => {
  test('is that of the last event, in whatever order they came', async () => {
    expect(await comesTo(['seats 7', '05T10'], ['seats 30', '04T10'], ['seats 2', '03T10'])).toEqual({ seats: '7' })
  })

  test('is that of the larger id where two are of one instant', async () => {
    expect(await comesTo(['seats 3', '05T10', 'b'], ['seats 5', '05T10', 'a'])).toEqual({ seats: '3' })
    expect(await comesTo(['seats 3', '05T10', 'B'], ['seats 5', '05T10', 'a'])).toEqual({ seats: '5' })
  })

  test('may be 0', async () => {
    expect(await comesTo(['seats 3', '04T10'], ['seats 0', '05T10'])).toEqual({ seats: '0' })
  })
})

describe('a number of different values', () => {
  const users = async (...told: readonly Told[]) =>
    (await comesTo(...told.map(([what, ...when]): Told => [`active_users ${what}`, ...when]))).active_users

  test('counts each once, however often it is added', async () => {
    expect(await users(['1 ada', '02T10'], ['1 ada', '03T10'], ['1 bob', '03T10'])).toBe('2')
  })

  test('does not count one that was added and removed', async () => {
    expect(await users(['1 ada', '02T10'], ['1 bob', '02T10'], ['-1 ada', '03T10'])).toBe('1')
  })

  test('counts one that was removed and added again: its last event decides', async () => {
    expect(await users(['1 ada', '02T10'], ['-1 ada', '03T10'], ['1 ada', '04T10'])).toBe('1')
    expect(await users(['1 ada', '02T10'], ['1 ada', '03T10'], ['-1 ada', '04T10'])).toBe('0')
  })

  test('is not changed by removing what was never added', async () => {
    expect(await users(['-1 cyd', '02T10'], ['1 ada', '03T10'])).toBe('1')
  })
})

test('customers without events, and nobody at all, have no entries', async () => {
  expect(await aggregate(sqlOf(database.pool), { customerIds: ['nobody'], ...NOVEMBER })).toEqual(new Map())
  expect(await aggregate(sqlOf(database.pool), { customerIds: [], ...NOVEMBER })).toEqual(new Map())
})

test('a month closes only once what is being recorded is on disk, and so on its invoice', async () => {
  const customerId = newId()
  const at = new Date('2026-11-05T10:00:00Z')
  const event = { customerId, id: 'slow', metric: 'api_calls', quantity: Decimal.one, value: undefined, at }
  const recorder = await database.pool.connect()
  await recorder.query('begin')
  const terms = { plan: 'free', currency: 'USD', zone: ZONE, now: NOW }
  expect(await recordUsage(sqlOf(recorder), [{ event, receivedAt: NOW }], terms)).toEqual([
    { outcome: 'recorded', lateFor: undefined },
  ])
  const closing = inTransaction(database.pool, (sql) => closeMonth(sql, { month: '2026-11', customerId, now: NOW }))
  const waiting = async () => {
    const { rows } = await database.pool.query(
      `select count(*)::int from pg_locks where locktype = 'advisory' and not granted
       and database = (select oid from pg_database where datname = current_database())`,
    )
    return rows[0].count
  }
  await expect.poll(waiting, { timeout: 10_000 }).toBe(1)
  await recorder.query('commit')
  recorder.release()
  await closing
  const uses = await aggregate(sqlOf(database.pool), { customerIds: [customerId], ...NOVEMBER })
  expect(uses.get(customerId)).toMatchObject([{ metric: 'api_calls', events: 1 }])
})

describe('jobs', () => {
  const request = (events: number) => ({
    id: newId(),
    kind: 'usage.record' as const,
    input:
      events === 1
        ? { metric: 'api_calls' }
        : { events: Array.from({ length: events }, () => ({ metric: 'api_calls' })) },
  })

  test('carry as many events together as one full request', () => {
    const jobs = packed([request(400), request(1), request(599), request(1), request(1_000), request(1)])
    expect(jobs.map(({ load }) => load.length)).toEqual([3, 1, 1, 1])
  })

  test('show a few events on the board, and how many more there are', () => {
    const { data } = envelope(newId(), 'usage.record', [request(1_000)])
    expect(data.preview).toEqual([
      { events: [{ metric: 'api_calls' }, { metric: 'api_calls' }, { metric: 'api_calls' }, '… 997 more'] },
    ])
  })
})
