import { createHmac } from 'node:crypto'
import { z } from 'zod'
import { amount, assets } from '../../kit/money.ts'
import type { Secret } from '../../kit/secret.ts'
import type { ReadWebhook, WebhookEvent } from '../port.ts'
import { sameText } from '../same-text.ts'

/** Seconds that a webhook may be under way: as Stripe has it. Older ones may be somebody's copies. */
const TOLERANCE_SECONDS = 300

const SIGNATURE = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/

const Event = z.object({
  id: z.string().min(1),
  type: z.string(),
  data: z.looseObject({ object: z.string() }),
})
const Charge = z.object({ payment_id: z.string(), reference: z.string() })
const Refund = z.object({ refund_id: z.string(), payment_id: z.string(), reference: z.string() })
const Payout = z.object({ payout_id: z.string(), reference: z.string() })
const Dispute = z.object({
  dispute_id: z.string(),
  payment_id: z.string(),
  amount: z.int().nonnegative().transform(amount),
  currency: z.enum(Object.keys(assets) as [keyof typeof assets, ...(keyof typeof assets)[]]),
  status: z.enum(['needs_response', 'under_review', 'won', 'lost']),
})

/** Reads the webhooks of the mock gateway: `x-mock-signature` over the time of sending and the raw body. */
export const readMockWebhook =
  (secret: Secret): ReadWebhook =>
  ({ raw, headers, now }) => {
    const [, at, signature] = SIGNATURE.exec(headers['x-mock-signature'] ?? '') ?? []
    if (at === undefined || signature === undefined) return 'forged'
    const expected = createHmac('sha256', secret.asKey()).update(`${at}.`).update(raw).digest('hex')
    if (!sameText(signature, expected)) return 'forged'
    if (Math.abs(now.getTime() / 1_000 - Number(at)) > TOLERANCE_SECONDS) return 'stale'
    const event = Event.safeParse(parseJson(raw))
    if (!event.success) return 'malformed'
    const about = aboutOf(event.data.data)
    return about === undefined ? 'malformed' : { eventId: event.data.id, type: event.data.type, about }
  }

function aboutOf(data: { object: string }): WebhookEvent['about'] | undefined {
  switch (data.object) {
    case 'charge': {
      const { data: charge } = Charge.safeParse(data)
      return charge && { object: 'charge', reference: charge.reference, id: charge.payment_id }
    }
    case 'refund': {
      const { data: refund } = Refund.safeParse(data)
      return (
        refund && { object: 'refund', reference: refund.reference, id: refund.refund_id, chargeId: refund.payment_id }
      )
    }
    case 'payout': {
      const { data: payout } = Payout.safeParse(data)
      return payout && { object: 'payout', reference: payout.reference, id: payout.payout_id }
    }
    case 'dispute': {
      const { data: dispute } = Dispute.safeParse(data)
      if (dispute === undefined) return undefined
      const { dispute_id: id, payment_id: chargeId, amount, currency, status } = dispute
      return { object: 'dispute', id, chargeId, status, amount, currency }
    }
    default:
      return { object: 'other' }
  }
}

function parseJson(raw: Buffer): unknown {
  try {
    return JSON.parse(raw.toString('utf8'))
  } catch {
    return undefined
  }
}
