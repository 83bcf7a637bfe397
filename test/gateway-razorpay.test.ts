import { createHmac, randomUUID } from 'node:crypto'
import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { ChargePending, ChargeRequest, Listed } from '../src/gateways/port.ts'
import { readRazorpayWebhook } from '../src/gateways/razorpay/webhook.ts'
import { Bug } from '../src/kit/assert.ts'
import { Fault } from '../src/kit/fault.ts'
import { amount } from '../src/kit/money.ts'
import { Secret } from '../src/kit/secret.ts'
import {
  chargeOf,
  gatewayAt,
  listen,
  type RazorpayStage,
  razorpayKeys,
  razorpayStage,
  savedToken,
} from './support/razorpay.ts'

let stage: RazorpayStage
const said: unknown[] = []

beforeAll(async () => {
  stage = await razorpayStage()
})
afterEach(async () => {
  await stage.ask('DELETE', '/_moods')
})
afterAll(() => stage.stop())

const CARD = { method: 'card', card: '4100 2800 0000 1007' }

/** Remembers the answer, so that the last test can look through all of them. */
function hear<Answer>(answer: Answer): Answer {
  said.push(answer)
  return answer
}

async function order(of: Partial<ChargeRequest> & { amount?: never } = {}) {
  const request = chargeOf(of)
  const pending = hear(await stage.gateway.charge(request)) as ChargePending
  expect(pending).toMatchObject({ outcome: 'pending', waitsFor: 'customer' })
  return { request, orderId: pending.id ?? '' }
}

/** A deposit that the customer has paid and we have confirmed. */
async function paid(of: Partial<ChargeRequest> & { amount?: never } = {}) {
  const { request, orderId } = await order(of)
  const { body: proof } = await stage.checkout(orderId, CARD)
  const confirmed = hear(await confirm(request.reference, orderId, proof))
  return { request, orderId, proof, confirmed, paymentId: proof.razorpay_payment_id as string }
}

const confirm = (reference: string, chargeId: string, proof: Record<string, string>) =>
  stage.gateway.confirm({
    reference,
    chargeId,
    paymentId: proof.razorpay_payment_id ?? '',
    proof,
  })

const chargesOf = async (reference: string) =>
  (await stage.done()).charges.filter((charge) => charge.reference === reference)

