import { z } from '@hono/zod-openapi'
import { amount } from '../kit/money.ts'
import { kind, LEDGER_RETRY, type RetryPolicy } from './kind.ts'
import { scheduledInput } from './scheduled.ts'

/** The gateway is asked again whatever came, so that a fault of ours or theirs costs nothing but time: about two hours. */
const INBOUND_RETRY: RetryPolicy = { attempts: 20, delayMs: 1_000, maxDelayMs: 600_000 }

/** A webhook is looked up at its gateway, a few of them side by side. */
const INBOUND_BATCH = 32

const gateway = z.enum(['stripe', 'razorpay', 'paystack', 'mock'])
const id = z.string().max(255).optional()

/** What a webhook is about. Ids only: its object is read again from the gateway. */
export const webhookAbout = z.discriminatedUnion('object', [
  z.object({ object: z.literal('charge'), reference: id, id }),
  z.object({ object: z.literal('refund'), reference: id, id, chargeId: id }),
  z.object({ object: z.literal('payout'), reference: id, id }),
  z.object({ object: z.literal('invoice'), id: z.string().max(255) }),
  z.object({
    object: z.literal('dispute'),
    id: z.string().max(255),
    chargeId: z.string().max(255),
    status: z.enum(['needs_response', 'under_review', 'won', 'lost']),
    /** Minor units, as text: JSON numbers do not hold every amount. */
    amount: z
      .string()
      .regex(/^\d{1,19}$/)
      .transform((digits) => amount(digits)),
    currency: z.enum(['USD', 'EUR', 'INR', 'NGN', 'JPY', 'KWD']),
  }),
  z.object({ object: z.literal('other') }),
])

export const processWebhook = kind({
  name: 'webhook.process',
  doc: 'Reads again from its gateway what a webhook was about, and believes that. What nobody here knows is parked and tried again.',
  queue: 'inbound',
  input: z.object({
    gateway,
    /** The gateway's own id of the event: each is processed once. */
    event_id: z.string().max(255),
    type: z.string().max(255),
    about: webhookAbout,
    /** As it came, base64, sealed in the database: it may quote what must not be read. */
    raw: z.string(),
  }),
  result: z.object({ status: z.enum(['processed', 'parked', 'ignored']), note: z.string().nullable() }),
  retry: INBOUND_RETRY,
  batch: INBOUND_BATCH,
  sensitive: { input: ['raw'] },
  apart: ['type', 'about', 'raw'],
})

export const retryWebhook = kind({
  name: 'webhook.retry',
  doc: 'Tries a webhook that was received before once more: one that was parked, or one that is replayed.',
  queue: 'inbound',
  input: z.object({ webhook_id: z.uuid() }),
  result: z.object({ status: z.enum(['processed', 'parked', 'ignored']), note: z.string().nullable() }),
  retry: INBOUND_RETRY,
  batch: INBOUND_BATCH,
})

export const unparkWebhooks = kind({
  name: 'webhook.unpark',
  doc: 'Tries parked webhooks again whose time has come.',
  queue: 'ledger',
  input: scheduledInput,
  result: z.object({ tried: z.int() }),
  retry: LEDGER_RETRY,
  batch: 1,
})
