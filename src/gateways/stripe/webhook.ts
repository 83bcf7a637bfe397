import { createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { type Asset, amount, assets } from '../../kit/money.ts'
import type { Secret } from '../../kit/secret.ts'
import type { ReadWebhook, WebhookEvent } from '../port.ts'

/*
 * Webhooks as https://docs.stripe.com/webhooks#verify-manually has them: `stripe-signature: t=<seconds>,v1=<hex>[,v1=<hex>]`,
 * HMAC-SHA256 of `<t>.<raw body>`. While a secret is being rolled there are several signatures. `v0` is not looked at, so
 * that nobody can ask for a weaker scheme.
 */

/** Seconds for which a signature holds: the tolerance of Stripe's own libraries. */
const TOLERANCE_S = 300

/** Signatures of one header that are compared. Stripe sends one, two while a secret is rolled. */
const MAX_SIGNATURES = 10

const Event = z.object({
  id: z.string().min(1),
  object: z.literal('event'),
  type: z.string().min(1),
  /** Present when it happened on a connected account. */
  account: z.string().optional(),
  data: z.object({ object: z.record(z.string(), z.unknown()) }),
})
type Event = z.infer<typeof Event>

/** Reads webhooks that are signed with this endpoint secret (`whsec_…`). */
export function readStripeWebhook(secret: Secret): ReadWebhook {
  return ({ raw, headers, now }) => {
    const signed = parseHeader(headers['stripe-signature'])
    if (signed === undefined) return 'forged'
    const expected = createHmac('sha256', secret.asKey()).update(`${signed.at}.`).update(raw).digest()
    if (!signed.signatures.some((one) => one.length === expected.length && timingSafeEqual(one, expected)))
      return 'forged'
    // After the signature: the time of a forged one is nobody's.
    if (Math.floor(now.getTime() / 1_000) - Number(signed.at) > TOLERANCE_S) return 'stale'
    const event = Event.safeParse(parseJson(raw))
    if (!event.success) return 'malformed'
    return { eventId: event.data.id, type: event.data.type, about: aboutOf(event.data) }
  }
}

function parseHeader(header: string | undefined): { at: string; signatures: Buffer[] } | undefined {
  const pairs = (header ?? '').split(',').map((pair) => pair.trim().split('='))
  const at = pairs.find(([key]) => key === 't')?.[1]
  if (at === undefined || !/^\d{1,12}$/.test(at)) return undefined
  const signatures = pairs
    .filter(([key, value]) => key === 'v1' && /^[0-9a-f]{64}$/i.test(value ?? ''))
    .slice(0, MAX_SIGNATURES)
    .map(([, value]) => Buffer.from(value ?? '', 'hex'))
  return { at, signatures }
}

function parseJson(raw: Buffer): unknown {
  try {
    return JSON.parse(raw.toString('utf8'))
  } catch {
    return undefined
  }
}

/** Which of our things it is about. Fields that are not what they should be are left out: the object is read again anyway. */
function aboutOf(event: Event): WebhookEvent['about'] {
  const { object } = event.data
  const id = text(object.id)
  const reference = text(fields(object.metadata).reference)
  switch (object.object) {
    case 'payment_intent':
      return { object: 'charge', reference, id }
    case 'charge':
      // Ours is the PaymentIntent. A charge that has none was not made by us.
      return text(object.payment_intent) === undefined
        ? { object: 'other' }
        : { object: 'charge', reference, id: text(object.payment_intent) }
    case 'refund':
      return { object: 'refund', reference, id, chargeId: text(object.payment_intent) ?? text(object.charge) }
    case 'transfer':
      return { object: 'payout', reference: reference ?? text(object.transfer_group), id }
    case 'payout':
      // Stripe's own sweep of our balance to our bank is no payout to a customer.
      if (reference === undefined) return { object: 'other' }
      // On a connected account the payout is the second step of one that we know by its transfer.
      return { object: 'payout', reference, id: event.account === undefined ? id : undefined }
    case 'dispute':
      return disputeOf(object, id)
    case 'invoice':
      // One that somebody made in Stripe's own dashboard carries no reference of ours.
      return id === undefined || reference === undefined ? { object: 'other' } : { object: 'invoice', id }
    default:
      return { object: 'other' }
  }
}

function disputeOf(object: Record<string, unknown>, id: string | undefined): WebhookEvent['about'] {
  const chargeId = text(object.payment_intent) ?? text(object.charge)
  const currency = text(object.currency)?.toUpperCase() ?? ''
  const units = object.amount
  if (id === undefined || chargeId === undefined || !Object.hasOwn(assets, currency)) return { object: 'other' }
  if (typeof units !== 'number' || !Number.isSafeInteger(units) || units < 0) return { object: 'other' }
  return {
    object: 'dispute',
    id,
    chargeId,
    status: statusOf(object.status),
    amount: amount(units),
    currency: currency as Asset,
  }
}

type DisputeStatus = Extract<WebhookEvent['about'], { object: 'dispute' }>['status']

/** `warning_…` are inquiries: answered or not, no money has moved, so that a closed one is won. */
const DISPUTE_STATUSES = new Map<unknown, DisputeStatus>([
  ['warning_needs_response', 'needs_response'],
  ['warning_under_review', 'under_review'],
  ['warning_closed', 'won'],
  ['needs_response', 'needs_response'],
  ['under_review', 'under_review'],
  ['appeal_needs_response', 'needs_response'],
  ['appeal_under_review', 'under_review'],
  ['prevented', 'won'],
  ['won', 'won'],
  ['lost', 'lost'],
])

/** A status that Stripe has invented since is still open. */
const statusOf = (status: unknown): DisputeStatus => DISPUTE_STATUSES.get(status) ?? 'under_review'

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)

const fields = (value: unknown): Record<string, unknown> =>
  value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {}