describe('a charge that the customer pays in Checkout', () => {
  test('is an order with our reference, and says what Checkout needs', async () => {
    const request = chargeOf()
    const answer = await stage.gateway.charge(request)
    expect(answer).toEqual({
      outcome: 'pending',
      id: expect.stringMatching(/^order_/),
      amount: 50_000n,
      currency: 'INR',
      waitsFor: 'customer',
      action: {
        type: 'checkout',
        url: 'https://checkout.razorpay.com/v1/checkout.js',
        fields: { key: razorpayKeys.keyId, order_id: (answer as ChargePending).id },
      },
    })
    expect((await stage.ask('GET', `/v1/orders/${(answer as ChargePending).id}`)).body).toMatchObject({
      receipt: request.reference,
      amount: 50_000,
      currency: 'INR',
      status: 'created',
    })
  })

  test('succeeds when the proof is right, with what Razorpay keeps of it', async () => {
    const { request, confirmed, paymentId, orderId } = await paid()
    expect(confirmed).toEqual({ outcome: 'succeeded', id: paymentId, amount: 50_000n, currency: 'INR', fee: 1_180n })
    expect(await stage.gateway.lookUpCharge({ reference: request.reference })).toEqual(confirmed)
    expect(await stage.gateway.lookUpCharge({ reference: request.reference, chargeId: orderId })).toEqual(confirmed)
    expect(await stage.gateway.lookUpCharge({ reference: request.reference, chargeId: paymentId })).toEqual(confirmed)
    expect(await chargesOf(request.reference)).toMatchObject([{ amount: 50_000, times: 1 }])
  })

  test.each([
    ['UPI', { method: 'upi' }, { method: 'upi', vpa: 'success@razorpay' }],
    ['net banking', { method: 'netbanking' }, { method: 'netbanking', bank: 'HDFC' }],
    ['a wallet', { method: 'wallet' }, { method: 'wallet', wallet: 'payzapp' }],
    ['a bank transfer', { method: 'bank_transfer' }, { method: 'bank_transfer' }],
  ] as const)('is paid by %s too', async (_, of, by) => {
    const { request, orderId } = await order(of)
    const { body: proof } = await stage.checkout(orderId, by)
    expect(await confirm(request.reference, orderId, proof)).toMatchObject({ outcome: 'succeeded', amount: 50_000n })
  })

  test('cannot be confirmed with a proof that somebody made up, bent, or took from another deposit', async () => {
    const mine = await order()
    const other = await paid()
    const { body: proof } = await stage.checkout(mine.orderId, CARD)
    const bent = [
      { ...proof, razorpay_signature: 'f'.repeat(64) },
      { ...proof, razorpay_signature: proof.razorpay_signature.toUpperCase() },
      { ...proof, razorpay_signature: '' },
      { ...proof, razorpay_payment_id: other.paymentId },
      { ...proof, razorpay_order_id: other.orderId },
      { razorpay_payment_id: proof.razorpay_payment_id },
      other.proof,
    ]
    for (const forged of bent)
      expect(hear(await confirm(mine.request.reference, mine.orderId, forged))).toEqual({ outcome: 'forged' })
    expect(await confirm(mine.request.reference, mine.orderId, proof)).toMatchObject({ outcome: 'succeeded' })
  })

  test('cannot be confirmed with ids that lead elsewhere, even signed', async () => {
    const { request } = await order()
    for (const [orderId, paymentId] of [
      ['order_x/../../refunds', 'pay_1'],
      ['order_1', 'pay_1/../x'],
      ['order_unknown', 'pay_unknown'],
    ]) {
      const signature = createHmac('sha256', razorpayKeys.keySecret).update(`${orderId}|${paymentId}`).digest('hex')
      const proof = { razorpay_order_id: orderId ?? '', razorpay_signature: signature }
      expect(await stage.gateway.confirm({ reference: request.reference, paymentId: paymentId ?? '', proof })).toEqual({
        outcome: 'forged',
      })
    }
  })

  test('stays open after an attempt that failed, and the one that went well counts', async () => {
    const { request, orderId } = await order()
    const failed = await stage.checkout(orderId, { method: 'upi', vpa: 'failure@razorpay' })
    expect(failed).toMatchObject({ status: 400, body: { error: { reason: 'payment_failed' } } })
    expect(await stage.gateway.lookUpCharge({ reference: request.reference })).toMatchObject({
      outcome: 'pending',
      waitsFor: 'customer',
      id: orderId,
    })
    const { body: proof } = await stage.checkout(orderId, CARD)
    expect(await confirm(request.reference, orderId, proof)).toMatchObject({
      outcome: 'succeeded',
      id: proof.razorpay_payment_id,
    })
    expect((await stage.ask('GET', `/v1/orders/${orderId}`)).body.attempts).toBe(2)
  })

  test('takes one of two payments that were captured, always the same one, and names the other as surplus', async () => {
    const first = await paid()
    await stage.pass(1)
    const { body: second } = await stage.checkout(first.orderId, { ...CARD, again: true })
    const judged = {
      outcome: 'succeeded',
      id: first.paymentId,
      amount: 50_000n,
      surplus: [{ id: second.razorpay_payment_id, amount: 50_000n, currency: 'INR', fee: 1_180n }],
    }
    const { reference } = first.request
    expect(await stage.gateway.lookUpCharge({ reference })).toMatchObject(judged)
    expect(await confirm(reference, first.orderId, second)).toMatchObject(judged)
    const taken = second.razorpay_payment_id
    expect(await stage.gateway.lookUpCharge({ reference, chargeId: taken })).toMatchObject({
      id: taken,
      surplus: [{ id: first.paymentId }],
    })
  })

  test('that the bank approved late is captured when it is confirmed, once', async () => {
    const { request, orderId } = await order()
    const { body: proof } = await stage.checkout(orderId, { ...CARD, late: true })
    expect(await stage.gateway.lookUpCharge({ reference: request.reference })).toEqual({
      outcome: 'pending',
      id: proof.razorpay_payment_id,
      amount: 50_000n,
      currency: 'INR',
      waitsFor: 'capture',
    })
    const confirmations = await Promise.all([1, 2, 3].map(() => confirm(request.reference, orderId, proof)))
    for (const one of confirmations) expect(one).toMatchObject({ outcome: 'succeeded', id: proof.razorpay_payment_id })
    expect(await chargesOf(request.reference)).toMatchObject([{ times: 1 }])
  })

  test('with manual capture waits for it, and a second capture changes nothing', async () => {
    const { request, orderId } = await order({ capture: 'manual' })
    const { body: proof } = await stage.checkout(orderId, CARD)
    const { reference } = request
    expect(await confirm(reference, orderId, proof)).toMatchObject({ outcome: 'pending', waitsFor: 'capture' })
    expect(await chargesOf(reference)).toEqual([])
    const capture = { reference, chargeId: orderId, amount: amount(50_000), currency: 'INR' } as const
    const captured = await stage.gateway.capture(capture)
    expect(captured).toMatchObject({ outcome: 'succeeded', id: proof.razorpay_payment_id, amount: 50_000n })
    expect(await stage.gateway.capture(capture)).toEqual(captured)
    expect(await stage.gateway.capture({ ...capture, chargeId: proof.razorpay_payment_id })).toEqual(captured)
    expect(await chargesOf(reference)).toMatchObject([{ times: 1 }])
  })

  test('cannot be captured for more than was authorised', async () => {
    const { request, orderId } = await order({ capture: 'manual' })
    const { body: proof } = await stage.checkout(orderId, CARD)
    const capture = { reference: request.reference, chargeId: proof.razorpay_payment_id, currency: 'INR' } as const
    expect(hear(await stage.gateway.capture({ ...capture, amount: amount(50_001) }))).toMatchObject({
      outcome: 'declined',
      code: 'input_validation_failed',
      mayFailOver: false,
    })
  })

  test('that nobody paid can be cancelled, and what is set aside goes back uncaptured', async () => {
    const unpaid = await order()
    expect(await stage.gateway.cancel({ reference: unpaid.request.reference, chargeId: unpaid.orderId })).toMatchObject(
      { outcome: 'declined', code: 'payment_cancelled', hard: false, mayFailOver: false },
    )

    const held = await order({ capture: 'manual' })
    const { body: proof } = await stage.checkout(held.orderId, CARD)
    const { reference } = held.request
    expect(await stage.gateway.cancel({ reference, chargeId: held.orderId })).toMatchObject({ outcome: 'declined' })
    expect(await confirm(reference, held.orderId, proof)).toMatchObject({ code: 'payment_cancelled' })
    expect(await stage.gateway.lookUpCharge({ reference })).toMatchObject({ code: 'payment_cancelled' })
    expect(await chargesOf(reference)).toEqual([])
  })

  test('that was paid meanwhile is not cancelled, and one that is paid after all is told', async () => {
    const done = await paid()
    const { reference } = done.request
    expect(await stage.gateway.cancel({ reference, chargeId: done.orderId })).toMatchObject({ outcome: 'succeeded' })

    const late = await order()
    await stage.gateway.cancel({ reference: late.request.reference, chargeId: late.orderId })
    await stage.checkout(late.orderId, CARD)
    expect(await stage.gateway.lookUpCharge({ reference: late.request.reference })).toMatchObject({
      outcome: 'succeeded',
    })
  })

  test('asked twice is one order, also when the answer was lost or Razorpay is asked at the same time', async () => {
    const request = chargeOf()
    await stage.mood('POST /v1/orders', 'lose_answer')
    expect(hear(await stage.gateway.charge(request))).toMatchObject({ outcome: 'unknown' })
    const again = (await stage.gateway.charge(request)) as ChargePending
    expect(await stage.gateway.lookUpCharge({ reference: request.reference })).toEqual(again)
    const { body } = await stage.ask('GET', `/v1/orders?receipt=${request.reference}`)
    expect(body.items).toHaveLength(1)
  })

  test('made twice at once is still one charge: the orders are looked at together', async () => {
    const request = chargeOf()
    const both = (await Promise.all([stage.gateway.charge(request), stage.gateway.charge(request)])) as ChargePending[]
    const { body: proof } = await stage.checkout(both[1]?.id, CARD)
    expect(await stage.gateway.lookUpCharge({ reference: request.reference })).toMatchObject({
      outcome: 'succeeded',
      id: proof.razorpay_payment_id,
    })
    expect(await stage.gateway.charge(request)).toMatchObject({ outcome: 'succeeded' })
  })

  test('is one order on an account that refuses a receipt twice', async () => {
    const strict = await razorpayStage({ uniqueReceipts: true })
    const request = chargeOf()
    const answers = await Promise.all([1, 2, 3].map(() => strict.gateway.charge(request)))
    expect(new Set(answers.map((answer) => (answer as ChargePending).id)).size).toBe(1)
    for (const answer of answers) expect(answer).toMatchObject({ outcome: 'pending', waitsFor: 'customer' })
    await strict.stop()
  })

  test('says what Razorpay took, not what was asked', async () => {
    const { request, orderId } = await order()
    await stage.mood('POST /_checkout', 'wrong_amount')
    const { body: proof } = await stage.checkout(orderId, CARD)
    expect(await confirm(request.reference, orderId, proof)).toMatchObject({ outcome: 'succeeded', amount: 50_001n })
  })
})

