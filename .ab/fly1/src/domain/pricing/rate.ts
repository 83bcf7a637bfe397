import { Decimal } from '../../kit/decimal.ts'
import { type Asset, assets } from '../../kit/money.ts'
import { type Priced, priceOf } from './models.ts'
import { type Price, priceIn } from './price.ts'

/** What was used of one metric in a month, as `domain/usage/aggregate.ts` adds it up. */
export interface RatedUse {
  readonly metric: string
  /** Never below 0. */
  readonly quantity: Decimal
  /** How far corrections went below 0, where they did: nothing is paid for it, and whoever reads the line is told. */
  readonly clamped?: Decimal | undefined
  /** Of late events: the earlier month whose use they change, and what it was before them. */
  readonly late?: { readonly month: string; readonly before: Decimal } | undefined
}

export interface RateInput {
  /** All prices of the customer's plan, of every day and currency. */
  readonly prices: readonly Price[]
  readonly aggregates: readonly RatedUse[]
  /** The month that the invoice is for, `2026-11`. */
  readonly month: string
  readonly currency: Asset
  /** How often the plan's fee is due, and the month in which the customer began; a fee of every month unless told. */
  readonly fee?: { readonly cycle: 'none' | 'monthly' | 'annual'; readonly since: string } | undefined
}

/** A line of an invoice, before discount and tax. */
export interface PricedLine {
  /** None: the plan's own fee. */
  readonly metric: string | null
  /** The month of the use: earlier than the invoice's own for late events. */
  readonly month: string
  readonly description: string
  /** What is charged for: units beyond the allowance, packages, cycles. Below 0 where late events made it less. */
  readonly quantity: Decimal
  /** Where one price holds for all of it; `quantity` times this, rounded, is `amount`. */
  readonly unitPrice: Decimal | null
  /** Minor units, rounded once, half up. Below 0 only where late events made an invoiced month cheaper. */
  readonly amount: bigint
  /** True where the plan has no price for the metric in this currency: it costs nothing, and a person should know. */
  readonly unpriced: boolean
}

/** What a customer's month costs by their plan: the fee first, then a line for each metric, then what came late. */
export function rate(input: RateInput): PricedLine[] {
  const fee = feeIsDue(input) ? feeLine(input) : undefined
  const byMetric = input.aggregates.toSorted(
    (a, b) => order(a.late?.month ?? '', b.late?.month ?? '') || order(a.metric, b.metric),
  )
  const used = byMetric.flatMap((use) =>
    use.late === undefined ? usageLine(input, use) : lateLine(input, use, use.late),
  )
  return fee === undefined ? used : [fee, ...used]
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** A year's fee is due in the month of the year in which the customer began. Fees are whole: a month begun is a month. */
function feeIsDue({ fee, month }: RateInput): boolean {
  if (fee === undefined || fee.cycle === 'monthly') return true
  return fee.cycle === 'annual' && month.slice(5) === fee.since.slice(5, 7)
}

function feeLine({ prices, month, currency }: RateInput): PricedLine | undefined {
  const price = priceIn(prices, { metric: null, month, currency })
  if (price === undefined) return undefined
  const priced = priceOf(price, Decimal.one)
  if (priced.amount.isZero) return undefined
  return { metric: null, month, description: price.label, ...rounded(priced, currency), unpriced: false }
}

function usageLine({ prices, month, currency }: RateInput, use: RatedUse): PricedLine[] {
  const { metric, quantity, clamped } = use
  if (quantity.isZero && clamped === undefined) return []
  const price = priceIn(prices, { metric, month, currency })
  if (price === undefined) return [unpriced(month, use)]
  const description = `${price.label}: ${quantity} used${allowanceOf(price)}${clampedOf(clamped)}`
  return [{ metric, month, description, ...rounded(priceOf(price, quantity), currency), unpriced: false }]
}

/** The difference that late events make to a month that is invoiced: both its sums rounded as they stand on invoices. */
function lateLine(
  { prices, currency }: RateInput,
  use: RatedUse,
  { month, before }: { month: string; before: Decimal },
): PricedLine[] {
  const { metric, quantity, clamped } = use
  if (quantity.equals(before)) return []
  const price = priceIn(prices, { metric, month, currency })
  if (price === undefined) return [unpriced(month, use)]
  const now = priceOf(price, quantity)
  const then = priceOf(price, before)
  return [
    {
      metric,
      month,
      description: `${price.label}, late for ${month}: ${quantity} used, not ${before}${clampedOf(clamped)}`,
      quantity: now.quantity.minus(then.quantity),
      unitPrice: null,
      amount: rounded(now, currency).amount - rounded(then, currency).amount,
      unpriced: false,
    },
  ]
}

const rounded = ({ quantity, unitPrice, amount }: Priced, currency: Asset) => ({
  quantity,
  unitPrice,
  amount: amount.rounded(assets[currency].scale),
})

const unpriced = (month: string, { metric, quantity }: RatedUse): PricedLine => ({
  metric,
  month,
  description: `${metric}: ${quantity} used, not charged for in this plan`,
  quantity,
  unitPrice: Decimal.zero,
  amount: 0n,
  unpriced: true,
})

function allowanceOf(price: Price): string {
  const free = price.model === 'flat' ? undefined : price.terms.free_units
  const packages = price.model === 'package' ? `, in packages of ${price.terms.package_size}` : ''
  return `${free === undefined ? '' : `, ${free} included`}${packages}`
}

const clampedOf = (clamped: Decimal | undefined): string =>
  clamped === undefined ? '' : `, corrections went ${clamped} below 0`
