import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { mockSandbox } from '../src/sandbox/mock.ts'
import { type StandIn, startStandIn } from './support/stand-in.ts'

const keys = { key: 'mock_key', webhookSecret: 'mock_whsec' }

let mock: StandIn
beforeAll(async () => {
  mock = await startStandIn((parts) => mockSandbox({ ...parts, keys }))
})
afterEach(async () => {
  await mock.ask('DELETE', '/_moods')
})
afterAll(() => mock.stop())

const post = (path: string, body: unknown, reference: string | undefined = randomUUID(), at = mock) =>
  at.ask('POST', path, body, {
    authorization: `Bearer ${keys.key}`,
    ...(reference === undefined ? {} : { 'idempotency-key': reference }),
  })
const get = (path: string) => mock.ask('GET', path, undefined, { authorization: `Bearer ${keys.key}` })
const rupees = { amount: 1_000, currency: 'INR', method: 'upi' }

describe('the mock gateway', () => {
  test('answers the first charge as the seed shows it', async () => {
    const fresh = await startStandIn((parts) => mockSandbox({ ...parts, keys }))
    const answer = await post('/charges', rupees, randomUUID(), fresh)
    expect(answer).toMatchObject({
      status: 201,
      body: { success: true, payment_id: 'mock_payment_123', status: 'captured', amount: 1_000, currency: 'INR' },
    })
    await fresh.stop()
  })

  test('answers a repeat with what became of it, and another request under the same key not at all', async () => {
    const reference = randomUUID()
    const first = await post('/charges', rupees, reference)
    expect(await post('/charges', { method: 'upi', currency: 'INR', amount: 1_000 }, reference)).toEqual({
      status: 200,
      body: first.body,
    })
    expect(await post('/charges', { ...rupees, amount: 1_001 }, reference)).toMatchObject({
      status: 422,
      body: { error: { code: 'key_reused' } },
    })
    const [line] = (await mock.done()).charges.filter((charge) => charge.reference === reference)
    expect(line).toMatchObject({ amount: 1_000, status: 'captured', times: 1 })
  })

  test.each([
    ['no amount', { currency: 'INR', method: 'upi' }],
    ['nothing', { ...rupees, amount: 0 }],
    ['parts of a minor unit', { ...rupees, amount: 1.5 }],
    ['a currency that it does not know', { ...rupees, currency: 'XXX' }],
    ['a method that it does not know', { ...rupees, method: 'cheque' }],
    ['no body', undefined],
  ])('takes no charge of %s', async (_title, body) => {
    expect((await post('/charges', body)).status).toBe(422)
  })

  test('wants a key for itself, and one for what moves money', async () => {
    expect((await mock.ask('POST', '/charges', rupees)).status).toBe(401)
    expect((await mock.ask('POST', '/charges', rupees, { authorization: 'Bearer another' })).status).toBe(401)
    const headers = { authorization: `Bearer ${keys.key}` }
    expect(await mock.ask('POST', '/charges', rupees, headers)).toMatchObject({
      status: 400,
      body: { error: { code: 'key_missing' } },
    })
    expect((await mock.ask('GET', '/health')).status).toBe(200)
    expect((await get('/nowhere')).status).toBe(404)
  })

  test('tells the customer’s browser no more than the page, and takes one decision', async () => {
    const { body } = await post('/charges', { ...rupees, token: 'mock_3ds' })
    const { payment_id, action_url } = body as { payment_id: string; action_url: string }
    expect(await (await fetch(action_url)).text()).toContain('Approve')
    const decide = (does: string) => mock.ask('POST', `/_customer/${payment_id}`, { does })
    expect((await decide('dither')).status).toBe(422)
    expect(await decide('approve')).toMatchObject({ status: 200, body: { status: 'captured' } })
    expect((await decide('fail')).status).toBe(409)
    expect(await (await fetch(action_url)).text()).not.toContain('Approve')
  })

  test('counts what it is asked, by path', async () => {
    const fresh = await startStandIn((parts) => mockSandbox({ ...parts, keys }))
    await post('/charges', rupees, randomUUID(), fresh)
    await fresh.mood({ on: 'POST /charges', does: 'fail' })
    await post('/charges', rupees, randomUUID(), fresh)
    await post('/charges/mock_payment_123/cancel', undefined, undefined, fresh)
    await fresh.ask('GET', '/charges/mock_payment_123')
    expect((await fresh.ask('GET', '/_calls')).body).toEqual({
      'POST /charges': 2,
      'POST /charges/:id/cancel': 1,
      'GET /charges/:id': 1,
    })
    await fresh.stop()
  })

  test('opens a dispute and moves it on, and says so each time', async () => {
    const { body } = await post('/charges', rupees)
    const { payment_id } = body as { payment_id: string }
    const opened = await mock.ask('POST', '/_disputes', { charge_id: payment_id })
    expect(opened).toMatchObject({ status: 201, body: { payment_id, amount: 1_000, status: 'needs_response' } })
    const lost = await mock.ask('POST', '/_disputes', { charge_id: payment_id, status: 'lost' })
    expect(lost.body).toEqual({ ...Object(opened.body), status: 'lost' })
    await mock.webhook('"dispute.opened"')
    await mock.webhook('"dispute.updated"')
    expect((await mock.ask('POST', '/_disputes', { charge_id: 'mock_payment_0' })).status).toBe(404)
  })

  test('has not forgotten anything after it was killed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mock-gateway-'))
    const file = join(folder, 'mock.jsonl')
    const reference = randomUUID()
    const before = await startStandIn((parts) => mockSandbox({ ...parts, keys }), file)
    const first = await post('/charges', rupees, reference, before)
    const { payment_id } = first.body as { payment_id: string }
    await post('/charges', { ...rupees, token: 'mock_pending' }, randomUUID(), before)
    await post('/refunds', { payment_id, amount: 1, currency: 'INR' }, randomUUID(), before)
    const done = await before.done()
    await before.stop()

    const after = await startStandIn((parts) => mockSandbox({ ...parts, keys }), file)
    expect(await after.done()).toEqual(done)
    const repeat = await post('/charges', rupees, reference, after)
    expect(repeat).toMatchObject({ status: 200, body: { payment_id, refunded: 1 } })
    const next = await post('/charges', rupees, randomUUID(), after)
    expect(next.body).toMatchObject({ payment_id: 'mock_payment_125' })
    await after.ask('POST', '/_time', { advance_seconds: 60 })
    expect((await after.done()).charges.map(({ times }) => times)).toEqual([1, 1, 1])
    await after.stop()
    rmSync(folder, { recursive: true })
  })
})