describe('money in other currencies', () => {
  test.each([
    ['JPY', 295],
    ['KWD', 295_990],
    ['USD', 1_099],
    ['EUR', 1],
    ['NGN', 250_000],
  ] as const)('%s goes in its own smallest unit: %i', async (currency, minor) => {
    const request = chargeOf({ currency, amount: minor })
    const pending = (await stage.gateway.charge(request)) as ChargePending
    const { body: proof } = await stage.checkout(pending.id, { method: 'card', card: '4012888888881881' })
    expect(await confirm(request.reference, pending.id ?? '', proof)).toEqual({
      outcome: 'succeeded',
      id: proof.razorpay_payment_id,
      amount: BigInt(minor),
      currency,
    })
  })

  test('thousandths of a dinar are refused by name before anybody is asked', async () => {
    const before = await stage.calls()
    expect(await stage.gateway.charge(chargeOf({ currency: 'KWD', amount: 99_991 }))).toMatchObject({
      outcome: 'declined',
      code: 'three_decimal_amount',
      mayFailOver: true,
    })
    expect(await stage.calls()).toEqual(before)
  })

  test('what Razorpay cannot take never reaches it', async () => {
    await expect(stage.gateway.charge(chargeOf({ method: 'upi', currency: 'USD' }))).rejects.toBeInstanceOf(Bug)
    await expect(stage.gateway.charge(chargeOf({ currency: 'USDC' }))).rejects.toBeInstanceOf(Bug)
    expect(stage.gateway.capabilities.charges.card).toContain('KWD')
    expect(stage.gateway.capabilities.charges.upi).toEqual(['INR'])
  })
})

describe('a charge of a saved method', () => {
  const saved = (name: string) => chargeOf({ source: savedToken(name) })

  test('succeeds without the customer, with the customer given or found', async () => {
    const request = saved('visa')
    expect(hear(await stage.gateway.charge(request))).toMatchObject({ outcome: 'succeeded', amount: 50_000n })
    const given = chargeOf({
      method: 'upi',
      source: { token: 'token_sandbox_upi', customer: 'cust_sandbox' },
      email: 'gaurav@example.com',
    })
    expect(await stage.gateway.charge(given)).toMatchObject({ outcome: 'succeeded' })
    expect(await chargesOf(request.reference)).toMatchObject([{ times: 1 }])
  })

  test('twice with the same reference is charged once', async () => {
    const request = saved('visa')
    const first = await stage.gateway.charge(request)
    expect(await stage.gateway.charge(request)).toEqual(first)
    expect(await chargesOf(request.reference)).toMatchObject([{ times: 1 }])
  })

  test.each([
    ['declined', 'card_declined', false],
    ['insufficient', 'insufficient_funds', false],
    ['blocked', 'debit_instrument_blocked', true],
    ['technical', 'gateway_technical_error', false],
  ] as const)('%s is declined with %s (hard: %s), and stays so', async (name, code, hard) => {
    const request = saved(name)
    const declined = { outcome: 'declined', code, hard, mayFailOver: false, id: expect.stringMatching(/^pay_/) }
    expect(hear(await stage.gateway.charge(request))).toMatchObject(declined)
    expect(await stage.gateway.lookUpCharge({ reference: request.reference })).toMatchObject(declined)
    expect(await stage.gateway.charge(request)).toMatchObject(declined)
    expect(await chargesOf(request.reference)).toEqual([])
  })

  test('that is unknown or has ended is declined for good', async () => {
    expect(hear(await stage.gateway.charge(saved('never_seen')))).toMatchObject({
      outcome: 'declined',
      code: 'token_not_found',
      hard: true,
    })
    expect(hear(await stage.gateway.charge(saved('ended')))).toMatchObject({ code: 'token_invalid', hard: true })
  })

  test('of a customer without a telephone number is declined by name', async () => {
    const { body: customer } = await stage.ask('POST', '/v1/customers', { name: 'No phone', email: 'a@example.com' })
    const source = { token: 'token_sandbox_visa', customer: customer.id }
    expect(hear(await stage.gateway.charge(chargeOf({ source })))).toMatchObject({ code: 'customer_incomplete' })
  })

  test('that wants its customer is pending until they have been at their bank', async () => {
    const approved = saved('ask')
    expect(await stage.gateway.charge(approved)).toMatchObject({ outcome: 'pending', waitsFor: 'gateway' })
    const refused = saved('ask')
    await stage.gateway.charge(refused)
    for (const [{ reference }, does] of [
      [approved, 'approve'],
      [refused, 'fail'],
    ] as const) {
      const { body: orders } = await stage.ask('GET', `/v1/orders?receipt=${reference}`)
      const { body: payments } = await stage.ask('GET', `/v1/orders/${orders.items[0].id}/payments`)
      await stage.ask('POST', `/_customer/${payments.items[0].id}`, { does })
    }
    expect(await stage.gateway.lookUpCharge(approved)).toMatchObject({ outcome: 'succeeded' })
    expect(await stage.gateway.lookUpCharge(refused)).toMatchObject({ code: 'authentication_failed' })
  })

  test.each(['stay_pending', 'late_failure'] as const)('with %s is pending, then what the bank said', async (does) => {
    const request = saved('visa')
    await stage.mood('POST /v1/payments/create/recurring', does)
    expect(hear(await stage.gateway.charge(request))).toMatchObject({ outcome: 'pending', waitsFor: 'gateway' })
    await stage.pass(60)
    const then = await stage.gateway.lookUpCharge({ reference: request.reference })
    expect(then).toMatchObject(
      does === 'stay_pending' ? { outcome: 'succeeded' } : { outcome: 'declined', code: 'payment_timed_out' },
    )
  })

  test.each(['lose_answer', 'fail_after'] as const)(
    'a timeout after a successful charge ends as exactly one charge by look-up (%s)',
    async (does) => {
      const request = saved('visa')
      await stage.mood('POST /v1/payments/create/recurring', does)
      expect(hear(await stage.gateway.charge(request))).toMatchObject({ outcome: 'unknown' })
      const found = await stage.gateway.lookUpCharge({ reference: request.reference })
      expect(found).toMatchObject({ outcome: 'succeeded', amount: 50_000n })
      expect(await stage.gateway.charge(request)).toEqual(found)
      expect(await chargesOf(request.reference)).toMatchObject([{ times: 1 }])
    },
  )

  test.each(['hang_up', 'fail', 'hang'] as const)(
    'whose payment was never made (%s) is unknown, absent when time has shown it, and charged once when asked again',
    async (does) => {
      const request = saved('visa')
      await stage.mood('POST /v1/payments/create/recurring', does)
      expect(hear(await stage.gateway.charge(request))).toMatchObject({ outcome: 'unknown' })
      expect(hear(await stage.gateway.lookUpCharge({ reference: request.reference }))).toMatchObject({
        outcome: 'unknown',
      })
      const later = gatewayAt(stage.url, { now: () => new Date(Date.now() + 600_000) })
      expect(await later.lookUpCharge({ reference: request.reference })).toEqual({ outcome: 'absent' })
      expect(await stage.gateway.charge(request)).toMatchObject({ outcome: 'succeeded' })
      expect(await chargesOf(request.reference)).toMatchObject([{ times: 1 }])
    },
  )

  test('that Razorpay had no time for was not sent', async () => {
    const request = saved('visa')
    await stage.mood('POST /v1/payments/create/recurring', 'limit')
    expect(hear(await stage.gateway.charge(request))).toMatchObject({ outcome: 'not_sent' })
    expect(await chargesOf(request.reference)).toEqual([])
  })
})

