import { createHmac, randomUUID } from 'node:crypto'
import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { paystackGateway } from '../src/gateways/paystack/gateway.ts'
import { readPaystackWebhook } from '../src/gateways/paystack/webhook.ts'
import type { ChargeRequest, Gateway, Listed, PayoutRequest, RefundRequest } from '../src/gateways/port.ts'
import { Bug } from '../src/kit/assert.ts'
import { Fault } from '../src/kit/fault.ts'
import { amount } from '../src/kit/money.ts'
import { Secret } from '../src/kit/secret.ts'
import { paystackSandbox } from '../src/sandbox/paystack.ts'
import { nobodysUrl, type StandIn, startStandIn } from './support/stand-in.ts'

const SECRET_KEY = 'sk_test_0123456789abcdef'

/** Milliseconds. Longer than an answer takes on a busy machine; and what is waited where none comes. */
const TIMEOUT_MS = 10_000
const HASTY_MS = 300

let paystack: StandIn
let gateway: Gateway
/** The same, without patience. */
let hasty: Gateway

beforeAll(async () => {
  paystack = await startStandIn((parts) => paystackSandbox({ ...parts, keys: { secretKey: SECRET_KEY } }))
  const options = { secretKey: new Secret(SECRET_KEY), apiBase: paystack.url }
  gateway = paystackGateway({ ...options, timeoutMs: TIMEOUT_MS })
  hasty = paystackGateway({ ...options, timeoutMs: HASTY_MS })
})
afterEach(async () => {
  await paystack.ask('DELETE', '/_moods')
})
afterAll(() => paystack.stop())

const checkout = (more: Partial<ChargeRequest> = {}): ChargeRequest => ({
  reference: randomUUID(),
  amount: amount(1_000_050),
  currency: 'NGN',
  method: 'card',
  email: 'ada@example.com',
  ...more,
})
const saved = (token = 'AUTH_good1'): ChargeRequest => checkout({ source: { token } })
const payout = (destination = 'RCP_good1'): PayoutRequest => ({
  reference: randomUUID(),
  amount: amount(500_000),
  currency: 'NGN',
  method: 'bank_transfer',
  destination,
})
const refundOf = (chargeId: string, minor = 1_000_050): RefundRequest => ({
  reference: randomUUID(),
  chargeId,
  amount: amount(minor),
  currency: 'NGN',
})
const pass = () => paystack.ask('POST', '/_time', { advance_seconds: 60 })
const customer = (reference: string, does: string) => paystack.ask('POST', `/_customer/${reference}`, { does })
const timesOf = async (what: 'charges' | 'refunds' | 'payouts', reference: string): Promise<number> =>
  (await paystack.done())[what]
    .filter((line) => line.reference === reference)
    .reduce((sum, { times }) => sum + times, 0)

async function charged(): Promise<string> {
  const request = saved()
  expect(await gateway.charge(request)).toMatchObject({ outcome: 'succeeded' })
  return request.reference
}

