import type pg from 'pg'
import { monthOf, monthStart, plusMonths } from '../../src/kit/months.ts'

/** Of the issuer; the processes are told no other. */
const ZONE = 'UTC'

export type BilledIn = 'USD' | 'EUR' | 'INR' | 'JPY' | 'KWD'

/** Decimals of a currency. */
export const scales: Readonly<Record<BilledIn, number>> = { USD: 2, EUR: 2, INR: 2, JPY: 0, KWD: 3 }

/** The least that Stripe takes, minor units: what is due below it is carried. */
export const minimums: Readonly<Partial<Record<string, bigint>>> = { USD: 50n, EUR: 50n, INR: 50n, JPY: 50n }

/** A price as somebody writes it on paper: decimals of the currency's unit. */
export type Price =
  | { readonly model: 'per_unit'; readonly free?: string; readonly each: string }
  | { readonly model: 'package'; readonly free?: string; readonly size: string; readonly each: string }
  | { readonly model: 'graduated' | 'volume'; readonly tiers: readonly PriceTier[] }

export interface PriceTier {
  readonly upTo: string | null
  readonly each: string
  readonly once?: string
}

interface Tariff {
  readonly cycle: 'none' | 'monthly' | 'annual'
  readonly fee: Readonly<Partial<Record<BilledIn, string>>>
  prices(currency: BilledIn): Readonly<Record<string, Price>>
}

const overage = {
  free: { USD: '0.002', EUR: '0.002', INR: '0.15', JPY: '0.3', KWD: '0.0006' },
  pro: { USD: '0.001', EUR: '0.001', INR: '0.08', JPY: '0.15', KWD: '0.0003' },
} as const

/** Every price model at once; only in dollars and euros. */
const metered: Readonly<Record<string, Price>> = {
  api_calls: {
    model: 'graduated',
    tiers: [
      { upTo: '100', each: '0.05' },
      { upTo: '1000', each: '0.0205', once: '1' },
      { upTo: null, each: '0.005' },
    ],
  },
  agent_runs: { model: 'package', free: '5', size: '10', each: '1.25' },
  active_users: {
    model: 'volume',
    tiers: [
      { upTo: '5', each: '2' },
      { upTo: null, each: '1.5', once: '3' },
    ],
  },
  storage_gb: { model: 'per_unit', free: '2', each: '0.115' },
  seats: { model: 'per_unit', each: '4' },
}

/** What customers pay by: the plans that Bursar comes with, and one of ours. Written down here once more, by hand. */
export const tariffs: Readonly<Record<string, Tariff>> = {
  free: {
    cycle: 'none',
    fee: {},
    prices: (currency) => ({ api_calls: { model: 'per_unit', free: '1000', each: overage.free[currency] } }),
  },
  pro: {
    cycle: 'monthly',
    fee: { USD: '29.99', EUR: '29.99', INR: '2499', JPY: '4500', KWD: '9.25' },
    prices: (currency) => ({ api_calls: { model: 'per_unit', free: '50000', each: overage.pro[currency] } }),
  },
  enterprise: {
    cycle: 'annual',
    fee: { USD: '4990', EUR: '4990', INR: '415000', JPY: '750000', KWD: '1535' },
    prices: () => ({}),
  },
  metered: { cycle: 'monthly', fee: { USD: '9.99', EUR: '9.99' }, prices: () => metered },
}

export interface TaxRate {
  readonly country: string
  readonly startsOn: string
  /** In thousandths of a percent. */
  readonly rate: bigint
  readonly inclusive: boolean
}

/** One of them changes between two months that are billed. */
const taxRates = ({ earlier, last }: Months): readonly TaxRate[] => [
  { country: 'DE', startsOn: '2000-01-01', rate: 16_000n, inclusive: false },
  { country: 'DE', startsOn: `${last}-01`, rate: 19_000n, inclusive: false },
  { country: 'JP', startsOn: '2000-01-01', rate: 10_000n, inclusive: true },
  { country: 'IN', startsOn: '2000-01-01', rate: 18_000n, inclusive: false },
  { country: 'FR', startsOn: '2000-01-01', rate: 20_000n, inclusive: true },
  { country: 'FR', startsOn: `${earlier}-01`, rate: 5_500n, inclusive: true },
]

/** The tax of a country on a day. */
export function taxOf(months: Months, country: string | null, day: string): TaxRate | undefined {
  return taxRates(months)
    .filter((rate) => rate.country === country && rate.startsOn <= day)
    .toSorted((a, b) => (a.startsOn < b.startsOn ? 1 : -1))[0]
}

/** Months that are over, the oldest first, and the one that is not. */
export interface Months {
  readonly first: string
  readonly earlier: string
  /** The newest that is over: its usage still comes. */
  readonly last: string
  readonly current: string
}

export function monthsAt(now: Date): Months {
  const current = monthOf(now, ZONE)
  return { first: plusMonths(current, -3), earlier: plusMonths(current, -2), last: plusMonths(current, -1), current }
}

/** The period with which a month is billed: the instant at which the next one begins. */
export const periodOf = (month: string): string => monthStart(plusMonths(month, 1), ZONE).toISOString()

export interface Customer {
  readonly id: string
  readonly plan: string
  readonly currency: BilledIn
  readonly country: string | null
  /** In hundredths of a percent. */
  readonly discount: bigint
  readonly startsOn: string
  /** What is on file of them at Stripe. */
  readonly card: 'good' | 'declined' | 'none'
}

const CUSTOMERS = 36

const homes = [
  { currency: 'USD', country: null },
  { currency: 'EUR', country: 'DE' },
  { currency: 'INR', country: 'IN' },
  { currency: 'JPY', country: 'JP' },
  { currency: 'EUR', country: 'FR' },
  { currency: 'KWD', country: null },
] as const