describe('what can go wrong on the way', () => {
  test('a charge at a port where nobody listens was not sent, and look-ups know nothing', async () => {
    const gone = await listen(() => new Response())
    await gone.stop()
    const gateway = gatewayAt(gone.url)
    const { reference } = chargeOf()
    expect(hear(await gateway.charge(chargeOf()))).toEqual({
      outcome: 'not_sent',
      reason: 'Razorpay could not be reached (ECONNREFUSED)',
    })
    const refund = { reference, chargeId: 'pay_1', amount: amount(100), currency: 'INR' } as const
    expect(hear(await gateway.refund(refund))).toMatchObject({ outcome: 'not_sent' })
    expect(hear(await gateway.payout(payoutOf()))).toMatchObject({ outcome: 'not_sent' })
    expect(hear(await gateway.capture({ ...refund }))).toMatchObject({ outcome: 'not_sent' })
    // That a look-up was not sent must not read as if the charge was not.
    expect(hear(await gateway.lookUpCharge({ reference }))).toMatchObject({ outcome: 'unknown' })
    expect(hear(await gateway.lookUpRefund({ reference, chargeId: 'pay_1' }))).toMatchObject({ outcome: 'unknown' })
    expect(hear(await gateway.lookUpPayout({ reference }))).toMatchObject({ outcome: 'unknown' })
    expect(hear(await gateway.cancel({ reference, chargeId: 'order_1' }))).toMatchObject({ outcome: 'unknown' })
    expect(hear(await gateway.describeMethod({ token: 'token_1', method: 'card' }))).toMatchObject({
      outcome: 'not_sent',
    })
    expect(await gateway.reachable()).toBe(false)
    await expect(gateway.list({ from: new Date(0), until: new Date() })).rejects.toBeInstanceOf(Fault)
  })

  test('a refused key was not sent', async () => {
    const gateway = gatewayAt(stage.url, { keySecret: 'wrong and long enough' })
    expect(hear(await gateway.charge(chargeOf()))).toMatchObject({ outcome: 'not_sent' })
    expect(hear(await gateway.payout(payoutOf()))).toMatchObject({ outcome: 'not_sent' })
    expect(hear(await gateway.lookUpCharge(chargeOf()))).toMatchObject({ outcome: 'unknown' })
  })

  test.each([
    ['hang_up', 'unknown'],
    ['hang', 'unknown'],
    ['fail', 'unknown'],
    ['fail_after', 'unknown'],
    ['lose_answer', 'unknown'],
    ['limit', 'not_sent'],
  ] as const)('%s while the order is made is %s, and one order is what there is in the end', async (does, outcome) => {
    const request = chargeOf()
    await stage.mood('POST /v1/orders', does)
    expect(hear(await stage.gateway.charge(request))).toMatchObject({ outcome })
    expect(await stage.gateway.charge(request)).toMatchObject({ outcome: 'pending' })
    expect((await stage.ask('GET', `/v1/orders?receipt=${request.reference}`)).body.items).toHaveLength(1)
  })

  test.each([
    ['hang_up', 'unknown'],
    ['fail', 'unknown'],
    ['limit', 'unknown'],
  ] as const)('%s during a look-up leaves it %s, never absent', async (does, outcome) => {
    const { request, orderId, proof } = await paid()
    await stage.mood('GET /v1/orders', does)
    expect(hear(await stage.gateway.lookUpCharge({ reference: request.reference }))).toMatchObject({ outcome })
    await stage.mood('GET /v1/orders', does)
    expect(hear(await confirm(request.reference, orderId, proof))).toMatchObject({ outcome })
  })

  test('somebody else in Razorpay’s place is believed nothing', async () => {
    const bodies = ['<html>Welcome to the hotel</html>', 'null', '[]', '{"id":7}', '{"items":[{"id":"order_1"}]}']
    for (const body of bodies) {
      const stranger = await listen(() => new Response(body, { headers: { 'content-type': 'application/json' } }))
      const gateway = gatewayAt(stranger.url)
      expect(hear(await gateway.charge(chargeOf()))).toMatchObject({ outcome: 'unknown' })
      expect(hear(await gateway.payout(payoutOf()))).toMatchObject({ outcome: 'unknown' })
      expect(hear(await gateway.lookUpCharge(chargeOf()))).toMatchObject({ outcome: 'unknown' })
      await stranger.stop()
    }
  })

  test.each([302, 404, 502])('a proxy that answers %i with a page of its own is no yes and no no', async (status) => {
    const stranger = await listen(
      () => new Response('<html></html>', { status, headers: { location: 'http://127.0.0.1:1/' } }),
    )
    const gateway = gatewayAt(stranger.url)
    expect(hear(await gateway.charge(chargeOf()))).toMatchObject({ outcome: 'unknown' })
    expect(hear(await gateway.lookUpCharge(chargeOf()))).toMatchObject({ outcome: 'unknown' })
    await stranger.stop()
  })

  test('a status that Razorpay invents tomorrow is pending, never a success', async () => {
    const { request, orderId } = await order()
    const strange = { id: 'pay_9', amount: 50_000, currency: 'INR', status: 'half_captured', created_at: 1 }
    const { body: entity } = await stage.ask('GET', `/v1/orders/${orderId}`)
    const tomorrow = await listen((asked) =>
      Response.json(
        asked.url.endsWith('/payments')
          ? { items: [strange] }
          : { items: [{ ...entity, notes: { ...entity.notes, charged: 'token' } }] },
      ),
    )
    expect(await gatewayAt(tomorrow.url).lookUpCharge({ reference: request.reference })).toMatchObject({
      outcome: 'pending',
      waitsFor: 'gateway',
    })
    await tomorrow.stop()
  })

  test('an authorised payment that went back uncaptured is no success', async () => {
    const { request, orderId } = await order()
    const { body: entity } = await stage.ask('GET', `/v1/orders/${orderId}`)
    const returned = {
      id: 'pay_9',
      amount: 50_000,
      currency: 'INR',
      status: 'refunded',
      captured: false,
      created_at: 1,
    }
    const later = await listen((asked) =>
      Response.json(
        asked.url.endsWith('/payments')
          ? { items: [returned] }
          : { items: [{ ...entity, notes: { ...entity.notes, charged: 'token' } }] },
      ),
    )
    expect(await gatewayAt(later.url).lookUpCharge({ reference: request.reference })).toMatchObject({
      outcome: 'declined',
      code: 'authorisation_expired',
    })
    await later.stop()
  })

  test('what was never asked for is absent', async () => {
    const reference = randomUUID()
    expect(await stage.gateway.lookUpCharge({ reference })).toEqual({ outcome: 'absent' })
    expect(await stage.gateway.lookUpCharge({ reference, chargeId: 'order_nobody' })).toEqual({ outcome: 'absent' })
    const { paymentId, orderId } = await paid()
    expect(await stage.gateway.lookUpCharge({ reference, chargeId: orderId })).toEqual({ outcome: 'absent' })
    expect(await stage.gateway.lookUpRefund({ reference, chargeId: paymentId })).toEqual({ outcome: 'absent' })
    expect(await stage.gateway.lookUpPayout({ reference })).toEqual({ outcome: 'absent' })
  })

  test('it is reachable while it answers', async () => {
    expect(await stage.gateway.reachable()).toBe(true)
    await stage.mood('GET /v1/orders', 'fail')
    expect(await stage.gateway.reachable()).toBe(false)
  })
})

