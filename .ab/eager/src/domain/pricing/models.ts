import { assert, unreachable } from '../../kit/assert.ts'
import { Decimal, smaller } from '../../kit/decimal.ts'
import type { PriceTerms, Tier } from './price.ts'

/** What a quantity comes to, exactly: nothing is rounded yet. */
export interface Priced {
  /** What is charged for: units beyond the allowance, or packages. */
  readonly quantity: Decimal
  /** Where one price holds for all of it: `quantity` times this is `amount`. */
  readonly unitPrice: Decimal | null
  /** In units of the currency. */
  readonly amount: Decimal
}

/** The price of a quantity, which is not below 0, by one model. */
export function priceOf(price: PriceTerms, used: Decimal): Priced {
  switch (price.model) {
    case 'flat':
      return each(Decimal.one, Decimal.of(price.terms.amount))
    case 'per_unit':
      return each(beyond(used, price.terms.free_units), Decimal.of(price.terms.unit_amount))
    case 'package': {
      const packages = beyond(used, price.terms.free_units).inWholes(Decimal.of(price.terms.package_size))
      return each(Decimal.of(packages), Decimal.of(price.terms.package_amount))
    }
    case 'graduated':
      return graduated(price.terms.tiers, beyond(used, price.terms.free_units))
    case 'volume':
      return volume(price.terms.tiers, beyond(used, price.terms.free_units))
    default:
      return unreachable(price)
  }
}

const each = (quantity: Decimal, unitPrice: Decimal): Priced => ({
  quantity,
  unitPrice,
  amount: quantity.times(unitPrice),
})

/** What is left of a quantity after its allowance. */
function beyond(used: Decimal, freeUnits: string | undefined): Decimal {
  if (freeUnits === undefined) return used
  const left = used.minus(Decimal.of(freeUnits))
  return left.isNegative ? Decimal.zero : left
}

/** Each tier's units at its own price: the unit that reaches a tier's limit is the last one in it. */
function graduated(tiers: readonly Tier[], quantity: Decimal): Priced {
  let amount = Decimal.zero
  let from = Decimal.zero
  for (const tier of tiers) {
    if (quantity.compare(from) <= 0) break
    const until = tier.up_to === null ? quantity : smaller(quantity, Decimal.of(tier.up_to))
    amount = amount.plus(until.minus(from).times(Decimal.of(tier.unit_amount))).plus(flatOf(tier))
    from = until
  }
  return { quantity, unitPrice: null, amount }
}

/** All units at the price of the tier that the last one is in, so that one more unit can make the whole cheaper. */
function volume(tiers: readonly Tier[], quantity: Decimal): Priced {
  if (quantity.isZero) return { quantity, unitPrice: null, amount: Decimal.zero }
  const tier = tiers.find(({ up_to }) => up_to === null || quantity.compare(Decimal.of(up_to)) <= 0)
  assert(tier !== undefined, 'The last tier of a price ends somewhere')
  const priced = each(quantity, Decimal.of(tier.unit_amount))
  const flat = flatOf(tier)
  return flat.isZero ? priced : { quantity, unitPrice: null, amount: priced.amount.plus(flat) }
}

const flatOf = ({ flat_amount }: Tier): Decimal => (flat_amount === undefined ? Decimal.zero : Decimal.of(flat_amount))
