import { Writable } from 'node:stream'
import { z } from '@hono/zod-openapi'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Authenticator } from '../src/api/access.ts'
import { makeApp } from '../src/api/app.ts'
import { MAX_BODY_BYTES } from '../src/api/body.ts'
import { errorSchema } from '../src/api/errors.ts'
import { reply } from '../src/api/reply.ts'
import { systemClock } from '../src/kit/clock.ts'
import { Fault } from '../src/kit/fault.ts'
import { Secret } from '../src/kit/secret.ts'
import { makeLog } from '../src/platform/log.ts'
import { type Answer, Deployment } from './support/deployment.ts'
import { goAwayAfter, rawHttp } from './support/raw-http.ts'

let bursar: Deployment
let token: string

beforeAll(async () => {
  bursar = await Deployment.start()
  token = await bursar.issue(100)
})
afterAll(() => bursar.stop())

const issue = (body: unknown, headers: Record<string, string> = {}) => bursar.ask('POST', '/token', { body, headers })

/** The one body, and nothing beside it. */
function expectError({ status, headers, body }: Answer, wanted: { status: number; code: string }): void {
  expect([status, body.code]).toEqual([wanted.status, wanted.code])
  expect(errorSchema.strict().parse(body)).toEqual(body)
  expect(body.request_id).toBe(headers.get('x-request-id'))
  expect(Date.now() - Date.parse(body.timestamp)).toBeLessThan(60_000)
  if (typeof body.detail === 'string') expect(body.detail).toBe(body.message)
}

describe('Where nothing is', () => {
  test.each([
    '/',
    '/tokens',
    '/token/',
    '/api/v1/operations/',
    '/token/a/b/c',
    '/balance',
    '/docs/start.ts',
    '/.env',
    '/health/',
  ])('%s is not found', async (path) => expectError(await bursar.get(path), { status: 404, code: 'request.notFound' }))

  test.each([
    ['GET', '/token', 'POST'],
    ['PATCH', '/token/abc', 'DELETE'],
    ['DELETE', '/health', 'GET'],
    ['POST', '/api/v1/operations', 'GET'],
    ['OPTIONS', '/balance/abc', 'GET'],
    ['PUT', '/openapi.json', 'GET'],
  ])('%s %s is not allowed, and the answer says what is', async (method, path, allowed) => {
    const answer = await bursar.ask(method, path)
    expectError(answer, { status: 405, code: 'request.methodNotAllowed' })
    expect(answer.headers.get('allow')).toBe(allowed)
  })

  test('a path that cannot be decoded is somebody’s unknown token, not our trouble', async () => {
    expect((await bursar.get('/balance/%E0%A4%A')).status).toBe(404)
    expect((await bursar.get('/balance/%00')).status).toBe(404)
  })
})

describe('A body', () => {
  test.each(['{', '', '{"budget":1,}', "{'budget':1}", 'null garbage', '{"budget":01}'])(
    '«%s» is malformed',
    async (body) => {
      expectError(await issue(body), { status: 400, code: 'request.malformedJson' })
    },
  )

  test.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/jsonp',
    'text/json',
    'multipart/form-data',
  ])('of the type %s is not taken', async (type) => {
    expectError(await issue('{"budget":1,"voice_id":"a"}', { 'Content-Type': type }), {
      status: 415,
      code: 'request.unsupportedMediaType',
    })
  })

  test('without a type, or compressed, is not taken', async () => {
    const [answer] = await rawHttp(
      bursar.door.url,
      'POST /token HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}',
    )
    expect([answer?.status, JSON.parse(answer?.body ?? '').code]).toEqual([415, 'request.unsupportedMediaType'])
    expectError(await issue('{}', { 'Content-Encoding': 'gzip' }), {
      status: 415,
      code: 'request.unsupportedMediaType',
    })
  })

  test('of JSON by any spelling of its type is taken', async () => {
    for (const type of ['application/json; charset=utf-8', 'APPLICATION/JSON', 'application/json ;x=y'])
      expect((await issue({ budget: 1, voice_id: 'voice_types' }, { 'Content-Type': type })).status).toBe(202)
  })
})

