import { createHmac, randomUUID } from 'node:crypto'
import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { mockGateway } from '../src/gateways/mock/gateway.ts'
import { readMockWebhook } from '../src/gateways/mock/webhook.ts'
import type { ChargeRequest, Gateway, Listed, PaymentMethod, PayoutRequest } from '../src/gateways/port.ts'
import { Bug } from '../src/kit/assert.ts'
import { Fault } from '../src/kit/fault.ts'
import { type Asset, amount } from '../src/kit/money.ts'
import { Secret } from '../src/kit/secret.ts'
import { mockSandbox } from '../src/sandbox/mock.ts'
import { nobodysUrl, type StandIn, startStandIn } from './support/stand-in.ts'

const KEY = 'mock_key_that_is_secret'
const WEBHOOK_SECRET = 'mock_whsec_that_is_secret'

/** Milliseconds. Longer than an answer takes on a busy machine; and what is waited where none comes. */
const TIMEOUT_MS = 10_000
const HASTY_MS = 300

let mock: StandIn
let gateway: Gateway
/** The same, without patience. */
let hasty: Gateway

beforeAll(async () => {
  mock = await startStandIn((parts) => mockSandbox({ ...parts, keys: { key: KEY, webhookSecret: WEBHOOK_SECRET } }))
  const options = { key: new Secret(KEY), apiBase: mock.url }
  gateway = mockGateway({ ...options, timeoutMs: TIMEOUT_MS })
  hasty = mockGateway({ ...options, timeoutMs: HASTY_MS })
})
afterEach(async () => {
  await mock.ask('DELETE', '/_moods')
})
afterAll(() => mock.stop())

const charge = (more: Partial<ChargeRequest> = {}): ChargeRequest => ({
  reference: randomUUID(),
  amount: amount(10_050),
  currency: 'INR',
  method: 'card',
  ...more,
})
const withToken = (token: string): ChargeRequest => charge({ source: { token } })
const payout = (destination = 'mock_account'): PayoutRequest => ({
  reference: randomUUID(),
  amount: amount(7_000),
  currency: 'INR',
  method: 'bank_transfer',
  destination,
})
const pass = () => mock.ask('POST', '/_time', { advance_seconds: 60 })

async function charged(): Promise<{ reference: string; id: string }> {
  const request = charge()
  const answer = await gateway.charge(request)
  if (answer.outcome !== 'succeeded') throw new Error(`Not charged: ${inspect(answer)}`)
  return { reference: request.reference, id: answer.id }
}
const refundOf = (chargeId: string, minor = 10_050) => ({
  reference: randomUUID(),
  chargeId,
  amount: amount(minor),
  currency: 'INR' as const,
})
const timesOf = async (what: 'charges' | 'refunds' | 'payouts', reference: string): Promise<number> =>
  (await mock.done())[what].filter((line) => line.reference === reference).reduce((sum, { times }) => sum + times, 0)