describe('the checkout page', () => {
  test.each([
    ['card', 'NGN'],
    ['bank_transfer', 'NGN'],
    ['card', 'USD'],
  ] as const)('is where a customer pays by %s in %s', async (method, currency) => {
    const request = checkout({ method, currency, returnUrl: 'https://shop.example/back' })
    const answer = await gateway.charge(request)
    expect(answer).toEqual({
      outcome: 'pending',
      id: request.reference,
      waitsFor: 'customer',
      action: {
        type: 'checkout',
        url: expect.stringContaining(`${paystack.url}/checkout/`),
        fields: { access_code: expect.any(String) },
      },
    })
    expect(await gateway.lookUpCharge(request)).toMatchObject({ outcome: 'pending', waitsFor: 'customer' })

    if (answer.outcome !== 'pending' || answer.action === undefined) return expect.unreachable('No page')
    const paid = await fetch(answer.action.url.replace('/checkout/', '/_customer/'), {
      method: 'POST',
      body: new URLSearchParams({ does: 'approve' }),
      redirect: 'manual',
    })
    const back = new URL(paid.headers.get('location') ?? '')
    const proof = Object.fromEntries(back.searchParams)
    expect(proof).toEqual({ trxref: request.reference, reference: request.reference })
    const confirmed = await gateway.confirm({ reference: request.reference, paymentId: request.reference, proof })
    expect(confirmed).toMatchObject({ outcome: 'succeeded', id: request.reference, amount: 1_000_050n, currency })
    expect(await timesOf('charges', request.reference)).toBe(1)
  })

  test('that the customer leaves unpaid stays open, and what fails there is declined', async () => {
    const request = checkout()
    await gateway.charge(request)
    expect(await gateway.cancel({ reference: request.reference, chargeId: request.reference })).toMatchObject({
      outcome: 'pending',
      waitsFor: 'customer',
    })
    await customer(request.reference, 'fail')
    expect(await gateway.lookUpCharge(request)).toMatchObject({ outcome: 'declined', code: 'declined', hard: false })
  })

  test('is opened once for a reference', async () => {
    const request = checkout()
    await gateway.charge(request)
    expect(await gateway.charge(request)).toMatchObject({ outcome: 'pending', id: request.reference })
    await customer(request.reference, 'approve')
    expect(await gateway.charge(request)).toMatchObject({ outcome: 'succeeded' })
    expect(await timesOf('charges', request.reference)).toBe(1)
  })

  test('is told of by its own reference or number only', async () => {
    const [mine, other] = [await charged(), await charged()]
    const confirm = (paymentId: string, proof: Record<string, string> = {}) =>
      gateway.confirm({ reference: mine, paymentId, proof })
    const { body } = await paystack.ask('GET', `/transaction/verify/${mine}`, undefined, {
      authorization: `Bearer ${SECRET_KEY}`,
    })
    const { id } = (body as { data: { id: number } }).data
    expect(await confirm(mine)).toMatchObject({ outcome: 'succeeded' })
    expect(await confirm(String(id), { reference: mine })).toMatchObject({ outcome: 'succeeded' })
    expect(await confirm(other)).toEqual({ outcome: 'forged' })
    expect(await confirm(String(id + 1))).toEqual({ outcome: 'forged' })
    expect(await confirm(mine, { trxref: other })).toEqual({ outcome: 'forged' })
    expect(await gateway.confirm({ reference: randomUUID(), paymentId: mine, proof: {} })).toEqual({
      outcome: 'absent',
    })
  })
})

describe('a saved card', () => {
  test('is charged without the customer, with what Paystack keeps of it', async () => {
    const request = saved()
    const answer = await gateway.charge(request)
    // 1.5 % and ₦100.
    expect(answer).toEqual({
      outcome: 'succeeded',
      id: request.reference,
      amount: 1_000_050n,
      currency: 'NGN',
      fee: 25_001n,
    })
    expect(await gateway.lookUpCharge(request)).toEqual(answer)
    expect(await gateway.capture({ ...request, chargeId: request.reference })).toEqual(answer)
  })

  test.each([
    ['AUTH_declined', 'declined', false, false],
    ['AUTH_insufficient', 'insufficient_funds', false, false],
    ['AUTH_limit', 'limit_exceeded', false, false],
    ['AUTH_stolen', 'stolen_card', true, false],
    ['AUTH_lost', 'lost_card', true, false],
    ['AUTH_expired', 'expired_card', true, false],
    ['AUTH_fraud', 'fraudulent', true, false],
    ['AUTH_unavailable', 'issuer_unavailable', false, true],
    ['AUTH_unknown', 'invalid_authorization', true, false],
    ['card_4242', 'invalid_authorization', true, false],
  ])('%s is declined as %s', async (token, code, hard, mayFailOver) => {
    const request = saved(token)
    expect(await gateway.charge(request)).toMatchObject({ outcome: 'declined', code, hard, mayFailOver })
    expect(await timesOf('charges', request.reference)).toBe(0)
  })

  test.each([
    ['AUTH_pending', 'succeeded'],
    ['AUTH_late_failure', 'declined'],
    ['AUTH_quantum', 'succeeded'],
  ])('%s pends, and is %s when time has passed', async (token, outcome) => {
    const request = saved(token)
    expect(await gateway.charge(request)).toMatchObject({ outcome: 'pending', waitsFor: 'gateway' })
    await pass()
    expect(await gateway.lookUpCharge(request)).toMatchObject({ outcome })
  })

  test.each([
    ['approve', 'succeeded'],
    ['fail', 'declined'],
  ])('whose bank wants to see its owner is %sd on a page: %s', async (does, outcome) => {
    const request = saved('AUTH_3ds')
    expect(await gateway.charge(request)).toMatchObject({
      outcome: 'pending',
      waitsFor: 'customer',
      action: { type: 'checkout', url: expect.stringContaining('/checkout/') },
    })
    await customer(request.reference, does)
    expect(await gateway.lookUpCharge(request)).toMatchObject({ outcome })
  })

  test('asked for twice at once is charged once', async () => {
    const request = saved()
    const answers = await Promise.all(Array.from({ length: 5 }, () => gateway.charge(request)))
    expect(answers.map(({ outcome }) => outcome)).toEqual(answers.map(() => 'succeeded'))
    expect(await timesOf('charges', request.reference)).toBe(1)
  })

  test('of which too much is taken is told as it is', async () => {
    await paystack.mood({ on: 'POST /transaction', does: 'wrong_amount' })
    expect(await gateway.charge(saved())).toMatchObject({ outcome: 'succeeded', amount: 1_000_051n })
  })
})

