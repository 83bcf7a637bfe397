import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kinds } from '../src/jobs/catalogue.ts'
import { processors } from '../src/processors/index.ts'
import { Breakable } from './support/breakable.ts'
import { type Answer, type Asking, Deployment } from './support/deployment.ts'
import { Gate } from './support/gate.ts'
import { type SecondDoor, secondDoor } from './support/second-door.ts'

const gate = new Gate()
const revoking = new Breakable()
let bursar: Deployment
let otherDoor: SecondDoor
let token: string

beforeAll(async () => {
  bursar = await Deployment.start({
    processors: {
      ...processors,
      'token.deduct': gate.before(processors['token.deduct']),
      'token.revoke': revoking.around(kinds['token.revoke'], processors['token.revoke']),
    },
  })
  otherDoor = await secondDoor(bursar)
  token = await bursar.issue(500)
})
afterAll(async () => {
  await otherDoor.stop()
  await bursar.stop()
})

/** A submission under a key. */
const under = (key: string, method: string, path: string, body?: unknown, asking: Asking = {}): Promise<Answer> =>
  bursar.ask(method, path, { body, ...asking, headers: { 'Idempotency-Key': key, ...asking.headers } })

const deduct = (key: string, amount: unknown = 1, asking: Asking = {}) =>
  under(key, 'POST', `/token/${token}/deduct`, { amount }, asking)

const replayed = ({ headers }: Answer) => headers.get('idempotency-replayed')

/** How many rows there are of what a key could have done twice, once all work is done. */
async function traces(): Promise<{ operations: number; keys: number; transfers: number; tokens: number }> {
  await bursar.quiet()
  const { rows } = await bursar.pool.query(
    `select (select count(*)::int from operation) as operations, (select count(*)::int from idempotency_key) as keys,
            (select count(*)::int from transfer) as transfers, (select count(*)::int from token) as tokens`,
  )
  return rows[0]
}

