import { createHmac } from 'node:crypto'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '../src/kit/ids.ts'
import { Deployment } from './support/deployment.ts'

let bursar: Deployment
let token: string
let ofAlice: string

beforeAll(async () => {
  bursar = await Deployment.start()
  token = await bursar.issue(500)
  const { body } = await bursar.ask('POST', `/token/${token}/deduct`, { as: 'alice', body: { amount: 1 } })
  ofAlice = body.operation_id
  await bursar.quiet()
})
afterAll(() => bursar.stop())

/** Callers whose credentials are good. */
const known = ['nobody', 'user', 'service', 'operator', 'admin', 'board'] as const
/** Callers whose credentials are not. */
const bad = ['expired', 'forged', 'unsigned', 'noSubject', 'oddRoles', 'wrongPassword'] as const

type Known = (typeof known)[number]
type Caller = Known | (typeof bad)[number]

const base64 = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** What each caller sends as Authorization. */
const credentials: { readonly [caller in Caller]: () => string | undefined | Promise<string> } = {
  nobody: () => undefined,
  user: () => bearer({ sub: 'bob' }),
  service: () => bearer({ sub: 'shop', roles: ['service'] }),
  operator: () => bearer({ sub: 'olga', roles: ['operator'] }),
  admin: () => bearer({ sub: 'anna', roles: ['admin'] }),
  board: () => `Basic ${Buffer.from(`operator:${bursar.config.board.password.reveal()}`).toString('base64')}`,
  expired: () => bearer({ sub: 'anna', roles: ['admin'], exp: Math.floor(Date.now() / 1_000) - 1 }),
  forged: () => bearer({ sub: 'anna', roles: ['admin'] }, 'somebody-else’s-secret-of-32-characters'),
  unsigned: () => `Bearer ${base64({ alg: 'none' })}.${base64({ sub: 'anna', roles: ['admin'] })}.`,
  noSubject: () => bearer({ roles: ['admin'] }),
  oddRoles: () => bearer({ sub: 'anna', roles: ['admin', 'root'] }),
  wrongPassword: () => `Basic ${Buffer.from('operator:guess').toString('base64')}`,
}

async function bearer(claims: Record<string, unknown>, secret = bursar.config.jwt.secret.reveal()): Promise<string> {
  const jwt = new SignJWT(claims).setProtectedHeader({ alg: 'HS256' })
  if (claims.exp === undefined) jwt.setExpirationTime('1h')
  return `Bearer ${await jwt.sign(new TextEncoder().encode(secret))}`
}

interface Row {
  /** A request that is fine but for its caller. Made anew for each, because some can be made only once. */
  readonly request: () => { path: string; body?: unknown } | Promise<{ path: string; body?: unknown }>
  /** What each caller with good credentials gets. */
  readonly answers: { readonly [caller in Known]: number }
}

/** The same for every bearer token and for nobody. The board's password opens the board, and nothing else. */
const open = (status: number): Row['answers'] => ({
  nobody: status,
  user: status,
  service: status,
  operator: status,
  admin: status,
  board: 401,
})

const operators = (status: number): Row['answers'] => ({
  nobody: 401,
  user: 403,
  service: 403,
  operator: status,
  admin: status,
  board: 401,
})

/** Every route, and who may ask it. A route without a row fails. */
const matrix: { readonly [route: string]: Row } = {
  'POST /token': {
    request: () => ({ path: '/token', body: { budget: 1, voice_id: 'voice_access' } }),
    answers: open(202),
  },
  'POST /token/{token_id}/deduct': {
    request: () => ({ path: `/token/${token}/deduct`, body: { amount: 1 } }),
    answers: open(202),
  },
  'DELETE /token/{token_id}': {
    request: async () => ({ path: `/token/${await bursar.issue(1, `voice_${newId()}`)}` }),
    answers: open(202),
  },
  'GET /balance/{token_id}': { request: () => ({ path: `/balance/${token}` }), answers: open(200) },
  'GET /token/{token_id}/report': { request: () => ({ path: `/token/${token}/report` }), answers: open(200) },
  'GET /token/{token_id}/transactions': {
    request: () => ({ path: `/token/${token}/transactions` }),
    answers: open(200),
  },
  'GET /api/v1/operations/{id}': {
    request: () => ({ path: `/api/v1/operations/${ofAlice}` }),
    answers: { nobody: 404, user: 404, service: 404, operator: 200, admin: 200, board: 401 },
  },
  'GET /api/v1/operations': {
    request: () => ({ path: '/api/v1/operations' }),
    answers: { nobody: 401, user: 200, service: 200, operator: 200, admin: 200, board: 401 },
  },
  'POST /api/v1/operations/{id}/retry': {
    request: () => ({ path: `/api/v1/operations/${ofAlice}/retry` }),
    answers: operators(202),
  },
  'GET /health': { request: () => ({ path: '/health' }), answers: open(200) },
  'GET /metrics': { request: () => ({ path: '/metrics' }), answers: { ...operators(200), board: 200 } },
  'GET /openapi.json': { request: () => ({ path: '/openapi.json' }), answers: open(200) },
  'GET /docs': { request: () => ({ path: '/docs' }), answers: open(200) },
}

