import type { Charge, Dispute, Payout, Refund } from './rows.ts'
import { messages } from './vocabulary.ts'

/* What the mock gateway writes, in answers and in webhooks alike. */

const said = (code: string | undefined) => (code === undefined ? {} : { code, message: messages.get(code) ?? code })

export const chargeOut = (charge: Charge, base: string) => ({
  object: 'charge',
  success: charge.status === 'captured',
  payment_id: charge.id,
  reference: charge.reference,
  amount: charge.amount,
  currency: charge.currency,
  method: charge.method,
  status: charge.status,
  refunded: charge.refunded,
  ...said(charge.code),
  ...(charge.status === 'requires_action' ? { action_url: `${base}/pay/${charge.id}` } : {}),
  created_at: charge.createdAt,
})

export const refundOut = (refund: Refund) => ({
  object: 'refund',
  refund_id: refund.id,
  reference: refund.reference,
  payment_id: refund.chargeId,
  amount: refund.amount,
  currency: refund.currency,
  status: refund.status,
  ...said(refund.code),
  created_at: refund.createdAt,
})

export const payoutOut = (payout: Payout) => ({
  object: 'payout',
  payout_id: payout.id,
  reference: payout.reference,
  amount: payout.amount,
  currency: payout.currency,
  method: payout.method,
  destination: payout.destination,
  status: payout.status,
  ...said(payout.code),
  created_at: payout.createdAt,
})

export const disputeOut = (dispute: Dispute) => ({
  object: 'dispute',
  dispute_id: dispute.id,
  payment_id: dispute.chargeId,
  amount: dispute.amount,
  currency: dispute.currency,
  status: dispute.status,
})