describe('charges', () => {
  test('without a token, money is captured at once', async () => {
    const request = charge()
    const answer = await gateway.charge(request)
    expect(answer).toEqual({
      outcome: 'succeeded',
      id: expect.stringMatching(/^mock_payment_\d+$/),
      amount: 10_050n,
      currency: 'INR',
      refunded: 0n,
    })
    expect(await gateway.lookUpCharge(request)).toEqual(answer)
  })

  const methods: PaymentMethod[] = ['card', 'upi', 'netbanking', 'wallet', 'bank_transfer']
  const currencies: Asset[] = ['INR', 'USD', 'EUR', 'NGN', 'JPY', 'KWD']
  test.each(methods)('%s is taken in every currency, to the minor unit', async (method) => {
    for (const [index, currency] of currencies.entries()) {
      const minor = amount(1_001 + index)
      const answer = await gateway.charge(charge({ method, currency, amount: minor }))
      expect(answer).toMatchObject({ outcome: 'succeeded', amount: minor, currency })
    }
  })

  test('another currency never leaves the house', async () => {
    await expect(gateway.charge(charge({ currency: 'COIN' }))).rejects.toThrow(Bug)
  })

  test('an amount that the wire cannot hold exactly is declined, not rounded', async () => {
    const dear = { amount: amount(9_007_199_254_740_993n) }
    expect(await gateway.charge(charge(dear))).toMatchObject({ outcome: 'declined', code: 'amount_too_large' })
    expect(await gateway.payout({ ...payout(), ...dear })).toMatchObject({ outcome: 'declined' })
    const dearest = charge({ amount: amount(Number.MAX_SAFE_INTEGER) })
    expect(await gateway.charge(dearest)).toMatchObject({ outcome: 'succeeded', amount: 9_007_199_254_740_991n })
  })

  test.each([
    ['mock_decline', 'card_declined', false, false],
    ['mock_insufficient', 'insufficient_funds', false, false],
    ['mock_limit', 'limit_exceeded', false, false],
    ['mock_stolen', 'stolen_card', true, false],
    ['mock_lost', 'lost_card', true, false],
    ['mock_expired', 'expired_card', true, false],
    ['mock_fraud', 'fraudulent', true, false],
    ['mock_processor_down', 'processor_unavailable', false, true],
    ['mock_unknown', 'unknown_token', true, false],
  ])('%s is declined as %s', async (token, code, hard, mayFailOver) => {
    const request = withToken(token)
    expect(await gateway.charge(request)).toMatchObject({ outcome: 'declined', code, hard, mayFailOver })
    expect(await timesOf('charges', request.reference)).toBe(0)
  })

  test.each([
    ['approve', 'succeeded'],
    ['fail', 'declined'],
  ])('a customer who is asked to authenticate and chooses «%s» ends it as %s', async (does, outcome) => {
    const request = charge({ source: { token: 'mock_3ds' }, returnUrl: 'http://shop.example/back?cart=7' })
    const answer = await gateway.charge(request)
    expect(answer).toMatchObject({ outcome: 'pending', waitsFor: 'customer', action: { type: 'redirect' } })
    if (answer.outcome !== 'pending' || answer.action === undefined || answer.id === undefined)
      return expect.unreachable('Nothing for the customer to do')
    expect(await (await fetch(answer.action.url)).text()).toContain(answer.id)

    const decision = await fetch(answer.action.url.replace('/pay/', '/_customer/'), {
      method: 'POST',
      body: new URLSearchParams({ does }),
      redirect: 'manual',
    })
    expect(decision.status).toBe(303)
    const back = new URL(decision.headers.get('location') ?? '')
    expect(back.searchParams.get('cart')).toBe('7')
    const proof = { mock_signature: back.searchParams.get('mock_signature') ?? '' }
    const confirmation = { reference: request.reference, paymentId: answer.id, proof }
    expect(await gateway.confirm(confirmation)).toMatchObject({ outcome })
    expect(await gateway.lookUpCharge(request)).toMatchObject({ outcome })

    expect(await gateway.confirm({ ...confirmation, proof: { mock_signature: 'f'.repeat(64) } })).toEqual({
      outcome: 'forged',
    })
  })

  test('a payment that belongs to another charge confirms nothing', async () => {
    const [mine, other] = [await charged(), await charged()]
    const confirm = (paymentId: string) => gateway.confirm({ reference: mine.reference, paymentId, proof: {} })
    expect(await confirm(mine.id)).toMatchObject({ outcome: 'succeeded', id: mine.id })
    expect(await confirm(other.id)).toEqual({ outcome: 'forged' })
    expect(await confirm('mock_payment_0')).toEqual({ outcome: 'forged' })
    for (const name of ['', '.', '../refunds', 'a/b?c#d', '\ud800'])
      expect(await confirm(name)).toEqual({ outcome: 'forged' })
  })

  test.each([
    ['mock_pending', 'succeeded'],
    ['mock_late_failure', 'declined'],
    ['mock_unheard_of', 'succeeded'],
  ])('%s pends, and is %s when time has passed', async (token, outcome) => {
    const request = withToken(token)
    expect(await gateway.charge(request)).toMatchObject({ outcome: 'pending', waitsFor: 'gateway' })
    expect(await gateway.lookUpCharge(request)).toMatchObject({ outcome: 'pending' })
    await pass()
    expect(await gateway.lookUpCharge(request)).toMatchObject({ outcome })
  })

  test('what was authorised is captured, all or part of it, and captured once', async () => {
    const request = charge({ capture: 'manual' })
    const authorised = await gateway.charge(request)
    expect(authorised).toMatchObject({ outcome: 'pending', waitsFor: 'capture' })
    if (authorised.outcome !== 'pending' || authorised.id === undefined) return expect.unreachable('No name')
    const capture = { ...request, chargeId: authorised.id, amount: amount(10_000) }
    expect(await gateway.capture({ ...capture, amount: amount(10_051) })).toMatchObject({ outcome: 'declined' })
    expect(await gateway.capture(capture)).toMatchObject({ outcome: 'succeeded', amount: 10_000n })
    expect(await gateway.capture(capture)).toMatchObject({ outcome: 'succeeded', amount: 10_000n })
    // Too late to give back what is taken: what became of it is the answer.
    expect(await gateway.cancel(capture)).toMatchObject({ outcome: 'succeeded', amount: 10_000n })
  })

  test('what was authorised or never finished is cancelled', async () => {
    for (const request of [charge({ capture: 'manual' }), withToken('mock_3ds')]) {
      const answer = await gateway.charge(request)
      if (answer.outcome !== 'pending' || answer.id === undefined) return expect.unreachable('No name')
      const cancelled = await gateway.cancel({ reference: request.reference, chargeId: answer.id })
      expect(cancelled).toMatchObject({ outcome: 'declined', code: 'canceled' })
      expect(await gateway.lookUpCharge(request)).toEqual(cancelled)
    }
  })

  test('the gateway has never heard of what was never asked', async () => {
    expect(await gateway.lookUpCharge({ reference: randomUUID() })).toEqual({ outcome: 'absent' })
  })

  test('a wrong amount is told as it is', async () => {
    expect(await gateway.charge(withToken('mock_wrong_amount'))).toMatchObject({
      outcome: 'succeeded',
      amount: 10_051n,
    })
    await mock.mood({ on: 'POST /charges', does: 'wrong_amount' })
    expect(await gateway.charge(charge())).toMatchObject({ outcome: 'succeeded', amount: 10_051n })
  })
})

