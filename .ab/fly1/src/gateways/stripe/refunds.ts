import type Stripe from 'stripe'
import type { Declined, RefundAnswer, Refunded, RefundPending, RefundRequest, RefundState, Unknown } from '../port.ts'
import { decline, declineOf } from './declines.ts'
import { unknown } from './line.ts'
import type { Parts } from './parts.ts'
import { findInList, mayBeForgotten, stillUnknown } from './reference.ts'
import { fromUnits, toUnits } from './units.ts'

/** Reasons that Stripe knows. `fraudulent` also blocks the customer's card there, which is what it says. */
const REASONS: ReadonlySet<string> = new Set(['duplicate', 'fraudulent', 'requested_by_customer'])

/** Letters that Stripe keeps of a metadata value. */
const MAX_NOTE = 500

export function refunds({ line, now }: Parts) {
  async function refund(request: RefundRequest): Promise<RefundAnswer> {
    const { reference, chargeId, reason } = request
    const units = toUnits(request.amount, request.currency)
    // Only the gateway that took the money can return it.
    if (typeof units !== 'number') return { ...units, mayFailOver: false }
    if (mayBeForgotten(reference, now())) {
      const earlier = await byReference(reference, chargeId)
      if (earlier.outcome !== 'absent') return earlier
    }

    const known = reason !== undefined && REASONS.has(reason)
    const heard = await line.ask((stripe) =>
      stripe.refunds.create(
        {
          ...of(chargeId),
          amount: units,
          metadata: { reference, ...(reason === undefined || known ? {} : { reason: reason.slice(0, MAX_NOTE) }) },
          ...(known ? { reason } : {}),
        },
        { idempotencyKey: reference },
      ),
    )
    if (heard.outcome === 'heard') return stateOf(heard.value)
    return heard.outcome === 'refused' ? { ...declineOf(heard), hard: true, mayFailOver: false } : heard
  }

  async function lookUpRefund(wanted: {
    reference: string
    chargeId: string
    refundId?: string | undefined
  }): Promise<RefundState> {
    const { reference, chargeId, refundId } = wanted
    if (refundId === undefined) return byReference(reference, chargeId)
    const heard = await line.ask((stripe) => stripe.refunds.retrieve(refundId))
    if (heard.outcome === 'heard') return stateOf(heard.value)
    return heard.outcome === 'refused' && heard.code === 'resource_missing'
      ? { outcome: 'absent' }
      : stillUnknown(heard)
  }

  /** One charge has few refunds, and Stripe lists them consistently. */
  async function byReference(
    reference: string,
    chargeId: string,
  ): Promise<Refunded | RefundPending | Declined | Unknown | { outcome: 'absent' }> {
    const found = await findInList(line, reference, (stripe, params) =>
      stripe.refunds.list({ ...params, ...of(chargeId) }),
    )
    if (found.outcome !== 'heard') return stillUnknown(found)
    return found.value === undefined ? { outcome: 'absent' } : stateOf(found.value)
  }

  return { refund, lookUpRefund }
}

const of = (chargeId: string): { charge: string } | { payment_intent: string } =>
  chargeId.startsWith('ch_') ? { charge: chargeId } : { payment_intent: chargeId }

function stateOf(refund: Stripe.Refund): Refunded | RefundPending | Declined | Unknown {
  const money = fromUnits(refund.amount, refund.currency)
  switch (refund.status) {
    case 'succeeded':
      return money === undefined
        ? unknown(`Stripe says ${refund.id} succeeded, in money that is not known here`)
        : { outcome: 'succeeded', id: refund.id, ...money }
    case 'failed':
    case 'canceled':
      // The money is back in our balance at Stripe; the customer has to be paid in another way.
      return {
        ...decline({
          code: refund.failure_reason ?? refund.status,
          message: `Stripe could not return the money (${refund.failure_reason ?? refund.status}).`,
          id: refund.id,
        }),
        hard: true,
        mayFailOver: false,
      }
    default:
      return { outcome: 'pending', id: refund.id, ...money }
  }
}
