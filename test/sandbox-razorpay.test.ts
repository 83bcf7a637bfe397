import { createHmac, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Razorpay from 'razorpay'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { basic, type RazorpayStage, razorpayKeys, razorpayStage } from './support/razorpay.ts'

/* Razorpay's documentation is what the stand-in is held to here, and its own SDK; our gateway has no part in it. */

let stage: RazorpayStage
let sdk: Razorpay

beforeAll(async () => {
  stage = await razorpayStage()
  sdk = new Razorpay({ key_id: razorpayKeys.keyId, key_secret: razorpayKeys.keySecret })
  const { rq } = sdk.api as unknown as { rq: { defaults: { baseURL: string } } }
  rq.defaults.baseURL = stage.url
})
afterAll(() => stage.stop())

const order = (of: Record<string, unknown> = {}) =>
  stage.ask('POST', '/v1/orders', { amount: 50_000, currency: 'INR', receipt: randomUUID(), ...of })

const captured = async () => {
  const { body } = await order()
  const paid = await stage.checkout(body.id, { method: 'upi', vpa: 'success@razorpay' })
  return paid.body.razorpay_payment_id as string
}

const invalid = (description: RegExp | string, field?: string) => ({
  status: 400,
  body: {
    error: {
      code: 'BAD_REQUEST_ERROR',
      description: typeof description === 'string' ? description : expect.stringMatching(description),
      ...(field === undefined ? {} : { field }),
    },
  },
})

describe('Razorpay’s own SDK', () => {
  test('reads what the stand-in says', async () => {
    const receipt = randomUUID()
    const made = await sdk.orders.create({ amount: 50_000, currency: 'INR', receipt, notes: { a: 'b' } })
    expect(made).toEqual({
      id: expect.stringMatching(/^order_[0-9A-Za-z]{14}$/),
      entity: 'order',
      amount: 50_000,
      amount_paid: 0,
      amount_due: 50_000,
      currency: 'INR',
      receipt,
      offer_id: null,
      status: 'created',
      attempts: 0,
      notes: { a: 'b' },
      created_at: expect.any(Number),
    })
    expect(await sdk.orders.all({ receipt })).toEqual({ entity: 'collection', count: 1, items: [made] })
    const { body: handed } = await stage.checkout(made.id, { method: 'card', card: { number: '4100280000001007' } })
    expect(
      Razorpay.validateWebhookSignature(
        `${made.id}|${handed.razorpay_payment_id}`,
        handed.razorpay_signature,
        razorpayKeys.keySecret,
      ),
    ).toBe(true)
    expect(await sdk.payments.fetch(handed.razorpay_payment_id)).toMatchObject({
      entity: 'payment',
      status: 'captured',
      captured: true,
      order_id: made.id,
      method: 'card',
      error_code: null,
    })
    expect(await sdk.orders.fetch(made.id)).toMatchObject({ status: 'paid', amount_paid: 50_000, amount_due: 0 })
    const refund = await sdk.payments.refund(handed.razorpay_payment_id, { amount: 10_000 })
    expect(refund).toMatchObject({ entity: 'refund', amount: 10_000, status: 'processed', speed_processed: 'normal' })
    expect(await sdk.payments.fetch(handed.razorpay_payment_id)).toMatchObject({
      amount_refunded: 10_000,
      refund_status: 'partial',
    })
  })

  test('hears the errors in the form that it knows', async () => {
    await expect(sdk.orders.fetch('order_nobody')).rejects.toEqual({
      statusCode: 400,
      error: expect.objectContaining({ code: 'BAD_REQUEST_ERROR', description: 'The id provided does not exist' }),
    })
  })
})

describe('requests without the right keys', () => {
  test.each([
    [{ authorization: '' }, 'Please provide your api key for authentication purposes.'],
    [{ authorization: `Basic ${btoa('rzp_test_other:secret')}` }, 'The api key provided is invalid'],
    [{ authorization: `Basic ${btoa(`${razorpayKeys.keyId}:wrong`)}` }, 'Authentication failed'],
  ])('%o are refused', async (headers, description) => {
    const answer = await stage.ask('GET', '/v1/orders', undefined, headers)
    expect(answer).toMatchObject({ status: 401, body: { error: { code: 'BAD_REQUEST_ERROR' } } })
    if (headers.authorization !== '') expect(answer.body.error.description).toBe(description)
  })

  test('and unknown paths too', async () => {
    expect(await stage.ask('GET', '/v1/nothing')).toMatchObject({ status: 404 })
  })
})

describe('orders', () => {
  test.each([
    [{ amount: 99 }, /minimum amount/, 'amount'],
    [{ amount: undefined }, 'The amount field is required.', 'amount'],
    [{ amount: 1.5 }, /amount/, 'amount'],
    [{ currency: 'XXX' }, 'Currency is not supported', 'currency'],
    [{ receipt: 'r'.repeat(41) }, /40 characters/, 'receipt'],
    [{ currency: 'KWD', amount: 99_991 }, /last digit/, 'amount'],
  ])('%o are refused', async (of, description, field) => {
    expect(await order(of)).toMatchObject(invalid(description, field))
  })

  test('may share a receipt, unless the account asks otherwise', async () => {
    const receipt = randomUUID()
    await order({ receipt })
    expect(await order({ receipt })).toMatchObject({ status: 200 })
    expect((await stage.ask('GET', `/v1/orders?receipt=${receipt}`)).body.count).toBe(2)
    const strict = await razorpayStage({ uniqueReceipts: true })
    const wanted = { amount: 100, currency: 'INR', receipt }
    expect(await strict.ask('POST', '/v1/orders', wanted)).toMatchObject({ status: 200 })
    expect(await strict.ask('POST', '/v1/orders', wanted)).toMatchObject(invalid(/unique/, 'receipt'))
    await strict.stop()
  })

  test('are paid once', async () => {
    const { body } = await order()
    await stage.checkout(body.id, { method: 'netbanking' })
    expect(await stage.checkout(body.id, { method: 'netbanking' })).toMatchObject(invalid(/already done/))
  })

  test('are listed newest first, by pages', async () => {
    const ids: string[] = []
    for (let i = 0; i < 3; i++) ids.unshift((await order()).body.id)
    const page = async (query: string) =>
      (await stage.ask('GET', `/v1/orders?${query}`)).body.items.map(({ id }: { id: string }) => id)
    expect(await page('count=2')).toEqual(ids.slice(0, 2))
    expect(await page('count=1&skip=2')).toEqual(ids.slice(2))
    expect(await page(`from=${Math.floor(Date.now() / 1_000) + 60}`)).toEqual([])
    expect(await stage.ask('GET', '/v1/orders?count=101')).toMatchObject(invalid(/count/))
  })
})

describe('Checkout', () => {
  test.each([
    ['4100280000060003', 'card_declined', 'BAD_REQUEST_ERROR'],
    ['5305620000050001', 'insufficient_funds', 'BAD_REQUEST_ERROR'],
    ['4100280000110006', 'debit_instrument_blocked', 'BAD_REQUEST_ERROR'],
    ['4100280000020007', 'gateway_technical_error', 'GATEWAY_ERROR'],
    ['4100280000000009', 'authentication_failed', 'GATEWAY_ERROR'],
    ['1234567812345678', 'card_number_invalid', 'BAD_REQUEST_ERROR'],
  ])('refuses card %s with %s', async (card, reason, code) => {
    const { body } = await order()
    const { status, body: said } = await stage.checkout(body.id, { method: 'card', card })
    expect(status).toBe(400)
    expect(said.error).toMatchObject({ code, reason, metadata: { order_id: body.id } })
    expect((await stage.ask('GET', `/v1/payments/${said.error.metadata.payment_id}`)).body).toMatchObject({
      status: 'failed',
      error_reason: reason,
      error_code: code,
    })
    expect((await stage.ask('GET', `/v1/orders/${body.id}`)).body).toMatchObject({ status: 'attempted', attempts: 1 })
  })

  test.each(['4100280000001007', '5500 6700 0000 1002', '5104 0600 0000 0008'])('takes card %s', async (card) => {
    const { body } = await order()
    expect(await stage.checkout(body.id, { method: 'card', card })).toMatchObject({ status: 200 })
  })

  test('knows right and wrong one-time passwords, and UPI ids that are none', async () => {
    const { body } = await order()
    const card = { method: 'card', card: '4100280000001007' }
    expect(await stage.checkout(body.id, { ...card, otp: '123' })).toMatchObject({
      body: { error: { reason: 'authentication_failed' } },
    })
    expect(await stage.checkout(body.id, { method: 'upi', vpa: 'nonsense' })).toMatchObject({
      body: { error: { reason: 'invalid_vpa' } },
    })
    expect(await stage.checkout(body.id, { ...card, otp: '1234' })).toMatchObject({ status: 200 })
  })

  test('sends the customer to their bank, whose page has two buttons', async () => {
    for (const [does, status] of [
      ['approve', 200],
      ['fail', 400],
    ] as const) {
      const { body } = await order()
      const waiting = await stage.checkout(body.id, { method: 'card', card: '4100280000001007', does: 'wait' })
      expect(waiting).toMatchObject({ status: 202, body: { next: [{ action: 'redirect' }] } })
      expect(waiting.body).not.toHaveProperty('razorpay_signature')
      const { url } = waiting.body.next[0]
      expect((await stage.ask('GET', url)).body).toContain('<button name="does" value="approve">')
      expect(await stage.ask('POST', url, { does: 'nothing' })).toMatchObject({ status: 400 })
      const pressed = await fetch(stage.url + url, { method: 'POST', body: new URLSearchParams({ does }) })
      expect(pressed.status).toBe(status)
      expect(await stage.ask('POST', url, { does })).toMatchObject(invalid(/no longer waiting/))
    }
  })

  test('refuses another key, and a method that does not take the currency', async () => {
    const { body } = await order({ currency: 'USD' })
    expect(await stage.checkout(body.id, { method: 'upi', vpa: 'success@razorpay' })).toMatchObject({ status: 400 })
    expect(await stage.checkout(body.id, { method: 'card', card: '4012888888881881', key: 'rzp_x' })).toMatchObject({
      status: 401,
    })
  })
})

describe('captures', () => {
  test('take what was authorised, exactly and once', async () => {
    const { body } = await order({ payment: { capture: 'manual' } })
    const { body: handed } = await stage.checkout(body.id, { method: 'upi', vpa: 'success@razorpay' })
    const path = `/v1/payments/${handed.razorpay_payment_id}/capture`
    expect(await stage.ask('POST', path, { amount: 49_999, currency: 'INR' })).toMatchObject(invalid(/equal/, 'amount'))
    expect(await stage.ask('POST', path, { amount: 50_000, currency: 'USD' })).toMatchObject({ status: 400 })
    expect(await stage.ask('POST', path, { amount: 50_000, currency: 'INR' })).toMatchObject({
      status: 200,
      body: { status: 'captured', captured: true, fee: 1_180, tax: 180 },
    })
    expect(await stage.ask('POST', path, { amount: 50_000, currency: 'INR' })).toMatchObject(
      invalid('This payment has already been captured'),
    )
  })
})

describe('idempotency keys', () => {
  test('of refunds give the first answer again, and refuse another body', async () => {
    const path = `/v1/payments/${await captured()}/refund`
    const headers = { 'x-refund-idempotency': randomUUID() }
    const first = await stage.ask('POST', path, { amount: 100 }, headers)
    expect(await stage.ask('POST', path, { amount: 100 }, headers)).toEqual(first)
    expect(await stage.ask('POST', path, { amount: 200 }, headers)).toMatchObject(
      invalid('Different request with the same idempotency key has already been processed.'),
    )
    expect(await stage.ask('POST', path, { amount: 100 }, { 'x-refund-idempotency': 'short' })).toMatchObject({
      status: 400,
    })
    expect((await stage.ask('POST', path, { amount: 100 })).body.id).not.toBe(first.body.id)
    expect((await stage.ask('GET', path.replace('refund', 'refunds'))).body.count).toBe(2)
  })

  test('of payouts are mandatory, and give the first answer again', async () => {
    const payout = {
      account_number: razorpayKeys.accountNumber,
      fund_account_id: 'fa_sandbox_bank',
      amount: 10_000,
      currency: 'INR',
      mode: 'IMPS',
      purpose: 'payout',
      reference_id: randomUUID(),
    }
    expect(await stage.ask('POST', '/v1/payouts', payout)).toMatchObject(
      invalid(/key is missing/, 'X-Payout-Idempotency'),
    )
    const headers = { 'x-payout-idempotency': randomUUID() }
    const first = await stage.ask('POST', '/v1/payouts', payout, headers)
    expect(first).toMatchObject({ status: 200, body: { entity: 'payout', status: 'processing' } })
    expect((await stage.ask('GET', `/v1/payouts/${first.body.id}`)).body).toMatchObject({ status: 'processed' })
    expect(await stage.ask('POST', '/v1/payouts', payout, headers)).toEqual(first)
    expect(await stage.ask('POST', '/v1/payouts', { ...payout, amount: 20_000 }, headers)).toMatchObject({
      status: 400,
    })
    for (const wrong of [{ account_number: '1' }, { mode: 'UPI' }, { amount: 99 }, { narration: 'a—b' }])
      expect(
        await stage.ask('POST', '/v1/payouts', { ...payout, ...wrong }, { 'x-payout-idempotency': randomUUID() }),
      ).toMatchObject({ status: 400 })
  })
})

describe('payouts', () => {
  test('go to fund accounts of contacts', async () => {
    const { body: contact } = await stage.ask('POST', '/v1/contacts', { name: 'Asha', type: 'customer' })
    const { status, body } = await stage.ask('POST', '/v1/fund_accounts', {
      contact_id: contact.id,
      account_type: 'vpa',
      vpa: { address: 'failure@razorpay' },
    })
    expect(status).toBe(201)
    const paid = await stage.ask(
      'POST',
      '/v1/payouts',
      {
        account_number: razorpayKeys.accountNumber,
        fund_account_id: body.id,
        amount: 100,
        currency: 'INR',
        mode: 'UPI',
        purpose: 'payout',
      },
      { 'x-payout-idempotency': randomUUID() },
    )
    expect((await stage.ask('GET', `/v1/payouts/${paid.body.id}`)).body).toMatchObject({
      status: 'failed',
      status_details: { source: 'beneficiary_bank' },
    })
    expect(
      await stage.ask('POST', '/v1/fund_accounts', {
        contact_id: 'cont_nobody',
        account_type: 'vpa',
        vpa: { address: 'a@b' },
      }),
    ).toMatchObject({ status: 400 })
  })
})

describe('what it keeps', () => {
  test('outlives it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'razorpay-'))
    const file = join(folder, 'razorpay.jsonl')
    const before = await razorpayStage({ file })
    const { body } = await before.ask('POST', '/v1/orders', { amount: 50_000, currency: 'INR', receipt: 'r1' })
    await before.checkout(body.id, { method: 'upi', vpa: 'success@razorpay' })
    const done = await before.done()
    await before.stop()
    const after = await razorpayStage({ file })
    expect(await after.done()).toEqual(done)
    expect(done.charges).toEqual([
      { reference: 'r1', id: expect.any(String), amount: 50_000, currency: 'INR', status: 'captured', times: 1 },
    ])
    expect((await after.ask('GET', `/v1/orders/${body.id}`)).body.status).toBe('paid')
    await after.stop()
    await rm(folder, { recursive: true })
  })

  test('shows a charge that was taken twice, and counts what it is asked', async () => {
    const own = await razorpayStage()
    const { body } = await own.ask('POST', '/v1/orders', { amount: 50_000, currency: 'INR', receipt: 'twice' })
    await own.checkout(body.id, { method: 'netbanking' })
    await own.checkout(body.id, { method: 'netbanking', again: true })
    await own.ask('GET', `/v1/orders/${body.id}/payments`)
    expect((await own.done()).charges).toMatchObject([{ reference: 'twice', amount: 100_000, times: 2 }])
    expect(await own.calls()).toEqual({ 'POST /v1/orders': 1, 'GET /v1/orders/:id/payments': 1 })
    await own.stop()
  })
})

