import { createHmac, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { paystackSandbox } from '../src/sandbox/paystack.ts'
import { type StandIn, startStandIn } from './support/stand-in.ts'

const keys = { secretKey: 'sk_test_sandbox' }

let paystack: StandIn
beforeAll(async () => {
  paystack = await startStandIn((parts) => paystackSandbox({ ...parts, keys }))
})
afterAll(() => paystack.stop())

const authorization = { authorization: `Bearer ${keys.secretKey}` }
const post = (path: string, body: unknown, at = paystack) => at.ask('POST', path, body, authorization)
const get = (path: string, at = paystack) => at.ask('GET', path, undefined, authorization)
const naira = (more: object = {}) => ({ email: 'ada@example.com', amount: '500000', reference: randomUUID(), ...more })
const charge = async (more: object = {}) => {
  const asked = naira({ authorization_code: 'AUTH_abc', ...more })
  return { asked, answer: await post('/transaction/charge_authorization', asked) }
}

describe('as Paystack’s reference shows it', () => {
  test('a transaction is initialised with a page, and is abandoned until somebody pays', async () => {
    const asked = naira()
    expect(await post('/transaction/initialize', asked)).toEqual({
      status: 200,
      body: {
        status: true,
        message: 'Authorization URL created',
        data: {
          authorization_url: expect.stringMatching(/\/checkout\/\w+$/),
          access_code: expect.any(String),
          reference: asked.reference,
        },
      },
    })
    expect((await get(`/transaction/verify/${asked.reference}`)).body).toMatchObject({
      status: true,
      message: 'Verification successful',
      data: { status: 'abandoned', reference: asked.reference, amount: 500_000, currency: 'NGN', paid_at: null },
    })
    await paystack.ask('POST', `/_customer/${asked.reference}`, { does: 'approve' })
    expect((await get(`/transaction/verify/${asked.reference}`)).body).toMatchObject({
      data: {
        status: 'success',
        gateway_response: 'Approved',
        fees: 17_500,
        requested_amount: 500_000,
        authorization: { authorization_code: expect.stringMatching(/^AUTH_/), reusable: true },
      },
    })
  })

  test('a charge that is declined is answered with 200 and says so in its data', async () => {
    const { answer } = await charge({ authorization_code: 'AUTH_insufficient' })
    expect(answer).toMatchObject({
      status: 200,
      body: { status: true, data: { status: 'failed', gateway_response: 'Insufficient Funds', fees: null } },
    })
  })

  test('a reference is taken once, for charges and for transfers', async () => {
    const { asked } = await charge()
    for (const path of ['/transaction/initialize', '/transaction/charge_authorization'])
      expect(await post(path, { ...asked, amount: 1 })).toMatchObject({
        status: 400,
        body: { status: false, message: 'Duplicate Transaction Reference', code: 'duplicate_reference' },
      })
    const transfer = { source: 'balance', amount: 100_000, recipient: 'RCP_abc', reference: randomUUID() }
    expect(await post('/transfer', transfer)).toMatchObject({ status: 200, body: { data: { status: 'success' } } })
    expect(await post('/transfer', transfer)).toMatchObject({
      status: 400,
      body: { status: false, code: 'duplicate_transfer_reference' },
    })
  })

  test('a refund has no key: asked for twice, twice it goes back', async () => {
    const { asked } = await charge()
    const refund = { transaction: asked.reference, amount: 100, merchant_note: 'ours' }
    for (let i = 0; i < 2; i++)
      expect(await post('/refund', refund)).toMatchObject({
        status: 200,
        body: { data: { status: 'pending', amount: 100, transaction: { reference: asked.reference } } },
      })
    const { body } = await get(`/transaction/verify/${asked.reference}`)
    const { id } = (body as { data: { id: number } }).data
    expect((await get(`/refund?transaction=${id}`)).body).toMatchObject({
      data: [
        { status: 'processed', merchant_note: 'ours', transaction: id },
        { status: 'processed', merchant_note: 'ours', transaction: id },
      ],
      meta: { total: 2, pageCount: 1 },
    })
    expect((await paystack.done()).refunds).toMatchObject([{ reference: 'ours', amount: 100, times: 2 }])
    expect((await get(`/refund?transaction=${id + 1}`)).body).toMatchObject({ data: [] })
  })

  test('errors have the documented form', async () => {
    const form = { status: false, message: expect.any(String), type: 'validation_error', code: expect.any(String) }
    expect(await get(`/transaction/verify/${randomUUID()}`)).toMatchObject({
      status: 400,
      body: { ...form, code: 'transaction_not_found' },
    })
    expect(await get(`/transfer/verify/${randomUUID()}`)).toMatchObject({ status: 404, body: form })
    expect(await post('/transaction/initialize', naira({ email: 'nobody' }))).toMatchObject({ status: 400, body: form })
    expect(await post('/transaction/initialize', naira({ amount: '10.5' }))).toMatchObject({ status: 400, body: form })
    expect(await post('/transaction/initialize', naira({ reference: 'a/b' }))).toMatchObject({
      status: 400,
      body: form,
    })
    expect(
      await post('/transfer', { source: 'balance', amount: 1, recipient: 'RCP_a', reference: 'UPPER' }),
    ).toMatchObject({
      status: 400,
      body: form,
    })
    expect(await paystack.ask('GET', '/balance')).toMatchObject({ status: 401, body: { ...form, code: 'missing_key' } })
    const stranger = await paystack.ask('GET', '/balance', undefined, { authorization: 'Bearer sk_test_other' })
    expect(stranger).toMatchObject({ status: 401, body: { ...form, message: 'Invalid key' } })
  })

  test('recipients are made once for an account', async () => {
    const ada = { type: 'nuban', name: 'Ada Obi', account_number: '0001234567', bank_code: '058', currency: 'NGN' }
    const made = await post('/transferrecipient', ada)
    expect(made).toMatchObject({ status: 201, body: { data: { recipient_code: expect.stringMatching(/^RCP_/) } } })
    expect((await post('/transferrecipient', ada)).body).toEqual(made.body)
    const { recipient_code } = (made.body as { data: { recipient_code: string } }).data
    expect((await get(`/transferrecipient/${recipient_code}`)).body).toMatchObject({
      data: { name: 'Ada Obi', details: { account_number: '0001234567' } },
    })
  })

  test('lists are newest first, by page, within their time', async () => {
    let time = new Date('2030-01-01T00:00:00Z')
    const busy = await startStandIn((parts) => paystackSandbox({ ...parts, keys, now: () => time }))
    for (let day = 1; day <= 5; day++) {
      time = new Date(`2030-01-0${day}T12:00:00Z`)
      await post(
        '/transaction/charge_authorization',
        naira({ authorization_code: 'AUTH_a', reference: `day${day}` }),
        busy,
      )
    }
    const { body } = await get('/transaction?perPage=2&page=2&from=2030-01-02&to=2030-01-06', busy)
    expect(body).toMatchObject({
      data: [{ reference: 'day3' }, { reference: 'day2' }],
      meta: { total: 4, skipped: 2, perPage: 2, page: 2, pageCount: 2 },
    })
    await busy.stop()
  })

  test('webhooks are signed with the secret key over the raw body, and name no refund', async () => {
    const { asked } = await charge()
    await post('/refund', { transaction: asked.reference, amount: 7 })
    const webhook = await paystack.webhook('"refund.processed"')
    const signature = createHmac('sha512', keys.secretKey).update(webhook.raw).digest('hex')
    expect(webhook.headers['x-paystack-signature']).toBe(signature)
    const { data } = JSON.parse(webhook.raw.toString('utf8')) as { data: object }
    expect(data).toMatchObject({ status: 'processed', amount: expect.any(String) })
    expect(data).not.toHaveProperty('id')
  })
})

test('it has not forgotten anything after it was killed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'paystack-'))
  const file = join(folder, 'paystack.jsonl')
  const before = await startStandIn((parts) => paystackSandbox({ ...parts, keys }), file)
  const paid = naira({ authorization_code: 'AUTH_pending' })
  await post('/transaction/charge_authorization', paid, before)
  await before.ask('POST', '/_time', { advance_seconds: 59 })
  const done = await before.done()
  expect(done.charges).toMatchObject([{ reference: paid.reference, times: 0 }])
  await before.stop()

  const after = await startStandIn((parts) => paystackSandbox({ ...parts, keys }), file)
  expect(await after.done()).toEqual(done)
  expect((await post('/transaction/charge_authorization', paid, after)).status).toBe(400)
  await after.ask('POST', '/_time', { advance_seconds: 1 })
  expect((await after.done()).charges).toMatchObject([{ reference: paid.reference, status: 'success', times: 1 }])
  await after.stop()
  rmSync(folder, { recursive: true })
})