test('what Paystack cannot do is said without asking it, so that another may be asked', async () => {
  const before = (await paystack.ask('GET', '/_calls')).body
  const cannot = { outcome: 'declined', hard: false, mayFailOver: true }
  expect(await gateway.charge(checkout({ capture: 'manual' }))).toMatchObject({
    ...cannot,
    code: 'capture_unsupported',
  })
  expect(await gateway.charge(checkout({ email: undefined }))).toMatchObject({ ...cannot, code: 'email_missing' })
  await expect(gateway.charge(checkout({ currency: 'INR' }))).rejects.toThrow(Bug)
  await expect(gateway.charge(checkout({ method: 'upi' }))).rejects.toThrow(Bug)
  await expect(gateway.payout({ ...payout(), currency: 'USD' })).rejects.toThrow(Bug)
  expect((await paystack.ask('GET', '/_calls')).body).toEqual(before)
})

describe('refunds', () => {
  test('are pending first and processed then, in parts up to the whole', async () => {
    const charge = await charged()
    const first = refundOf(charge, 1_000_000)
    expect(await gateway.refund(first)).toMatchObject({ outcome: 'pending', amount: 1_000_000n, currency: 'NGN' })
    expect(await gateway.lookUpRefund(first)).toMatchObject({ outcome: 'succeeded', amount: 1_000_000n })
    expect(await gateway.refund(refundOf(charge, 51))).toMatchObject({ outcome: 'declined', code: 'invalid_amount' })
    await gateway.refund(refundOf(charge, 50))
    expect(await gateway.refund(refundOf(charge, 1))).toMatchObject({
      outcome: 'declined',
      code: 'transaction_reversed',
    })
    expect(await gateway.lookUpCharge({ reference: charge })).toMatchObject({
      outcome: 'succeeded',
      refunded: 1_000_050n,
    })
  })

  test('asked for twice go back once, though Paystack has no key for them', async () => {
    const refund = refundOf(await charged(), 50)
    await gateway.refund(refund)
    expect(await gateway.refund(refund)).toMatchObject({ outcome: 'succeeded', amount: 50n })
    expect(await timesOf('refunds', refund.reference)).toBe(1)
  })

  test.each([
    ['lose_answer', 'succeeded', 1],
    ['fail_after', 'succeeded', 1],
    ['hang_up', 'absent', 0],
    ['hang', 'absent', 0],
  ])('that meet «%s» are looked up as %s and go back once in the end', async (does, found, times) => {
    const refund = refundOf(await charged(), 50)
    await paystack.mood({ on: 'POST /refund', does })
    expect(await (does === 'hang' ? hasty : gateway).refund(refund)).toMatchObject({ outcome: 'unknown' })
    expect(await gateway.lookUpRefund(refund)).toMatchObject({ outcome: found })
    expect(await timesOf('refunds', refund.reference)).toBe(times)
    await gateway.refund(refund)
    expect(await timesOf('refunds', refund.reference)).toBe(1)
  })

  test('are not asked for while it cannot be known whether they were', async () => {
    const refund = refundOf(await charged(), 50)
    await paystack.mood({ on: 'GET /refund', does: 'fail' })
    expect(await gateway.refund(refund)).toMatchObject({ outcome: 'unknown' })
    await paystack.mood({ on: 'GET /transaction/verify', does: 'limit' })
    expect(await gateway.refund(refund)).toMatchObject({ outcome: 'unknown' })
    expect(await timesOf('refunds', refund.reference)).toBe(0)
  })

  test('are not asked for by a worker that was stopped for a while: another one may have done it', async () => {
    const refund = refundOf(await charged(), 50)
    let now = performance.now()
    const stopped = vi.spyOn(performance, 'now').mockImplementation(() => (now += 5_000))
    expect(await gateway.refund(refund)).toMatchObject({ outcome: 'unknown' })
    stopped.mockRestore()
    expect(await timesOf('refunds', refund.reference)).toBe(0)
  })

  test('may fail long after they were taken on', async () => {
    const refund = refundOf(await charged())
    await paystack.mood({ on: 'POST /refund', does: 'late_failure' })
    expect(await gateway.refund(refund)).toMatchObject({ outcome: 'pending' })
    expect(await gateway.lookUpRefund(refund)).toMatchObject({ outcome: 'pending' })
    await pass()
    expect(await gateway.lookUpRefund(refund)).toMatchObject({ outcome: 'declined', code: 'refund_failed' })
  })

  test('of what was never paid are declined', async () => {
    const request = checkout()
    await gateway.charge(request)
    expect(await gateway.refund(refundOf(request.reference))).toMatchObject({
      outcome: 'declined',
      code: 'transaction_not_successful',
    })
    const nothing = refundOf(randomUUID())
    expect(await gateway.lookUpRefund(nothing)).toEqual({ outcome: 'absent' })
    expect(await gateway.refund(nothing)).toMatchObject({ outcome: 'declined', code: 'transaction_not_found' })
  })
})