describe('the same reference', () => {
  test('asked twice is one charge, also at once', async () => {
    const request = charge()
    const answers = await Promise.all(Array.from({ length: 5 }, () => gateway.charge(request)))
    expect(new Set(answers.map((answer) => inspect(answer))).size).toBe(1)
    expect(await timesOf('charges', request.reference)).toBe(1)
  })

  test('with another amount is nothing that can be answered for', async () => {
    const request = charge()
    await gateway.charge(request)
    expect(await gateway.charge({ ...request, amount: amount(1) })).toMatchObject({ outcome: 'unknown' })
    expect(await gateway.lookUpCharge(request)).toMatchObject({ outcome: 'succeeded', amount: 10_050n })
  })

  test('asked twice is one refund and one payout', async () => {
    const refund = refundOf((await charged()).id, 50)
    expect(await gateway.refund(refund)).toEqual(await gateway.refund(refund))
    expect(await timesOf('refunds', refund.reference)).toBe(1)
    const request = payout()
    expect(await gateway.payout(request)).toEqual(await gateway.payout(request))
    expect(await timesOf('payouts', request.reference)).toBe(1)
  })
})

describe('refunds', () => {
  test('go back in parts up to the whole, and not further', async () => {
    const { reference, id } = await charged()
    expect(await gateway.refund(refundOf(id, 10_000))).toMatchObject({ outcome: 'succeeded', amount: 10_000n })
    expect(await gateway.refund(refundOf(id, 51))).toMatchObject({ outcome: 'declined', code: 'refund_exceeds_charge' })
    const last = refundOf(id, 50)
    expect(await gateway.refund(last)).toMatchObject({ outcome: 'succeeded', amount: 50n })
    expect(await gateway.lookUpRefund(last)).toMatchObject({ outcome: 'succeeded', amount: 50n })
    expect(await gateway.lookUpCharge({ reference })).toMatchObject({ outcome: 'succeeded', refunded: 10_050n })
  })

  test('of what was never taken are declined', async () => {
    const request = withToken('mock_3ds')
    const pending = await gateway.charge(request)
    if (pending.outcome !== 'pending' || pending.id === undefined) return expect.unreachable('No name')
    expect(await gateway.refund(refundOf(pending.id))).toMatchObject({ outcome: 'declined', code: 'not_captured' })
    expect(await gateway.refund(refundOf('mock_payment_0'))).toMatchObject({ outcome: 'declined', code: 'not_found' })
  })

  test.each([
    ['stay_pending', 'pending', 'succeeded'],
    ['late_failure', 'succeeded', 'declined'],
  ])('a refund that is in for «%s» is %s now and %s later', async (does, now, later) => {
    const { reference, id } = await charged()
    await mock.mood({ on: 'POST /refunds', does })
    const refund = refundOf(id)
    expect(await gateway.refund(refund)).toMatchObject({ outcome: now })
    await pass()
    expect(await gateway.lookUpRefund(refund)).toMatchObject({ outcome: later })
    const refunded = later === 'succeeded' ? 10_050n : 0n
    expect(await gateway.lookUpCharge({ reference })).toMatchObject({ refunded })
  })
})

