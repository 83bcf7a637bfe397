import { createHmac } from 'node:crypto'
import { SignJWT } from 'jose'
import { afterAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { RouteDeclaration } from '../src/api/route.ts'
import { newId } from '../src/kit/ids.ts'
import { Deployment } from './support/deployment.ts'
import { type Caller, type Cell, callers, NoRule, type Owner, type Row, rowOf } from './support/matrix.ts'
import { fixtures, type World } from './support/matrix-fixtures.ts'

// Before any test is named: the routes are those that this door has.
const bursar = await Deployment.start({ env: { TOKEN_REQUESTS_PER_MINUTE: '1000000', FRAUD_RULES: 'observe' } })
afterAll(() => bursar.stop())

const { routes } = bursar.door.router
const token = await bursar.issue(500)
const ofAlice: string = (await bursar.ask('POST', `/token/${token}/deduct`, { as: 'alice', body: { amount: 1 } })).body
  .operation_id
await bursar.quiet()

/** Callers whose credentials are no good. */
const bad = ['expired', 'forged', 'unsigned', 'noSubject', 'oddRoles', 'wrongPassword'] as const

type Anybody = Caller | (typeof bad)[number]

const base64 = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** Who each caller is. Alice is none of them: she is whose data the others ask for. */
const subjects: { readonly [caller in Anybody]?: string } = {
  user: 'bob',
  service: 'shop',
  operator: 'olga',
  admin: 'anna',
}

/** What each caller sends as Authorization. */
const credentials: { readonly [caller in Anybody]: () => string | undefined | Promise<string> } = {
  nobody: () => undefined,
  user: () => bearer({ sub: subjects.user }),
  service: () => bearer({ sub: subjects.service, roles: ['service'] }),
  operator: () => bearer({ sub: subjects.operator, roles: ['operator'] }),
  admin: () => bearer({ sub: subjects.admin, roles: ['admin'] }),
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

async function authorization(caller: Anybody): Promise<Record<string, string>> {
  const credential = await credentials[caller]()
  return credential === undefined ? {} : { Authorization: credential }
}

/** The caller's own data; alice's when it is another's, and when the caller can own none. */
async function worldOf(caller: Anybody, owner: Owner): Promise<World> {
  const subject = subjects[caller]
  if (owner === 'own' && subject !== undefined) return { bursar, subject, owner: await authorization(caller) }
  if (owner === 'own' && caller === 'nobody') return { bursar, subject: undefined, owner: {} }
  return { bursar, subject: 'alice', owner: { Authorization: await bearer({ sub: 'alice' }) } }
}

/** A request to a route that is fine but for its caller. */
async function requestTo({ declared, fixture }: Row, world: World) {
  const [params = {}, query, body] = await Promise.all(
    ([fixture.params, fixture.query, fixture.body] as const).map((made) =>
      typeof made === 'function' ? made(world) : made,
    ),
  )
  const path = declared.path.replaceAll(/\{(\w+)\}/g, (_, name) => (params as Record<string, string>)[name] ?? '')
  const search = query === undefined ? '' : `?${new URLSearchParams(query as Record<string, string>)}`
  return { method: declared.method.toUpperCase(), path: path + search, body }
}

/** Alice's of each route, for those who are refused: what stays as it was can be asked for again. */
const refusable = new Map<Row, ReturnType<typeof requestTo>>()

async function refusableRequestTo(row: Row) {
  const known = refusable.get(row) ?? requestTo(row, await worldOf('admin', 'other'))
  refusable.set(row, known)
  return known
}

async function askAbout(row: Row, { caller, owner, status }: Cell) {
  const isRefused = owner === 'other' && status >= 400
  const { method, path, body } = isRefused
    ? await refusableRequestTo(row)
    : await requestTo(row, await worldOf(caller, owner))
  const before = await accepted()
  const answer = await ask(method, path, caller, body)
  return { answer, accepted: (await accepted()) - before }
}

async function ask(method: string, path: string, caller: Anybody, body?: unknown) {
  return bursar.ask(method, path, { ...(body === undefined ? {} : { body }), headers: await authorization(caller) })
}

/** Operations that callers have asked for: what follows from them, and what gateways tell of, comes when it comes. */
async function accepted(): Promise<number> {
  const { rows } = await bursar.pool.query(
    `select count(*)::int from operation where submitted_by is null or submitted_by not like ' %'`,
  )
  return rows[0].count
}

const BASIC = 'Basic realm="Bursar", charset="UTF-8"'

describe.each(routes.map((declared) => ({ name: `${declared.method.toUpperCase()} ${declared.path}`, declared })))(
  '$name',
  ({ declared }) => {
    const row = rowOf(declared)

    test.each(row.cells)('asked by $caller about $owner data: $status', async (cell) => {
      const { status } = cell
      const { answer, accepted } = await askAbout(row, cell)
      expect(answer.status, JSON.stringify(answer.body)).toBe(status)
      // What is refused is not done all the same.
      expect(accepted).toBe(status === 202 ? 1 : 0)
      if (status === 401) expect(answer.headers.get('www-authenticate')).toBe(declared.basic ? BASIC : 'Bearer')
      if (status >= 400)
        expect(answer.body.code).toMatch(/^access\.(unauthenticated|forbidden)$|\.notFound$|^delivery\.forged$/)
    })

    test('asked by somebody whose credentials are no good: 401, and the body says why', async () => {
      const request = await refusableRequestTo(row)
      const before = await accepted()
      for (const caller of bad) {
        const answer = await ask(request.method, request.path, caller, request.body)
        expect([caller, answer.status, answer.body.code]).toEqual([caller, 401, 'access.unauthenticated'])
        expect(answer.body.message).toMatch(/Authorization: Bearer/)
      }
      expect(await accepted()).toBe(before)
    })
  },
)

/** Doors that are not in the document: the board with its assets and its own API, and the files of the reference. */
const undocumented: { readonly [route: string]: 'anyone' | 'operators' } = {
  'GET /admin/queues': 'operators',
  'GET /admin/queues/': 'operators',
  'GET /admin/queues/queue/ledger': 'operators',
  'GET /admin/queues/static/favicon.ico': 'operators',
  'GET /admin/queues/api/queues': 'operators',
  'GET /admin/queues/api/job-schedulers': 'operators',
  'PUT /admin/queues/api/queues/resume': 'operators',
  'GET /docs/swagger-ui.css': 'anyone',
  'GET /docs/start.js': 'anyone',
}

describe.each(Object.entries(undocumented))('%s', (route, access) => {
  const [method = '', path = ''] = route.split(' ')
  const allowed: readonly Caller[] = access === 'anyone' ? callers : ['operator', 'admin', 'board']

  test.each(callers)('asked by %s', async (caller) => {
    const { status, headers } = await ask(method, path, caller)
    const refused = caller === 'nobody' ? 401 : 403
    expect(status === 204 ? 200 : status).toBe(allowed.includes(caller) ? 200 : refused)
    if (status === 401) expect(headers.get('www-authenticate')).toBe(BASIC)
  })

  test('asked with credentials that are no good', async () => {
    const wanted = access === 'anyone' ? 200 : 401
    for (const caller of bad) expect([caller, (await ask(method, path, caller)).status]).toEqual([caller, wanted])
  })
})

describe('The matrix', () => {
  const declared: RouteDeclaration = {
    method: 'get',
    path: '/odd',
    tag: 'Odd',
    summary: 'Odd',
    access: 'anyone',
    answers: { 200: { says: 'Done' } },
  }

  test('has no room for a route without a rule, or with data that nobody knows of', () => {
    expect(rowOf(declared, {}).cells).toHaveLength(callers.length)
    const odd: Partial<RouteDeclaration>[] = [
      { access: undefined as never },
      { access: [] },
      { access: ['everybody' as never] },
      { path: '/odd/{id}' },
      { query: z.object({ user_id: z.string() }) },
      { method: 'post', body: z.object({ amount: z.int() }) },
    ]
    for (const more of odd) expect(() => rowOf({ ...declared, ...more }, {})).toThrow(NoRule)
    const params = { id: '1' }
    expect(() => rowOf({ ...declared, path: '/odd/{id}' }, { 'GET /odd/{id}': { params } })).toThrow(NoRule)
  })

  test('knows by the rule who is refused', () => {
    const statuses = (more: Partial<RouteDeclaration>) =>
      Object.fromEntries(rowOf({ ...declared, ...more }, {}).cells.map(({ caller, status }) => [caller, status]))
    const all = { nobody: 200, user: 200, service: 200, operator: 200, admin: 200, board: 401 }
    expect(statuses({})).toEqual(all)
    expect(statuses({ access: 'caller' })).toEqual({ ...all, nobody: 401 })
    expect(statuses({ access: ['user'] })).toEqual({ ...all, nobody: 401, operator: 403 })
    const admins = { ...all, nobody: 401, user: 403, service: 403, operator: 403 }
    expect(statuses({ access: ['admin'] })).toEqual(admins)
    expect(statuses({ access: ['operator'], basic: true })).toEqual({ ...admins, operator: 200, board: 200 })
  })

  test('has every route: what the app answers is declared, or is listed here as undocumented', () => {
    const known = new Set(
      routes.map(({ method, path }) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`),
    )
    const others = bursar.door.app.routes
      .filter(({ method, path }) => method !== 'ALL' && !known.has(`${method} ${path}`))
      .map(({ path }) => path)
    expect(others.filter((path) => path !== '/docs/:file' && !path.startsWith('/admin/queues'))).toEqual([])
  })

  test('has no line for a route that there is no more', () => {
    const names = routes.map(({ method, path }) => `${method.toUpperCase()} ${path}`)
    expect(Object.keys(fixtures).filter((route) => !names.includes(route))).toEqual([])
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
