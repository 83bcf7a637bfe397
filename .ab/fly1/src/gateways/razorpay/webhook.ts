import { createHash } from 'node:crypto'
import { z } from 'zod'
import { amount, isAsset } from '../../kit/money.ts'
import type { Secret } from '../../kit/secret.ts'
import type { ReadWebhook, WebhookEvent } from '../port.ts'
import { signedBy } from './signature.ts'

/**
 * Razorpay signs no time of sending and repeats for 24 hours an event that was not taken, with the time at which it was made.
 * What is twice as old was sent by somebody who kept it.
 */
const STALE_SECONDS = 48 * 60 * 60

const Text = z.string().max(200)
const Notes = z.object({ reference: Text.optional().catch(undefined) }).catch({ reference: undefined })
const entity = <Shape extends z.ZodRawShape>(shape: Shape) => z.object({ entity: z.object(shape) }).optional()

const Event = z.object({
  event: Text,
  created_at: z.int().nullish(),
  payload: z.object({
    payment: entity({ id: Text, order_id: Text.nullish(), notes: Notes }),
    order: entity({ id: Text, receipt: Text.nullish() }),
    refund: entity({ id: Text, payment_id: Text, receipt: Text.nullish(), notes: Notes }),
    payout: entity({ id: Text, reference_id: Text.nullish() }),
    dispute: entity({
      id: Text,
      payment_id: Text,
      amount: z.int().nonnegative(),
      amount_deducted: z.int().nonnegative().nullish(),
      currency: Text,
      status: Text,
    }),
  }),
})
type Event = z.infer<typeof Event>

/** Reads what Razorpay sends to us, and RazorpayX, which signs in the same way. */
export function readRazorpayWebhook(secret: Secret): ReadWebhook {
  return ({ raw, headers, now }) => {
    if (!signedBy(secret, raw, headers['x-razorpay-signature'])) return 'forged'
    const event = Event.safeParse(parseJson(raw))
    if (!event.success) return 'malformed'
    const { created_at, event: type } = event.data
    if (created_at && now.getTime() / 1_000 - created_at > STALE_SECONDS) return 'stale'
    return { eventId: eventIdOf(headers['x-razorpay-event-id'], raw), type, about: aboutOf(event.data) }
  }
}

const EVENT_ID = /^[\w-]{1,100}$/

/** The header is not signed: what does not look like an id is none. */
const eventIdOf = (header: string | undefined, raw: Buffer): string =>
  header !== undefined && EVENT_ID.test(header) ? header : createHash('sha256').update(raw).digest('hex')

/**
 * A charge is named by its order where it has one: that is what `charge` called it, and all of its payments belong to it. The
 * order's own receipt is only in events about orders.
 */
function aboutOf({ event, payload }: Event): WebhookEvent['about'] {
  const { payment, order, refund, payout, dispute } = payload
  if (event.startsWith('payment.dispute.')) return aboutDispute(dispute)
  if (event.startsWith('refund.') && refund)
    return {
      object: 'refund',
      id: refund.entity.id,
      chargeId: refund.entity.payment_id,
      reference: refund.entity.receipt ?? refund.entity.notes.reference,
    }
  if (event.startsWith('payout.') && payout)
    return { object: 'payout', id: payout.entity.id, reference: payout.entity.reference_id ?? undefined }
  if (/^(payment|order)\./.test(event) && (payment ?? order))
    return {
      object: 'charge',
      id: order?.entity.id ?? payment?.entity.order_id ?? payment?.entity.id,
      reference: order?.entity.receipt ?? payment?.entity.notes.reference,
    }
  return { object: 'other' }
}

function aboutDispute(dispute: Event['payload']['dispute']): WebhookEvent['about'] {
  if (dispute === undefined || !isAsset(dispute.entity.currency)) return { object: 'other' }
  const { id, payment_id, currency, amount: disputed } = dispute.entity
  return {
    object: 'dispute',
    id,
    chargeId: payment_id,
    status: disputeStatus(dispute.entity),
    amount: amount(disputed),
    currency,
  }
}

/** `closed` ends a dispute that never became a chargeback, unless money was taken for it. A new word asks for attention. */
function disputeStatus(dispute: { status: string; amount_deducted?: number | null | undefined }) {
  switch (dispute.status) {
    case 'won':
    case 'lost':
    case 'under_review':
      return dispute.status
    case 'closed':
      return dispute.amount_deducted ? 'lost' : 'won'
    default:
      return 'needs_response'
  }
}

function parseJson(raw: Buffer): unknown {
  try {
    return JSON.parse(raw.toString('utf8'))
  } catch {
    return undefined
  }
}