describe('payouts', () => {
  test.each([
    ['mock_account', 'succeeded', 'succeeded'],
    ['mock_payout_pending', 'pending', 'succeeded'],
    ['mock_payout_fail', 'declined', 'declined'],
    ['mock_payout_late_failure', 'pending', 'declined'],
    ['mock_payout_returned', 'succeeded', 'returned'],
  ])('to %s are %s now and %s later', async (destination, now, later) => {
    const request = payout(destination)
    expect(await gateway.payout(request)).toMatchObject({ outcome: now })
    expect(await gateway.lookUpPayout(request)).toMatchObject({ outcome: now })
    await pass()
    expect(await gateway.lookUpPayout(request)).toMatchObject({ outcome: later })
    // Asked again it is not paid again, whatever became of it.
    await gateway.payout(request)
    expect(await timesOf('payouts', request.reference)).toBe(later === 'declined' ? 0 : 1)
  })

  test('to a destination that nobody knows are declined for good', async () => {
    expect(await gateway.payout(payout('mock_unknown'))).toMatchObject({ outcome: 'declined', hard: true })
  })
})

describe('a bad day at the gateway', () => {
  const calls: [string, () => { reference: string; ask: (by?: Gateway) => Promise<{ outcome: string }> }, string][] = [
    [
      'a charge',
      () => {
        const request = charge()
        return { reference: request.reference, ask: (by = gateway) => by.charge(request) }
      },
      'charges',
    ],
    [
      'a payout',
      () => {
        const request = payout()
        return { reference: request.reference, ask: (by = gateway) => by.payout(request) }
      },
      'payouts',
    ],
  ]
  describe.each(calls)('%s', (_title, make, what) => {
    const lookUp = (reference: string) =>
      what === 'charges' ? gateway.lookUpCharge({ reference }) : gateway.lookUpPayout({ reference })
    const times = (reference: string) => timesOf(what === 'charges' ? 'charges' : 'payouts', reference)

    test.each([
      ['hang_up', 'unknown', 'absent'],
      ['lose_answer', 'unknown', 'succeeded'],
      ['fail', 'unknown', 'absent'],
      ['fail_after', 'unknown', 'succeeded'],
      ['hang', 'unknown', 'absent'],
      ['limit', 'not_sent', 'absent'],
    ])('that meets «%s» is %s, and a look-up finds it %s', async (does, outcome, found) => {
      const { reference, ask } = make()
      await mock.mood({ on: `POST /${what}`, does })
      expect(await ask(does === 'hang' ? hasty : gateway)).toMatchObject({
        outcome,
        reason: expect.stringContaining('mock gateway'),
      })
      expect(await lookUp(reference)).toMatchObject({ outcome: found })
      expect(await times(reference)).toBe(found === 'succeeded' ? 1 : 0)
      // Asked again under the same reference it is done once in all.
      expect(await ask()).toMatchObject({ outcome: 'succeeded' })
      expect(await times(reference)).toBe(1)
    })

    test('that is answered too late was done once', async () => {
      const { reference, ask } = make()
      await mock.mood({ on: `POST /${what}`, does: 'slow', delay_ms: 10 * HASTY_MS })
      expect(await ask(hasty)).toEqual({
        outcome: 'unknown',
        reason: `The mock gateway did not answer within ${HASTY_MS} ms`,
      })
      await ask()
      expect(await lookUp(reference)).toMatchObject({ outcome: 'succeeded' })
      expect(await times(reference)).toBe(1)
    })
  })

  test('a look-up that is not answered says nothing about the charge', async () => {
    const request = await charged()
    for (const does of ['hang_up', 'fail', 'hang', 'limit']) {
      await mock.mood({ on: 'GET /charges', does })
      const by = does === 'hang' ? hasty : gateway
      expect(await by.lookUpCharge(request)).toMatchObject({ outcome: 'unknown' })
    }
  })

  test('nothing is sent to a port where nobody listens, and a look-up there is no «not sent»', async () => {
    const nobody = mockGateway({ key: new Secret(KEY), apiBase: await nobodysUrl(), timeoutMs: TIMEOUT_MS })
    expect(await nobody.charge(charge())).toMatchObject({ outcome: 'not_sent' })
    expect(await nobody.lookUpCharge(charge())).toMatchObject({ outcome: 'unknown' })
    expect(await nobody.reachable()).toBe(false)
    expect(await gateway.reachable()).toBe(true)
    await expect(nobody.list({ from: new Date(0), until: new Date() })).rejects.toThrow(Fault)
  })

  test('a key that is not theirs moves nothing, and is told nowhere', async () => {
    const stranger = mockGateway({ key: new Secret('a_wrong_secret'), apiBase: mock.url, timeoutMs: TIMEOUT_MS })
    const answer = await stranger.charge(charge())
    expect(answer).toMatchObject({ outcome: 'not_sent' })
    expect(inspect([answer, stranger], { depth: 9 })).not.toContain('a_wrong_secret')
  })

  test('somebody else who answers is not believed', async () => {
    for (const body of ['{}', '[]', '"yes"', '<html>', '{"object":"charge","status":"captured"}']) {
      const impostor = await startStandIn(({ moods }) => moods.routes().all('*', (c) => c.body(body, 200)))
      const asked = mockGateway({ key: new Secret(KEY), apiBase: impostor.url, timeoutMs: TIMEOUT_MS })
      expect(await asked.charge(charge())).toMatchObject({ outcome: 'unknown' })
      expect(await asked.lookUpCharge(charge())).toMatchObject({ outcome: 'unknown' })
      expect(await asked.payout(payout())).toMatchObject({ outcome: 'unknown' })
      await impostor.stop()
    }
  })
})