/** Doors that are not in the document: the board with its assets and its own API, and the files of the reference. */
const undocumented: { readonly [route: string]: Row['answers'] } = {
  'GET /admin/queues': { ...operators(200), board: 200 },
  'GET /admin/queues/': { ...operators(200), board: 200 },
  'GET /admin/queues/queue/ledger': { ...operators(200), board: 200 },
  'GET /admin/queues/static/favicon.ico': { ...operators(200), board: 200 },
  'GET /admin/queues/api/queues': { ...operators(200), board: 200 },
  'GET /admin/queues/api/job-schedulers': { ...operators(200), board: 200 },
  'PUT /admin/queues/api/queues/resume': { ...operators(200), board: 200 },
  'GET /docs/swagger-ui.css': { ...open(200), board: 200 },
  'GET /docs/start.js': { ...open(200), board: 200 },
}

async function ask(method: string, path: string, caller: Caller, body?: unknown) {
  const authorization = await credentials[caller]()
  return bursar.ask(method, path, {
    ...(body === undefined ? {} : { body }),
    headers: authorization === undefined ? {} : { Authorization: authorization },
  })
}

test('every route has its row', () => {
  const routes = bursar.door.router.routes.map(({ method, path }) => `${method.toUpperCase()} ${path}`)
  expect(routes.toSorted()).toEqual(Object.keys(matrix).toSorted())
})

describe.each(Object.entries(matrix))('%s', (route, { request, answers }) => {
  const method = route.split(' ')[0] ?? ''

  test.each(known)('asked by %s', async (caller) => {
    const { path, body } = await request()
    const answer = await ask(method, path, caller, body)
    expect(answer.status, JSON.stringify(answer.body)).toBe(answers[caller])
    if (answer.status === 401)
      expect(answer.headers.get('www-authenticate')).toBe(route === 'GET /metrics' ? BASIC : 'Bearer')
  })

  test('asked with credentials that are no good: 401, whatever the route, and the body says why', async () => {
    const { path, body } = await request()
    for (const caller of bad) {
      const answer = await ask(method, path, caller, body)
      expect([caller, answer.status, answer.body.code]).toEqual([caller, 401, 'access.unauthenticated'])
      expect(answer.body.message).toMatch(/Authorization: Bearer/)
    }
  })
})

const BASIC = 'Basic realm="Bursar", charset="UTF-8"'

describe.each(Object.entries(undocumented))('%s', (route, answers) => {
  const [method = '', path = ''] = route.split(' ')

  test.each(known)('asked by %s', async (caller) => {
    const { status, headers } = await ask(method, path, caller)
    expect(status === 204 ? 200 : status).toBe(answers[caller])
    if (status === 401) expect(headers.get('www-authenticate')).toBe(BASIC)
  })

  test('asked with credentials that are no good', async () => {
    const wanted = path.startsWith('/docs') ? 200 : 401
    for (const caller of bad) expect([caller, (await ask(method, path, caller)).status]).toEqual([caller, wanted])
  })
})

describe('A signature', () => {
  const [header, claims] = [base64({ alg: 'HS256' }), base64({ sub: 'anna', roles: ['admin'], exp: 4_000_000_000 })]
  const signed = (text: string) =>
    createHmac('sha256', bursar.config.jwt.secret.reveal()).update(text).digest('base64url')
  const list = (bearer: string) => bursar.get('/api/v1/operations', { headers: { Authorization: `Bearer ${bearer}` } })

  test('covers every letter of what it signs', async () => {
    expect((await list(`${header}.${claims}.${signed(`${header}.${claims}`)}`)).status).toBe(200)
    const others = base64({ sub: 'anna', roles: ['admin'], exp: 4_000_000_001 })
    expect((await list(`${header}.${others}.${signed(`${header}.${claims}`)}`)).status).toBe(401)
    expect((await list(`${header}.${claims}.`)).status).toBe(401)
    expect((await list(`${header}.${claims}`)).status).toBe(401)
    for (const alg of ['none', 'None', 'NONE', 'HS384', 'RS256', '']) {
      const odd = base64({ alg })
      expect((await list(`${odd}.${claims}.${signed(`${odd}.${claims}`)}`)).status).toBe(401)
    }
  })

  test('does not help who brings two tokens, or one in the wrong place', async () => {
    const good = `${header}.${claims}.${signed(`${header}.${claims}`)}`
    expect((await list(`${good}, Bearer ${good}`)).status).toBe(401)
    expect((await bursar.get(`/api/v1/operations?access_token=${good}`)).status).toBe(401)
  })
})

describe('One user’s operations', () => {
  test('are not there for another: not by id, not in the list, not by a filter', async () => {
    const asBob = await bursar.get(`/api/v1/operations/${ofAlice}`, { as: 'bob' })
    const unknown = await bursar.get(`/api/v1/operations/${newId()}`, { as: 'bob' })
    // Nothing tells an operation of somebody else's from one that does not exist.
    const { request_id: _1, timestamp: _2, ...other } = asBob.body
    const { request_id: _3, timestamp: _4, ...none } = unknown.body
    expect([asBob.status, other]).toEqual([unknown.status, none])
    const list = await bursar.get('/api/v1/operations?kind=token.deduct&limit=100', { as: 'bob' })
    expect(JSON.stringify(list.body)).not.toContain(ofAlice)
  })

  test('cannot be had by a name that is almost theirs', async () => {
    for (const as of ['Alice', 'alice ', 'ali%63e', "alice' or '1'='1"]) {
      expect((await bursar.get(`/api/v1/operations/${ofAlice}`, { as })).status).toBe(404)
    }
    expect((await bursar.get(`/api/v1/operations/${ofAlice}`, { as: 'alice' })).status).toBe(200)
  })
})
