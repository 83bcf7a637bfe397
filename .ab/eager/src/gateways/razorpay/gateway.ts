import type { Gateway } from '../port.ts'
import { capabilitiesOf } from './capabilities.ts'
import { charges } from './charges.ts'
import { type RazorpayOptions, razorpayClient } from './client.ts'
import { listing } from './listing.ts'
import { methods } from './methods.ts'
import { payouts } from './payouts.ts'
import { refunds } from './refunds.ts'

/** Razorpay: cards, UPI, net banking, wallets and bank transfers in India, cards of the world, and RazorpayX for payouts. */
export function razorpayGateway(options: RazorpayOptions & { now?: () => Date }): Gateway {
  const { keyId, keySecret, accountNumber, now = () => new Date() } = options
  const client = razorpayClient(options)
  const capabilities = capabilitiesOf({ payouts: accountNumber !== undefined })

  return {
    name: 'razorpay',
    capabilities,
    ...charges({ client, keyId, keySecret, supported: capabilities.charges, now }),
    ...refunds({ client }),
    ...payouts({ client, accountNumber, supported: capabilities.payouts }),
    ...methods({ client }),
    ...listing({ client, accountNumber }),
    reachable: () => client.reachable(),
  }
}