test('a token is described, masked', async () => {
  expect(await gateway.describeMethod({ token: 'mock_card', method: 'card' })).toEqual({
    outcome: 'known',
    lastFour: '4242',
    brand: 'Mock',
    expiryMonth: 12,
    expiryYear: 2034,
  })
  expect(await gateway.describeMethod({ token: 'mock_unknown', method: 'card' })).toMatchObject({ outcome: 'unusable' })
})

test('the list has every movement of a period once, a page at a time', async () => {
  let time = new Date('2031-03-04T05:06:07Z')
  const busy = await startStandIn((parts) =>
    mockSandbox({ ...parts, keys: { key: KEY, webhookSecret: WEBHOOK_SECRET }, now: () => time }),
  )
  const listed = mockGateway({ key: new Secret(KEY), apiBase: busy.url, timeoutMs: 5_000 })
  const early = charge()
  await listed.charge(early)
  time = new Date('2031-03-05T00:00:00Z')
  const requests = Array.from({ length: 120 }, () => charge())
  for (const request of requests) await listed.charge(request)
  const declined = withToken('mock_decline')
  await listed.charge(declined)
  const sent = payout('mock_payout_pending')
  await listed.payout(sent)
  time = new Date('2031-03-06T00:00:00Z')
  await listed.charge(charge())

  const items: Listed[] = []
  let cursor: string | undefined
  let pages = 0
  do {
    const page = await listed.list({
      from: new Date('2031-03-05T00:00:00Z'),
      until: new Date('2031-03-06T00:00:00Z'),
      cursor,
    })
    items.push(...page.items)
    cursor = page.next
    pages += 1
  } while (cursor !== undefined)
  expect(pages).toBe(2)
  const expected = [...requests, declined, sent].map(({ reference }) => reference)
  expect(items.map(({ reference }) => reference)).toEqual(expected)
  expect(items.at(-1)).toMatchObject({ type: 'payout', status: 'pending', amount: 7_000n, currency: 'INR' })
  expect(items.at(-2)).toMatchObject({ type: 'charge', status: 'failed', at: new Date('2031-03-05T00:00:00Z') })
  await busy.stop()
})

