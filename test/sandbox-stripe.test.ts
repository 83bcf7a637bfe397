import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Stripe from 'stripe'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { STRIPE_KEYS, type Standing, startStripe } from './support/stripe.ts'

/* The stand-in against Stripe's documentation: what it answers on the wire, and that Stripe's own SDK is at home with it. */

let stripe: Standing

beforeAll(async () => {
  stripe = await startStripe()
})
afterEach(() => stripe.behave())
afterAll(() => stripe.stop())

const sdk = (at = stripe) =>
  new Stripe(STRIPE_KEYS.secretKey, {
    host: '127.0.0.1',
    port: new URL(at.url).port,
    protocol: 'http',
    maxNetworkRetries: 0,
    telemetry: false,
  })

const CHARGE = {
  amount: '2000',
  currency: 'usd',
  confirm: 'true',
  payment_method: 'pm_card_visa',
  'metadata[reference]': 'r-1',
}

const json = async (answer: Response | Promise<Response>) => (await (await answer).json()) as Record<string, unknown>
const errorOf = async (answer: Response | Promise<Response>) => (await json(answer)).error as Record<string, unknown>

describe('who may ask', () => {
  test.each([
    [undefined, /You did not provide an API key/],
    ['Bearer sk_test_somebody_else', /^Invalid API Key provided: sk_test_\*+else$/],
    [`Bearer ${STRIPE_KEYS.publishableKey}`, /publishable API key/],
  ])('%s is refused with 401', async (authorization, message) => {
    const answer = await fetch(`${stripe.url}/v1/balance`, {
      headers: authorization === undefined ? {} : { authorization },
    })
    expect(answer.status).toBe(401)
    expect(await errorOf(answer)).toMatchObject({
      type: 'invalid_request_error',
      message: expect.stringMatching(message),
    })
  })

  test('a secret key may be a bearer token or the name of HTTP basic', async () => {
    const basic = `Basic ${Buffer.from(`${STRIPE_KEYS.secretKey}:`).toString('base64')}`
    const answer = await fetch(`${stripe.url}/v1/balance`, { headers: { authorization: basic } })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('request-id')).toMatch(/^req_/)
  })

  test('a browser reads and confirms its own payment with the publishable key and the client secret', async () => {
    const intent = await json(stripe.api('POST', '/v1/payment_intents', { amount: '500', currency: 'eur' }))
    const browser = { authorization: `Bearer ${STRIPE_KEYS.publishableKey}` }
    const secret = String(intent.client_secret)
    expect(
      (await stripe.api('GET', `/v1/payment_intents/${intent.id}?client_secret=${secret}`, undefined, browser)).status,
    ).toBe(200)
    expect(
      (await stripe.api('GET', `/v1/payment_intents/${intent.id}?client_secret=x`, undefined, browser)).status,
    ).toBe(401)
    const confirmed = stripe.api(
      'POST',
      `/v1/payment_intents/${intent.id}/confirm`,
      { client_secret: secret, payment_method: 'pm_card_visa' },
      browser,
    )
    expect(await json(confirmed)).toMatchObject({ status: 'succeeded' })
  })
})

