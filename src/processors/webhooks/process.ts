import { invoiceCopied, wasClosed } from '../../domain/billing/copy.ts'
import { paymentMoved } from '../../domain/billing/payment.ts'
import { openCase } from '../../domain/payments/desk.ts'
import { mayBeDisputed, settleDispute } from '../../domain/payments/dispute.ts'
import { findAttempts } from '../../domain/payments/find-attempt.ts'
import { byId, end, file, rawPlace, type Webhook } from '../../domain/webhooks/inbox.ts'
import type { GatewayName } from '../../gateways/port.ts'
import type { InputOf } from '../../jobs/kind.ts'
import { processWebhook, retryWebhook, webhookAbout } from '../../jobs/webhooks.ts'
import { assert } from '../../kit/assert.ts'
import {
  beginInvoiceLookUp,
  finishInvoiceLookUp,
  type InvoiceLooked,
  type InvoiceLookUp,
  lookUpAtStripe,
} from '../billing/look-up.ts'
import type { Services } from '../context.ts'
import { auditedDispute } from '../payments/audited.ts'
import { beginLookUp, finishLookUp, type Looked, type LookUp, lookUp, type Working } from '../payments/look-up.ts'
import { Done, staged, TryLater } from '../shapes/staged.ts'

type About = InputOf<typeof processWebhook>['about']
type Result = { status: 'processed' | 'parked' | 'ignored'; note: string | null }

type Begun =
  | { readonly webhookId: string; readonly about: 'payment'; readonly asked: LookUp }
  | { readonly webhookId: string; readonly about: 'invoice'; readonly asked: InvoiceLookUp }

type Answer =
  | { readonly about: 'payment'; readonly state: Looked }
  | { readonly about: 'invoice'; readonly state: InvoiceLooked }

/** The event is filed under its own id; whoever brings it again finds it there, and that it was processed. */
export const webhookProcess = staged(processWebhook, {
  byKey: true,
  async begin(work, services) {
    const { gateway, event_id: eventId, type, about, raw } = work.input
    const webhook = await file(work.sql, {
      gateway,
      eventId,
      type,
      about: stored(about),
      sealedRaw: services.keyring.seal(raw, rawPlace(gateway, eventId)),
      now: work.now,
    })
    if (webhook.status === 'processed' || webhook.status === 'ignored')
      return new Done<Result>({ status: webhook.status, note: 'It was received before' })
    return beginWith(work, webhook, about, services)
  },
  call: ({ begun }, services) => lookAt(begun, services),
  finish: (work, { begun, answer }) => finishWith(work, begun, answer),
})

/** The same for an event that is on file. */
export const webhookRetry = staged(retryWebhook, {
  byKey: true,
  async begin(work, services) {
    const webhook = await byId(work.sql, work.input.webhook_id)
    return beginWith(work, webhook, webhookAbout.parse(webhook.about), services)
  },
  call: ({ begun }, services) => lookAt(begun, services),
  finish: (work, { begun, answer }) => finishWith(work, begun, answer),
})

/** Finds what the event is about. What needs no look-up is done with at once. */
async function beginWith(
  work: Working,
  webhook: Webhook,
  about: About,
  services: Services,
): Promise<Begun | Done<Result>> {
  const { sql, now } = work
  const over = async (status: Result['status'], note: string | null): Promise<Done<Result>> =>
    new Done({ status: await end(sql, webhook.id, { status, note, now }), note })
  if (about.object === 'other') return over('ignored', `Nothing here follows from ${webhook.type}`)

  const gateway = webhook.gateway as GatewayName
  if (about.object === 'invoice') {
    const invoiceId = await invoiceCopied(sql, gateway, about.id)
    if (invoiceId === undefined)
      return (await wasClosed(sql, gateway, about.id))
        ? over('processed', 'It is about a copy that nobody can pay any more')
        : over('parked', 'Nobody here knows which invoice it is about (yet)')
    const asked = await beginInvoiceLookUp(work, invoiceId, services)
    return typeof asked === 'string'
      ? over('processed', asked)
      : { webhookId: webhook.id, about: 'invoice', asked: { ...asked, id: about.id } }
  }
  const [attemptId, ...others] = await findAttempts(sql, gateway, about)
  for (const other of others) work.followUp({ kind: 'payment.lookup', input: { attempt_id: other } })
  if (attemptId === undefined) {
    if (about.object === 'charge' && about.id !== undefined && (await paymentMoved(sql, gateway, about.id)))
      return over('processed', 'It paid an invoice')
    // Stripe charges for an invoice by itself: the invoice's own events tell of that. Whatever we charge for names us.
    return about.object === 'charge' && gateway === 'stripe' && about.reference === undefined
      ? over('ignored', 'It is under no reference of ours')
      : over('parked', 'Nobody here knows what it is about (yet)')
  }
  if (about.object === 'dispute') {
    const opened = await openCase(work, attemptId)
    if (!mayBeDisputed(opened)) {
      work.followUp({ kind: 'payment.lookup', input: { attempt_id: attemptId } })
      return over('parked', 'What it argues about has not ended yet')
    }
    const news = { gateway, ...about }
    if (await settleDispute(work, opened, news)) await auditedDispute(work, opened.payment, news)
    return over('processed', null)
  }
  const asked = beginLookUp(work, await openCase(work, attemptId))
  return { webhookId: webhook.id, about: 'payment', asked }
}

async function lookAt(begun: Begun, services: Services): Promise<Answer> {
  return begun.about === 'payment'
    ? { about: 'payment', state: await lookUp(services.gateways, begun.asked) }
    : { about: 'invoice', state: await lookUpAtStripe(begun.asked, services) }
}

async function finishWith(work: Working, begun: Begun, answer: Answer): Promise<Result | TryLater> {
  // What a customer has paid on Stripe's page nobody else asks for.
  if (answer.about === 'invoice' && answer.state.outcome === 'unknown') return new TryLater(answer.state.reason)
  const note = await believed(work, begun, answer)
  // A gateway that could not be asked is asked by the payment's own look-ups, which go on until it answers.
  await end(work.sql, begun.webhookId, { status: 'processed', note, now: work.now })
  return { status: 'processed', note }
}

async function believed(work: Working, begun: Begun, answer: Answer): Promise<string> {
  if (begun.about === 'payment' && answer.about === 'payment') return finishLookUp(work, begun.asked, answer.state)
  assert(begun.about === 'invoice' && answer.about === 'invoice', 'The answer is about something else')
  return finishInvoiceLookUp(work, begun.asked, answer.state)
}

const stored = (about: About): unknown =>
  about.object === 'dispute' ? { ...about, amount: about.amount.toString() } : about
