import { assert } from '../../kit/assert.ts'
import { amount } from '../../kit/money.ts'
import type { Capabilities, Gateway } from '../port.ts'
import { charges } from './charges.ts'
import { listing } from './list.ts'
import { methods } from './methods.ts'
import { partsOf, type StripeOptions } from './parts.ts'
import { payouts } from './payouts.ts'
import { refunds } from './refunds.ts'

/**
 * By https://docs.stripe.com/currencies: presentment currencies of cards, currencies of the bank debits, currencies in which
 * accounts can be paid out. Minimums are those of Stripe's table; where it has none, it compares with the one of our
 * account's own currency, and refuses with `amount_too_small`.
 */
const CAPABILITIES: Capabilities = {
  charges: {
    card: ['USD', 'EUR', 'INR', 'JPY', 'KWD', 'NGN'],
    wallet: ['USD', 'EUR', 'INR', 'JPY', 'KWD', 'NGN'],
    bank_transfer: ['USD', 'EUR'],
  },
  payouts: { bank_transfer: ['USD', 'EUR', 'INR', 'JPY'], card: ['USD', 'EUR'] },
  minimumCharge: { USD: amount(50), EUR: amount(50), INR: amount(50), JPY: amount(50) },
}

/** Stripe. Raises a Bug for what its capabilities exclude, since the caller has looked before it asked. */
export function stripeGateway(options: StripeOptions): Gateway {
  const parts = partsOf(options)
  const { charge, confirm, capture, cancel, lookUpCharge } = charges(parts)
  const { refund, lookUpRefund } = refunds(parts)
  const { payout, lookUpPayout } = payouts(parts)

  return {
    name: 'stripe',
    capabilities: CAPABILITIES,
    async charge(request) {
      const { method, currency } = request
      assert(CAPABILITIES.charges[method]?.includes(currency), `Stripe charges no ${currency} by ${method}`)
      return charge(request)
    },
    confirm,
    capture,
    cancel,
    lookUpCharge,
    refund,
    lookUpRefund,
    async payout(request) {
      const { method, currency } = request
      assert(CAPABILITIES.payouts[method]?.includes(currency), `Stripe pays out no ${currency} by ${method}`)
      return payout(request)
    },
    lookUpPayout,
    describeMethod: methods(parts),
    list: listing(parts),
    reachable: () => parts.line.reachable(),
  }
}