describe('A body that is too large', () => {
  const json = (bytes: number) => {
    const frame = '{"budget":1,"voice_id":"a","note":""}'
    return frame.replace('""', `"${'x'.repeat(bytes - frame.length)}"`)
  }

  const chunked = (body: string) => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
  const head = (extra: string) =>
    `POST /token HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n${extra}\r\n\r\n`
  const next = 'GET /openapi.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

  test('is one of a byte more than a mebibyte', async () => {
    expect((await issue(json(MAX_BODY_BYTES))).status).toBe(202)
    expectError(await issue(json(MAX_BODY_BYTES + 1)), { status: 413, code: 'request.tooLarge' })
  })

  test.each([
    ['of a stated length', head(`Content-Length: ${MAX_BODY_BYTES + 1}`), json(MAX_BODY_BYTES + 1)],
    ['without one', head('Transfer-Encoding: chunked'), chunked(json(MAX_BODY_BYTES + 1))],
  ])('%s is refused, and what is left of it is never taken for the next request', async (_, start, body) => {
    const answers = await rawHttp(bursar.door.url, start, body, next)
    expect(answers[0]?.status).toBe(413)
    expect(answers[0]?.head).toMatch(/connection: close/i)
    expect(JSON.parse(answers[0]?.body ?? '').code).toBe('request.tooLarge')
    // Either the connection is closed after the refusal, or the next request on it gets its own answer.
    expect(answers.slice(1).map(({ status }) => status)).toEqual(answers.length === 1 ? [] : [200])
  })

  test('without a stated length is taken up to a mebibyte', async () => {
    const answers = await rawHttp(
      bursar.door.url,
      head('Transfer-Encoding: chunked\r\nConnection: close'),
      chunked(json(MAX_BODY_BYTES)),
    )
    expect(answers.map(({ status }) => status)).toEqual([202])
  })

  test('is refused where it is announced, before it is sent', async () => {
    const answers = await rawHttp(bursar.door.url, head(`Content-Length: ${2 ** 40}`), '{')
    expect(answers[0]?.status).toBe(413)
  })
})

