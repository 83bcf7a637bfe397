import type { Asset } from '../../kit/money.ts'

/** How what was used becomes money. `flat` is a plan's own fee and belongs to no metric. */
export const priceModels = ['flat', 'per_unit', 'graduated', 'volume', 'package'] as const
export type PriceModel = (typeof priceModels)[number]

/** Units up to and including `up_to`, from where the tier before it ends; `null` ends nowhere, and stands last. */
export interface Tier {
  readonly up_to: string | null
  readonly unit_amount: string
  /** Once, as soon as a unit is in this tier. */
  readonly flat_amount?: string | undefined
}

/** Units of a month that cost nothing, whatever the model. */
interface Allowance {
  readonly free_units?: string | undefined
}

/** What a model needs to know. Decimals as text, amounts in units of the currency and as fine as anybody likes. */
export type PriceTerms =
  | { readonly model: 'flat'; readonly terms: { readonly amount: string } }
  | { readonly model: 'per_unit'; readonly terms: Allowance & { readonly unit_amount: string } }
  | { readonly model: 'graduated' | 'volume'; readonly terms: Allowance & { readonly tiers: readonly Tier[] } }
  | {
      readonly model: 'package'
      readonly terms: Allowance & { readonly package_size: string; readonly package_amount: string }
    }

/** A price of a plan, from a day on until the next one of the same metric and currency. */
export type Price = PriceTerms & {
  /** None: the plan's own fee. */
  readonly metric: string | null
  /** What a line on an invoice calls it: `API calls`, `Pro`. */
  readonly label: string
  readonly currency: Asset
  /** The first day, `2026-11-01`. A month has the price of its first day, so that a change never divides one. */
  readonly startsOn: string
}

/** The price that holds for a month. */
export function priceIn(
  prices: readonly Price[],
  wanted: { metric: string | null; month: string; currency: Asset },
): Price | undefined {
  const firstDay = `${wanted.month}-01`
  let newest: Price | undefined
  for (const price of prices) {
    if (price.metric !== wanted.metric || price.currency !== wanted.currency || price.startsOn > firstDay) continue
    if (newest === undefined || price.startsOn > newest.startsOn) newest = price
  }
  return newest
}
