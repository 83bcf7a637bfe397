import type { BilledIn, Customer, Months, Price } from './billing-world.ts'
import { scales, tariffs, taxOf } from './billing-world.ts'

/*
 * What a month costs, reckoned a second time from the rows of its usage: event by event, in whole millionths of a unit used
 * and whole billionths of money, by other formulas than the code's. Nothing here comes from what is audited.
 */

/** An event as it was kept. */
export interface Used {
  readonly customer: string
  readonly at: Date
  readonly metric: string
  /** A decimal with at most six digits behind its point. */
  readonly quantity: string
  readonly value: string | null
  readonly id: string
  /** Of a late one: the month that takes it in. */
  readonly takenIn: string | null
}

const MICRO = 6
const NANO = 9

/** A decimal in whole units of so many digits behind its point. */
export function whole(decimal: string, digits: number): bigint {
  const [, sign = '', before = '', after = ''] = /^(-?)(\d+)(?:\.(\d*))?$/.exec(decimal) ?? []
  if (before === '' || after.length > digits) throw new Error(`${decimal} is no decimal of ${digits} digits`)
  const units = BigInt(before + after.padEnd(digits, '0'))
  return sign === '-' ? -units : units
}

const monthOf = (at: Date): string => at.toISOString().slice(0, 7)

/** Half away from zero. */
export const halfUp = (of: bigint, by: bigint): bigint =>
  of < 0n ? -((-of * 2n + by) / (by * 2n)) : (of * 2n + by) / (by * 2n)

/** What events come to, by their metric, in millionths; never below 0. */
function total(metric: string, events: readonly Used[]): bigint {
  const inOrder = events.toSorted((a, b) => a.at.getTime() - b.at.getTime() || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))
  const amounts = inOrder.map(({ quantity }) => whole(quantity, MICRO))
  const sum = () => amounts.reduce((all, one) => all + one, 0n)
  const reckoned = () => {
    if (metric === 'storage_gb') return amounts.reduce((most, one) => (one > most ? one : most), 0n)
    if (metric === 'seats') return amounts.at(-1) ?? 0n
    if (metric !== 'active_users') return sum()
    const last = new Map(inOrder.map(({ value }, index) => [value, amounts[index] ?? 0n]))
    return BigInt([...last.values()].filter((one) => one > 0n).length) * 1_000_000n
  }
  const all = reckoned()
  return all < 0n ? 0n : all
}

/** Minor units. */
function costOf(price: Price | undefined, used: bigint, currency: BilledIn): bigint {
  return price === undefined ? 0n : halfUp(exactCost(price, used), 10n ** BigInt(MICRO + NANO - scales[currency]))
}

function exactCost(price: Price, used: bigint): bigint {
  const free = 'free' in price && price.free !== undefined ? whole(price.free, MICRO) : 0n
  const paidFor = used > free ? used - free : 0n
  switch (price.model) {
    case 'per_unit':
      return paidFor * whole(price.each, NANO)
    case 'package': {
      const size = whole(price.size, MICRO)
      return ((paidFor + size - 1n) / size) * whole(price.each, NANO) * 1_000_000n
    }
    default: {
      if (paidFor === 0n) return 0n
      const tiers = price.tiers.map(({ upTo, each, once = '0' }) => ({
        upTo: upTo === null ? undefined : whole(upTo, MICRO),
        each: whole(each, NANO),
        once: whole(once, NANO) * 1_000_000n,
      }))
      const reached = tiers.findIndex(({ upTo }) => upTo === undefined || paidFor <= upTo)
      const its = tiers[reached]
      if (its === undefined) throw new Error('A price has an end')
      if (price.model === 'volume') return paidFor * its.each + its.once
      // All at the price of the last tier, and for each tier before it what its units cost more or less than that.
      return tiers.slice(0, reached).reduce(
        (cost, { upTo = 0n, each, once }, index) => {
          const units = upTo - (tiers[index - 1]?.upTo ?? 0n)
          return cost + units * (each - its.each) + once
        },
        paidFor * its.each + its.once,
      )
    }
  }
}

/** What a customer's month costs, by metric and month of use; the fee's metric is `fee`. Nothing is left out, 0 is. */
export function reckon(customer: Customer, events: readonly Used[], month: string): Map<string, bigint> {
  const tariff = tariffs[customer.plan]
  if (tariff === undefined) throw new Error(`Nobody knows the plan ${customer.plan}`)
  const { currency } = customer
  const prices = tariff.prices(currency)
  const costs = new Map<string, bigint>()
  const add = (metric: string, of: string, amount: bigint) =>
    amount === 0n ? undefined : costs.set(`${metric} ${of}`, (costs.get(`${metric} ${of}`) ?? 0n) + amount)

  const isDue =
    tariff.cycle === 'monthly' || (tariff.cycle === 'annual' && month.slice(5) === customer.startsOn.slice(5, 7))
  const fee = tariff.fee[currency]
  if (isDue && fee !== undefined) add('fee', month, whole(fee, scales[currency]))

  const cost = (metric: string, some: readonly Used[]) => costOf(prices[metric], total(metric, some), currency)
  const byUse = Map.groupBy(events, ({ metric, at }) => `${metric} ${monthOf(at)}`)
  for (const [use, all] of byUse) {
    const [metric = '', of = ''] = use.split(' ')
    if (of === month)
      add(
        metric,
        of,
        cost(
          metric,
          all.filter(({ takenIn }) => takenIn === null),
        ),
      )
    if (!all.some(({ takenIn }) => takenIn === month)) continue
    const before = all.filter(({ takenIn }) => takenIn === null || takenIn < month)
    const after = all.filter(({ takenIn }) => takenIn === null || takenIn <= month)
    add(metric, of, cost(metric, after) - cost(metric, before))
  }
  return costs
}

/** What lines come to with a discount and a tax. */
export interface Sum {
  readonly discount: bigint
  readonly tax: bigint
  readonly total: bigint
}

/** `percent` in hundredths. `day`: whose taxes. */
export function sumUp(
  subtotal: bigint,
  percent: bigint,
  tax: { months: Months; country: string | null; day: string },
): Sum {
  const discount = halfUp(subtotal * percent, 10_000n)
  const net = subtotal - discount
  const rate = taxOf(tax.months, tax.country, tax.day)
  if (rate === undefined) return { discount, tax: 0n, total: net }
  if (rate.inclusive) return { discount, tax: halfUp(net * rate.rate, 100_000n + rate.rate), total: net }
  const on = halfUp(net * rate.rate, 100_000n)
  return { discount, tax: on, total: net + on }
}