describe('idempotency', () => {
  const key = (value: string) => ({ 'idempotency-key': value })

  test('the same key and parameters get the same answer, whatever their order, and say so', async () => {
    const first = await stripe.api('POST', '/v1/payment_intents', CHARGE, key('k-1'))
    const turned = Object.fromEntries(Object.entries(CHARGE).toReversed())
    const second = await stripe.api('POST', '/v1/payment_intents', turned, key('k-1'))
    expect(second.headers.get('idempotent-replayed')).toBe('true')
    expect(first.headers.get('idempotent-replayed')).toBeNull()
    expect(await json(second)).toEqual(await json(first))
  })

  test('the same key with other parameters is an error of its own type', async () => {
    await stripe.api('POST', '/v1/payment_intents', CHARGE, key('k-2'))
    const answer = await stripe.api('POST', '/v1/payment_intents', { ...CHARGE, amount: '2001' }, key('k-2'))
    expect(answer.status).toBe(400)
    expect(await errorOf(answer)).toMatchObject({ type: 'idempotency_error' })
  })

  test('a decline is remembered; parameters that do not parse, and a failure of the server, are not', async () => {
    const declined = { ...CHARGE, payment_method: 'pm_card_chargeDeclined' }
    const first = await errorOf(stripe.api('POST', '/v1/payment_intents', declined, key('k-3')))
    expect(await errorOf(stripe.api('POST', '/v1/payment_intents', declined, key('k-3')))).toEqual(first)

    expect((await stripe.api('POST', '/v1/payment_intents', { currency: 'usd' }, key('k-4'))).status).toBe(400)
    expect((await stripe.api('POST', '/v1/payment_intents', CHARGE, key('k-4'))).status).toBe(200)

    await stripe.mood('POST /v1/payment_intents', 'fail')
    expect((await stripe.api('POST', '/v1/payment_intents', CHARGE, key('k-5'))).status).toBe(500)
    expect((await stripe.api('POST', '/v1/payment_intents', CHARGE, key('k-5'))).status).toBe(200)
  })

  test('while the first is at work the second is told so', async () => {
    const [one, two] = await Promise.all([
      stripe.api('POST', '/v1/payment_intents', CHARGE, key('k-6')),
      stripe.api('POST', '/v1/payment_intents', CHARGE, key('k-6')),
    ])
    const statuses = [one.status, two.status].toSorted()
    expect([
      [200, 200],
      [200, 409],
    ]).toContainEqual(statuses)
    const intents = (await sdk().paymentIntents.list({ limit: 100 })).data
    const ok = (await json(one.status === 200 ? one : two)).id
    expect(intents.filter(({ id }) => id === ok)).toHaveLength(1)
  })

  test('a key is forgotten after a day', async () => {
    const first = await json(stripe.api('POST', '/v1/payment_intents', CHARGE, key('k-7')))
    await stripe.passTime(25 * 3_600)
    expect((await json(stripe.api('POST', '/v1/payment_intents', CHARGE, key('k-7')))).id).not.toBe(first.id)
  })
})

describe('errors', () => {
  test.each([
    [{ currency: 'usd' }, 400, { type: 'invalid_request_error', code: 'parameter_missing', param: 'amount' }],
    [{ ...CHARGE, nonsense: '1' }, 400, { code: 'parameter_unknown', param: 'nonsense' }],
    [{ ...CHARGE, 'payment_method_types[0]': 'card' }, 400, { code: 'parameter_unknown' }],
    [{ ...CHARGE, amount: '12.5' }, 400, { param: 'amount' }],
    [{ ...CHARGE, amount: '-1' }, 400, { param: 'amount' }],
    [{ ...CHARGE, currency: 'xyz' }, 400, { param: 'currency' }],
    [{ ...CHARGE, amount: '49' }, 400, { code: 'amount_too_small', param: 'amount' }],
    [{ ...CHARGE, amount: '100000000' }, 400, { code: 'amount_too_large' }],
    [{ ...CHARGE, currency: 'kwd', amount: '2005' }, 400, { param: 'amount' }],
    [{ ...CHARGE, payment_method: 'pm_none' }, 400, { code: 'resource_missing', param: 'payment_method' }],
    [
      { ...CHARGE, payment_method: 'pm_card_visa_chargeDeclinedStolenCard' },
      402,
      { type: 'card_error', code: 'card_declined', decline_code: 'stolen_card', payment_intent: expect.any(Object) },
    ],
    [
      { ...CHARGE, payment_method: 'pm_card_authenticationRequired', off_session: 'true' },
      402,
      { type: 'card_error', code: 'authentication_required' },
    ],
  ])('%j', async (form, status, error) => {
    const answer = await stripe.api('POST', '/v1/payment_intents', form)
    expect(answer.status).toBe(status)
    expect(await errorOf(answer)).toMatchObject(error)
  })

  test('what is not there is 404, and a path that is none says so', async () => {
    const answer = await stripe.api('GET', '/v1/refunds/re_none')
    expect(answer.status).toBe(404)
    expect(await errorOf(answer)).toMatchObject({ code: 'resource_missing', message: "No such refund: 're_none'" })
    expect((await stripe.api('GET', '/v1/unicorns')).status).toBe(404)
  })

  test('a payment that has moved on refuses by its state', async () => {
    const intent = await json(stripe.api('POST', '/v1/payment_intents', CHARGE))
    expect(await errorOf(stripe.api('POST', `/v1/payment_intents/${intent.id}/capture`, {}))).toMatchObject({
      code: 'payment_intent_unexpected_state',
    })
    expect((await stripe.api('POST', `/v1/payment_intents/${intent.id}/cancel`, {})).status).toBe(400)
  })
})