describe('payouts', () => {
  test.each([
    ['RCP_good1', 'succeeded', 'succeeded', 1],
    ['RCP_pending', 'pending', 'succeeded', 1],
    ['RCP_otp', 'pending', 'pending', 0],
    ['RCP_fail', 'declined', 'declined', 0],
    ['RCP_blocked', 'declined', 'declined', 0],
    ['RCP_late_failure', 'pending', 'declined', 0],
    ['RCP_reversed', 'succeeded', 'returned', 1],
  ])('to %s are %s now and %s later', async (destination, now, later, times) => {
    const request = payout(destination)
    const answer = await gateway.payout(request)
    expect(answer).toMatchObject({ outcome: now, id: expect.stringMatching(/^TRF_/) })
    expect(await gateway.lookUpPayout(request)).toEqual(answer)
    await pass()
    expect(await gateway.lookUpPayout(request)).toMatchObject({ outcome: later })
    await gateway.payout(request)
    expect(await timesOf('payouts', request.reference)).toBe(times)
  })

  test('that Paystack refuses say why', async () => {
    expect(await gateway.payout(payout('RCP_unknown'))).toMatchObject({
      outcome: 'declined',
      code: 'invalid_recipient',
      hard: true,
    })
    expect(await gateway.payout(payout('RCP_poor'))).toMatchObject({
      outcome: 'declined',
      code: 'insufficient_balance',
      mayFailOver: true,
    })
    // Not a reference that Paystack takes: nothing was sent on.
    expect(await gateway.payout({ ...payout(), reference: 'SHORT' })).toMatchObject({ outcome: 'not_sent' })
    expect(await gateway.lookUpPayout({ reference: randomUUID() })).toEqual({ outcome: 'absent' })
  })
})

