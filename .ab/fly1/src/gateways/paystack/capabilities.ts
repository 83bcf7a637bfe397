import { amount } from '../../kit/money.ts'
import type { Capabilities } from '../port.ts'

/** Paystack pays out in local currencies only. Minimums: paystack.com/docs/api, «supported currency»: ₦50 and $2. */
export const capabilities: Capabilities = {
  charges: { card: ['NGN', 'USD'], bank_transfer: ['NGN'] },
  payouts: { bank_transfer: ['NGN'] },
  minimumCharge: { NGN: amount(5_000), USD: amount(200) },
}
