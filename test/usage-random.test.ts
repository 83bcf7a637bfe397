import { afterAll, beforeAll, expect, test } from 'vitest'
import { plansByCode } from '../src/domain/pricing/plans.ts'
import { rate } from '../src/domain/pricing/rate.ts'
import { aggregate } from '../src/domain/usage/aggregate.ts'
import { closeMonth } from '../src/domain/usage/close.ts'
import { recordUsage, type ToRecord } from '../src/domain/usage/record.ts'
import { Decimal } from '../src/kit/decimal.ts'
import { monthSpan } from '../src/kit/months.ts'
import { inTransaction, sqlOf } from '../src/platform/database.ts'
import { freshDatabase, type TestDatabase } from './support/database.ts'

/*
 * 1,000 customers with random plans and events: what PostgreSQL adds up and `rate` prices must be what is calculated here,
 * event by event and in whole millionths and billionths, by other formulas.
 */

const CUSTOMERS = 1_000
const PLANS = 40
const ZONE = 'Pacific/Auckland' // far from UTC, and its clocks change within the months used here
const MONTH = '2026-04'
const EARLIER = '2026-03'
const NOW = new Date('2026-04-20T00:00:00Z')

const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31)

let database: TestDatabase
let state = seed

beforeAll(async () => {
  process.stdout.write(`usage-random: SEED=${seed} repeats this run\n`)
  database = await freshDatabase()
})
afterAll(() => database.drop())

/** Below `limit`, and 0 at least (mulberry32). */
function below(limit: number): number {
  state = (state + 0x6d2b79f5) | 0
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
}
const chance = (percent: number) => below(100) < percent
const oneOf = <T>(values: readonly T[]): T => values[below(values.length)] as T

const METRICS = ['api_calls', 'agent_runs', 'active_users', 'storage_gb', 'seats'] as const
type Metric = (typeof METRICS)[number]

/** A price in whole numbers: units in millionths, money in billionths of a dollar. */
interface Priced {
  readonly model: 'per_unit' | 'graduated' | 'volume' | 'package'
  readonly free: bigint
  readonly unit: bigint
  readonly size: bigint
  readonly tiers: readonly { readonly upTo: bigint | undefined; readonly unit: bigint; readonly flat: bigint }[]
}

const millionths = (units: bigint) => String(Decimal.ofUnits(units, 6))
const billionths = (units: bigint) => String(Decimal.ofUnits(units, 9))
const money = () => BigInt(below(3) === 0 ? 0 : below(2_000_000_000))

function randomPrice(): Priced {
  const limits = Array.from({ length: below(4) }, () => BigInt(1 + below(60)) * 1_000_000n)
  const sorted = [...new Set(limits)].toSorted((a, b) => (a < b ? -1 : 1))
  return {
    model: oneOf(['per_unit', 'graduated', 'volume', 'package']),
    free: chance(50) ? 0n : BigInt(below(20)) * 1_000_000n,
    unit: money(),
    size: BigInt(1 + below(12)) * 1_000_000n,
    tiers: [...sorted, undefined].map((upTo) => ({ upTo, unit: money(), flat: chance(70) ? 0n : money() })),
  }
}

function termsOf({ model, free, unit, size, tiers }: Priced) {
  const allowance = free === 0n ? {} : { free_units: millionths(free) }
  if (model === 'per_unit') return { ...allowance, unit_amount: billionths(unit) }
  if (model === 'package') return { ...allowance, package_size: millionths(size), package_amount: billionths(unit) }
  return {
    ...allowance,
    tiers: tiers.map((tier) => ({
      up_to: tier.upTo === undefined ? null : millionths(tier.upTo),
      unit_amount: billionths(tier.unit),
      ...(tier.flat === 0n ? {} : { flat_amount: billionths(tier.flat) }),
    })),
  }
}

/** Cents, from an exact amount in 10^-15 dollars. */
function cents(amount: bigint): bigint {
  const [whole, rest] = [amount / 10n ** 13n, amount % 10n ** 13n]
  return rest * 2n >= 10n ** 13n ? whole + 1n : whole
}

