import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { ChargePending, ChargeRequest, PayoutRequest } from '../src/gateways/port.ts'
import { type InvoiceRequest, stripeInvoices } from '../src/gateways/stripe/invoices.ts'
import { readStripeWebhook } from '../src/gateways/stripe/webhook.ts'
import { Bug } from '../src/kit/assert.ts'
import { firstIdAt, newId } from '../src/kit/ids.ts'
import { type Asset, amount } from '../src/kit/money.ts'
import { Secret } from '../src/kit/secret.ts'
import { gatewayTo, type Received, STRIPE_KEYS, type Standing, startStripe } from './support/stripe.ts'

/* The adapter against the stand-in, over HTTP, through Stripe's own SDK. */

let stripe: Standing
const gateway = (options: Parameters<typeof gatewayTo>[1] = {}) => gatewayTo(stripe.url, options)

beforeAll(async () => {
  stripe = await startStripe()
})
afterEach(() => stripe.behave())
afterAll(() => stripe.stop())

const charging = (changes: Partial<ChargeRequest> = {}): ChargeRequest => ({
  reference: newId(),
  amount: amount(1_099),
  currency: 'USD',
  method: 'card',
  source: { token: 'pm_card_visa' },
  ...changes,
})

const payingOut = (changes: Partial<PayoutRequest> = {}): PayoutRequest => ({
  reference: newId(),
  amount: amount(5_000),
  currency: 'USD',
  method: 'bank_transfer',
  destination: 'acct_payee/ba_payee',
  ...changes,
})

async function charged(changes: Partial<ChargeRequest> = {}) {
  const request = charging(changes)
  const answer = await gateway().charge(request)
  if (answer.outcome !== 'succeeded') throw new Error(`Not charged: ${inspect(answer)}`)
  return { ...request, id: answer.id }
}

async function waiting(changes: Partial<ChargeRequest>): Promise<ChargePending & { reference: string; id: string }> {
  const request = charging(changes)
  const answer = await gateway().charge(request)
  if (answer.outcome !== 'pending' || answer.id === undefined) throw new Error(`Not waiting: ${inspect(answer)}`)
  return { ...answer, id: answer.id, reference: request.reference }
}

const timesCharged = async (reference: string) =>
  (await stripe.done()).charges.filter((one) => one.reference === reference).length
const timesRefunded = async (reference: string) =>
  (await stripe.done()).refunds.filter((one) => one.reference === reference).length
const timesPaidOut = async (reference: string) =>
  (await stripe.done()).payouts.filter((one) => one.reference === reference).length

const CREATE = 'POST /v1/payment_intents'

describe('a charge', () => {
  test('with a saved card is made at once, with its fee, and carries our reference', async () => {
    const request = charging()
    const answer = await gateway().charge(request)
    expect(answer).toEqual({
      outcome: 'succeeded',
      id: expect.stringMatching(/^pi_/),
      amount: 1_099n,
      currency: 'USD',
      fee: 62n,
      refunded: 0n,
    })
    expect((await stripe.done()).charges).toContainEqual(
      expect.objectContaining({ reference: request.reference, amount: 1_099, currency: 'usd', times: 1 }),
    )
  })

  test.each<[Asset, number]>([
    ['EUR', 50],
    ['INR', 100_000],
    ['JPY', 500],
    ['KWD', 5_120],
    ['NGN', 150_000],
  ])('in %s is made in its own minor units: %d', async (currency, units) => {
    const answer = await gateway().charge(charging({ currency, amount: amount(units) }))
    expect(answer).toMatchObject({ outcome: 'succeeded', currency, amount: BigInt(units) })
  })

  test('of three decimals whose last is not 0 is refused by name, and nobody is asked', async () => {
    const before = await stripe.calls()
    const answer = await gateway().charge(charging({ currency: 'KWD', amount: amount(5_124) }))
    expect(answer).toMatchObject({ outcome: 'declined', code: 'amount_not_divisible_by_ten', mayFailOver: true })
    expect(await stripe.calls()).toEqual(before)
  })

  test('that Stripe cannot make is our bug, and nobody is asked', async () => {
    const before = await stripe.calls()
    await expect(gateway().charge(charging({ method: 'upi', currency: 'INR' }))).rejects.toThrow(Bug)
    await expect(gateway().charge(charging({ method: 'bank_transfer', currency: 'JPY' }))).rejects.toThrow(Bug)
    await expect(gateway().payout(payingOut({ currency: 'NGN' }))).rejects.toThrow(Bug)
    expect(await stripe.calls()).toEqual(before)
  })

  test.each([
    ['pm_card_chargeDeclined', 'generic_decline', false, false],
    ['pm_card_chargeDeclinedInsufficientFunds', 'insufficient_funds', false, false],
    ['pm_card_visa_chargeDeclinedStolenCard', 'stolen_card', true, false],
    ['pm_card_visa_chargeDeclinedLostCard', 'lost_card', true, false],
    ['pm_card_chargeDeclinedExpiredCard', 'expired_card', true, false],
    ['pm_card_chargeDeclinedIncorrectCvc', 'incorrect_cvc', false, false],
    ['pm_card_chargeDeclinedProcessingError', 'processing_error', false, true],
  ])('with %s is declined: %s', async (token, code, hard, mayFailOver) => {
    const request = charging({ source: { token } })
    const declined = {
      outcome: 'declined',
      id: expect.stringMatching(/^pi_/),
      code,
      message: expect.any(String),
      hard,
      mayFailOver,
    }
    expect(await gateway().charge(request)).toEqual(declined)
    expect(await gateway().lookUpCharge(request)).toEqual(declined)
    expect(await timesCharged(request.reference)).toBe(0)
  })

  test('of a token that Stripe does not know is a hard decline', async () => {
    const answer = await gateway().charge(charging({ source: { token: 'pm_unheard_of' } }))
    expect(answer).toMatchObject({ outcome: 'declined', code: 'resource_missing', hard: true, mayFailOver: false })
  })

  test('of too little or too much may be asked elsewhere', async () => {
    expect(await gateway().charge(charging({ amount: amount(3) }))).toMatchObject({
      outcome: 'declined',
      code: 'amount_too_small',
      mayFailOver: true,
    })
    for (const huge of [100_000_000n, 9_000_000_000_000n])
      expect(await gateway().charge(charging({ amount: amount(huge) }))).toMatchObject({
        outcome: 'declined',
        code: 'amount_too_large',
        mayFailOver: true,
      })
  })

  test('asked twice under one reference is made once', async () => {
    const request = charging()
    const [first, second] = [await gateway().charge(request), await gateway().charge(request)]
    expect(second).toEqual(first)
    expect(await timesCharged(request.reference)).toBe(1)
  })

  test('asked for again after Stripe has forgotten the key is still made once', async () => {
    const request = charging({ reference: firstIdAt(new Date(Date.now() - 30 * 3_600_000)) })
    const first = await gateway().charge(request)
    await stripe.passTime(25 * 3_600)
    expect(await gateway().charge(request)).toEqual(first)
    expect(await timesCharged(request.reference)).toBe(1)
  })

  test('under a reference that says nothing of its age is found by it, too', async () => {
    const request = charging({ reference: randomUUID() })
    const first = await gateway().charge(request)
    expect(first.outcome).toBe('succeeded')
    expect(await gateway().lookUpCharge({ reference: request.reference })).toEqual(first)
    expect(await gateway().charge(request)).toEqual(first)
    expect(await timesCharged(request.reference)).toBe(1)
  })

  test('under a reference that Stripe knows with other content is unknown, until it is looked up', async () => {
    const first = await charged()
    const answer = await gateway().charge({ ...charging(), reference: first.reference, amount: amount(2_000) })
    expect(answer).toMatchObject({ outcome: 'unknown', reason: expect.stringContaining('idempotency_error') })
    expect(await gateway().lookUpCharge(first)).toMatchObject({ outcome: 'succeeded', amount: 1_099n })
  })

  test('of another amount than was asked is told as it is', async () => {
    await stripe.mood(CREATE, 'wrong_amount')
    expect(await gateway().charge(charging())).toMatchObject({ outcome: 'succeeded', amount: 1_100n })
  })
})

