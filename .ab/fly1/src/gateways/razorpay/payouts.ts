import { assert } from '../../kit/assert.ts'
import { toJsonInteger } from '../../kit/money.ts'
import type { Secret } from '../../kit/secret.ts'
import type { Capabilities, Gateway, PayoutAnswer, PayoutRequest, PayoutState } from '../port.ts'
import { assertSupported, IMPS_MAXIMUM, unfitPayout } from './capabilities.ts'
import type { Client } from './client.ts'
import { declined } from './declines.ts'
import { collection, money, Payout } from './objects.ts'
import { FUND_ACCOUNT_ID, PAYOUT_ID } from './orders.ts'
import { Problem } from './problem.ts'

/*
 * RazorpayX. Our reference is the payout's `reference_id` and its idempotency key, which Razorpay keeps for seven days: so a
 * payout is looked for before it is made, and an operation that is taken up again after a month pays nobody twice.
 */

/** Letters on the beneficiary's statement: digits, letters and blanks, 30 at most. */
const NARRATION_LETTERS = 30

export function payouts(options: {
  client: Client
  accountNumber: Secret | undefined
  supported: Capabilities['payouts']
}): Pick<Gateway, 'payout' | 'lookUpPayout'> {
  const { client, accountNumber, supported } = options

  return {
    async payout(request) {
      assert(accountNumber !== undefined, 'A payout was asked of Razorpay without a RazorpayX account')
      assertSupported(supported, request)
      const refused = unfitPayout(request)
      if (refused !== undefined) return refused
      if (!FUND_ACCOUNT_ID.test(request.destination))
        return declined({ code: 'invalid_beneficiary', message: 'The destination is no fund account of Razorpay' })

      const earlier = await find(request.reference)
      if (earlier instanceof Problem) return earlier.kind === 'not_sent' ? earlier.answer : earlier.asUnknown
      if (earlier !== undefined) return answerOf(earlier)

      const made = await client.http('a payout', Payout, {
        method: 'POST',
        path: '/v1/payouts',
        headers: { 'x-payout-idempotency': request.reference },
        body: orderOf(request, accountNumber),
      })
      if (!(made instanceof Problem)) return answerOf(made)
      if (made.kind !== 'refused') return made.answer
      // The key was used for another body: then the payout is there, and it is the one that counts.
      const used = await find(request.reference)
      if (used instanceof Problem) return used.asUnknown
      return used === undefined ? made.answer : answerOf(used)
    },

    async lookUpPayout({ reference, payoutId }) {
      if (payoutId !== undefined && PAYOUT_ID.test(payoutId)) {
        const known = await client.http('a payout', Payout, { method: 'GET', path: `/v1/payouts/${payoutId}` })
        if (!(known instanceof Problem) && known.reference_id === reference) return stateOf(known)
        if (known instanceof Problem && !known.isAbsence) return known.asUnknown
      }
      const found = await find(reference)
      if (found instanceof Problem) return found.asUnknown
      return found === undefined ? { outcome: 'absent' } : stateOf(found)
    },
  }

  async function find(reference: string): Promise<Payout | undefined | Problem> {
    if (accountNumber === undefined) return new Problem('unknown', 'No RazorpayX account is configured')
    const query = new URLSearchParams({ account_number: accountNumber.reveal(), reference_id: reference, count: '100' })
    const listed = await client.http('payouts', collection(Payout), { method: 'GET', path: `/v1/payouts?${query}` })
    if (listed instanceof Problem) return listed
    return listed.items.findLast(({ reference_id }) => reference_id === reference)
  }
}

const orderOf = (request: PayoutRequest, accountNumber: Secret) => ({
  account_number: accountNumber.reveal(),
  fund_account_id: request.destination,
  amount: toJsonInteger(request.amount),
  currency: request.currency,
  mode: modeOf(request),
  purpose: 'payout',
  // Refused at once rather than paid days later, when somebody fills the account.
  queue_if_low_balance: false,
  reference_id: request.reference,
  narration: (request.description ?? 'Payout').replace(/[^0-9A-Za-z ]/g, ' ').slice(0, NARRATION_LETTERS),
  notes: { reference: request.reference },
})

function modeOf({ method, amount }: PayoutRequest): 'UPI' | 'IMPS' | 'NEFT' {
  if (method === 'upi') return 'UPI'
  return amount <= IMPS_MAXIMUM ? 'IMPS' : 'NEFT'
}

function stateOf(payout: Payout): Exclude<PayoutState, { outcome: 'absent' }> {
  const moved = money(payout)
  if (moved === undefined) return { outcome: 'unknown', reason: 'Razorpay names a currency that we keep no books in' }
  const code = payout.status_details?.reason ?? `payout_${payout.status}`
  const message = payout.status_details?.description ?? payout.failure_reason ?? `The payout is ${payout.status}`
  switch (payout.status) {
    case 'processed':
      return {
        outcome: 'succeeded',
        id: payout.id,
        ...moved,
        ...(payout.fees ? { fee: money({ ...payout, amount: payout.fees })?.amount } : {}),
      }
    case 'reversed':
      return { outcome: 'returned', id: payout.id, ...moved, code, message }
    case 'failed':
    case 'rejected':
    case 'cancelled':
      return declined({ id: payout.id, code, message })
    default:
      return { outcome: 'pending', id: payout.id, ...moved }
  }
}

/** For whoever asks for a payout, one that came back is one that was not made. */
function answerOf(payout: Payout): PayoutAnswer {
  const state = stateOf(payout)
  return state.outcome === 'returned' ? declined(state) : state
}