describe('refunds', () => {
  const refundOf = (chargeId: string, minor = 20_000, reference = randomUUID()) => ({
    reference,
    chargeId,
    amount: amount(minor),
    currency: 'INR' as const,
    reason: 'not needed',
  })
  const refundsOf = async (reference: string) =>
    (await stage.done()).refunds.filter((refund) => refund.reference === reference)

  test('return money, are found by our reference, and add up on the charge', async () => {
    const { request, paymentId } = await paid()
    const refund = refundOf(paymentId)
    const answer = hear(await stage.gateway.refund(refund))
    expect(answer).toEqual({
      outcome: 'succeeded',
      id: expect.stringMatching(/^rfnd_/),
      amount: 20_000n,
      currency: 'INR',
    })
    expect(await stage.gateway.lookUpRefund(refund)).toEqual(answer)
    expect(await stage.gateway.lookUpRefund({ ...refund, refundId: (answer as { id: string }).id })).toEqual(answer)
    await stage.gateway.refund(refundOf(paymentId, 30_000))
    expect(await stage.gateway.lookUpCharge(request)).toMatchObject({ outcome: 'succeeded', refunded: 50_000n })
  })

  test('asked twice are made once, at the same time too', async () => {
    const { paymentId } = await paid()
    const refund = refundOf(paymentId)
    const answers = await Promise.all([1, 2, 3].map(() => stage.gateway.refund(refund)))
    for (const answer of answers) expect(answer).toEqual(answers[0])
    expect(await refundsOf(refund.reference)).toMatchObject([{ amount: 20_000, times: 1 }])
  })

  test.each(['lose_answer', 'fail_after', 'hang_up', 'fail', 'hang'] as const)(
    '%s is unknown, and asking again ends as exactly one refund',
    async (does) => {
      const { paymentId } = await paid()
      const refund = refundOf(paymentId)
      await stage.mood('POST /v1/payments/', does)
      expect(hear(await stage.gateway.refund(refund))).toMatchObject({ outcome: 'unknown' })
      const done = does === 'lose_answer' || does === 'fail_after'
      expect(await stage.gateway.lookUpRefund(refund)).toMatchObject({ outcome: done ? 'succeeded' : 'absent' })
      expect(await stage.gateway.refund(refund)).toMatchObject({ outcome: 'succeeded' })
      expect(await refundsOf(refund.reference)).toMatchObject([{ times: 1 }])
    },
  )

  test('beyond what was paid are declined; the same again with its key forgotten is the same refund', async () => {
    const { paymentId } = await paid()
    expect(hear(await stage.gateway.refund(refundOf(paymentId, 50_001)))).toMatchObject({
      outcome: 'declined',
      code: 'input_validation_failed',
    })
    const full = refundOf(paymentId, 50_000)
    const answer = await stage.gateway.refund(full)
    expect(hear(await stage.gateway.refund(refundOf(paymentId)))).toMatchObject({ outcome: 'declined' })
    // Another body under the same key is refused there; the refund of that reference is what counts.
    expect(await stage.gateway.refund({ ...full, amount: amount(1) })).toEqual(answer)
  })

  test('of what was not captured, or is none of Razorpay’s, are declined', async () => {
    const { request, orderId } = await order({ capture: 'manual' })
    const { body: proof } = await stage.checkout(orderId, CARD)
    expect(hear(await stage.gateway.refund(refundOf(proof.razorpay_payment_id)))).toMatchObject({ outcome: 'declined' })
    expect(hear(await stage.gateway.refund(refundOf('pi_123')))).toMatchObject({ code: 'charge_not_found' })
    expect(hear(await stage.gateway.refund(refundOf('pay_nobody')))).toMatchObject({ outcome: 'declined' })
    expect(await stage.gateway.lookUpRefund({ reference: request.reference, chargeId: 'pay_nobody' })).toEqual({
      outcome: 'absent',
    })
  })

  test('stay pending while the bank thinks, and may fail after they went well', async () => {
    const { request, paymentId } = await paid()
    const slow = refundOf(paymentId)
    await stage.mood('POST /v1/payments/', 'stay_pending')
    expect(await stage.gateway.refund(slow)).toMatchObject({ outcome: 'pending', amount: 20_000n })
    await stage.pass(60)
    expect(await stage.gateway.lookUpRefund(slow)).toMatchObject({ outcome: 'succeeded' })

    const doomed = refundOf(paymentId)
    await stage.mood('POST /v1/payments/', 'late_failure')
    expect(await stage.gateway.refund(doomed)).toMatchObject({ outcome: 'succeeded' })
    await stage.pass(60)
    expect(hear(await stage.gateway.lookUpRefund(doomed))).toMatchObject({ outcome: 'declined', code: 'refund_failed' })
    expect(await stage.gateway.lookUpCharge(request)).toMatchObject({ refunded: 20_000n })
  })
})

