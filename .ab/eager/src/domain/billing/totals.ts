import { assert } from '../../kit/assert.ts'
import { Decimal } from '../../kit/decimal.ts'
import { shares } from '../../kit/shares.ts'
import type { Tax } from './tax.ts'

/** What lines come to. Minor units. */
export interface Totals {
  /** Of the lines. */
  readonly subtotal: bigint
  readonly discount: bigint
  /** Each line's share of the discount: they add up to it. */
  readonly shares: readonly bigint[]
  readonly tax: bigint
  /** What the customer pays. */
  readonly total: bigint
}

/**
 * Adds lines up, which must not come to less than nothing. Discount and tax are rounded once each, half up, on the sum, so
 * that no cent depends on how usage was divided into lines.
 */
export function totals(
  amounts: readonly bigint[],
  terms: { readonly discountPercent: string; readonly tax: Tax },
): Totals {
  const subtotal = amounts.reduce((sum, amount) => sum + amount, 0n)
  assert(subtotal >= 0n, `Lines come to ${subtotal}`)
  const discount = partOf(subtotal, terms.discountPercent)
  const net = subtotal - discount
  const { tax, total } = taxed(net, terms.tax)
  // A line that gives something back has no discount of its own: it was counted in the sum.
  const weights = amounts.map((amount) => (amount > 0n ? amount : 0n))
  return { subtotal, discount, shares: shares(discount, weights), tax, total }
}

/** What is asked for, and the tax in it. Prices that hold a tax which the customer accounts for are charged without it. */
function taxed(net: bigint, { percent, inclusive, reverseCharge }: Tax): { tax: bigint; total: bigint } {
  if (inclusive) {
    const tax = taxWithin(net, percent)
    return reverseCharge ? { tax: 0n, total: net - tax } : { tax, total: net }
  }
  const tax = reverseCharge ? 0n : partOf(net, percent)
  return { tax, total: net + tax }
}

const HUNDREDTH = Decimal.of('0.01')

const partOf = (amount: bigint, percent: string): bigint =>
  Decimal.of(amount).times(Decimal.of(percent)).times(HUNDREDTH).rounded(0)

/** The tax inside an amount that holds it: rounded half up as well. Percents have three decimals at most. */
export function taxWithin(gross: bigint, percent: string): bigint {
  const rate = Decimal.of(percent).rounded(3)
  const whole = 100_000n + rate
  return (2n * gross * rate + whole) / (2n * whole)
}