describe('a charge that goes wrong on the way', () => {
  test.each([
    ['limit', 'not_sent', 0],
    ['fail', 'unknown', 0],
    ['fail_after', 'unknown', 1],
  ] as const)('%s: %s, and Stripe has done it %d times', async (mood, outcome, times) => {
    const request = charging()
    await stripe.mood(CREATE, mood)
    expect((await gateway().charge(request)).outcome).toBe(outcome)
    expect(await timesCharged(request.reference)).toBe(times)
    const found = await gateway().lookUpCharge({ reference: request.reference })
    expect(found.outcome).toBe(times === 1 ? 'succeeded' : 'absent')
    expect((await gateway().charge(request)).outcome).toBe('succeeded')
    expect(await timesCharged(request.reference)).toBe(1)
  })

  test('an answer lost once is asked for again under the same key', async () => {
    const request = charging()
    await stripe.mood(CREATE, 'lose_answer')
    expect(await gateway().charge(request)).toMatchObject({ outcome: 'succeeded' })
    expect(await timesCharged(request.reference)).toBe(1)
  })

  test.each([
    ['lose_answer', 1],
    ['hang_up', 0],
  ] as const)('twice %s: unknown, and it was done %d times', async (mood, times) => {
    const request = charging()
    await stripe.mood(CREATE, mood, 2)
    expect((await gateway().charge(request)).outcome).toBe('unknown')
    expect(await timesCharged(request.reference)).toBe(times)
  })

  test('a timeout after a successful charge ends as exactly one charge', async () => {
    const request = charging()
    await stripe.mood(CREATE, 'slow', 1, 700)
    const asked = await gateway({ timeoutMs: 200 }).charge(request)
    expect(asked).toMatchObject({ outcome: 'unknown', reason: expect.stringMatching(/did not answer/) })
    await expect
      .poll(() => gateway().lookUpCharge({ reference: request.reference }), { timeout: 5_000 })
      .toMatchObject({ outcome: 'succeeded', amount: 1_099n })
    expect((await gateway().charge(request)).outcome).toBe('succeeded')
    expect(await timesCharged(request.reference)).toBe(1)
  })

  test('Stripe that never answers is unknown, and waited for no longer than was said', async () => {
    await stripe.mood(CREATE, 'hang')
    const before = performance.now()
    expect((await gateway({ timeoutMs: 200 }).charge(charging())).outcome).toBe('unknown')
    expect(performance.now() - before).toBeLessThan(2_000)
  })

  test('nobody at the address: nothing was sent', async () => {
    const away = gatewayTo('http://127.0.0.1:9')
    expect(await away.charge(charging())).toEqual({
      outcome: 'not_sent',
      reason: 'Stripe could not be reached (ECONNREFUSED)',
    })
    expect((await gatewayTo('http://stripe.invalid').charge(charging())).outcome).toBe('not_sent')
    expect(await away.reachable()).toBe(false)
    expect(await gateway().reachable()).toBe(true)
  })

  test('a hang-up after which nobody is there any more may have been done', async () => {
    const other = await startStripe()
    await other.mood(CREATE, 'slow', 1, 300)
    const asked = gatewayTo(other.url).charge(charging())
    await expect.poll(async () => (await other.calls())[CREATE]).toBe(1)
    await other.stop()
    expect((await asked).outcome).toBe('unknown')
  })

  test.each([
    [200, 'null'],
    [200, '{}'],
    [200, '"ok"'],
    [200, '<html>hello</html>'],
    [200, '{"id":"pi_1","status":"succeeded"}'],
    [400, '<html>bad request</html>'],
    [409, '{"error":{"type":"idempotency_error","code":"idempotency_key_in_use"}}'],
    [502, '<html>bad gateway</html>'],
    [302, ''],
  ])('an answer that is none of Stripe’s (%d %s) is unknown, and never a success', async (status, body) => {
    const somebody = createServer((request, response) => {
      request.resume()
      response.writeHead(status, { 'content-type': 'application/json', location: 'http://127.0.0.1:9/' }).end(body)
    })
    somebody.listen(0, '127.0.0.1')
    await once(somebody, 'listening')
    const there = gatewayTo(`http://127.0.0.1:${(somebody.address() as AddressInfo).port}`)
    expect((await there.charge(charging())).outcome).toBe('unknown')
    expect((await there.lookUpCharge({ reference: newId(), chargeId: 'pi_1' })).outcome).toBe('unknown')
    expect(
      (await there.refund({ reference: newId(), chargeId: 'pi_1', amount: amount(1), currency: 'USD' })).outcome,
    ).not.toBe('succeeded')
    somebody.close()
    somebody.closeAllConnections()
  })

  test('an answer that comes drop by drop is waited for no longer than was said', async () => {
    const somebody = createServer((request, response) => {
      request.resume()
      response.writeHead(200)
      const drops = setInterval(() => response.write(' '), 50)
      response.on('close', () => clearInterval(drops))
    })
    somebody.listen(0, '127.0.0.1')
    await once(somebody, 'listening')
    const there = gatewayTo(`http://127.0.0.1:${(somebody.address() as AddressInfo).port}`, { timeoutMs: 300 })
    const before = performance.now()
    expect((await there.charge(charging())).outcome).toBe('unknown')
    expect(performance.now() - before).toBeLessThan(2_000)
    somebody.close()
    somebody.closeAllConnections()
  })

  test('a wrong key: nothing was done, and the reason does not name it', async () => {
    const answer = await gateway({ secretKey: 'sk_test_wrong99999999' }).charge(charging())
    expect(answer).toEqual({ outcome: 'not_sent', reason: 'Stripe refused our key (status 401)' })
  })

  test('a look-up that fails leaves the charge unknown, and never absent', async () => {
    const { reference, id } = await charged()
    for (const mood of ['limit', 'fail', 'hang'] as const) {
      await stripe.mood('GET /v1/payment_intents', mood, 2)
      const impatient = gateway({ timeoutMs: 200 })
      expect((await impatient.lookUpCharge({ reference })).outcome).toBe('unknown')
      expect((await impatient.lookUpCharge({ reference, chargeId: id })).outcome).toBe('unknown')
    }
    expect((await gatewayTo('http://127.0.0.1:9').lookUpCharge({ reference })).outcome).toBe('unknown')
  })

  test('a reference that was never sent is absent', async () => {
    expect(await gateway().lookUpCharge({ reference: newId() })).toEqual({ outcome: 'absent' })
    expect(await gateway().lookUpCharge({ reference: newId(), chargeId: 'pi_none' })).toEqual({ outcome: 'absent' })
  })

  test('no reason and no message holds a secret', async () => {
    const answers = [
      await gateway({ secretKey: 'sk_test_wrong99999999' }).charge(charging()),
      await gateway({ secretKey: 'sk_test_wrong99999999' }).lookUpCharge({ reference: newId() }),
      await gateway().charge(charging({ source: { token: 'pm_sk_test_inside' } })),
      await gateway().charge(charging({ source: { token: 'pm_card_chargeDeclined' } })),
      await gatewayTo('http://127.0.0.1:9').charge(charging()),
    ]
    for (const answer of answers) {
      const text = inspect(answer, { depth: 10 })
      expect(text).not.toMatch(/sk_test|whsec|_secret_/)
    }
    expect(inspect(gateway(), { depth: 10 })).not.toContain(STRIPE_KEYS.secretKey)
  })
})