describe('Bytes that are no request', () => {
  test.each([
    ['a method that nobody knows', 'STEAL /token HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['no HTTP at all', 'hello\r\n\r\n'],
    ['two lengths', 'POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}'],
    [
      'a length and chunks',
      'POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}',
    ],
    ['a negative length', 'POST /token HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n'],
    ['no host', 'GET /health HTTP/1.1\r\nConnection: close\r\n\r\n'],
    ['a host that is none', 'GET /health HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n'],
    ['headers without end', `GET /health HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(100_000)}\r\n\r\n`],
  ])('%s: a 4xx and a closed connection', async (_, bytes) => {
    const answers = await rawHttp(bursar.door.url, bytes)
    expect(answers).toHaveLength(1)
    expect(answers[0]?.status).toBeGreaterThanOrEqual(400)
    expect(answers[0]?.status).toBeLessThan(500)
  })

  test.each([
    ['of a stated length', 'Content-Length: 100\r\n\r\n{"budget":'],
    ['without one', 'Transfer-Encoding: chunked\r\n\r\na\r\n{"budget":\r\n'],
  ])('a caller who goes away in the middle of a body %s is no failure of ours', async (_, rest) => {
    const name = `gone-${rest.length}`
    await goAwayAfter(
      bursar.door.url,
      `POST /token HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nX-Request-Id: ${name}\r\n${rest}`,
    )
    const lines = () => bursar.logged.filter((line) => line.includes(name)).map((line) => JSON.parse(line))
    await expect.poll(lines).toHaveLength(1)
    expect(lines()[0]).toMatchObject({ level: 'info', status: 400, route: '/token' })
  })
})

describe('Validation', () => {
  test('lists every problem of a body, as the seeds’ clients read it', async () => {
    const answer = await issue({ budget: -1.5, voice_id: '   ' })
    expectError(answer, { status: 422, code: 'request.invalid' })
    const places = answer.body.detail.map(({ loc }: { loc: string[] }) => loc.join('.'))
    expect(new Set(places)).toEqual(new Set(['body.budget', 'body.voice_id']))
    expect(answer.body.message).toContain(`${answer.body.detail.length} problems`)
    expect(answer.body.detail).toContainEqual({
      loc: ['body', 'voice_id'],
      msg: 'Voice ID cannot be empty',
      type: 'too_small',
    })
  })

  test.each([
    ['nothing', {}, ['body.budget', 'body.voice_id']],
    ['nulls', { budget: null, voice_id: null }, ['body.budget', 'body.voice_id']],
    ['a text for a number', { budget: '100', voice_id: 'a' }, ['body.budget']],
    ['zero', { budget: 0, voice_id: 'a' }, ['body.budget']],
    ['a voice of 256 characters', { budget: 1, voice_id: 'v'.repeat(256) }, ['body.voice_id']],
    ['a list', [1], ['body', 'body.budget', 'body.voice_id']],
  ])('of %s names each field', async (_, body, places) => {
    const answer = await issue(body)
    expectError(answer, { status: 422, code: 'request.invalid' })
    expect(answer.body.detail.map(({ loc }: { loc: string[] }) => loc.join('.'))).toEqual(places)
  })

  test('of nothing that the seed refuses lets anything through: the token is as it was', async () => {
    await bursar.ask('POST', `/token/${token}/deduct`, { body: { amount: 10, description: 7 } })
    await bursar.ask('POST', `/token/${token}/deduct`, { body: { amount: 10, description: 'x'.repeat(501) } })
    await bursar.quiet()
    expect(await bursar.balance(token)).toBe(100)
  })
})

/** A door of our own making, for what no real route does. */
function oddDoor() {
  const logged: string[] = []
  const destination = new Writable({
    write(chunk, _encoding, done) {
      logged.push(String(chunk))
      done()
    },
  })
  const { app, router } = makeApp({
    authenticator: new Authenticator({
      jwt: { secret: new Secret('x'.repeat(32)), previousSecrets: [] },
      clock: systemClock,
    }),
    limiter: { consume: async () => ({ allowed: true, limit: 1, remaining: 1, resetSeconds: 1 }) },
    clock: systemClock,
    log: makeLog({ level: 'info', destination }),
    trustProxy: 0,
    generalLimit: undefined,
    answered: () => {},
  })
  const declared = { tag: 'Odd', summary: 'Odd', access: 'anyone', answers: { 200: { says: 'Done' } } } as const
  router.route(
    {
      ...declared,
      method: 'post',
      path: '/odd/{number}',
      params: z.object({ number: z.coerce.number().int() }),
      query: z.object({ limit: z.coerce.number().max(5) }),
      body: z.object({ name: z.string(), inner: z.object({ list: z.array(z.int()) }) }),
    },
    ({ c }) => reply(c, {}),
  )
  router.route({ ...declared, method: 'get', path: '/broken' }, () => {
    throw new TypeError('secret: hunter2')
  })
  router.route({ ...declared, method: 'get', path: '/unwell' }, () => {
    throw new Fault('10.0.0.7 does not answer')
  })
  return { app, logged }
}

describe('Whatever goes wrong', () => {
  const { app, logged } = oddDoor()

  test('every problem of path, query and body is listed at once', async () => {
    const response = await app.request('/odd/one?limit=6', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: '{"name":"a","name":7,"inner":{"list":[1,"two",3.5]}}',
    })
    const body = errorSchema
      .extend({ detail: z.array(z.object({ loc: z.array(z.union([z.string(), z.int()])) })) })
      .parse(await response.json())
    expect(response.status).toBe(422)
    expect(body.detail.map(({ loc }) => loc)).toEqual([
      ['path', 'number'],
      ['query', 'limit'],
      ['body', 'name'],
      ['body', 'name'],
      ['body', 'inner', 'list', 1],
      ['body', 'inner', 'list', 2],
    ])
  })

  test('a bug says nothing of its inside, and is logged with the request’s name', async () => {
    const response = await app.request('/broken', { headers: { 'X-Request-Id': 'bug-1' } })
    const text = await response.text()
    expect(response.status).toBe(500)
    expect(JSON.parse(text)).toMatchObject({ code: 'request.broken', request_id: 'bug-1' })
    expect(text).not.toMatch(/hunter2|TypeError|\.ts/)
    const line = logged.map((one) => JSON.parse(one)).find(({ level }) => level === 'error')
    expect(line).toMatchObject({ request_id: 'bug-1', route: '/broken', err: { type: 'TypeError' } })
  })

  test('a world that is unwell is a 503 with a time to come back, and names no address', async () => {
    const response = await app.request('/unwell')
    const text = await response.text()
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
    expect(text).not.toContain('10.0.0.7')
  })
})