describe('lists', () => {
  test('come newest first, in pages, forwards and backwards, and cut by time', async () => {
    const other = await startStripe()
    const made: string[] = []
    for (let n = 0; n < 5; n++)
      made.unshift((await sdk(other).paymentIntents.create({ amount: 500 + n, currency: 'usd' })).id)
    const ids = (page: { data: { id: string }[] }) => page.data.map(({ id }) => id)
    const first = await sdk(other).paymentIntents.list({ limit: 2 })
    expect([ids(first), first.has_more]).toEqual([made.slice(0, 2), true])
    const last = await sdk(other).paymentIntents.list({ limit: 3, starting_after: made[1] })
    expect([ids(last), last.has_more]).toEqual([made.slice(2), false])
    const back = await sdk(other).paymentIntents.list({ limit: 2, ending_before: made[4] })
    expect([ids(back), back.has_more]).toEqual([made.slice(2, 4), true])
    const all = []
    for await (const one of sdk(other).paymentIntents.list({ limit: 2 })) all.push(one.id)
    expect(all).toEqual(made)
    const now = Math.floor(Date.now() / 1_000)
    expect(ids(await sdk(other).paymentIntents.list({ created: { gte: now + 60 } }))).toEqual([])
    expect(ids(await sdk(other).paymentIntents.list({ created: { lt: now + 60 } }))).toEqual(made)
    await expect(sdk(other).paymentIntents.list({ limit: 101 })).rejects.toThrow(/limit/)
    await other.stop()
  })
})

describe('webhooks', () => {
  test('are signed so that Stripe’s own SDK believes them, and can be read again', async () => {
    const intent = await sdk().paymentIntents.create({
      amount: 700,
      currency: 'usd',
      confirm: true,
      payment_method: 'pm_card_visa',
    })
    const about = () =>
      stripe.received.find(({ raw }) => {
        const event = JSON.parse(raw.toString()) as Stripe.Event
        return event.type === 'payment_intent.succeeded' && (event.data.object as { id?: string }).id === intent.id
      })
    await expect.poll(about).toBeDefined()
    const { raw, headers } = about() ?? { raw: '', headers: {} as Record<string, string> }
    const event = sdk().webhooks.constructEvent(raw, headers['stripe-signature'] ?? '', STRIPE_KEYS.webhookSecret)
    expect(event).toMatchObject({ object: 'event', data: { object: { id: intent.id, status: 'succeeded' } } })
    expect(JSON.stringify(event)).not.toMatch(/"_\w+"/)
    expect((await sdk().events.retrieve(event.id)).type).toBe('payment_intent.succeeded')
  })

  test('can be held, and released in another order, twice', async () => {
    await stripe.post('/_webhooks', { mode: 'hold', copies: 2 }, 'PUT')
    const before = stripe.received.length
    await stripe.api('POST', '/v1/payment_intents', CHARGE)
    await stripe.post('/_webhooks/release', { order: 'reversed' })
    await stripe.post('/_webhooks', { mode: 'send', copies: 1 }, 'PUT')
    const types = stripe.received.slice(before).map(({ raw }) => (JSON.parse(raw.toString()) as { type: string }).type)
    expect(types).toEqual([
      'payment_intent.succeeded',
      'payment_intent.succeeded',
      'charge.succeeded',
      'charge.succeeded',
      'payment_intent.created',
      'payment_intent.created',
    ])
  })
})

