import type { Secret } from '../../kit/secret.ts'
import type { Gateway } from '../port.ts'
import { capabilities } from './capabilities.ts'
import { charge, confirm, lookUpCharge } from './charges.ts'
import { paystackClient } from './client.ts'
import { list } from './listing.ts'
import { describe } from './methods.ts'
import { lookUpPayout, payout } from './payouts.ts'
import { lookUpRefund, refund } from './refunds.ts'

/** Paystack, over its HTTP API. */
export function paystackGateway(options: {
  secretKey: Secret
  apiBase?: string | undefined
  timeoutMs?: number | undefined
}): Gateway {
  const client = paystackClient(options)
  return {
    name: 'paystack',
    capabilities,
    charge: (request) => charge(client, request),
    confirm: (confirmation) => confirm(client, confirmation),
    // It was captured when it was paid: what became of it is the answer.
    capture: async ({ reference }) => {
      const state = await lookUpCharge(client, reference)
      return state.outcome === 'absent'
        ? { outcome: 'not_sent', reason: 'Paystack knows of no such charge to capture' }
        : state
    },
    // Paystack has no way to close its page: who pays on it later is found by the look-up or the webhook, and refunded.
    cancel: ({ reference }) => lookUpCharge(client, reference),
    lookUpCharge: ({ reference }) => lookUpCharge(client, reference),
    refund: (request) => refund(client, request),
    lookUpRefund: (wanted) => lookUpRefund(client, wanted),
    payout: (request) => payout(client, request),
    lookUpPayout: ({ reference }) => lookUpPayout(client, reference),
    describeMethod: describe(client),
    list: (period) => list(client, period),
    reachable: () => client.reachable(),
  }
}