describe('webhooks', () => {
  const read = readMockWebhook(new Secret(WEBHOOK_SECRET))
  const now = () => new Date()
  const signed = (body: string, at = Math.floor(Date.now() / 1_000), secret = WEBHOOK_SECRET) => ({
    raw: Buffer.from(body),
    headers: {
      'x-mock-signature': `t=${at},v1=${createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')}`,
    },
    now: now(),
  })

  test('say what they are about, signed by the gateway itself', async () => {
    const { reference, id } = await charged()
    const refund = refundOf(id, 50)
    await gateway.refund(refund)
    const request = payout()
    await gateway.payout(request)
    const dispute = await mock.ask('POST', '/_disputes', { charge_id: id, amount: 99 })
    const { dispute_id } = dispute.body as { dispute_id: string }

    const about = async (mentions: string) => {
      const webhook = await mock.webhook(mentions)
      expect(webhook.path).toBe('/mock')
      return read({ ...webhook, now: now() })
    }
    expect(await about(reference)).toMatchObject({
      type: 'charge.captured',
      eventId: expect.stringMatching(/^mock_event_/),
      about: { object: 'charge', reference, id },
    })
    expect(await about(refund.reference)).toMatchObject({
      type: 'refund.succeeded',
      about: { object: 'refund', reference: refund.reference, chargeId: id },
    })
    expect(await about(request.reference)).toMatchObject({
      type: 'payout.paid',
      about: { object: 'payout', reference: request.reference },
    })
    expect(await about(`"${dispute_id}"`)).toMatchObject({
      type: 'dispute.opened',
      about: {
        object: 'dispute',
        id: dispute_id,
        chargeId: id,
        status: 'needs_response',
        amount: 99n,
        currency: 'INR',
      },
    })
  })

  test('that were not signed by the gateway are forged', () => {
    const good = signed('{"id":"e","type":"t","data":{"object":"weather"}}')
    expect(read(good)).toEqual({ eventId: 'e', type: 't', about: { object: 'other' } })
    expect(read({ ...good, raw: Buffer.from(good.raw.toString('utf8').replace('weather', 'storm')) })).toBe('forged')
    expect(read({ ...good, headers: {} })).toBe('forged')
    expect(read({ ...good, headers: { 'x-mock-signature': 'nonsense' } })).toBe('forged')
    expect(read(signed('{}', undefined, 'another secret'))).toBe('forged')
    const later = good.headers['x-mock-signature'].replace(/^t=\d+/, `t=${Math.floor(Date.now() / 1_000) + 1}`)
    expect(read({ ...good, headers: { 'x-mock-signature': later } })).toBe('forged')
  })

  test('that were made long ago, or in a time to come, are stale', () => {
    const second = Math.floor(Date.now() / 1_000)
    expect(read(signed('{}', second - 400))).toBe('stale')
    expect(read(signed('{}', second + 400))).toBe('stale')
  })

  test.each(['', '[]', '{}', '{"id":"e","type":"t","data":{"object":"charge"}}', '{"id":"e","type":"t"}', '\ud800'])(
    'signed but unreadable is malformed: %j',
    (body) => {
      expect(read(signed(body))).toBe('malformed')
    },
  )
})