const payoutOf = (of: { amount?: number; destination?: string; method?: 'upi' | 'bank_transfer' } = {}) => ({
  reference: randomUUID(),
  currency: 'INR' as const,
  method: of.method ?? ('bank_transfer' as const),
  destination: of.destination ?? 'fa_sandbox_bank',
  amount: amount(of.amount ?? 50_000),
  description: 'Withdrawal №7 — «thanks»',
})

describe('payouts', () => {
  const payoutsOf = async (reference: string) =>
    (await stage.done()).payouts.filter((payout) => payout.reference === reference)

  test.each([
    ['bank_transfer', 'fa_sandbox_bank', 50_000, 'IMPS'],
    ['bank_transfer', 'fa_sandbox_bank', 6_00_000_00, 'NEFT'],
    ['upi', 'fa_sandbox_upi', 1_00_000_00, 'UPI'],
  ] as const)(
    'by %s to %s of %i go by their mode and are then read as paid',
    async (method, destination, minor, mode) => {
      const payout = payoutOf({ method, destination, amount: minor })
      const answer = hear(await stage.gateway.payout(payout))
      expect(answer).toMatchObject({ outcome: 'pending', id: expect.stringMatching(/^pout_/), amount: BigInt(minor) })
      const { id } = answer as { id: string }
      expect(await stage.gateway.lookUpPayout({ reference: payout.reference, payoutId: id })).toEqual({
        outcome: 'succeeded',
        id,
        amount: BigInt(minor),
        currency: 'INR',
        fee: 590n,
      })
      expect((await stage.ask('GET', `/v1/payouts/${id}`)).body).toMatchObject({ mode, reference_id: payout.reference })
    },
  )

  test.each(['lose_answer', 'fail_after', 'hang_up', 'fail', 'hang'] as const)(
    '%s is unknown, and asking again pays once',
    async (does) => {
      const payout = payoutOf()
      await stage.mood('POST /v1/payouts', does)
      expect(hear(await stage.gateway.payout(payout))).toMatchObject({ outcome: 'unknown' })
      const done = does === 'lose_answer' || does === 'fail_after'
      const { reference } = payout
      expect(await stage.gateway.lookUpPayout({ reference })).toMatchObject({ outcome: done ? 'succeeded' : 'absent' })
      expect(await stage.gateway.payout(payout)).toMatchObject({ outcome: done ? 'succeeded' : 'pending' })
      expect(await payoutsOf(reference)).toMatchObject([{ amount: 50_000, times: 1 }])
    },
  )

  test('asked at the same time pay once', async () => {
    const payout = payoutOf()
    const answers = await Promise.all([1, 2, 3].map(() => stage.gateway.payout(payout)))
    expect(new Set(answers.map((answer) => (answer as { id: string }).id)).size).toBe(1)
    expect(await payoutsOf(payout.reference)).toMatchObject([{ times: 1 }])
  })

  test('of another amount under the same reference change nothing', async () => {
    const payout = payoutOf()
    await stage.gateway.payout(payout)
    expect(await stage.gateway.payout({ ...payout, amount: amount(99_999) })).toMatchObject({ amount: 50_000n })
    expect(await payoutsOf(payout.reference)).toMatchObject([{ amount: 50_000, times: 1 }])
  })

  test('to a closed account fail, to no account are declined, and what UPI cannot carry is refused by name', async () => {
    const closed = payoutOf({ destination: 'fa_sandbox_closed' })
    expect(await stage.gateway.payout(closed)).toMatchObject({ outcome: 'pending' })
    expect(hear(await stage.gateway.lookUpPayout(closed))).toMatchObject({
      outcome: 'declined',
      code: 'bank_account_closed',
      hard: true,
    })
    expect(hear(await stage.gateway.payout(payoutOf({ destination: 'fa_nobody' })))).toMatchObject({
      outcome: 'declined',
    })
    expect(hear(await stage.gateway.payout(payoutOf({ destination: 'ba_123/../x' })))).toMatchObject({
      code: 'invalid_beneficiary',
    })
    const large = payoutOf({ method: 'upi', destination: 'fa_sandbox_upi', amount: 1_00_000_01 })
    expect(hear(await stage.gateway.payout(large))).toMatchObject({ code: 'transaction_limit_exceeded' })
  })

  test('that come back after they were paid are returned, and to whoever asks again they are not made', async () => {
    const payout = payoutOf()
    await stage.mood('POST /v1/payouts', 'late_failure')
    await stage.gateway.payout(payout)
    expect(await stage.gateway.lookUpPayout(payout)).toMatchObject({ outcome: 'succeeded' })
    await stage.pass(60)
    expect(hear(await stage.gateway.lookUpPayout(payout))).toMatchObject({
      outcome: 'returned',
      amount: 50_000n,
      code: 'beneficiary_bank_rejected',
    })
    expect(await stage.gateway.payout(payout)).toMatchObject({ outcome: 'declined' })
  })

  test('stay pending while the bank thinks', async () => {
    const payout = payoutOf()
    await stage.mood('POST /v1/payouts', 'stay_pending')
    await stage.gateway.payout(payout)
    expect(await stage.gateway.lookUpPayout(payout)).toMatchObject({ outcome: 'pending' })
    await stage.pass(60)
    expect(await stage.gateway.lookUpPayout(payout)).toMatchObject({ outcome: 'succeeded' })
  })

  test('that our account there does not cover may be tried elsewhere', async () => {
    await stage.ask('POST', '/_balance', { amount: 100 })
    expect(hear(await stage.gateway.payout(payoutOf()))).toMatchObject({
      outcome: 'declined',
      code: 'low_balance',
      hard: false,
      mayFailOver: true,
    })
    await stage.ask('POST', '/_balance', { amount: 1_000_000_000_000 })
  })

  test('that our account there may not make at all may be tried elsewhere', async () => {
    const closed = await listen((asked) =>
      asked.method === 'GET'
        ? Response.json({ items: [] })
        : Response.json({ error: { description: 'The requested URL was not found on the server.' } }, { status: 400 }),
    )
    expect(hear(await gatewayAt(closed.url).payout(payoutOf()))).toMatchObject({
      outcome: 'declined',
      code: 'feature_not_enabled',
      mayFailOver: true,
    })
    await closed.stop()
  })

  test('are not offered without a RazorpayX account', async () => {
    const gateway = gatewayAt(stage.url, { payouts: false })
    expect(gateway.capabilities.payouts).toEqual({})
    await expect(gateway.payout(payoutOf())).rejects.toBeInstanceOf(Bug)
    expect(await gateway.lookUpPayout({ reference: randomUUID() })).toMatchObject({ outcome: 'unknown' })
  })
})

