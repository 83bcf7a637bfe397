import { createHash, createHmac } from 'node:crypto'
import { z } from 'zod'
import { amount, assets } from '../../kit/money.ts'
import type { Secret } from '../../kit/secret.ts'
import type { ReadWebhook, WebhookEvent } from '../port.ts'
import { sameText } from '../same-text.ts'

const Event = z.object({ event: z.string().min(1), data: z.looseObject({}) })

const Charge = z.object({ reference: z.string() })
/** Which refund of the transaction it is may be left out: then the transaction's list tells. */
const Refund = z.object({
  transaction_reference: z.string(),
  merchant_note: z.string().nullish(),
  id: z.union([z.int(), z.string()]).nullish(),
})
const Transfer = z.object({ reference: z.string(), transfer_code: z.string() })

const Currency = z.enum(Object.keys(assets) as [keyof typeof assets, ...(keyof typeof assets)[]])
const Minor = z.int().nonnegative().transform(amount)
const Dispute = z.object({
  id: z.int(),
  refund_amount: Minor.nullish(),
  currency: Currency.nullish(),
  status: z.string(),
  resolution: z.string().nullish(),
  transaction: z.object({ reference: z.string(), amount: Minor, currency: Currency }),
})

/**
 * Reads Paystack's webhooks: `x-paystack-signature` is the HMAC-SHA512 of the raw body with the secret key itself. They carry
 * neither an id nor a time, so that the digest of the body is the id, and none is ever stale: a copy is a duplicate.
 */
export const readPaystackWebhook =
  (secretKey: Secret): ReadWebhook =>
  ({ raw, headers }) => {
    const expected = createHmac('sha512', secretKey.asKey()).update(raw).digest('hex')
    if (!sameText(headers['x-paystack-signature'] ?? '', expected)) return 'forged'
    const { data: event } = Event.safeParse(parseJson(raw))
    const about = event && aboutOf(event.event, event.data)
    if (event === undefined || about === undefined) return 'malformed'
    return { eventId: createHash('sha256').update(raw).digest('hex'), type: event.event, about }
  }

function aboutOf(event: string, data: unknown): WebhookEvent['about'] | undefined {
  if (event.startsWith('charge.dispute.')) {
    const { data: dispute } = Dispute.safeParse(data)
    return dispute && aboutDispute(dispute)
  }
  if (event.startsWith('charge.')) {
    const { data: charge } = Charge.safeParse(data)
    return charge && { object: 'charge', reference: charge.reference, id: charge.reference }
  }
  if (event.startsWith('refund.')) {
    const { data: refund } = Refund.safeParse(data)
    if (refund === undefined) return undefined
    const { transaction_reference: chargeId, merchant_note, id } = refund
    return { object: 'refund', reference: merchant_note ?? undefined, id: id?.toString(), chargeId }
  }
  if (event.startsWith('transfer.')) {
    const { data: transfer } = Transfer.safeParse(data)
    return transfer && { object: 'payout', reference: transfer.reference, id: transfer.transfer_code }
  }
  return { object: 'other' }
}

const aboutDispute = (dispute: z.infer<typeof Dispute>): WebhookEvent['about'] => ({
  object: 'dispute',
  id: String(dispute.id),
  chargeId: dispute.transaction.reference,
  status: standing(dispute),
  amount: dispute.refund_amount ?? dispute.transaction.amount,
  currency: dispute.currency ?? dispute.transaction.currency,
})

/** A resolution that we do not know decides nothing yet. */
function standing({ status, resolution }: z.infer<typeof Dispute>): 'needs_response' | 'under_review' | 'won' | 'lost' {
  if (status === 'awaiting-bank-feedback') return 'under_review'
  if (status !== 'resolved') return 'needs_response'
  if (resolution === 'declined') return 'won'
  return resolution === 'merchant-accepted' || resolution === 'auto-accepted' ? 'lost' : 'under_review'
}

function parseJson(raw: Buffer): unknown {
  try {
    return JSON.parse(raw.toString('utf8'))
  } catch {
    return undefined
  }
}
