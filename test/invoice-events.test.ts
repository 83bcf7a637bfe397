import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { newId } from '../src/kit/ids.ts'
import { sandboxKeys } from '../src/sandbox/server.ts'
import { Invoices } from './support/invoices.ts'

let invoices: Invoices

beforeAll(async () => {
  invoices = await Invoices.start()
})
afterAll(async () => {
  await invoices.bursar.quiet()
  await invoices.bursar.expectCleanBooks()
  await invoices.stop()
})
beforeEach(() => invoices.stripe.behave())

/** The events that an endpoint at Stripe is subscribed to. */
const INVOICE_EVENTS = ['invoice.payment_succeeded', 'invoice.payment_failed', 'invoice.payment_action_required']
const SUBSCRIPTION_EVENTS = [
  'customer.subscription.created',
  'customer.subscription.updated',
  'customer.subscription.deleted',
]

let made = 0

/** Tells of an event, rightly signed, whatever it says. Answers with how it was filed. */
async function tell(type: string, object: Record<string, unknown>): Promise<string> {
  const id = `evt_told_${++made}`
  const body = JSON.stringify({ id, object: 'event', type, data: { object } })
  const at = Math.floor(invoices.bursar.clock.now().getTime() / 1_000)
  const secret = sandboxKeys.stripe.webhookSecret
  const answer = await fetch(`${invoices.bursar.door.url}/api/v1/webhooks/stripe`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'stripe-signature': `t=${at},v1=${createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')}`,
    },
    body,
  })
  expect(answer.status).toBe(200)
  await invoices.bursar.quiet()
  const { rows } = await invoices.bursar.pool.query('select status from webhook where event_id = $1', [id])
  return rows[0]?.status
}

/** An open invoice with its copy at Stripe. Events of it go astray, so that only what is told here is heard. */
async function published(): Promise<{ id: number; copy: string; user: string }> {
  const user = await invoices.customer()
  const { invoice_id: id } = await invoices.invoice(user)
  await invoices.wallets.ours('invoice.publish', { invoice_id: id })
  const { gateway_id: copy } = await invoices.copyOf(id)
  return { id, copy, user }
}

const orders = INVOICE_EVENTS.flatMap((first) =>
  INVOICE_EVENTS.filter((one) => one !== first).flatMap((second) =>
    INVOICE_EVENTS.filter((one) => one !== first && one !== second).map((third) => [[first, second, third]] as const),
  ),
)

describe('What Stripe tells of an invoice', () => {
  test.each(orders)('is news and no evidence: %j pay nothing that Stripe has not been paid', async (order) => {
    await invoices.stripe.webhooks({ mode: 'drop' })
    const { id, copy, user } = await published()
    const claim = { id: copy, object: 'invoice', status: 'paid', amount_paid: 999_999, metadata: { reference: 'ours' } }
    for (const type of order) expect(await tell(type, claim)).toBe('processed')
    expect(await invoices.details(id)).toMatchObject({ status: 'sent', is_paid: false, amount_paid: 0 })
    expect(await invoices.charged(user)).toEqual([])

    // Paid there in truth, every one of them is enough, and all of them pay it once.
    await invoices.atStripe(copy, 'approve')
    for (const type of order) await tell(type, { ...claim, status: 'open', amount_paid: 0 })
    expect(await invoices.details(id)).toMatchObject({ status: 'paid', amount_paid: 25.5 })
    expect((await invoices.payments(id)).map(({ status }) => status)).toEqual(['succeeded'])
    expect(await invoices.charged(user)).toEqual([2_550])
  })

  test('of a copy that was withdrawn is understood when another has taken its place', async () => {
    await invoices.stripe.webhooks({ mode: 'drop' })
    const { id, copy } = await published()
    expect(await invoices.credit(id, 5)).toMatchObject({ status: 200 })
    await invoices.follow()
    await invoices.wallets.ours('invoice.publish', { invoice_id: id })
    const { gateway_id: second } = await invoices.copyOf(id)
    expect(second).not.toBe(copy)

    const news = { object: 'invoice', status: 'void', metadata: { reference: 'ours' } }
    expect(await tell('invoice.payment_failed', { ...news, id: copy })).toBe('processed')
    expect(await invoices.copyOf(id)).toMatchObject({ gateway_id: second })
    expect(await tell('invoice.payment_failed', { ...news, id: 'in_not_there_yet' })).toBe('parked')
  })

  test('of what Stripe charged for by itself, under no reference of ours, waits for nobody', async () => {
    await invoices.stripe.webhooks({ mode: 'drop' })
    const { id, copy } = await published()
    const intent = { id: 'pi_of_an_invoice', object: 'payment_intent' }
    expect(await tell('payment_intent.payment_failed', intent)).toBe('ignored')
    expect(await tell('charge.failed', { object: 'charge', payment_intent: intent.id })).toBe('ignored')
    // One of ours may come before we have written it down.
    expect(await tell('payment_intent.succeeded', { ...intent, metadata: { reference: newId() } })).toBe('parked')

    await invoices.atStripe(copy, 'approve')
    await tell('invoice.payment_succeeded', { id: copy, object: 'invoice', metadata: { reference: 'ours' } })
    const [payment] = await invoices.payments(id)
    expect(await tell('payment_intent.succeeded', { ...intent, id: payment?.gateway_id })).toBe('processed')
  })

  test.each(SUBSCRIPTION_EVENTS)('is taken and followed by nothing here: %s', async (type) => {
    const before = await invoices.bursar.statuses('invoice.lookup')
    const subscription = { id: 'sub_1', object: 'subscription', customer: 'cus_1', metadata: { reference: 'theirs' } }
    expect(await tell(type, subscription)).toBe('ignored')
    expect(await invoices.bursar.statuses('invoice.lookup')).toEqual(before)
  })
})

test('the health of webhooks is told to anybody, and when Stripe was heard of last', async () => {
  await tell('customer.subscription.created', { id: 'sub_2', object: 'subscription' })
  const { status, body } = await invoices.bursar.get('/api/v1/webhooks/health')
  expect([status, body.status]).toEqual([200, 'healthy'])
  expect(body.gateways.stripe).toMatchObject({ configured: true, last_received_at: expect.any(String) })
})