describe('The same key with the same body', () => {
  test('fifty times at once makes one operation and one token', async () => {
    const before = await traces()
    const key = randomUUID()
    const answers = await Promise.all(
      Array.from({ length: 50 }, () =>
        under(key, 'POST', '/token', { budget: 10, voice_id: 'voice_50' }, { headers: { Prefer: 'wait=30' } }),
      ),
    )

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(new Set(answers.map(({ body }) => body.token_id)).size).toBe(1)
    expect(new Set(answers.map(({ headers }) => headers.get('operation-id'))).size).toBe(1)
    expect(answers.filter((answer) => replayed(answer) === null)).toHaveLength(1)
    expect(await traces()).toEqual({
      operations: before.operations + 1,
      keys: before.keys + 1,
      transfers: before.transfers + 1,
      tokens: before.tokens + 1,
    })
  })

  test('at two doors at once makes one operation for each key', async () => {
    const before = await traces()
    const keys = Array.from({ length: 25 }, () => randomUUID())
    const answers = await Promise.all(
      [...keys, ...keys.toReversed(), ...keys].map((key, n) =>
        deduct(key, 1, n % 2 === 0 ? {} : { at: otherDoor.url }).then((answer) => ({ key, ...answer })),
      ),
    )

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]))
    for (const [, ofKey] of Map.groupBy(answers, ({ key }) => key)) {
      expect(new Set(ofKey.map(({ body }) => body.operation_id)).size).toBe(1)
      expect(ofKey.filter((answer) => replayed(answer) === null)).toHaveLength(1)
    }
    for (const id of new Set(answers.map(({ body }) => body.operation_id))) await bursar.settled(id)
    const after = await traces()
    expect(after.operations - before.operations).toBe(25)
    expect(after.transfers - before.transfers).toBe(25)
  })

  test('is answered with the first operation while that is queued', async () => {
    const key = randomUUID()
    gate.shut()
    const [first, second] = [await deduct(key), await deduct(key)]
    gate.open()

    expect([first.status, replayed(first)]).toEqual([202, null])
    expect([second.status, replayed(second)]).toEqual([202, 'true'])
    expect(second.body).toEqual(first.body)
    expect(second.headers.get('location')).toBe(first.headers.get('location'))
    await bursar.settled(first.body.operation_id)
  })

  test('is answered with the first operation’s outcome once that succeeded, and it is done once', async () => {
    const key = randomUUID()
    const before = await bursar.balance(token)
    const first = await deduct(key, 7, { headers: { Prefer: 'wait=20' } })
    const second = await deduct(key, 7, { headers: { Prefer: 'wait=20' } })
    const third = await deduct(key, 7)

    expect([first.status, second.status, replayed(first), replayed(second)]).toEqual([200, 200, null, 'true'])
    expect(second.body).toEqual(first.body)
    expect(third.status).toBe(202)
    expect([third.body.status, replayed(third)]).toEqual(['succeeded', 'true'])
    expect(third.body.operation_id).toBe(first.headers.get('operation-id'))
    expect(await bursar.balance(token)).toBe(before - 7)
  })

  test('is answered with the first operation’s refusal once that failed, whatever would be decided now', async () => {
    const poor = await bursar.issue(5)
    const key = randomUUID()
    const asking = { headers: { Prefer: 'wait=20' } }
    const first = await under(key, 'POST', `/token/${poor}/deduct`, { amount: 6 }, asking)
    const second = await under(key, 'POST', `/token/${poor}/deduct`, { amount: 6 }, asking)
    const third = await under(key, 'POST', `/token/${poor}/deduct`, { amount: 6 })

    expect([first.status, second.status, replayed(second)]).toEqual([400, 400, 'true'])
    expect(second.body.code).toBe('token.insufficient')
    expect([third.status, third.body.status]).toEqual([202, 'failed'])
  })

  test('is answered with the first operation while that is stuck', async () => {
    const broken = await bursar.issue(5)
    const key = randomUUID()
    revoking.broken = true
    const first = await under(key, 'DELETE', `/token/${broken}`)
    await bursar.settled(first.body.operation_id)
    const second = await under(key, 'DELETE', `/token/${broken}`, undefined, { headers: { Prefer: 'wait=20' } })
    revoking.broken = false

    expect([second.status, second.body.status, replayed(second)]).toEqual([202, 'stuck', 'true'])
    expect(second.body.operation_id).toBe(first.body.operation_id)
  })

  test('may be quoted or bare, and say its fields in any order', async () => {
    const key = `order ${randomUUID()}`
    const path = `/token/${token}/deduct`
    const first = await under(key, 'POST', path, { amount: 1, description: 'tea' })
    const second = await under(`"${key}"`, 'POST', path, { description: 'tea', amount: 1 })
    expect(second.body.operation_id).toBe(first.body.operation_id)
  })

  test('is the same whether the token is named by its id or its signed form', async () => {
    const { body } = await bursar.do('POST', '/token', { budget: 10, voice_id: 'voice_forms' })
    const key = randomUUID()
    const first = await under(key, 'POST', `/token/${body.token_id}/deduct`, { amount: 1 })
    const second = await under(key, 'POST', `/token/${body.token}/deduct`, { amount: 1 })
    const third = await under(key, 'POST', `/token/${body.token_id.toUpperCase()}/deduct`, { amount: 1 })
    expect(second.body.operation_id).toBe(first.body.operation_id)
    expect(third.body.operation_id).toBe(first.body.operation_id)
  })
})

describe('The same key with another body', () => {
  test('is refused, and nothing is done', async () => {
    const key = randomUUID()
    await deduct(key, 1, { headers: { Prefer: 'wait=20' } })
    const before = await traces()
    const balance = await bursar.balance(token)

    for (const body of [{ amount: 2 }, { amount: 1, description: 'more' }]) {
      const { status, body: error } = await under(key, 'POST', `/token/${token}/deduct`, body)
      expect([status, error.error, error.code]).toEqual([422, 'IdempotencyKeyReused', 'intake.keyReused'])
    }
    expect(await traces()).toEqual(before)
    expect(await bursar.balance(token)).toBe(balance)
  })

  test('sent at once with the first leaves one of the two', async () => {
    const key = randomUUID()
    const before = await traces()
    const answers = await Promise.all([1, 2].map((amount) => deduct(key, amount, { headers: { Prefer: 'wait=20' } })))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 422])
    expect((await traces()).transfers).toBe(before.transfers + 1)
  })
})