describe('a charge that waits', () => {
  test('for a browser, which gets what it needs', async () => {
    const { action, id, reference, ...rest } = await waiting({ source: undefined })
    expect(rest).toMatchObject({ waitsFor: 'customer', amount: 1_099n, currency: 'USD' })
    expect(action).toEqual({
      type: 'checkout',
      url: 'https://js.stripe.com/v3/',
      fields: {
        payment_intent: id,
        client_secret: expect.stringContaining(`${id}_secret_`),
        publishable_key: STRIPE_KEYS.publishableKey,
      },
    })
    expect(await gateway().lookUpCharge({ reference })).toMatchObject({ outcome: 'pending', waitsFor: 'customer' })
    await stripe.customer(id, 'approve')
    expect(await gateway().confirm({ reference, chargeId: id, paymentId: id, proof: {} })).toMatchObject({
      outcome: 'succeeded',
      id,
      amount: 1_099n,
    })
  })

  test('for a browser in which the card is declined, and then for nobody once it is canceled', async () => {
    const { id, reference } = await waiting({ source: undefined })
    await stripe.customer(id, 'approve', 'pm_card_chargeDeclinedInsufficientFunds')
    expect(await gateway().lookUpCharge({ reference, chargeId: id })).toMatchObject({
      outcome: 'declined',
      code: 'insufficient_funds',
    })
    expect((await gateway().cancel({ reference, chargeId: id })).outcome).toBe('declined')
    expect((await stripe.customer(id, 'approve')).status).toBe(400)
  })

  test('for a proof: somebody else’s payment, or a wrong secret, is forged', async () => {
    const [mine, other] = [await waiting({ source: undefined }), await charged()]
    const { reference, id } = mine
    const forged = { outcome: 'forged' }
    expect(await gateway().confirm({ reference, chargeId: id, paymentId: other.id, proof: {} })).toEqual(forged)
    expect(await gateway().confirm({ reference, paymentId: other.id, proof: {} })).toEqual(forged)
    expect(await gateway().confirm({ reference, paymentId: 'pi_none', proof: {} })).toEqual(forged)
    expect(await gateway().confirm({ reference, paymentId: '../customers', proof: {} })).toEqual(forged)
    const wrong = { client_secret: `${id}_secret_wrong` }
    expect(await gateway().confirm({ reference, paymentId: id, proof: wrong })).toEqual(forged)
    const right = { client_secret: mine.action?.fields.client_secret ?? '' }
    expect(await gateway().confirm({ reference, paymentId: id, proof: right })).toMatchObject({ outcome: 'pending' })
  })

  test('for 3-D Secure sends the customer to their bank, and succeeds when they pass', async () => {
    const { id, reference, action } = await waiting({
      source: { token: 'pm_card_authenticationRequired' },
      returnUrl: 'https://shop.example/back',
    })
    expect(action).toMatchObject({ type: 'redirect', url: `${stripe.url}/_customer/${id}` })
    expect(await fetch(action?.url ?? '').then((page) => page.text())).toContain('Approve')
    const back = await fetch(action?.url ?? '', {
      method: 'POST',
      body: new URLSearchParams({ does: 'approve' }),
      redirect: 'manual',
    })
    const location = new URL(back.headers.get('location') ?? '')
    expect(location.origin + location.pathname).toBe('https://shop.example/back')
    const proof = Object.fromEntries(location.searchParams)
    expect(
      await gateway().confirm({ reference, chargeId: id, paymentId: proof.payment_intent ?? '', proof }),
    ).toMatchObject({ outcome: 'succeeded' })
    expect(await timesCharged(reference)).toBe(1)
  })

  test('for 3-D Secure is declined softly when the customer fails', async () => {
    const { id, reference } = await waiting({
      source: { token: 'pm_card_authenticationRequired' },
      returnUrl: 'https://shop.example/back',
    })
    await stripe.customer(id, 'fail')
    const failed = { outcome: 'declined', code: 'payment_intent_authentication_failure', hard: false }
    expect(await gateway().lookUpCharge({ reference })).toMatchObject(failed)
    // Called off for that, it still says why: a webhook of the end may be read before the look-up that made it.
    expect(await gateway().cancel({ reference, chargeId: id, failed: true })).toMatchObject(failed)
    expect(await gateway().lookUpCharge({ reference, chargeId: id })).toMatchObject(failed)
  })

  test('for a customer who was not there when their bank wanted to see them', async () => {
    const request = charging({ source: { token: 'pm_card_authenticationRequiredOnSetup' } })
    const answer = await gateway().charge(request)
    expect(answer).toMatchObject({
      outcome: 'pending',
      waitsFor: 'customer',
      action: { type: 'checkout', fields: { payment_method: expect.stringMatching(/^pm_/) } },
    })
    expect(await gateway().lookUpCharge(request)).toEqual(answer)
    await stripe.customer((answer as { id: string }).id, 'approve')
    expect(await gateway().lookUpCharge(request)).toMatchObject({ outcome: 'succeeded' })
  })

  test.each([
    ['stay_pending', 'succeeded'],
    ['late_failure', 'declined'],
  ] as const)('for Stripe, which is %s, ends as %s', async (mood, outcome) => {
    await stripe.mood(CREATE, mood)
    const { reference, waitsFor } = await waiting({})
    expect(waitsFor).toBe('gateway')
    await stripe.passTime(60)
    expect((await gateway().lookUpCharge({ reference })).outcome).toBe(outcome)
  })

  test.each<[string, Asset, string]>([
    ['pm_usBankAccount_success', 'USD', 'succeeded'],
    ['pm_usBankAccount_insufficientFunds', 'USD', 'declined'],
    ['pm_sepaDebit_success', 'EUR', 'succeeded'],
  ])('for a bank (%s, %s) ends as %s', async (token, currency, outcome) => {
    const { reference } = await waiting({ method: 'bank_transfer', currency, source: { token } })
    await expect.poll(async () => (await gateway().lookUpCharge({ reference })).outcome).toBe(outcome)
  })

  test('for our capture: all of it, or a part', async () => {
    for (const [captured, left] of [
      [1_099n, 0n],
      [600n, 499n],
    ] as const) {
      const { id, reference, waitsFor } = await waiting({ capture: 'manual' })
      expect(waitsFor).toBe('capture')
      expect(await timesCharged(reference)).toBe(0)
      const wanted = { reference, chargeId: id, amount: amount(captured), currency: 'USD' } as const
      const answer = await gateway().capture(wanted)
      expect(answer).toMatchObject({ outcome: 'succeeded', amount: captured, refunded: left })
      expect(await gateway().capture(wanted)).toEqual(answer)
      expect(await timesCharged(reference)).toBe(1)
    }
  })

  test('for our capture: more than was authorised is refused, and what was given back cannot be taken', async () => {
    const { id, reference } = await waiting({ capture: 'manual' })
    const capture = (units: number) =>
      gateway().capture({ reference, chargeId: id, amount: amount(units), currency: 'USD' })
    expect(await capture(1_100)).toMatchObject({ outcome: 'declined', code: 'amount_too_large' })
    expect(await gateway().cancel({ reference, chargeId: id })).toMatchObject({ outcome: 'declined', code: 'canceled' })
    expect(await capture(1_099)).toMatchObject({ outcome: 'declined', code: 'canceled' })
    expect(await timesCharged(reference)).toBe(0)
  })

  test('for our capture longer than seven days is given back by Stripe', async () => {
    const { reference } = await waiting({ capture: 'manual' })
    await stripe.passTime(8 * 86_400)
    expect(await gateway().lookUpCharge({ reference })).toMatchObject({ outcome: 'declined', code: 'automatic' })
  })

  test('to be canceled after it succeeded says that it succeeded', async () => {
    const { id, reference } = await charged()
    expect(await gateway().cancel({ reference, chargeId: id })).toMatchObject({ outcome: 'succeeded', id })
  })
})