test('webhooks carry the event, its id, and the signature of their bytes; a repeat has the same id', async () => {
  await stage.ask('PUT', '/_webhooks', { copies: 2 })
  const since = stage.webhooks.length
  const paymentId = await captured()
  await stage.ask('PUT', '/_webhooks', { copies: 1 })
  const events = () => stage.webhooks.slice(since).map(({ raw }) => JSON.parse(raw.toString()))
  await expect.poll(() => events().filter(({ event }) => event === 'payment.captured')).toHaveLength(2)
  const both = stage.webhooks.slice(since).filter(({ raw }) => raw.includes('"payment.captured"'))
  expect(new Set(both.map(({ headers }) => headers['x-razorpay-event-id'])).size).toBe(1)
  for (const { raw, headers } of both)
    expect(headers['x-razorpay-signature']).toBe(
      createHmac('sha256', razorpayKeys.webhookSecret).update(raw).digest('hex'),
    )
  expect(events().find(({ event }) => event === 'payment.captured')).toEqual({
    entity: 'event',
    account_id: expect.stringMatching(/^acc_/),
    event: 'payment.captured',
    contains: ['payment'],
    payload: { payment: { entity: expect.objectContaining({ id: paymentId, status: 'captured' }) } },
    created_at: expect.any(Number),
  })
})

test('disputes follow their order, one at a time for a payment', async () => {
  const charge_id = await captured()
  const { body: opened } = await stage.ask('POST', '/_disputes', { charge_id })
  expect(opened).toMatchObject({
    entity: 'dispute',
    payment_id: charge_id,
    amount: 50_000,
    status: 'open',
    amount_deducted: 0,
  })
  const { body: lost } = await stage.ask('POST', '/_disputes', { charge_id, status: 'lost' })
  expect(lost).toMatchObject({ id: opened.id, status: 'lost', amount_deducted: 50_000 })
  expect((await stage.ask('GET', `/v1/disputes/${opened.id}`)).body).toEqual(lost)
  expect((await stage.ask('POST', '/_disputes', { charge_id })).body.id).not.toBe(opened.id)
  expect(await stage.ask('POST', '/_disputes', { charge_id: 'pay_nobody' })).toMatchObject({ status: 400 })
})

test('what it is asked with the keys needs no more than them', async () => {
  const answer = await fetch(`${stage.url}/v1/payments?count=1`, { headers: { authorization: basic() } })
  expect(answer.status).toBe(200)
})