describe('A key', () => {
  test.each([
    ['of one character', 'k'],
    ['of 255 characters', 'k'.repeat(255)],
    ['of 255 characters in quotes', `"${'q'.repeat(255)}"`],
    ['with every sort of printable character', '~ !#$%&()*+,-./:;<=>?@[]^_`{|}'],
  ])('%s is taken', async (_, key) => {
    expect((await deduct(key)).status).toBe(202)
  })

  test.each([
    ['that is empty', ''],
    ['that is empty in quotes', '""'],
    ['of 256 characters', 'k'.repeat(256)],
    ['of 256 characters in quotes', `"${'k'.repeat(256)}"`],
    ['with a letter beyond ASCII', 'schl\u00fcssel'],
    ['with a tab', 'a\tb'],
  ])('%s is refused, and nothing is done', async (_, key) => {
    const before = await traces()
    const { status, body } = await deduct(key)
    expect([status, body.error, body.code]).toEqual([400, 'InvalidIdempotencyKey', 'request.invalidKey'])
    expect(await traces()).toEqual(before)
  })

  test('is not consumed by a request that was refused at the door', async () => {
    const key = randomUUID()
    const path = `/token/${token}/deduct`
    const asking = { headers: { 'Idempotency-Key': key } }
    const refused = [
      await bursar.ask('POST', path, { ...asking, body: { amount: 0 } }),
      await bursar.ask('POST', path, { ...asking, body: '{' }),
      await bursar.ask('POST', path, {
        body: 'amount=1',
        headers: { ...asking.headers, 'Content-Type': 'text/plain' },
      }),
      await bursar.ask('POST', path, { ...asking, body: { amount: 1, description: '4242 4242 4242 4242' } }),
      await bursar.ask('POST', path, { ...asking, body: { amount: 1, description: 'x'.repeat(1_100_000) } }),
      await bursar.ask('POST', path, {
        body: { amount: 1 },
        headers: { ...asking.headers, Authorization: 'Bearer x' },
      }),
    ]
    expect(refused.map(({ status }) => status)).toEqual([422, 400, 415, 422, 413, 401])

    const accepted = await bursar.ask('POST', path, { ...asking, body: { amount: 1 } })
    expect([accepted.status, replayed(accepted)]).toEqual([202, null])
  })

  test('is another key for another token, another route, another method and another subject', async () => {
    const key = randomUUID()
    const other = await bursar.issue(50)
    const answers = [
      await deduct(key),
      await under(key, 'POST', `/token/${other}/deduct`, { amount: 1 }),
      await under(key, 'POST', '/token', { budget: 1, voice_id: 'voice_scope' }),
      await under(key, 'DELETE', `/token/${other}`),
      await deduct(key, 1, { as: 'alice' }),
      await deduct(key, 1, { as: 'bob' }),
    ]
    expect(answers.map(({ status }) => status)).toEqual(Array(6).fill(202))
    expect(answers.map(replayed)).toEqual(Array(6).fill(null))
    expect(new Set(answers.map(({ body }) => body.operation_id)).size).toBe(6)
  })

  test('of a known subject is theirs for the whole route: for another token it is another request', async () => {
    const key = randomUUID()
    const other = await bursar.issue(50)
    await deduct(key, 1, { as: 'carol' })
    const { status, body } = await under(key, 'POST', `/token/${other}/deduct`, { amount: 1 }, { as: 'carol' })
    expect([status, body.code]).toEqual([422, 'intake.keyReused'])
    expect(await bursar.balance(other)).toBe(50)
  })

  test('of somebody unknown is never that of a subject who is called like them', async () => {
    const key = randomUUID()
    const body = { budget: 1, voice_id: 'voice_names' }
    const first = await under(key, 'POST', '/token', body)
    const asked = [
      await under(key, 'POST', '/token', body, { as: 'anybody' }),
      await deduct(key, 1),
      await deduct(key, 1, { as: `token_id:${token}` }),
      await deduct(key, 1, { as: `credential:token_id:${token}` }),
    ]
    expect(first.status).toBe(202)
    expect(asked.map(replayed)).toEqual([null, null, null, null])
  })

  test('makes an operator’s second chance safe to repeat, too', async () => {
    const broken = await bursar.issue(5)
    revoking.broken = true
    const { body } = await bursar.ask('DELETE', `/token/${broken}`)
    await bursar.settled(body.operation_id)
    revoking.broken = false
    const key = randomUUID()
    const retry = () =>
      under(key, 'POST', `/api/v1/operations/${body.operation_id}/retry`, undefined, {
        as: 'olga',
        roles: ['operator'],
        headers: { Prefer: 'wait=20' },
      })
    const [first, second] = [await retry(), await retry()]
    expect([first.status, second.status, replayed(second)]).toEqual([200, 200, 'true'])
    expect(second.body).toEqual(first.body)
  })
})