describe('a refund', () => {
  const refunding = (charge: { id: string }, units: number, changes: { reference?: string; reason?: string } = {}) => ({
    reference: newId(),
    chargeId: charge.id,
    amount: amount(units),
    currency: 'USD' as const,
    ...changes,
  })

  test('of a part, of the rest, and then of nothing more', async () => {
    const charge = await charged()
    const first = await gateway().refund(refunding(charge, 99, { reason: 'requested_by_customer' }))
    expect(first).toEqual({ outcome: 'succeeded', id: expect.stringMatching(/^re_/), amount: 99n, currency: 'USD' })
    expect(await gateway().refund(refunding(charge, 1_001))).toMatchObject({ outcome: 'declined', mayFailOver: false })
    expect(await gateway().refund(refunding(charge, 1_000, { reason: 'a reason of our own' }))).toMatchObject({
      outcome: 'succeeded',
    })
    expect(await gateway().refund(refunding(charge, 1))).toMatchObject({
      outcome: 'declined',
      code: 'charge_already_refunded',
      hard: true,
    })
    expect(await gateway().lookUpCharge(charge)).toMatchObject({ outcome: 'succeeded', refunded: 1_099n })
  })

  test('asked twice, or asked again after a lost answer, is made once', async () => {
    const charge = await charged()
    const request = refunding(charge, 500)
    await stripe.mood('POST /v1/refunds', 'lose_answer', 2)
    expect((await gateway().refund(request)).outcome).toBe('unknown')
    const found = await gateway().lookUpRefund(request)
    expect(found).toMatchObject({ outcome: 'succeeded', amount: 500n })
    expect(await gateway().refund(request)).toEqual(found)
    expect(await timesRefunded(request.reference)).toBe(1)
    const refundId = (found as { id: string }).id
    expect(await gateway().lookUpRefund({ ...request, refundId })).toEqual(found)
  })

  test('is still made once after Stripe has forgotten the key', async () => {
    const charge = await charged()
    const request = refunding(charge, 500, { reference: firstIdAt(new Date(Date.now() - 40 * 3_600_000)) })
    const first = await gateway().refund(request)
    await stripe.passTime(25 * 3_600)
    expect(await gateway().refund(request)).toEqual(first)
    expect(await timesRefunded(request.reference)).toBe(1)
  })

  test.each([
    ['limit', 'not_sent'],
    ['fail', 'unknown'],
    ['hang', 'unknown'],
  ] as const)('%s: %s, and it is absent', async (mood, outcome) => {
    const request = refunding(await charged(), 500)
    await stripe.mood('POST /v1/refunds', mood)
    expect((await gateway({ timeoutMs: 300 }).refund(request)).outcome).toBe(outcome)
    expect(await gateway().lookUpRefund(request)).toEqual({ outcome: 'absent' })
  })

  test('may fail long after it succeeded, and says so when it is looked up', async () => {
    const charge = await charged()
    const request = refunding(charge, 500)
    await stripe.mood('POST /v1/refunds', 'late_failure')
    expect((await gateway().refund(request)).outcome).toBe('succeeded')
    await stripe.passTime(60)
    expect(await gateway().lookUpRefund(request)).toMatchObject({
      outcome: 'declined',
      code: 'expired_or_canceled_card',
      hard: true,
      mayFailOver: false,
    })
    expect(await gateway().lookUpCharge(charge)).toMatchObject({ refunded: 0n })
  })

  test('may be pending first', async () => {
    const request = refunding(await charged(), 500)
    await stripe.mood('POST /v1/refunds', 'stay_pending')
    expect(await gateway().refund(request)).toMatchObject({ outcome: 'pending', amount: 500n })
    await stripe.passTime(60)
    expect(await gateway().lookUpRefund(request)).toMatchObject({ outcome: 'succeeded' })
  })

  test('of what was only authorised is declined', async () => {
    const { id } = await waiting({ capture: 'manual' })
    expect(await gateway().refund(refunding({ id }, 100))).toMatchObject({ outcome: 'declined', hard: true })
  })

  test('of three decimals has to end in 0, too', async () => {
    const charge = await charged({ currency: 'KWD', amount: amount(5_120) })
    const request = { ...refunding(charge, 1_005), currency: 'KWD' as const }
    expect(await gateway().refund(request)).toMatchObject({ outcome: 'declined', code: 'amount_not_divisible_by_ten' })
    expect(await gateway().refund({ ...request, amount: amount(1_010) })).toMatchObject({
      outcome: 'succeeded',
      amount: 1_010n,
      currency: 'KWD',
    })
  })
})