const at = <T>(list: readonly T[], n: number): T => list[n % list.length] as T

/** Different plans, currencies, countries, discounts and cards, in every mixture. */
export const customersOf = ({ last }: Months): readonly Customer[] =>
  Array.from({ length: CUSTOMERS }, (_, n): Customer => {
    const home = at(homes, n)
    const plan = at(['free', 'metered', 'pro', 'enterprise'] as const, n + Math.floor(n / homes.length))
    const priced = plan !== 'metered' || home.currency === 'USD' || home.currency === 'EUR'
    return {
      id: `bill_${String(n).padStart(2, '0')}`,
      plan: priced ? plan : 'pro',
      ...home,
      discount: at([0n, 0n, 1_000n, 1_250n, 333n], n),
      // A year's fee is due in the month in which the customer began.
      startsOn: `2021-${last.slice(5)}-01`,
      card: at(['good', 'good', 'declined', 'none'] as const, n + Math.floor(n / 7)),
    }
  })

/** In the place of an operation: the month that is over is not billed before its load says so. */
const HELD_BACK = '0c4a0500-0000-7000-8000-000000000000'

/** Before the scheduler starts: the month that is over is nobody’s yet, not even that of a person who starts its period. */
export async function holdMonthBack(pool: pg.Pool): Promise<void> {
  const period = periodOf(monthsAt(new Date()).last)
  await pool.query(
    `insert into schedule_run (schedule, period, operation_id, started_at) values ('invoice-month', $1, $2, now())`,
    [period, HELD_BACK],
  )
}

/** From now on the month is over, for the scheduler, as if it had looked before, and for everybody else: whoever is first bills it. */
export async function letMonthEnd(pool: pg.Pool): Promise<void> {
  await pool.query('delete from schedule_run where operation_id = $1', [HELD_BACK])
  await pool.query(
    `insert into schedule_first_look (schedule, looked_at) values ('invoice-month', $1::timestamptz - interval '1 day')
     on conflict (schedule) do update set looked_at = excluded.looked_at`,
    [periodOf(monthsAt(new Date()).last)],
  )
}

/** Begins the ids of events that were there before the first client. */
export const SEEDED = 'seeded'

/** What was there before: taxes, a plan, and usage of months for which nobody can record any more, some of it late. */
export async function seed(pool: pg.Pool, months: Months): Promise<void> {
  for (const { country, startsOn, rate, inclusive } of taxRates(months))
    await pool.query(
      `insert into tax_rate (country, starts_on, percent, name, inclusive, reverse_charge)
       values ($1, $2, $3::numeric / 1000, 'VAT', $4, false)`,
      [country, startsOn, String(rate), inclusive],
    )
  const { cycle, fee, prices } = tariffs.metered as Tariff
  await pool.query(
    `insert into plan (code, name, cycle, features) values ('metered', 'Metered', $1, 'By what is used')`,
    [cycle],
  )
  for (const [currency, amount] of Object.entries(fee)) {
    const wanted: [string | null, string, unknown][] = [[null, 'flat', { amount }]]
    for (const [metric, price] of Object.entries(prices(currency as BilledIn)))
      wanted.push([metric, price.model, termsOf(price)])
    for (const [metric, model, terms] of wanted)
      await pool.query(
        `insert into plan_price (plan, metric, currency, starts_on, model, terms)
         values ('metered', $1, $2, '2000-01-01', $3, $4)`,
        [metric, currency, model, JSON.stringify(terms)],
      )
  }
  await pool.query(`insert into closed_month (month, customer_id, closed_at) values ($1, '', now())`, [months.first])
  await seedUsage(pool, months)
}

const termsOf = (price: Price): unknown => {
  switch (price.model) {
    case 'per_unit':
      return { free_units: price.free, unit_amount: price.each }
    case 'package':
      return { free_units: price.free, package_size: price.size, package_amount: price.each }
    default:
      return {
        tiers: price.tiers.map(({ upTo, each, once }) => ({ up_to: upTo, unit_amount: each, flat_amount: once })),
      }
  }
}

async function seedUsage(pool: pg.Pool, months: Months): Promise<void> {
  const rows = customersOf(months).flatMap(({ id }, n) =>
    [months.first, months.earlier].flatMap((month) => [
      { id, month, day: 3, metric: 'api_calls', quantity: 49_000 + 977 * n, late: null },
      { id, month, day: 9, metric: 'api_calls', quantity: 2_500.25 * (n % 4), late: null },
      { id, month, day: 11, metric: 'agent_runs', quantity: 1, late: null },
      { id, month, day: 12, metric: 'storage_gb', quantity: n / 4, late: null },
      { id, month, day: 13, metric: 'seats', quantity: n % 5, late: null },
      // More came after its month was billed, or less: the next month has the difference.
      ...(month === months.first && n % 3 > 0
        ? [
            { id, month, day: 20, metric: 'api_calls', quantity: n % 3 === 1 ? 1_234 : -9_876, late: months.earlier },
            { id, month, day: 21, metric: 'seats', quantity: 7, late: months.earlier },
          ]
        : []),
    ]),
  )
  await pool.query(
    `insert into usage_event (customer_id, at, metric, quantity, event_id, billed_month, received_at)
     select *, now() from unnest($1::text[], $2::timestamptz[], $3::text[], $4::numeric[], $5::text[], $6::text[])`,
    [
      rows.map(({ id }) => id),
      rows.map(({ month, day }) => `${month}-${String(day).padStart(2, '0')}T12:00:00Z`),
      rows.map(({ metric }) => metric),
      rows.map(({ quantity }) => quantity),
      rows.map((_, n) => `${SEEDED}_${n}`),
      rows.map(({ late }) => late),
    ],
  )
}