/** By slopes: from each limit on, all that is above it costs the difference to the tier before. */
function costOf({ model, free, unit, size, tiers }: Priced, used: bigint): bigint {
  const charged = used > free ? used - free : 0n
  switch (model) {
    case 'per_unit':
      return cents(charged * unit)
    case 'package': {
      let [packages, held] = [0n, 0n]
      while (held < charged) [packages, held] = [packages + 1n, held + size]
      return cents(packages * unit * 1_000_000n)
    }
    case 'volume': {
      if (charged === 0n) return 0n
      const reached = tiers.filter(({ upTo }) => upTo !== undefined && charged > upTo).length
      const tier = tiers[reached] ?? { unit: 0n, flat: 0n }
      return cents(charged * tier.unit + tier.flat * 1_000_000n)
    }
    case 'graduated': {
      let amount = 0n
      let [from, slope] = [0n, 0n]
      for (const tier of tiers) {
        if (charged > from) amount += (charged - from) * (tier.unit - slope) + tier.flat * 1_000_000n
        slope = tier.unit
        from = tier.upTo ?? charged
      }
      return cents(amount)
    }
  }
}

interface Told {
  readonly customer: string
  readonly id: string
  readonly metric: Metric
  readonly quantity: bigint
  readonly value: string | undefined
  readonly at: Date
}

let made = 0
function randomEvent(customer: string, from: Date, until: Date): Told {
  const metric = oneOf(METRICS)
  const quantities: Record<Metric, () => bigint> = {
    api_calls: () => BigInt(below(20_000_000) - 4_000_000),
    agent_runs: () => (chance(80) ? 1_000_000n : -1_000_000n),
    active_users: () => (chance(65) ? 1_000_000n : -1_000_000n),
    storage_gb: () => BigInt(below(30_000_000)),
    seats: () => BigInt(below(25)) * 1_000_000n,
  }
  // Whole minutes, so that some events share their instant.
  const minutes = Math.floor((until.getTime() - from.getTime()) / 60_000)
  made += 1
  return {
    customer,
    id: `${oneOf(['a', 'b', 'C', 'ü', 'Z'])}${made}`,
    metric,
    quantity: quantities[metric](),
    value: metric === 'active_users' ? oneOf(['ada', 'bob', 'Cyd']) : undefined,
    at: new Date(from.getTime() + below(chance(10) ? 3 : minutes) * 60_000),
  }
}

/** By its definition: the last event of a value decides whether it is there. */
function quantityOf(metric: Metric, events: readonly Told[]): bigint {
  const bytes = (text: string) => Buffer.from(text)
  const inTime = events
    .filter((event) => event.metric === metric)
    .toSorted((a, b) => a.at.getTime() - b.at.getTime() || Buffer.compare(bytes(a.id), bytes(b.id)))
  switch (metric) {
    case 'active_users': {
      const there = new Set<string | undefined>()
      for (const { value, quantity } of inTime) quantity > 0n ? there.add(value) : there.delete(value)
      return BigInt(there.size) * 1_000_000n
    }
    case 'storage_gb':
      return (
        inTime
          .map(({ quantity }) => quantity)
          .toSorted((a, b) => (a < b ? -1 : 1))
          .at(-1) ?? 0n
      )
    case 'seats':
      return inTime.at(-1)?.quantity ?? 0n
    default: {
      const sum = inTime.reduce((total, { quantity }) => total + quantity, 0n)
      return sum < 0n ? 0n : sum
    }
  }
}

const asEvent = (told: Told): ToRecord => ({
  receivedAt: NOW,
  event: {
    customerId: told.customer,
    id: told.id,
    metric: told.metric,
    quantity: Decimal.of(millionths(told.quantity)),
    value: told.value,
    at: told.at,
  },
})

const record = (told: readonly Told[]) =>
  inTransaction(database.pool, (sql) =>
    recordUsage(sql, told.map(asEvent), { plan: 'plan_0', currency: 'USD', zone: ZONE, now: NOW }),
  )