describe('a payout', () => {
  const end = (reference: string) => gateway().lookUpPayout({ reference })

  test.each([
    ['a connected account', 'acct_payee', /^tr_/],
    ['one bank of a connected account', 'acct_payee/ba_payee', /^tr_/],
    ['our own bank', 'ba_sandbox', /^po_/],
  ])('to %s is pending, then paid', async (_to, destination, id) => {
    const request = payingOut({ destination })
    const answer = await gateway().payout(request)
    expect(answer).toEqual({ outcome: 'pending', id: expect.stringMatching(id), amount: 5_000n, currency: 'USD' })
    const paid = { ...answer, outcome: 'succeeded' }
    await expect.poll(() => end(request.reference)).toEqual(paid)
    expect(
      await gateway().lookUpPayout({ reference: request.reference, payoutId: (answer as { id: string }).id }),
    ).toEqual(paid)
    expect(await timesPaidOut(request.reference)).toBe(1)
  })

  test.each([['acct_payee/ba_payee_fails'], ['ba_sandbox_fails']])(
    'that the bank of %s does not take comes back, all of it',
    async (destination) => {
      const request = payingOut({ destination })
      expect((await gateway().payout(request)).outcome).toBe('pending')
      await expect
        .poll(() => end(request.reference))
        .toMatchObject({
          outcome: 'returned',
          code: 'no_account',
          amount: 5_000n,
          currency: 'USD',
        })
      const transfers = (await stripe.done()).transfers.filter((one) => one.reference === request.reference)
      expect(transfers.every(({ status }) => status === 'reversed')).toBe(true)
      expect(await end(request.reference)).toMatchObject({ outcome: 'returned' })
    },
  )

  test('that was paid may come back later', async () => {
    await stripe.mood('POST /v1/payouts', 'late_failure')
    const request = payingOut()
    await gateway().payout(request)
    await expect.poll(() => end(request.reference)).toMatchObject({ outcome: 'succeeded' })
    await stripe.passTime(60)
    expect(await end(request.reference)).toMatchObject({ outcome: 'returned', code: 'could_not_process' })
  })

  test('asked twice is made once', async () => {
    for (const destination of ['acct_payee/ba_payee', 'ba_sandbox']) {
      const request = payingOut({ destination })
      const first = await gateway().payout(request)
      expect((await gateway().payout(request)) as { id?: string }).toMatchObject({ id: (first as { id: string }).id })
      expect(await timesPaidOut(request.reference)).toBe(1)
    }
  })

  test.each(['lose_answer', 'hang_up', 'fail', 'fail_after', 'limit', 'hang'] as const)(
    '%s in either step ends as exactly one payout',
    async (mood) => {
      for (const step of ['POST /v1/transfers', 'POST /v1/payouts']) {
        const request = payingOut()
        await stripe.mood(step, mood, 2)
        const impatient = gateway({ timeoutMs: 300 })
        const answer = await impatient.payout(request)
        // Once the transfer is made, nothing may say that nothing was sent.
        expect(answer.outcome).toBe(mood === 'limit' && step.endsWith('transfers') ? 'not_sent' : 'unknown')
        await stripe.behave()
        const found = await end(request.reference)
        if (found.outcome === 'absent') await gateway().payout(request)
        await expect.poll(() => end(request.reference)).toMatchObject({ outcome: 'succeeded', amount: 5_000n })
        expect(await timesPaidOut(request.reference)).toBe(1)
        const transfers = (await stripe.done()).transfers.filter((one) => one.reference === request.reference)
        expect(transfers).toMatchObject([{ status: 'made', times: 1 }])
      }
    },
  )

  test('whose second step Stripe refuses is declined, and the money is ours again', async () => {
    const request = payingOut({ destination: 'acct_payee/ba_nowhere' })
    expect(await gateway().payout(request)).toMatchObject({ outcome: 'declined', code: 'resource_missing', hard: true })
    expect((await stripe.done()).transfers).toContainEqual(
      expect.objectContaining({ reference: request.reference, status: 'reversed' }),
    )
    expect((await end(request.reference)).outcome).toBe('declined')
    expect(await timesPaidOut(request.reference)).toBe(0)
  })

  test('to nobody we know, or in no form that Stripe knows, is declined', async () => {
    expect(await gateway().payout(payingOut({ destination: 'acct_nobody' }))).toMatchObject({
      outcome: 'declined',
      code: 'resource_missing',
    })
    const before = await stripe.calls()
    for (const destination of ['fa_of_somebody_else', '../charges', 'acct_payee/../x', ''])
      expect(await gateway().payout(payingOut({ destination }))).toMatchObject({
        outcome: 'declined',
        code: 'invalid_destination',
        hard: true,
      })
    expect(await stripe.calls()).toEqual(before)
  })

  test('beyond our balance is about us: somebody else may be asked', async () => {
    const other = await startStripe()
    await other.post('/_balance', { usd: 4_999 }, 'PUT')
    for (const destination of ['acct_payee', 'ba_sandbox'])
      expect(await gatewayTo(other.url).payout(payingOut({ destination }))).toMatchObject({
        outcome: 'declined',
        code: 'balance_insufficient',
        mayFailOver: true,
      })
    await other.stop()
  })

  test('that was never asked for is absent', async () => {
    expect(await end(newId())).toEqual({ outcome: 'absent' })
    expect(await gateway().lookUpPayout({ reference: newId(), payoutId: 'po_none' })).toEqual({ outcome: 'absent' })
  })
})

