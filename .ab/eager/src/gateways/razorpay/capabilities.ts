import { assert } from '../../kit/assert.ts'
import { type Amount, type Asset, amount } from '../../kit/money.ts'
import type { Capabilities, Declined, PaymentMethod } from '../port.ts'
import { unfit } from './declines.ts'

/** Of our assets, those in which Razorpay takes cards; everything else is Indian and in rupees. */
const CARD_CURRENCIES: readonly Asset[] = ['INR', 'USD', 'EUR', 'NGN', 'JPY', 'KWD']
const RUPEES: readonly Asset[] = ['INR']

/** UPI payouts end at ₹1,00,000, in paise; IMPS at ₹5,00,000, beyond which NEFT goes. */
export const UPI_PAYOUT_MAXIMUM = amount(1_00_000_00)
export const IMPS_MAXIMUM = amount(5_00_000_00)

export const capabilitiesOf = ({ payouts }: { payouts: boolean }): Capabilities => ({
  charges: { card: CARD_CURRENCIES, upi: RUPEES, netbanking: RUPEES, wallet: RUPEES, bank_transfer: RUPEES },
  payouts: payouts ? { upi: RUPEES, bank_transfer: RUPEES } : {},
  // One rupee; Razorpay's own check of an order.
  minimumCharge: { INR: amount(100) },
  savedMethodsWantCustomer: true,
})

/** The caller has looked at the capabilities. */
export function assertSupported(
  supported: Capabilities['charges'],
  { method, currency }: { method: PaymentMethod; currency: Asset },
): void {
  assert(supported[method]?.includes(currency), `Razorpay was asked for ${method} in ${currency}`)
}

/** Card networks settle dinars in steps of ten thousandths: Razorpay wants the last digit to be 0. */
export function unfitCharge({ amount: wanted, currency }: { amount: Amount; currency: Asset }): Declined | undefined {
  if (currency !== 'KWD' || wanted % 10n === 0n) return undefined
  return unfit(
    'three_decimal_amount',
    `Razorpay takes ${currency} only in steps of 0.010, so not ${wanted} thousandths`,
  )
}

export function unfitPayout(payout: { amount: Amount; method: PaymentMethod }): Declined | undefined {
  if (payout.method !== 'upi' || payout.amount <= UPI_PAYOUT_MAXIMUM) return undefined
  return unfit('transaction_limit_exceeded', 'UPI takes at most 100000 INR in one payout')
}