test('1,000 random customers pay what an independent calculation says, late events included', async () => {
  const sql = sqlOf(database.pool)
  const prices: Record<Metric, Priced>[] = Array.from({ length: PLANS }, () => ({
    api_calls: randomPrice(),
    agent_runs: randomPrice(),
    active_users: randomPrice(),
    storage_gb: randomPrice(),
    seats: randomPrice(),
  }))
  for (const [index, plan] of prices.entries()) {
    await sql.query(`insert into plan values ($1, 'A plan', 'none', '')`, [`plan_${index}`])
    for (const metric of METRICS)
      await sql.query(
        `insert into plan_price (plan, metric, currency, starts_on, model, terms) values ($1, $2, 'USD', '2020-01-01', $3, $4)`,
        [`plan_${index}`, metric, plan[metric].model, JSON.stringify(termsOf(plan[metric]))],
      )
  }
  const customers = Array.from({ length: CUSTOMERS }, (_, index) => ({ id: `user_${index}`, plan: below(PLANS) }))
  await sql.query(
    `insert into billing_customer (id, plan, currency, starts_on, created_at)
     select id, plan, 'USD', '2020-01-01', now() from unnest($1::text[], $2::text[]) as one (id, plan)`,
    [customers.map(({ id }) => id), customers.map(({ plan }) => `plan_${plan}`)],
  )

  const span = monthSpan(MONTH, ZONE)
  const before = monthSpan(EARLIER, ZONE)
  const some = (from: Date, until: Date, most: number) =>
    customers.flatMap(({ id }) => Array.from({ length: below(most) }, () => randomEvent(id, from, until)))
  // From the day on which events are not too old any more.
  const oldest = new Date(NOW.getTime() - 34 * 86_400_000)
  const onTime = some(oldest, before.until, 8)
  expect((await record(onTime)).every(({ outcome }) => outcome === 'recorded')).toBe(true)
  await inTransaction(database.pool, (closing) => closeMonth(closing, { month: EARLIER, now: NOW }))
  const late = some(oldest, before.until, 4)
  const current = some(span.from, NOW, 14)
  const again = current.filter(() => chance(10))
  const outcomes = await record([...late, ...current, ...again])
  expect(
    Map.groupBy(outcomes, (one) => one.outcome === 'recorded' && (one.lateFor ?? 'on time')).get(MONTH),
  ).toHaveLength(late.length)
  expect(outcomes.filter(({ outcome }) => outcome === 'duplicate')).toHaveLength(again.length)

  const ids = customers.map(({ id }) => id)
  const uses = await aggregate(sql, { customerIds: ids, ...span, late: { month: MONTH, zone: ZONE } })
  const plans = await plansByCode(sql)
  const eventsOf = (told: readonly Told[]) => Map.groupBy(told, ({ customer }) => customer)
  const [byCurrent, byOnTime, byLate] = [eventsOf(current), eventsOf(onTime), eventsOf(late)]
  let lines = 0
  for (const { id, plan } of customers) {
    const priced = rate({
      prices: plans.get(`plan_${plan}`)?.prices ?? [],
      aggregates: uses.get(id) ?? [],
      month: MONTH,
      currency: 'USD',
      fee: { cycle: 'none', since: '2020-01-01' },
    })
    lines += priced.length
    let expected = 0n
    for (const metric of METRICS) {
      const price = prices[plan]?.[metric] as Priced
      const first = byOnTime.get(id) ?? []
      expected += costOf(price, quantityOf(metric, byCurrent.get(id) ?? []))
      expected += costOf(price, quantityOf(metric, [...first, ...(byLate.get(id) ?? [])]))
      expected -= costOf(price, quantityOf(metric, first))
    }
    const total = priced.reduce((sum, { amount }) => sum + amount, 0n)
    expect(total, `${id} on plan_${plan}: ${JSON.stringify(priced.map(({ description }) => description))}`).toBe(
      expected,
    )
  }
  expect(lines).toBeGreaterThan(CUSTOMERS)
})

test('the month’s events are found by the index on customers and times, whatever else is there', async () => {
  await database.pool.query('analyze usage_event')
  const { rows } = await database.pool.query(
    `explain select metric, sum(quantity) from usage_event
     where customer_id = any($1) and at >= $2 and at < $3 and (billed_month is null or billed_month < '') group by metric`,
    [['user_1', 'user_2'], monthSpan(MONTH, ZONE).from, NOW],
  )
  expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toMatch(/Index (Only )?Scan.* usage_event_month/)
})