describe('saved methods', () => {
  test('are described, masked, as Razorpay knows them', async () => {
    expect(await stage.gateway.describeMethod({ token: 'token_sandbox_visa', method: 'card' })).toEqual({
      outcome: 'known',
      lastFour: '1007',
      brand: 'Visa',
      expiryMonth: 12,
      expiryYear: 2030,
    })
    expect(await stage.gateway.describeMethod({ token: 'token_sandbox_upi', method: 'upi' })).toMatchObject({
      outcome: 'known',
      brand: 'razorpay',
    })
    expect(await stage.gateway.describeMethod({ token: 'fa_sandbox_bank', method: 'bank_transfer' })).toEqual({
      outcome: 'known',
      lastFour: '6789',
      brand: 'Razorpay Sandbox Bank',
    })
  })

  test('that Razorpay does not know, that ended, or that are for another method are unusable', async () => {
    for (const [token, method] of [
      ['token_nobody', 'card'],
      ['token_sandbox_ended', 'card'],
      ['token_sandbox_visa', 'upi'],
      ['fa_nobody', 'bank_transfer'],
      ['fa_sandbox_bank', 'upi'],
    ] as const)
      expect(hear(await stage.gateway.describeMethod({ token, method }))).toMatchObject({ outcome: 'unusable' })
  })

  test('can be made in Checkout and charged afterwards', async () => {
    const { body: customer } = await stage.ask('POST', '/v1/customers', {
      name: 'Asha',
      email: 'asha@example.com',
      contact: '+919876543210',
    })
    const { orderId } = await order()
    const { body } = await stage.checkout(orderId, { ...CARD, save: true, customer_id: customer.id })
    const { token_id } = (await stage.ask('GET', `/v1/payments/${body.razorpay_payment_id}`)).body
    expect(await stage.gateway.charge(chargeOf({ source: { token: token_id } }))).toMatchObject({
      outcome: 'succeeded',
    })
  })
})

describe('the list for reconciliation', () => {
  test('has every charge, refund and payout of the period once, page by page, with our reference', async () => {
    const own = await razorpayStage()
    const expected = new Map<string, string>()
    const note = (type: string, reference: string) => expected.set(`${type} ${reference}`, reference)
    for (let i = 0; i < 60; i++) {
      const request = chargeOf(i % 2 === 0 ? { source: savedToken('visa') } : {})
      const answer = await own.gateway.charge(request)
      if (i % 2 === 1) await own.checkout((answer as ChargePending).id, CARD)
      note('charge', request.reference)
      if (i < 55) {
        const found = (await own.gateway.lookUpCharge(request)) as { id: string }
        const reference = randomUUID()
        await own.gateway.refund({ reference, chargeId: found.id, amount: amount(100), currency: 'INR' })
        note('refund', reference)
      }
    }
    const payout = payoutOf()
    await own.gateway.payout(payout)
    note('payout', payout.reference)

    const items: Listed[] = []
    let cursor: string | undefined
    const from = new Date(Date.now() - 60_000)
    const until = new Date(Date.now() + 60_000)
    do {
      const page = await own.gateway.list({ from, until, cursor })
      items.push(...page.items)
      cursor = page.next
    } while (cursor !== undefined)
    expect(items.map(({ type, reference }) => `${type} ${reference}`).toSorted()).toEqual(
      [...expected.keys()].toSorted(),
    )
    for (const item of items) {
      expect(item.status).toBe('succeeded')
      expect(item.at.getTime()).toBeGreaterThan(from.getTime())
    }
    expect(await own.gateway.list({ from: until, until: new Date(until.getTime() + 1_000) })).toMatchObject({
      items: [],
    })
    expect(await own.gateway.list({ from, until: from })).toEqual({ items: [], next: 'refund:0' })
    await own.stop()
  })
})

