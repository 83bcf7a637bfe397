import { openCase } from '../../domain/payments/desk.ts'
import { mayBeDisputed, settleDispute } from '../../domain/payments/dispute.ts'
import { findAttempts } from '../../domain/payments/find-attempt.ts'
import { byId, end, file, rawPlace, type Webhook } from '../../domain/webhooks/inbox.ts'
import type { GatewayName } from '../../gateways/port.ts'
import type { InputOf } from '../../jobs/kind.ts'
import { processWebhook, retryWebhook, webhookAbout } from '../../jobs/webhooks.ts'
import { auditedDispute } from '../payments/audited.ts'
import { beginLookUp, finishLookUp, type Looked, type LookUp, lookUp, type Working } from '../payments/look-up.ts'
import { Done, staged } from '../shapes/staged.ts'

type About = InputOf<typeof processWebhook>['about']
type Result = { status: 'processed' | 'parked' | 'ignored'; note: string | null }

interface Begun {
  readonly webhookId: string
  readonly asked: LookUp
}

/** The event is filed under its own id; whoever brings it again finds it there, and that it was processed. */
export const webhookProcess = staged(processWebhook, {
  async begin(work, { keyring }) {
    const { gateway, event_id: eventId, type, about, raw } = work.input
    const webhook = await file(work.sql, {
      gateway,
      eventId,
      type,
      about: stored(about),
      sealedRaw: keyring.seal(raw, rawPlace(gateway, eventId)),
      now: work.now,
    })
    if (webhook.status === 'processed' || webhook.status === 'ignored')
      return new Done<Result>({ status: webhook.status, note: 'It was received before' })
    return beginWith(work, webhook, about)
  },
  call: ({ begun }, { gateways }) => lookUp(gateways, begun.asked),
  finish: (work, { begun, answer }) => finishWith(work, begun, answer),
})

/** The same for an event that is on file. */
export const webhookRetry = staged(retryWebhook, {
  async begin(work) {
    const webhook = await byId(work.sql, work.input.webhook_id)
    return beginWith(work, webhook, webhookAbout.parse(webhook.about))
  },
  call: ({ begun }, { gateways }) => lookUp(gateways, begun.asked),
  finish: (work, { begun, answer }) => finishWith(work, begun, answer),
})

/** Finds what the event is about. What needs no look-up is done with at once. */
async function beginWith(work: Working, webhook: Webhook, about: About): Promise<Begun | Done<Result>> {
  const { sql, now } = work
  const over = async (status: Result['status'], note: string | null): Promise<Done<Result>> =>
    new Done({ status: await end(sql, webhook, { status, note, now }), note })
  if (about.object === 'other') return over('ignored', `Nothing here follows from ${webhook.type}`)

  const gateway = webhook.gateway as GatewayName
  const [attemptId, ...others] = await findAttempts(sql, gateway, about)
  for (const other of others) work.followUp({ kind: 'payment.lookup', input: { attempt_id: other } })
  if (attemptId === undefined) return over('parked', 'Nobody here knows what it is about (yet)')
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
  return { webhookId: webhook.id, asked: await beginLookUp(work, attemptId) }
}

async function finishWith(work: Working, { webhookId, asked }: Begun, answer: Looked): Promise<Result> {
  const note = await finishLookUp(work, asked, answer)
  const webhook = await byId(work.sql, webhookId)
  // A gateway that could not be asked is asked by the payment's own look-ups, which go on until it answers.
  await end(work.sql, webhook, { status: 'processed', note, now: work.now })
  return { status: 'processed', note }
}

const stored = (about: About): unknown =>
  about.object === 'dispute' ? { ...about, amount: about.amount.toString() } : about