describe('a bad day at Paystack', () => {
  const kinds = [
    {
      title: 'a charge',
      on: 'POST /transaction',
      what: 'charges' as const,
      make: () => {
        const request = saved()
        return { reference: request.reference, ask: (by = gateway) => by.charge(request) }
      },
      lookUp: (reference: string) => gateway.lookUpCharge({ reference }),
    },
    {
      title: 'a payout',
      on: 'POST /transfer',
      what: 'payouts' as const,
      make: () => {
        const request = payout()
        return { reference: request.reference, ask: (by = gateway) => by.payout(request) }
      },
      lookUp: (reference: string) => gateway.lookUpPayout({ reference }),
    },
  ]
  describe.each(kinds)('$title', ({ on, what, make, lookUp }) => {
    test.each([
      ['hang_up', 'unknown', 'absent'],
      ['lose_answer', 'unknown', 'succeeded'],
      ['fail', 'unknown', 'absent'],
      ['fail_after', 'unknown', 'succeeded'],
      ['hang', 'unknown', 'absent'],
      ['limit', 'not_sent', 'absent'],
    ])('that meets «%s» is %s, and a look-up finds it %s', async (does, outcome, found) => {
      const { reference, ask } = make()
      await paystack.mood({ on, does })
      expect(await ask(does === 'hang' ? hasty : gateway)).toMatchObject({
        outcome,
        reason: expect.stringContaining('Paystack'),
      })
      expect(await lookUp(reference)).toMatchObject({ outcome: found })
      expect(await ask()).toMatchObject({ outcome: 'succeeded' })
      expect(await timesOf(what, reference)).toBe(1)
    })

    test('that is answered too late was done once', async () => {
      const { reference, ask } = make()
      await paystack.mood({ on, does: 'slow', delay_ms: 10 * HASTY_MS })
      expect(await ask(hasty)).toEqual({ outcome: 'unknown', reason: `Paystack did not answer within ${HASTY_MS} ms` })
      await ask()
      expect(await lookUp(reference)).toMatchObject({ outcome: 'succeeded' })
      expect(await timesOf(what, reference)).toBe(1)
    })
  })

  test('a look-up that is not answered says nothing about what it asks for', async () => {
    const reference = await charged()
    for (const does of ['hang_up', 'fail', 'hang', 'limit']) {
      await paystack.mood({ on: 'GET /', does, times: 2 })
      const by = does === 'hang' ? hasty : gateway
      expect(await by.lookUpCharge({ reference })).toMatchObject({ outcome: 'unknown' })
      expect(await by.lookUpPayout({ reference })).toMatchObject({ outcome: 'unknown' })
    }
  })

  test('nothing is sent to a port where nobody listens', async () => {
    const options = { secretKey: new Secret(SECRET_KEY), apiBase: await nobodysUrl(), timeoutMs: TIMEOUT_MS }
    const nobody = paystackGateway(options)
    expect(await nobody.charge(saved())).toMatchObject({ outcome: 'not_sent' })
    expect(await nobody.payout(payout())).toMatchObject({ outcome: 'not_sent' })
    expect(await nobody.lookUpCharge(saved())).toMatchObject({ outcome: 'unknown' })
    expect(await nobody.reachable()).toBe(false)
    expect(await gateway.reachable()).toBe(true)
    await expect(nobody.list({ from: new Date(0), until: new Date() })).rejects.toThrow(Fault)
  })

  test('a key that is not ours moves nothing, and no key is told anywhere', async () => {
    const wrong = 'sk_live_somebody_elses'
    const stranger = paystackGateway({ secretKey: new Secret(wrong), apiBase: paystack.url, timeoutMs: TIMEOUT_MS })
    const answers = [await stranger.charge(saved()), await stranger.lookUpCharge(saved())]
    expect(answers).toMatchObject([{ outcome: 'not_sent' }, { outcome: 'unknown' }])
    const parrot = await startStandIn(({ moods }) =>
      moods.routes().all('*', (c) => c.json({ status: false, message: `No ${c.req.header('authorization')}` }, 400)),
    )
    const quoted = paystackGateway({ secretKey: new Secret(wrong), apiBase: parrot.url, timeoutMs: TIMEOUT_MS })
    answers.push(await quoted.charge(saved()), await quoted.lookUpCharge(saved()))
    expect(answers[2]).toMatchObject({ outcome: 'not_sent', reason: expect.stringContaining('<redacted>') })
    expect(inspect([answers, stranger, quoted], { depth: 9 })).not.toContain(wrong)
    await parrot.stop()
  })

  test('somebody else who answers is not believed', async () => {
    const others = [
      '{}',
      '<html>',
      '{"status":true,"message":"ok","data":{}}',
      `{"status":true,"message":"ok","data":{"id":1,"reference":"${randomUUID()}","status":"success","amount":1,"currency":"EUR2"}}`,
      `{"status":true,"message":"ok","data":{"id":1,"reference":"${randomUUID()}","status":"success","amount":1,"currency":"NGN"}}`,
      `{"status":true,"message":"ok","data":{"id":1,"reference":"${randomUUID()}","status":"success","amount":1,"currency":"NGN","transfer_code":"TRF_1"}}`,
    ]
    for (const body of others) {
      const impostor = await startStandIn(({ moods }) => moods.routes().all('*', (c) => c.body(body, 200)))
      const options = { secretKey: new Secret(SECRET_KEY), apiBase: impostor.url, timeoutMs: TIMEOUT_MS }
      const asked = paystackGateway(options)
      expect(await asked.charge(saved())).toMatchObject({ outcome: 'unknown' })
      expect(await asked.lookUpCharge(saved())).toMatchObject({ outcome: 'unknown' })
      expect(await asked.payout(payout())).toMatchObject({ outcome: 'unknown' })
      expect(await asked.lookUpRefund(refundOf('x'))).toMatchObject({ outcome: 'unknown' })
      await impostor.stop()
    }
  })

  test('a page that is not there does not mean that there is no such charge', async () => {
    const lost = await startStandIn(({ moods }) =>
      moods.routes().all('*', (c) => c.json({ status: false, message: 'Path not found' }, 404)),
    )
    const options = { secretKey: new Secret(SECRET_KEY), apiBase: lost.url, timeoutMs: TIMEOUT_MS }
    expect(await paystackGateway(options).lookUpCharge(saved())).toMatchObject({ outcome: 'unknown' })
    await lost.stop()
  })
})