describe('webhooks', () => {
  const read = readRazorpayWebhook(new Secret(razorpayKeys.webhookSecret))
  const now = () => new Date()

  async function received(type: string, since: number) {
    await expect
      .poll(() => stage.webhooks.slice(since).map(({ raw }) => JSON.parse(raw.toString()).event))
      .toContain(type)
    const one = stage.webhooks.slice(since).find(({ raw }) => JSON.parse(raw.toString()).event === type)
    return one === undefined ? expect.unreachable() : { ...one, now: now() }
  }

  test('of a deposit name its order, and the order’s event our reference', async () => {
    const since = stage.webhooks.length
    const { request, orderId } = await order()
    await stage.checkout(orderId, { method: 'card', card: '4100280000060003' })
    await stage.checkout(orderId, CARD)
    for (const type of ['payment.failed', 'payment.authorized', 'payment.captured'])
      expect(read(await received(type, since))).toEqual({
        eventId: expect.stringMatching(/^\w{14}$/),
        type,
        about: { object: 'charge', id: orderId, reference: undefined },
      })
    expect(read(await received('order.paid', since))).toMatchObject({
      about: { object: 'charge', id: orderId, reference: request.reference },
    })
    const saved = chargeOf({ source: savedToken('visa') })
    await stage.gateway.charge(saved)
    await expect
      .poll(() => stage.webhooks.slice(since).map((one) => read({ ...one, now: now() })))
      .toContainEqual(
        expect.objectContaining({
          type: 'payment.captured',
          about: expect.objectContaining({ reference: saved.reference }),
        }),
      )
  })

  test('of refunds and payouts name them and our reference', async () => {
    const { paymentId } = await paid()
    const since = stage.webhooks.length
    await stage.mood('POST /v1/payments/', 'late_failure')
    const reference = randomUUID()
    await stage.gateway.refund({ reference, chargeId: paymentId, amount: amount(100), currency: 'INR' })
    await stage.mood('POST /v1/payouts', 'late_failure')
    const payout = payoutOf()
    await stage.gateway.payout(payout)
    const closed = payoutOf({ destination: 'fa_sandbox_closed' })
    await stage.gateway.payout(closed)
    await stage.pass(60)
    for (const type of ['refund.created', 'refund.processed', 'refund.failed'])
      expect(read(await received(type, since))).toMatchObject({
        about: { object: 'refund', id: expect.stringMatching(/^rfnd_/), chargeId: paymentId, reference },
      })
    for (const type of ['payout.initiated', 'payout.processed', 'payout.reversed'])
      expect(read(await received(type, since))).toMatchObject({
        about: { object: 'payout', id: expect.stringMatching(/^pout_/), reference: payout.reference },
      })
    expect(read(await received('payout.failed', since))).toMatchObject({ about: { reference: closed.reference } })
  })

  test('of disputes say how they stand', async () => {
    const since = stage.webhooks.length
    const { paymentId } = await paid()
    for (const [status, type, then] of [
      ['open', 'payment.dispute.created', 'needs_response'],
      ['under_review', 'payment.dispute.under_review', 'under_review'],
      ['lost', 'payment.dispute.lost', 'lost'],
    ]) {
      await stage.ask('POST', '/_disputes', { charge_id: paymentId, amount: 30_000, status })
      expect(read(await received(type ?? '', since))).toMatchObject({
        about: { object: 'dispute', chargeId: paymentId, status: then, amount: 30_000n, currency: 'INR' },
      })
    }
    const won = await paid()
    await stage.ask('POST', '/_disputes', { charge_id: won.paymentId })
    await stage.ask('POST', '/_disputes', { charge_id: won.paymentId, status: 'won' })
    expect(read(await received('payment.dispute.won', since))).toMatchObject({ about: { status: 'won' } })
  })

  const signed = (body: string, secret = razorpayKeys.webhookSecret) => ({
    raw: Buffer.from(body),
    headers: { 'x-razorpay-signature': createHmac('sha256', secret).update(body).digest('hex') },
    now: now(),
  })
  const eventOf = (of: object) => JSON.stringify({ event: 'payment.captured', payload: {}, created_at: 1, ...of })

  test('that were not signed with our secret, or were changed, are forged', async () => {
    const since = stage.webhooks.length
    await paid()
    const real = await received('payment.captured', since)
    expect(read({ ...real, raw: Buffer.concat([real.raw, Buffer.from(' ')]) })).toBe('forged')
    expect(read({ ...real, headers: {} })).toBe('forged')
    expect(read({ ...real, headers: { 'x-razorpay-signature': 'zz' } })).toBe('forged')
    expect(read({ ...real, headers: { 'x-razorpay-signature': 'a'.repeat(64) } })).toBe('forged')
    expect(read(signed(eventOf({}), 'another secret'))).toBe('forged')
    // The key secret signs what Checkout brings back; it is not the webhooks'.
    expect(read(signed(eventOf({}), razorpayKeys.keySecret))).toBe('forged')
  })

  test('older than Razorpay would repeat them are stale, and what is no event is malformed', () => {
    const seconds = Math.floor(Date.now() / 1_000)
    expect(read(signed(eventOf({ created_at: seconds - 49 * 60 * 60 })))).toBe('stale')
    expect(read(signed(eventOf({ created_at: seconds - 23 * 60 * 60 })))).toMatchObject({ about: { object: 'other' } })
    for (const body of ['', 'null', '[]', '{', '{"event":"x"}', eventOf({ payload: { refund: { entity: {} } } })])
      expect(read(signed(body))).toBe('malformed')
  })

  test('about something else are «other», and without an id of their own have that of their bytes', () => {
    const body = eventOf({ event: 'payout.downtime.started', created_at: null, payload: { 'payout.downtime': {} } })
    const event = read(signed(body))
    expect(event).toMatchObject({ about: { object: 'other' }, eventId: expect.stringMatching(/^[0-9a-f]{64}$/) })
    expect(read(signed(body))).toEqual(event)
    const strange = signed(body)
    expect(read({ ...strange, headers: { ...strange.headers, 'x-razorpay-event-id': 'x'.repeat(101) } })).toEqual(event)
    const dispute = { id: 'disp_1', payment_id: 'pay_1', amount: 1, currency: 'INR', status: 'closed' }
    const closed = (amount_deducted: number) =>
      read(
        signed(
          eventOf({
            event: 'payment.dispute.closed',
            created_at: null,
            payload: { dispute: { entity: { ...dispute, amount_deducted } } },
          }),
        ),
      )
    expect(closed(0)).toMatchObject({ about: { status: 'won' } })
    expect(closed(1)).toMatchObject({ about: { status: 'lost' } })
  })
})

test('nothing that was said in any of these holds a secret', async () => {
  const echo = await listen((asked) =>
    Response.json(
      {
        error: {
          description: `${asked.headers.get('authorization')} ${razorpayKeys.keySecret} ${razorpayKeys.accountNumber}`,
        },
      },
      { status: 400 },
    ),
  )
  const gateway = gatewayAt(echo.url)
  hear(await gateway.charge(chargeOf()))
  hear(await gateway.payout(payoutOf()))
  hear(await gateway.refund({ reference: randomUUID(), chargeId: 'pay_1', amount: amount(1), currency: 'INR' }))
  hear(await gateway.describeMethod({ token: 'token_1', method: 'card' }))
  await echo.stop()
  expect(said.length).toBeGreaterThan(100)
  const words = inspect(said, { depth: null, maxArrayLength: null, maxStringLength: null, showHidden: true })
  const encoded = Buffer.from(`${razorpayKeys.keyId}:${razorpayKeys.keySecret}`).toString('base64')
  const held = [razorpayKeys.keySecret, razorpayKeys.accountNumber, encoded].filter((secret) => words.includes(secret))
  expect(held).toEqual([])
  expect(inspect(gateway, { depth: null, showHidden: true }).includes(razorpayKeys.keySecret)).toBe(false)
})