describe('a saved method', () => {
  const described = (token: string, method: ChargeRequest['method'] = 'card') =>
    gateway().describeMethod({ token, method })

  test('is described by what may be shown of it', async () => {
    expect(await described('pm_card_visa')).toEqual({
      outcome: 'known',
      lastFour: '4242',
      brand: 'visa',
      expiryMonth: 12,
      expiryYear: expect.any(Number),
    })
    expect(await described('pm_usBankAccount_success', 'bank_transfer')).toMatchObject({ lastFour: '6789' })
    for (const token of ['acct_payee', 'acct_payee/ba_payee', 'ba_sandbox'])
      expect(await described(token, 'bank_transfer')).toEqual({
        outcome: 'known',
        lastFour: '6789',
        brand: 'STRIPE TEST BANK',
      })
  })

  test('that Stripe does not know, or knows as something else, cannot be used', async () => {
    for (const [token, method] of [
      ['pm_none', 'card'],
      ['token_of_somebody_else', 'card'],
      ['../customers', 'card'],
      ['pm_card_visa', 'bank_transfer'],
      ['ba_none', 'bank_transfer'],
    ] as const)
      expect((await described(token, method)).outcome).toBe('unusable')
  })

  test('nobody can tell while Stripe is away', async () => {
    await stripe.mood('GET /v1/payment_methods', 'fail')
    expect((await described('pm_card_visa')).outcome).toBe('unknown')
    expect((await gatewayTo('http://127.0.0.1:9').describeMethod({ token: 'pm_x', method: 'card' })).outcome).toBe(
      'not_sent',
    )
  })

  test('of a customer is charged with that customer', async () => {
    const customer = (await stripe
      .api('POST', '/v1/customers', { email: 'a@example.com', payment_method: 'pm_card_visa' })
      .then((answer) => answer.json())) as { id: string }
    const saved = (await stripe
      .api('POST', '/v1/payment_methods', { type: 'card', 'card[number]': '4242424242424242' })
      .then((answer) => answer.json())) as { id: string }
    await stripe.api('POST', `/v1/payment_methods/${saved.id}/attach`, { customer: customer.id })
    expect((await gateway().charge(charging({ source: { token: saved.id } }))).outcome).toBe('declined')
    expect(await gateway().charge(charging({ source: { token: saved.id, customer: customer.id } }))).toMatchObject({
      outcome: 'succeeded',
    })
  })
})

describe('the list of a period', () => {
  test('holds everything that was made in it, page by page, once', async () => {
    const other = await startStripe()
    const there = gatewayTo(other.url)
    const ids = new Set<string>()
    for (let n = 0; n < 103; n++) {
      const answer = await there.charge(charging())
      if (answer.outcome === 'succeeded') ids.add(answer.id)
    }
    const [first] = ids
    await there.charge(charging({ source: { token: 'pm_card_chargeDeclined' } }))
    await there.refund({ reference: newId(), chargeId: first ?? '', amount: amount(9), currency: 'USD' })
    const paid = payingOut()
    await there.payout(paid)
    await there.payout(payingOut({ destination: 'ba_sandbox' }))
    await expect.poll(async () => (await there.lookUpPayout(paid)).outcome).toBe('succeeded')

    const period = { from: new Date(Date.now() - 60_000), until: new Date(Date.now() + 60_000) }
    const items = []
    let cursor: string | undefined
    let pages = 0
    do {
      const page = await there.list({ ...period, cursor })
      items.push(...page.items)
      cursor = page.next
      pages += 1
    } while (cursor !== undefined)
    expect(pages).toBe(5)
    const charges = items.filter(({ type, status }) => type === 'charge' && status === 'succeeded')
    expect(new Set(charges.map(({ id }) => id))).toEqual(ids)
    expect(charges).toHaveLength(ids.size)
    expect(items.filter(({ status }) => status === 'failed')).toHaveLength(1)
    expect(items.filter(({ type }) => type === 'refund')).toMatchObject([{ status: 'succeeded', amount: 9n }])
    expect(items.filter(({ type }) => type === 'payout')).toHaveLength(2)
    expect(items).toContainEqual(
      expect.objectContaining({ type: 'payout', reference: paid.reference, status: 'succeeded', amount: 5_000n }),
    )

    const empty = { from: new Date(0), until: new Date(1_000) }
    expect(await there.list(empty)).toEqual({ items: [], next: 'refunds' })
    await other.stop()
    await expect(there.list(period)).rejects.toThrow(/could not be reached|hung up/)
  })
})