test('a recipient is described, masked; an authorization cannot be asked for', async () => {
  expect(await gateway.describeMethod({ token: 'RCP_good1', method: 'bank_transfer' })).toEqual({
    outcome: 'known',
    lastFour: '6789',
    brand: 'Test Bank',
  })
  expect(await gateway.describeMethod({ token: 'AUTH_good1', method: 'card' })).toEqual({ outcome: 'known' })
  for (const token of ['RCP_unknown', 'pm_card', 'RCP_../balance'])
    expect(await gateway.describeMethod({ token, method: 'card' })).toMatchObject({ outcome: 'unusable' })
})

test('the list has charges, refunds and payouts of a period once, a page at a time', async () => {
  let time = new Date('2031-03-04T05:06:07Z')
  const busy = await startStandIn((parts) =>
    paystackSandbox({ ...parts, keys: { secretKey: SECRET_KEY }, now: () => time }),
  )
  const listed = paystackGateway({ secretKey: new Secret(SECRET_KEY), apiBase: busy.url, timeoutMs: 5_000 })
  await listed.charge(saved())
  time = new Date('2031-03-05T00:00:00Z')
  const charges = Array.from({ length: 105 }, () => saved())
  for (const request of charges) await listed.charge(request)
  const declined = saved('AUTH_declined')
  await listed.charge(declined)
  const refund = refundOf(charges[0]?.reference ?? '')
  await listed.refund(refund)
  const sent = payout('RCP_pending')
  await listed.payout(sent)
  time = new Date('2031-03-06T00:00:00Z')
  await listed.charge(saved())

  const items: Listed[] = []
  const cursors: string[] = []
  let cursor: string | undefined
  do {
    const period = { from: new Date('2031-03-05T00:00:00Z'), until: new Date('2031-03-06T00:00:00Z') }
    const page = await listed.list({ ...period, cursor })
    items.push(...page.items)
    cursor = page.next
    if (cursor !== undefined) cursors.push(cursor)
  } while (cursor !== undefined)
  expect(cursors).toEqual(['charge:2', 'refund:1', 'payout:1'])
  const expected = [...charges, declined, refund, sent].map(({ reference }) => reference)
  expect(items.map(({ reference }) => reference).toSorted()).toEqual(expected.toSorted())
  expect(items.find(({ type }) => type === 'refund')).toMatchObject({ status: 'succeeded', amount: 1_000_050n })
  expect(items.find(({ reference }) => reference === declined.reference)).toMatchObject({ status: 'failed' })
  expect(items.find(({ type }) => type === 'payout')).toMatchObject({
    status: 'pending',
    amount: 500_000n,
    currency: 'NGN',
    at: new Date('2031-03-05T00:00:00Z'),
  })
  await expect(listed.list({ from: time, until: time, cursor: 'charge:-1' })).rejects.toThrow(Fault)
  await busy.stop()
})

