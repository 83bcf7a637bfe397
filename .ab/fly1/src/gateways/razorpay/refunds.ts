import { toJsonInteger } from '../../kit/money.ts'
import type { Gateway, RefundState } from '../port.ts'
import type { Client } from './client.ts'
import { declined } from './declines.ts'
import { collection, money, Refund } from './objects.ts'
import { PAYMENT_ID, REFUND_ID } from './orders.ts'
import { Problem } from './problem.ts'

/*
 * Our reference is a refund's receipt, and its idempotency key (the client sends X-Refund-Idempotency from the receipt). A
 * payment's own list of refunds is what finds it again.
 */

/** The most that Razorpay lists at once, and pages that are read of one payment's refunds. */
const PAGE = 100
const MAX_PAGES = 50

export function refunds({ client }: { client: Client }): Pick<Gateway, 'refund' | 'lookUpRefund'> {
  return {
    async refund({ reference, chargeId, amount, reason }) {
      if (!PAYMENT_ID.test(chargeId))
        return declined({ code: 'charge_not_found', message: 'What is to be refunded is no payment of Razorpay' })
      const made = await client.sdk('a refund', Refund, (razorpay) =>
        razorpay.payments.refund(chargeId, {
          amount: toJsonInteger(amount),
          speed: 'normal',
          receipt: reference,
          notes: { reference, ...(reason === undefined ? {} : { reason }) },
        }),
      )
      if (!(made instanceof Problem)) return stateOf(made)
      if (made.kind !== 'refused') return made.answer
      // «Fully refunded already» may be our own doing, long enough ago for the key to be forgotten.
      const earlier = await find(chargeId, reference)
      if (earlier instanceof Problem && !earlier.isAbsence) return earlier.asUnknown
      return earlier === undefined || earlier instanceof Problem ? made.answer : stateOf(earlier)
    },

    async lookUpRefund({ reference, chargeId, refundId }) {
      if (refundId !== undefined && REFUND_ID.test(refundId)) {
        const known = await client.sdk('a refund', Refund, (razorpay) => razorpay.refunds.fetch(refundId))
        if (!(known instanceof Problem) && known.receipt === reference) return stateOf(known)
        if (known instanceof Problem && !known.isAbsence) return known.asUnknown
      }
      if (!PAYMENT_ID.test(chargeId)) return { outcome: 'absent' }
      const found = await find(chargeId, reference)
      if (found instanceof Problem) return found.isAbsence ? { outcome: 'absent' } : found.asUnknown
      return found === undefined ? { outcome: 'absent' } : stateOf(found)
    },
  }

  async function find(paymentId: string, reference: string): Promise<Refund | undefined | Problem> {
    for (let page = 0; page < MAX_PAGES; page++) {
      const listed = await client.sdk('refunds', collection(Refund), (razorpay) =>
        razorpay.payments.fetchMultipleRefund(paymentId, { count: PAGE, skip: page * PAGE }),
      )
      if (listed instanceof Problem) return listed
      const found = listed.items.find(({ receipt }) => receipt === reference)
      if (found !== undefined || listed.items.length < PAGE) return found
    }
    return new Problem('unknown', `The payment has more than ${PAGE * MAX_PAGES} refunds`)
  }
}

function stateOf(refund: Refund): Exclude<RefundState, { outcome: 'absent' }> {
  const moved = money(refund)
  if (moved === undefined) return { outcome: 'unknown', reason: 'Razorpay names a currency that we keep no books in' }
  switch (refund.status) {
    case 'processed':
      return { outcome: 'succeeded', id: refund.id, ...moved }
    case 'failed':
      return declined({ id: refund.id, code: 'refund_failed', message: 'Razorpay could not return the money' })
    default:
      return { outcome: 'pending', id: refund.id, ...moved }
  }
}