describe('a webhook', () => {
  const read = readStripeWebhook(new Secret(STRIPE_KEYS.webhookSecret))
  const NOTHING: Received = { raw: Buffer.alloc(0), headers: {} }
  const ofType = (type: string) =>
    stripe.received.findLast(({ raw }) => (JSON.parse(raw.toString()) as { type: string }).type === type)
  /** Read at the time of the stand-in's clock, which other tests have moved. */
  const about = (type: string) => {
    const webhook = ofType(type)
    return webhook === undefined ? undefined : read({ ...webhook, now: sentAt(type) })
  }
  const sentAt = (type: string) =>
    new Date(1_000 * Number(/t=(\d+)/.exec(ofType(type)?.headers['stripe-signature'] ?? '')?.[1]))

  test('of a payment says which, whether it succeeded or failed', async () => {
    const { id, reference } = await charged()
    await expect
      .poll(() => about('payment_intent.succeeded'))
      .toEqual({
        eventId: expect.stringMatching(/^evt_/),
        type: 'payment_intent.succeeded',
        about: { object: 'charge', reference, id },
      })
    expect(about('charge.succeeded')).toMatchObject({ about: { object: 'charge', reference, id } })
    const declined = charging({ source: { token: 'pm_card_chargeDeclined' } })
    await gateway().charge(declined)
    await expect
      .poll(() => about('payment_intent.payment_failed'))
      .toMatchObject({
        about: { object: 'charge', reference: declined.reference },
      })
  })

  test('of a refund that failed says which refund of which charge', async () => {
    const charge = await charged({ source: { token: 'pm_card_refundFail' } })
    const reference = newId()
    const refund = await gateway().refund({ reference, chargeId: charge.id, amount: amount(100), currency: 'USD' })
    for (const type of ['refund.failed', 'charge.refund.updated'])
      await expect
        .poll(() => about(type))
        .toMatchObject({
          type,
          about: { object: 'refund', reference, chargeId: charge.id, id: (refund as { id: string }).id },
        })
  })

  test('of a payout says which, wherever it is paid from', async () => {
    const request = payingOut()
    await gateway().payout(request)
    await expect
      .poll(() => about('payout.paid'))
      .toMatchObject({
        about: { object: 'payout', reference: request.reference, id: undefined },
      })
    expect(about('transfer.created')).toMatchObject({
      about: { object: 'payout', reference: request.reference, id: expect.stringMatching(/^tr_/) },
    })
    const failing = payingOut({ destination: 'ba_sandbox_fails' })
    await gateway().payout(failing)
    await expect
      .poll(() => about('payout.failed'))
      .toMatchObject({
        about: { object: 'payout', reference: failing.reference, id: expect.stringMatching(/^po_/) },
      })
  })

  test('of a dispute says what is disputed, how much, and how it ended', async () => {
    const { id } = await charged()
    await stripe.post('/_disputes', { charge_id: id, amount: 1_500 })
    const dispute = { object: 'dispute', chargeId: id, amount: 1_500n, currency: 'USD' }
    await expect
      .poll(() => about('charge.dispute.created'))
      .toMatchObject({
        about: { ...dispute, status: 'needs_response' },
      })
    await stripe.post('/_disputes', { charge_id: id, status: 'lost' })
    await expect.poll(() => about('charge.dispute.closed')).toMatchObject({ about: { ...dispute, status: 'lost' } })
  })

  test('that was changed, signed by somebody else, or not signed at all is forged', async () => {
    await charged()
    await expect.poll(() => ofType('payment_intent.succeeded')).toBeDefined()
    const { raw, headers } = ofType('payment_intent.succeeded') ?? NOTHING
    const now = sentAt('payment_intent.succeeded')
    const signature = headers['stripe-signature'] ?? ''
    expect(read({ raw, headers, now })).toMatchObject({ type: 'payment_intent.succeeded' })
    const changed = Buffer.from(raw.toString().replace('1099', '9099'))
    expect(read({ raw: changed, headers, now })).toBe('forged')
    for (const other of [
      undefined,
      '',
      'nonsense',
      signature.replace(/t=\d+/, 't=1'),
      signature.replace('v1=', 'v0='),
      signature.replace(/v1=.{4}/, 'v1=0000'),
      `${signature.slice(0, -1)}`,
    ])
      expect(read({ raw, headers: { 'stripe-signature': other }, now })).toBe('forged')
    expect(readStripeWebhook(new Secret('whsec_other'))({ raw, headers, now })).toBe('forged')
    expect(
      read({
        raw,
        headers: { 'stripe-signature': `${signature.split(',')[0]},v1=${'0'.repeat(64)},${signature.split(',')[1]}` },
        now,
      }),
    ).toMatchObject({ type: 'payment_intent.succeeded' })
  })

  test('older than five minutes is stale', async () => {
    await charged()
    await expect.poll(() => ofType('payment_intent.succeeded')).toBeDefined()
    const webhook = ofType('payment_intent.succeeded') ?? NOTHING
    const at = sentAt('payment_intent.succeeded').getTime()
    expect(read({ ...webhook, now: new Date(at + 300_000) })).toMatchObject({ type: 'payment_intent.succeeded' })
    expect(read({ ...webhook, now: new Date(at + 301_000) })).toBe('stale')
  })

  test('that Stripe’s own SDK signs is read, and what is no event is malformed', async () => {
    const { default: Stripe } = await import('stripe')
    const { webhooks } = new Stripe('sk_test_none')
    const now = new Date()
    const signed = (payload: string) =>
      read({
        raw: Buffer.from(payload),
        headers: {
          'stripe-signature': webhooks.generateTestHeaderString({ payload, secret: STRIPE_KEYS.webhookSecret }),
        },
        now,
      })
    const event = (object: unknown) =>
      JSON.stringify({ id: 'evt_1', object: 'event', type: 'some.type', data: { object } })
    expect(signed(event({ object: 'payment_intent', id: 'pi_1', metadata: { reference: 'r' } }))).toEqual({
      eventId: 'evt_1',
      type: 'some.type',
      about: { object: 'charge', reference: 'r', id: 'pi_1' },
    })
    for (const other of [
      { object: 'customer', id: 'cus_1' },
      { object: 'charge', id: 'ch_1' },
      { object: 'payout', id: 'po_1', automatic: true, metadata: {} },
      { object: 'dispute', id: 'du_1', charge: 'ch_1', amount: -1, currency: 'usd' },
      { object: 'dispute', id: 'du_1', charge: 'ch_1', amount: 1, currency: 'xxx' },
      {},
    ])
      expect(signed(event(other))).toMatchObject({ about: { object: 'other' } })
    const dispute = { object: 'dispute', id: 'du_1', payment_intent: 'pi_1', amount: 1, currency: 'jpy' }
    for (const [status, ours] of [
      ['warning_closed', 'won'],
      ['prevented', 'won'],
      ['constructor', 'under_review'],
      ['invented_since', 'under_review'],
    ])
      expect(signed(event({ ...dispute, status }))).toMatchObject({
        about: { status: ours, amount: 1n, currency: 'JPY' },
      })
    for (const malformed of ['', '[]', 'null', '{"id":', '{"object":"event"}', event('text')])
      if (malformed !== '') expect(signed(malformed)).toBe('malformed')
  })
})