describe('test methods', () => {
  test.each([
    ['4242424242424242', 'succeeded', undefined],
    ['4000000000000002', 'requires_payment_method', 'generic_decline'],
    ['4000000000009995', 'requires_payment_method', 'insufficient_funds'],
    ['4000002500003155', 'requires_action', undefined],
  ])('the card %s ends as %s', async (number, status, declineCode) => {
    const method = await sdk().paymentMethods.create({
      type: 'card',
      card: { number, exp_month: 12, exp_year: 2034, cvc: '123' },
    })
    const { id } = await sdk().paymentIntents.create({ amount: 500, currency: 'usd' })
    await sdk()
      .paymentIntents.confirm(id, { payment_method: method.id, return_url: 'https://shop.example/' })
      .catch(() => {})
    const intent = await sdk().paymentIntents.retrieve(id, { expand: ['latest_charge.balance_transaction'] })
    expect(intent.status).toBe(status)
    expect(intent.last_payment_error?.decline_code).toBe(declineCode)
  })

  test('a disputed card is disputed by itself, and a dispute can be won', async () => {
    const intent = await sdk().paymentIntents.create({
      amount: 500,
      currency: 'usd',
      confirm: true,
      payment_method: 'pm_card_createDispute',
    })
    await expect
      .poll(async () => (await sdk().disputes.list({})).data.map(({ payment_intent }) => payment_intent))
      .toContain(intent.id)
    await expect(sdk().refunds.create({ payment_intent: intent.id })).rejects.toMatchObject({ code: 'charge_disputed' })
    await stripe.post('/_disputes', { charge_id: intent.id, status: 'won' })
    expect((await sdk().refunds.create({ payment_intent: intent.id })).status).toBe('succeeded')
  })
})

test('a stand-in that is killed has forgotten nothing, and what was due happens when it is back', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'stripe-'))
  const file = join(directory, 'stripe.jsonl')
  const first = await startStripe({ file, settleMs: 200 })
  const kept = { 'idempotency-key': 'kept' }
  const charge = await json(first.api('POST', '/v1/payment_intents', CHARGE, kept))
  const payout = await sdk(first).payouts.create({ amount: 900, currency: 'usd', destination: 'ba_sandbox' })
  await first.stop()

  const second = await startStripe({ file })
  expect(await json(second.api('POST', '/v1/payment_intents', CHARGE, kept))).toEqual(charge)
  await expect.poll(async () => (await sdk(second).payouts.retrieve(payout.id)).status).toBe('paid')
  expect((await second.done()).charges).toMatchObject([{ reference: 'r-1', times: 1 }])
  await second.stop()
  rmSync(directory, { recursive: true })
})

test('a payout can be canceled while it is pending, and reversed when it is paid', async () => {
  await stripe.mood('POST /v1/payouts', 'stay_pending')
  const held = await sdk().payouts.create({ amount: 900, currency: 'usd' })
  expect((await sdk().payouts.cancel(held.id)).status).toBe('canceled')
  const paid = await sdk().payouts.create({ amount: 900, currency: 'usd' })
  await expect.poll(async () => (await sdk().payouts.retrieve(paid.id)).status).toBe('paid')
  const reversal = await sdk().payouts.reverse(paid.id)
  expect(reversal).toMatchObject({ amount: -900, original_payout: paid.id })
  expect((await sdk().payouts.retrieve(paid.id)).reversed_by).toBe(reversal.id)
})

test('a connected account has what it was given, and its bank accounts are its own', async () => {
  const account = await sdk().accounts.create({
    type: 'custom',
    country: 'US',
    external_account: { object: 'bank_account', country: 'US', currency: 'usd', account_number: '000123456789' },
  })
  const there = { stripeAccount: account.id }
  await expect(sdk().payouts.create({ amount: 100, currency: 'usd' }, there)).rejects.toMatchObject({
    code: 'balance_insufficient',
  })
  await sdk().transfers.create({ amount: 100, currency: 'usd', destination: account.id, transfer_group: 'g' })
  expect((await sdk().balance.retrieve({}, there)).available).toMatchObject([{ amount: 100, currency: 'usd' }])
  const payout = await sdk().payouts.create({ amount: 100, currency: 'usd' }, there)
  await expect(sdk().payouts.retrieve(payout.id)).rejects.toMatchObject({ statusCode: 404 })
  expect((await sdk().payouts.list({}, there)).data.map(({ id }) => id)).toEqual([payout.id])
  expect((await sdk().transfers.list({ transfer_group: 'g' })).data).toHaveLength(1)
  const [bank] = (await sdk().accounts.listExternalAccounts(account.id)).data
  expect(bank).toMatchObject({ object: 'bank_account', last4: '6789', default_for_currency: true })
})
