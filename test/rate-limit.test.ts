import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { Writable } from 'node:stream'
import { Redis } from 'ioredis'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { rateLimitHeaders } from '../src/api/rate-limit-headers.ts'
import { Secret } from '../src/kit/secret.ts'
import { makeLog } from '../src/platform/log.ts'
import { type RateLimiter, rateLimiter, type Verdict } from '../src/platform/rate-limit.ts'
import { freshDatabase, type TestDatabase } from './support/database.ts'
import { freePort } from './support/port.ts'

/** A log whose lines can be read back. */
function readableLog(level = 'trace') {
  const lines: Record<string, unknown>[] = []
  const destination = new Writable({
    write(chunk, _, done) {
      lines.push(JSON.parse(String(chunk)))
      done()
    },
  })
  return { log: makeLog({ level, destination }), lines }
}

const HOUR = 3_600

/** Where the store answers, however busy the machine is; and where it never will. */
const PATIENT_MS = 20_000
const HASTY_MS = 300

/** What must hold on any store, for two processes that count together. */
function countsTogether(limiters: () => readonly [RateLimiter, RateLimiter]) {
  test('two processes count together', async () => {
    const [one, other] = limiters()
    const limit = { name: 'together', points: 10, seconds: HOUR }
    const verdicts = await Promise.all(
      Array.from({ length: 25 }, (_, n) => (n % 2 === 0 ? one : other).consume('198.51.100.7', limit)),
    )
    expect(verdicts.filter((verdict) => verdict.allowed)).toHaveLength(10)
    expect(await other.consume('198.51.100.7', limit)).toMatchObject({ allowed: false, limit: 10, remaining: 0 })
  })

  test('callers and limits do not touch each other', async () => {
    const [one, other] = limiters()
    const [small, large] = [
      { name: 'small', points: 1, seconds: HOUR },
      { name: 'large', points: 5, seconds: HOUR },
    ]
    await one.consume('a', small)
    expect((await other.consume('a', small)).allowed).toBe(false)
    expect((await other.consume('b', small)).allowed).toBe(true)
    expect(await other.consume('a', large)).toMatchObject({ allowed: true, limit: 5, remaining: 4 })
  })

  test('some requests cost more, and what is left and when it is back is said', async () => {
    const [one, other] = limiters()
    const limit = { name: 'costly', points: 10, seconds: HOUR }
    expect((await one.consume('a', limit, 7)).remaining).toBe(3)
    const refused = await other.consume('a', limit, 4)
    expect(refused.allowed).toBe(false)
    expect(refused.resetSeconds).toBeGreaterThan(HOUR - 60)
    expect(refused.resetSeconds).toBeLessThanOrEqual(HOUR)
  })

  test('a key of any length and content is one caller', async () => {
    const [one, other] = limiters()
    const limit = { name: 'keys', points: 1, seconds: HOUR }
    for (const key of ['x'.repeat(100_000), 'a\u0000b', '', "'; drop table rate_limit --"]) {
      expect((await one.consume(key, limit)).allowed).toBe(true)
      expect((await other.consume(key, limit)).allowed).toBe(false)
    }
  })
}

describe('on PostgreSQL', () => {
  let database: TestDatabase
  let limiters: readonly [RateLimiter, RateLimiter]
  const { log, lines } = readableLog()
  beforeAll(async () => {
    database = await freshDatabase()
    const one = () => rateLimiter({ pool: database.pool }, log, PATIENT_MS)
    limiters = [one(), one()]
  })
  afterAll(() => database.drop())

  countsTogether(() => limiters)

  test('the store answered every time, and holds no address', async () => {
    expect(lines).toEqual([])
    const { rows } = await database.pool.query<{ key: string }>('select key from rate_limit')
    expect(rows.length).toBeGreaterThan(5)
    expect(rows.filter(({ key }) => key.includes('198.51.100.7') || key.length > 100)).toEqual([])
  })
})