describe('an invoice', () => {
  const invoices = (at = stripe.url, timeoutMs = 1_000) =>
    stripeInvoices({ secretKey: new Secret(STRIPE_KEYS.secretKey), apiBase: at, timeoutMs })

  async function invoicing(changes: Partial<InvoiceRequest> = {}): Promise<InvoiceRequest> {
    const customer = await invoices().customer({ reference: newId(), email: 'a@example.com' })
    if (customer.outcome !== 'known') throw new Error(`No customer: ${inspect(customer)}`)
    return {
      reference: newId(),
      customer: customer.id,
      currency: 'USD',
      lines: [
        { description: 'Processing', amount: amount(2_000) },
        { description: 'Storage', amount: amount(550) },
      ],
      dueAt: new Date(Date.now() + 30 * 86_400_000),
      ...changes,
    }
  }

  async function issued(changes: Partial<InvoiceRequest> = {}) {
    const request = await invoicing(changes)
    const answer = await invoices().issue(request)
    if (answer.outcome !== 'open') throw new Error(`Not open: ${inspect(answer)}`)
    return { ...answer, request }
  }

  const madeFor = async (customer: string) =>
    (
      (await stripe.api('GET', `/v1/invoices?customer=${customer}`).then((answer) => answer.json())) as {
        data: unknown[]
      }
    ).data

  test('is issued with its lines, our number and a page on which it is paid', async () => {
    const { request, ...answer } = await issued({ number: `AH-2026-11-${newId()}` })
    expect(answer).toMatchObject({
      outcome: 'open',
      id: expect.stringMatching(/^in_/),
      amount: 2_550n,
      paid: 0n,
      currency: 'USD',
      number: request.number,
      url: expect.stringContaining(stripe.url),
    })
    expect(await fetch(answer.url ?? '').then((page) => page.text())).toContain('Storage')
    expect(await invoices().lookUp(request)).toMatchObject({ outcome: 'open', id: answer.id })
    expect(await invoices().lookUp({ ...request, id: answer.id })).toMatchObject({ outcome: 'open' })
    expect(await invoices().lookUp({ ...request, reference: newId() })).toEqual({ outcome: 'absent' })
  })

  test('asked for twice is made once, also after Stripe has forgotten the key', async () => {
    const { request, id } = await issued()
    expect(await invoices().issue(request)).toMatchObject({ outcome: 'open', id, amount: 2_550n })
    await stripe.passTime(25 * 3_600)
    expect(await invoices().issue(request)).toMatchObject({ outcome: 'open', id, amount: 2_550n })
    expect(await madeFor(request.customer)).toHaveLength(1)
  })

  test.each(['lose_answer', 'fail_after', 'fail', 'hang'] as const)('%s in any step is gone on with', async (mood) => {
    for (let step = 1; step <= 3; step++) {
      const request = await invoicing()
      // The first steps go well, and then one does not.
      if (step > 1) await stripe.mood('POST /v1/invoices', 'slow', step - 1)
      await stripe.mood('POST /v1/invoices', mood, 2)
      expect((await invoices(stripe.url, 300).issue(request)).outcome).toBe('unknown')
      await stripe.behave()
      expect(await invoices().issue(request)).toMatchObject({ outcome: 'open', amount: 2_550n })
      expect(await madeFor(request.customer)).toHaveLength(1)
    }
  })

  test('is paid with a saved method, once, and says what refunds it', async () => {
    const { id } = await issued()
    const attempt = newId()
    const pay = () => invoices().pay({ id, source: 'pm_card_visa', attempt })
    const answer = await pay()
    expect(answer).toMatchObject({ outcome: 'paid', paid: 2_550n, paymentId: expect.stringMatching(/^pi_/) })
    expect(await pay()).toEqual(answer)
    expect(await invoices().pay({ id, source: 'pm_card_visa', attempt: newId() })).toEqual(answer)
    const chargeId = 'paymentId' in answer ? (answer.paymentId ?? '') : ''
    const refund = { reference: newId(), chargeId, amount: amount(50), currency: 'USD' } as const
    expect(await gateway().refund(refund)).toMatchObject({ outcome: 'succeeded', amount: 50n })
  })

  test('that a card does not pay stays open, and another card pays it', async () => {
    const { id, request } = await issued()
    const declined = await invoices().pay({
      id,
      source: 'pm_card_chargeDeclinedInsufficientFunds',
      attempt: newId(),
    })
    expect(declined).toMatchObject({ outcome: 'declined', code: 'insufficient_funds', hard: false })
    expect(await invoices().lookUp(request)).toMatchObject({ outcome: 'open', paid: 0n })
    expect(await invoices().pay({ id, source: 'pm_card_visa', attempt: newId() })).toMatchObject({ outcome: 'paid' })
  })

  test('that a bank does not pay says why, from its «no» until it is tried again', async () => {
    const { id, request } = await issued()
    const lookUp = () => invoices().lookUp({ ...request, id })
    const failure = async () => {
      const state = await lookUp()
      return 'failure' in state ? state.failure : undefined
    }
    expect(await failure()).toBeUndefined()
    await invoices().pay({ id, source: 'pm_usBankAccount_insufficientFunds', attempt: newId() })
    await expect.poll(failure).toMatchObject({
      outcome: 'declined',
      code: 'insufficient_funds',
      hard: false,
      id: expect.stringMatching(/^pi_/),
    })
    expect(await lookUp()).toMatchObject({ outcome: 'open', paid: 0n, paymentId: undefined })
    const again = await invoices().pay({ id, source: 'pm_usBankAccount_success', attempt: newId() })
    expect(again).toMatchObject({ outcome: 'open', failure: undefined })
    await expect.poll(async () => (await lookUp()).outcome).toBe('paid')
    expect(await failure()).toBeUndefined()
  })

  test('is paid by the customer on its page', async () => {
    const { url, request } = await issued()
    await fetch(url ?? '', { method: 'POST', body: new URLSearchParams({ does: 'approve' }) })
    expect(await invoices().lookUp(request)).toMatchObject({ outcome: 'paid', paid: 2_550n })
  })

  test('that is void is paid by nobody; one that is paid cannot be made void', async () => {
    const { id, request } = await issued()
    expect(await invoices().void({ reference: request.reference, id })).toMatchObject({ outcome: 'void' })
    expect(await invoices().pay({ id, source: 'pm_card_visa', attempt: newId() })).toMatchObject({
      outcome: 'declined',
    })
    const other = await issued()
    await invoices().pay({ id: other.id, source: 'pm_card_visa', attempt: newId() })
    expect(await invoices().void({ reference: other.request.reference, id: other.id })).toMatchObject({
      outcome: 'paid',
    })
  })

  test('tells by webhook that it was finalized, paid, not paid and made void', async () => {
    const { id } = await issued()
    await invoices().pay({ id, source: 'pm_card_chargeDeclined', attempt: newId() })
    await invoices().pay({ id, source: 'pm_card_visa', attempt: newId() })
    const other = await issued()
    await invoices().void({ reference: other.request.reference, id: other.id })
    const typesOf = (invoice: string) =>
      stripe.received
        .map(({ raw }) => JSON.parse(raw.toString()) as { type: string; data: { object: { id: string } } })
        .filter(({ data }) => data.object.id === invoice)
        .map(({ type }) => type)
    await expect
      .poll(() => typesOf(id))
      .toEqual(expect.arrayContaining(['invoice.finalized', 'invoice.payment_failed', 'invoice.paid']))
    await expect.poll(() => typesOf(other.id)).toContain('invoice.voided')
  })

  test('is not sent while nobody is there', async () => {
    const answer = await invoices('http://127.0.0.1:9').issue(await invoicing())
    expect(answer).toMatchObject({ outcome: 'not_sent' })
  })
})
