import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freshDatabase, type TestDatabase } from './support/database.ts'
import { type Answer, Deployment } from './support/deployment.ts'
import { OPERATOR } from './support/tokens.ts'

interface Issued {
  readonly id: string
  readonly form: string
}

let voices = 0
async function issue(bursar: Deployment, budget: number): Promise<Issued> {
  const { status, body } = await bursar.do('POST', '/token', { budget, voice_id: `voice_${++voices}` })
  expect(status).toBe(200)
  return { id: body.token_id, form: body.token }
}

describe('The signed form of a token', () => {
  let bursar: Deployment
  beforeAll(async () => {
    bursar = await Deployment.start()
  })
  afterAll(() => bursar.stop())

  /** Everything that may be done with a token, written one way or the other. */
  const uses: [what: string, use: (written: string) => Promise<Answer>][] = [
    ['asking for the balance', (token) => bursar.get(`/balance/${token}`)],
    ['deducting', (token) => bursar.deduct(token, 1)],
    ['asking for the report', (token) => bursar.get(`/token/${token}/report`)],
    ['listing transactions', (token) => bursar.get(`/token/${token}/transactions`)],
    ['revoking', (token) => bursar.do('DELETE', `/token/${token}`)],
  ]

  test.each(uses)('stands for its id when %s', async (_what, use) => {
    const { form } = await issue(bursar, 10)
    expect((await use(form)).status).toBe(200)
  })

  test('works on the same budget as the id, which every answer names', async () => {
    const { id, form } = await issue(bursar, 10)
    expect((await bursar.deduct(form, 4)).body).toMatchObject({ token_id: id, remaining: 6 })
    expect((await bursar.get(`/token/${form}/report`)).body).toMatchObject({ token_id: id, remaining: 6 })
    expect((await bursar.do('DELETE', `/token/${form}`)).body).toEqual({ success: true, token_id: id, returned: 6 })
    expect((await bursar.get(`/balance/${id}`)).body.code).toBe('token.revoked')
  })

  test.each(uses)('with one letter changed is not found when %s', async (_what, use) => {
    const { id, form } = await issue(bursar, 10)
    const middle = form.length >> 1
    const tampered = `${form.slice(0, middle)}${form[middle] === 'A' ? 'B' : 'A'}${form.slice(middle + 1)}`
    const { status, body } = await use(tampered)
    expect(status).toBe(404)
    expect(body).toMatchObject({ code: 'token.notFound', detail: 'Token not found' })
    expect(await bursar.balance(id)).toBe(10)
  })

  test.each(uses)('expires by itself when its hour is over, for %s', async (_what, use) => {
    const { form } = await issue(bursar, 10)
    bursar.clock.advance({ seconds: 3_600 })
    const { status, body } = await use(form)
    expect(status).toBe(410)
    expect(body).toMatchObject({ code: 'token.expired', detail: 'Token expired' })
  })

  test('shares idempotency keys with the id, however that is written', async () => {
    const { id, form } = await issue(bursar, 10)
    const headers = { 'Idempotency-Key': 'a deduction of 3' }
    const first = await bursar.deduct(form, 3, { headers })
    for (const written of [form, id, id.toUpperCase()]) {
      const again = await bursar.deduct(written, 3, { headers })
      expect(again.body).toEqual(first.body)
      expect(again.headers.get('idempotency-replayed')).toBe('true')
    }
    expect((await bursar.deduct(id, 4, { headers })).body.error).toBe('IdempotencyKeyReused')
    expect(await bursar.balance(id)).toBe(7)
  })

  test('of another token does not share them', async () => {
    const [one, other] = [await issue(bursar, 10), await issue(bursar, 10)]
    const headers = { 'Idempotency-Key': 'the same words' }
    expect((await bursar.deduct(one.form, 3, { headers })).body.token_id).toBe(one.id)
    expect((await bursar.deduct(other.form, 3, { headers })).body.token_id).toBe(other.id)
  })
})

describe('Rotating the encryption key', () => {
  const OLD = 'the passphrase of the first year and kept until nothing needs it'
  const NEW = 'the passphrase of the second year with which all is sealed now'

  let database: TestDatabase
  let token: Issued
  let issuing: string
  let waiting: string
  beforeAll(async () => {
    database = await freshDatabase()
    const before = await Deployment.start({ database, env: { ENCRYPTION_KEY: OLD } })
    const { body } = await before.do('POST', '/token', { budget: 10, voice_id: 'rotating_voice' })
    token = { id: body.token_id, form: body.token }
    const listed = await before.get('/api/v1/operations?kind=token.issue', OPERATOR)
    issuing = listed.body.operations[0].operation_id
    await before.workers?.stop()
    before.workers = undefined
    waiting = (await before.ask('POST', '/token', { body: { budget: 990, voice_id: 'rotating_voice' } })).body
      .operation_id
    await before.stop()
  })
  afterAll(() => database.drop())

  test('a process that was not given the old one does not start, and says which key is missing', async () => {
    await expect(Deployment.start({ database, env: { ENCRYPTION_KEY: NEW } })).rejects.toThrow(
      /sealed with key [0-9a-f]{8}, .* add its passphrase to ENCRYPTION_KEY_PREVIOUS/,
    )
  })

  test('with the old one kept, forms, voices and operations of before go on as if nothing had happened', async () => {
    const env = { ENCRYPTION_KEY: NEW, ENCRYPTION_KEY_PREVIOUS: OLD }
    const bursar = await Deployment.start({ database, env })
    expect((await bursar.get(`/balance/${token.form}`)).body).toEqual({ balance: 10 })
    expect((await bursar.get(`/api/v1/operations/${issuing}`)).body.result.token).toBe(token.form)

    const { error } = await bursar.settled(waiting)
    // Over the transaction limit: the voice and its budget were read.
    expect(error.code).toBe('token.overTransactionLimit')

    await bursar.issue(500, 'rotating_voice')
    await bursar.issue(490, 'rotating_voice')
    // The 10 of before the rotation count.
    expect((await bursar.do('POST', '/token', { budget: 1, voice_id: 'rotating_voice' })).status).toBe(400)
    await bursar.expectCleanBooks()
    await bursar.stop()
  })

  test('with the old one gone for good, limits and keys still count; only what it sealed stays shut', async () => {
    const bursar = await Deployment.start({ database, env: { ENCRYPTION_KEY: NEW } })
    const { status, body } = await bursar.do('POST', '/token', { budget: 1, voice_id: 'rotating_voice' })
    expect({ status, code: body.code }).toEqual({ status: 400, code: 'token.overDailyLimit' })
    expect((await bursar.get(`/balance/${token.form}`)).status).toBe(404)
    expect(await bursar.balance(token.id)).toBe(10)

    expect((await bursar.get(`/api/v1/operations/${issuing}`)).status).toBe(503)
    expect(bursar.logged.join('')).toMatch(/add its passphrase to ENCRYPTION_KEY_PREVIOUS/)
    await bursar.stop()
  })
})