describe.skipIf(spawnSync('redis-server', ['--version']).status !== 0)('on Redis', () => {
  let server: ChildProcess
  let clients: Redis[] = []
  let limiters: readonly [RateLimiter, RateLimiter]
  const { log, lines } = readableLog()

  beforeAll(async () => {
    const port = await freePort()
    server = spawn(
      'redis-server',
      ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
      {
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    )
    for await (const chunk of server.stdout ?? []) if (String(chunk).includes('Ready to accept connections')) break
    clients = [1, 2].map(() => new Redis({ host: '127.0.0.1', port, maxRetriesPerRequest: null }))
    for (const client of clients) {
      client.on('error', () => {})
      await client.ping()
    }
    const [one, other] = clients.map((redis) => rateLimiter({ redis }, log, PATIENT_MS))
    if (one === undefined || other === undefined) throw new Error('Two limiters are needed')
    limiters = [one, other]
  })
  afterAll(async () => {
    for (const client of clients) client.disconnect()
    server.kill('SIGKILL')
    await once(server, 'exit')
  })

  countsTogether(() => limiters)

  test('every key is ours by name, expires, and holds no address', async () => {
    expect(lines).toEqual([])
    const [client] = clients
    const keys = (await client?.keys('*')) ?? []
    expect(keys.length).toBeGreaterThan(5)
    for (const key of keys) {
      expect(key).toMatch(/^bursar:rate:[a-z]+:[\w-]{43}$/)
      expect(await client?.ttl(key)).toBeGreaterThan(0)
    }
  })

  test('a store that is gone neither fails nor holds up a request: the process counts for itself', async () => {
    const port = await freePort()
    const redis = new Redis({ host: '127.0.0.1', port, maxRetriesPerRequest: null })
    redis.on('error', () => {})
    await expectOwnCount(({ log }) => rateLimiter({ redis }, log, HASTY_MS))
    redis.disconnect()
  })
})

describe('when PostgreSQL is away', () => {
  test('and refuses connections, the process counts for itself', async () => {
    const pool = new pg.Pool({ host: '127.0.0.1', port: await freePort(), user: 'nobody', database: 'none' })
    await expectOwnCount(({ log }) => rateLimiter({ pool }, log, HASTY_MS))
    await pool.end()
  })

  test('and takes connections but never answers, the process counts for itself', async () => {
    const open: Socket[] = []
    const silent = createServer((socket) => open.push(socket)).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    const pool = new pg.Pool({ host: '127.0.0.1', port, user: 'nobody', database: 'none' })
    pool.on('error', () => {})
    await expectOwnCount(({ log }) => rateLimiter({ pool }, log, HASTY_MS))
    for (const socket of open) socket.destroy()
    silent.close()
    await pool.end()
  })
})

async function expectOwnCount(make: (to: { log: ReturnType<typeof makeLog> }) => RateLimiter) {
  const { log, lines } = readableLog()
  const limiter = make({ log })
  const limit = { name: 'alone', points: 3, seconds: HOUR }
  const started = performance.now()
  const verdicts: Verdict[] = []
  for (let n = 0; n < 20; n++) verdicts.push(await limiter.consume('a', limit))
  // Only the first request of a second finds out again; twenty that did would take twenty times as long.
  expect(performance.now() - started).toBeLessThan(10 * HASTY_MS)
  expect(verdicts.map((verdict) => verdict.allowed)).toEqual([true, true, true, ...Array(17).fill(false)])
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatchObject({ level: 'warn' })
}

describe('the caller is told', () => {
  test('how much is left', () => {
    expect(rateLimitHeaders({ allowed: true, limit: 10, remaining: 9, resetSeconds: 60 })).toEqual({
      'RateLimit-Limit': '10',
      'RateLimit-Remaining': '9',
      'RateLimit-Reset': '60',
    })
  })

  test('when to come back, and never at once', () => {
    expect(rateLimitHeaders({ allowed: false, limit: 10, remaining: 0, resetSeconds: 0 })).toMatchObject({
      'Retry-After': '1',
    })
  })
})

describe('the log', () => {
  test('is lines of JSON with a time that people and machines read', () => {
    const { log, lines } = readableLog('info')
    log.info({ kind: 'token.issue', n: 12n, at: new Date(0) }, 'hello')
    log.debug('not this one')
    expect(lines).toEqual([
      expect.objectContaining({
        level: 'info',
        msg: 'hello',
        kind: 'token.issue',
        n: '12',
        at: '1970-01-01T00:00:00.000Z',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      }),
    ])
  })

  test('hides what does not belong in it, at any depth and in children', () => {
    const { log, lines } = readableLog()
    const value = 'give-away'
    log.child({ voice_id: value, requestId: 'r1' }).warn({
      password: value,
      secret: new Secret(value),
      innocent: new Secret(value),
      headers: { Authorization: value, cookie: value, accept: 'json' },
      input: [{ nested: { voice_id: value, card: { number: value }, token_id: value } }],
    })
    log.warn('A secret in a sentence: %s', new Secret(value))
    expect(JSON.stringify(lines)).not.toContain(value)
    expect(lines[0]).toMatchObject({ requestId: 'r1', voice_id: '<redacted>', headers: { accept: 'json' } })
  })

  test('keeps of an error what helps, and nothing that quotes rows or requests', () => {
    const { log, lines } = readableLog()
    const cause = Object.assign(new Error('duplicate key value violates unique constraint "x"'), {
      code: '23505',
      detail: 'Key (voice)=(give-away) already exists.',
      where: 'give-away',
      parameters: ['give-away'],
    })
    const error = Object.assign(new Error('It went wrong', { cause }), { request: { body: 'give-away' } })
    log.error(error)
    log.error({ err: error }, 'again')
    log.error({ reason: error, list: [error] }, 'elsewhere')
    expect(JSON.stringify(lines)).not.toContain('give-away')
    const kept = { type: 'Error', message: 'It went wrong', cause: { code: '23505', message: cause.message } }
    expect(lines[0]).toMatchObject({ msg: 'It went wrong', err: { ...kept, stack: expect.stringContaining('at ') } })
    expect(lines[1]).toMatchObject({ msg: 'again', err: kept })
    expect(lines[2]).toMatchObject({ reason: kept, list: [kept] })
  })

  test('survives what refers to itself', () => {
    const { log, lines } = readableLog()
    const loop: Record<string, unknown> = { name: 'loop' }
    loop.self = loop
    log.info({ loop })
    expect(lines).toHaveLength(1)
  })
})