describe('webhooks', () => {
  const read = readPaystackWebhook(new Secret(SECRET_KEY))
  const now = new Date()
  const signed = (body: string, secret = SECRET_KEY) => ({
    raw: Buffer.from(body),
    headers: { 'x-paystack-signature': createHmac('sha512', secret).update(body).digest('hex') },
    now,
  })

  test('say what they are about, signed by Paystack itself', async () => {
    const reference = await charged()
    await gateway.refund(refundOf(reference, 50))
    const request = payout()
    await gateway.payout(request)
    await paystack.ask('POST', '/_disputes', { charge_id: reference, amount: 99 })
    const about = async (event: string, mentions: string) => {
      const webhook = await paystack.webhook(mentions)
      expect(webhook.path).toBe('/paystack')
      const found = paystack.received.filter(
        ({ raw }) => raw.toString('utf8').includes(mentions) && raw.toString('utf8').includes(`"event":"${event}"`),
      )
      return read({ ...(found[0] ?? webhook), now })
    }
    await expect.poll(() => paystack.received.filter(({ raw }) => raw.includes(reference)).length).toBe(4)
    expect(await about('charge.success', reference)).toMatchObject({
      type: 'charge.success',
      eventId: expect.stringMatching(/^[0-9a-f]{64}$/),
      about: { object: 'charge', reference, id: reference },
    })
    expect(await about('refund.processed', reference)).toMatchObject({
      about: { object: 'refund', chargeId: reference },
    })
    expect(await about('charge.dispute.create', reference)).toMatchObject({
      about: { object: 'dispute', chargeId: reference, status: 'needs_response', amount: 99n, currency: 'NGN' },
    })
    expect(await about('transfer.success', request.reference)).toMatchObject({
      about: { object: 'payout', reference: request.reference, id: expect.stringMatching(/^TRF_/) },
    })
  })

  test.each([
    ['needs_response', 'needs_response'],
    ['under_review', 'under_review'],
    ['won', 'won'],
    ['lost', 'lost'],
  ])('of a dispute that stands at %s say so', async (status, expected) => {
    const reference = await charged()
    await paystack.ask('POST', '/_disputes', { charge_id: reference })
    await paystack.webhook(`charge.dispute.create","data":{"id"`)
    const sent = paystack.received.length
    await paystack.ask('POST', '/_disputes', { charge_id: reference, status })
    const latest = () =>
      paystack.received
        .slice(sent)
        .map((webhook) => read({ ...webhook, now }))
        .find((event) => typeof event === 'object' && event.type !== 'charge.dispute.create')
    await expect.poll(latest).toMatchObject({ about: { object: 'dispute', chargeId: reference, status: expected } })
  })

  test('of which a copy comes have the same id, and those of something else another', () => {
    const one = read(signed('{"event":"x","data":{"a":1}}'))
    const other = read(signed('{"event":"x","data":{"a":2}}'))
    expect(read(signed('{"event":"x","data":{"a":1}}'))).toEqual(one)
    expect(one).toMatchObject({ type: 'x', about: { object: 'other' } })
    expect(other).not.toEqual(one)
  })

  test('of a dispute that ended in a way that we do not know decide nothing', () => {
    const transaction = { reference: 'r', amount: 5, currency: 'NGN' }
    const data = { id: 1, status: 'resolved', resolution: 'by-coin-toss', refund_amount: null, transaction }
    expect(read(signed(JSON.stringify({ event: 'charge.dispute.resolve', data })))).toMatchObject({
      about: { status: 'under_review', amount: 5n, currency: 'NGN' },
    })
  })

  test('that were not signed by Paystack are forged', () => {
    const good = signed('{"event":"charge.success","data":{"reference":"r"}}')
    expect(read({ ...good, raw: Buffer.from('{"event":"charge.success","data":{"reference":"s"}}') })).toBe('forged')
    expect(read({ ...good, headers: {} })).toBe('forged')
    expect(read({ ...good, headers: { 'x-paystack-signature': 'ü' } })).toBe('forged')
    expect(read(signed('{}', 'another key'))).toBe('forged')
  })

  test.each([
    '',
    '[]',
    '{"event":"charge.success"}',
    '{"event":"charge.success","data":{}}',
    '{"event":"refund.failed","data":{}}',
    '{"event":"transfer.success","data":{"reference":7}}',
    '{"event":"charge.dispute.create","data":{"id":1}}',
  ])('signed but unreadable is malformed: %j', (body) => {
    expect(read(signed(body))).toBe('malformed')
  })
})
