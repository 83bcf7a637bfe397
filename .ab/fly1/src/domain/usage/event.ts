import { Decimal } from '../../kit/decimal.ts'
import type { Metric } from './metric.ts'

/** What somebody says was used. */
export interface UsageEvent {
  readonly customerId: string
  /** Unique for its customer: the first with an id is recorded, those after it are duplicates whatever they say. */
  readonly id: string
  readonly metric: string
  readonly quantity: Decimal
  readonly value: string | undefined
  readonly at: Date
}

/** Who may be counted for: events outside of their days are refused. Days as in `2026-11-21`; the last one is included. */
export interface Counted {
  readonly startsOn: string
  readonly endsOn: string | null
}

/** Older events are refused: within it at most two invoices are behind, and whoever is later has lost the data anyway. */
export const MAX_AGE_DAYS = 35

/** Clocks differ; beyond this an event's clock is wrong. */
export const MAX_AHEAD_SECONDS = 300

/** Why an event is not recorded, in words that stay. */
export const refusalReasons = [
  'unknown_metric',
  'too_old',
  'in_future',
  'before_start',
  'after_end',
  'invalid_quantity',
  'value_missing',
] as const
export type RefusalReason = (typeof refusalReasons)[number]

/** What keeps an event from being recorded, if anything does. Its age is counted from when we were told. */
export function refusalOf(
  event: UsageEvent,
  known: { metric: Metric | undefined; customer: Counted; receivedAt: Date; dayOf: (instant: Date) => string },
): RefusalReason | undefined {
  if (known.metric === undefined) return 'unknown_metric'
  const ageMs = known.receivedAt.getTime() - event.at.getTime()
  if (ageMs > MAX_AGE_DAYS * 86_400_000) return 'too_old'
  if (ageMs < -MAX_AHEAD_SECONDS * 1_000) return 'in_future'
  const day = known.dayOf(event.at)
  if (day < known.customer.startsOn) return 'before_start'
  if (known.customer.endsOn !== null && day > known.customer.endsOn) return 'after_end'
  if (!fits(event.quantity, known.metric)) return 'invalid_quantity'
  return known.metric.aggregation === 'unique' && event.value === undefined ? 'value_missing' : undefined
}

const minusOne = Decimal.one.negated()

/** Counted things come and go one by one; a highest or last quantity is never below 0; sums are corrected by what is. */
function fits(quantity: Decimal, { aggregation }: Metric): boolean {
  switch (aggregation) {
    case 'count':
    case 'unique':
      return quantity.equals(Decimal.one) || quantity.equals(minusOne)
    case 'max':
    case 'latest':
      return !quantity.isNegative
    case 'sum':
      return true
  }
}

/** The sentence for a reason. */
export function refusalMessage(reason: RefusalReason, event: UsageEvent, { metric, customer }: Told): string {
  switch (reason) {
    case 'unknown_metric':
      return `There is no metric ${event.metric}: GET /api/v1/billing/metrics lists those that are declared.`
    case 'too_old':
      return `Events are taken until ${MAX_AGE_DAYS} days after they happened.`
    case 'in_future':
      return `This is more than ${MAX_AHEAD_SECONDS / 60} minutes ahead of our clock.`
    case 'before_start':
      return `The customer begins on ${customer.startsOn}.`
    case 'after_end':
      return `The customer ended on ${customer.endsOn}.`
    case 'invalid_quantity':
      return metric?.aggregation === 'max' || metric?.aggregation === 'latest'
        ? `A quantity of ${event.metric} is never below 0.`
        : `A quantity of ${event.metric} is 1, or -1 to take one back.`
    case 'value_missing':
      return `${event.metric} counts different values: say which one in value.`
  }
}

interface Told {
  readonly metric: Metric | undefined
  readonly customer: Counted
}
