import { type Amount, type Asset, amount, assets } from '../../kit/money.ts'
import type { Declined } from '../port.ts'

/*
 * Stripe counts in the minor units of ISO 4217 as we do: cents, yen, fils. Two things are its own
 * (https://docs.stripe.com/currencies): the last digit of three-decimal amounts has to be 0, and no amount has more than
 * twelve digits.
 */

const MAX_UNITS = 999_999_999_999n

/** Stripe's number, or its «no» said here by name, since it would round or refuse. */
export function toUnits(wanted: Amount, currency: Asset): number | Declined {
  if (assets[currency].scale === 3 && wanted % 10n !== 0n)
    return refused(
      'amount_not_divisible_by_ten',
      `Stripe takes ${currency} only where the last of its three decimals is 0`,
    )
  if (wanted > MAX_UNITS) return refused('amount_too_large', 'Stripe takes amounts of at most twelve digits')
  return Number(wanted)
}

/** What Stripe says of money, in our words; undefined where it says a currency or an amount that we do not know. */
export function fromUnits(units: number, currency: string): { amount: Amount; currency: Asset } | undefined {
  const asset = String(currency).toUpperCase()
  if (!Object.hasOwn(assets, asset) || !Number.isSafeInteger(units) || units < 0) return undefined
  return { amount: amount(units), currency: asset as Asset }
}

/** About this gateway's rules, not about the customer: another gateway may take it. */
const refused = (code: string, message: string): Declined => ({
  outcome: 'declined',
  code,
  message,
  hard: true,
  mayFailOver: true,
})
