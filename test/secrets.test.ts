import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { freshDatabase } from './support/database.ts'
import { type Answer, Deployment, onBothBackends } from './support/deployment.ts'
import { type Shot, targetOf, validShot } from './support/fuzz-requests.ts'
import { type Gossip, startGossip } from './support/gossip.ts'
import { everyColumn, everyKey, formsOf, foundIn, type Haystacks } from './support/haystacks.ts'
import { type DocumentedRoute, OpenApi } from './support/openapi.ts'
import { freePort } from './support/port.ts'
import { BursarProcess } from './support/process.ts'
import { RedisServer } from './support/redis.ts'
import { OPERATOR } from './support/tokens.ts'

/*
 * Known secrets are configured, a card number and voice ids are sent through every route of our own document, well and
 * unwell, in their own places and in wrong ones; then all of it is looked for wherever Bursar writes anything.
 */

const CONFIG = fileURLToPath(new URL('../src/commands/config.ts', import.meta.url))

/** Of which no part is anywhere by chance. */
const unique = (name: string) => `${name}-${randomBytes(12).toString('hex')}`

/** What operators configure, and nobody else may ever read. */
const configured = {
  JWT_SECRET_KEY: unique('jwt-secret'),
  JWT_SECRET_KEY_PREVIOUS: unique('old-jwt-secret'),
  ENCRYPTION_KEY: unique('encryption-key'),
  ENCRYPTION_KEY_PREVIOUS: unique('old-encryption-key'),
  BOARD_PASSWORD: unique('board-password'),
  VAULT_TOKEN: unique('vault-token'),
  STRIPE_SECRET_KEY: unique('sk_test_stripe'),
  STRIPE_WEBHOOK_SECRET: unique('whsec_stripe'),
  RAZORPAY_KEY_SECRET: unique('razorpay-secret'),
  RAZORPAY_WEBHOOK_SECRET: unique('razorpay-webhook'),
  PAYSTACK_SECRET_KEY: unique('sk_test_paystack'),
} as const

/** The same, as a part of addresses. */
const passwords = {
  voice: unique('voice-password'),
  database: unique('database-password'),
  redis: unique('redis-password'),
} as const

/** What callers send. */
const voices = {
  talker: unique('talker-voice'),
  rejected: unique('reject-voice'),
  unheard: unique('unheard-voice'),
  homeless: unique('homeless-voice'),
} as const

const cards = {
  card: '4000056655665556',
  'card in groups': '4000 0566 5566 5556',
  'card with hyphens': '4000-0566-5566-5556',
} as const

/** Texts that nobody hides, so that a search which finds nothing at all is noticed. */
const TEA = unique('tea-for-the-auditors')
const REQUEST_ID = unique('request')

/** For connections to come back. */
const PATIENCE = { timeout: 20_000, interval: 100 }

onBothBackends('After everything was sent everywhere', (backend) => {
  let bursar: Deployment
  let beside: BursarProcess
  let besideUrl: string
  let redis: RedisServer | undefined
  let redisUrl: string | undefined
  let gossip: Gossip
  /** Both doors are asked by turns. */
  let turn = 0
  let document: OpenApi
  let basic: string
  let seen: { readonly refused: string[]; readonly answered: string[] }
  /** What only a run can know: credentials that were made in it. */
  let made: Record<string, string>
  const role = `secretive_${process.pid}_${backend}`

  const secrets = () => ({ ...configured, ...passwords })
  const sensitive = () => ({ ...secrets(), ...voices, ...cards, ...made })

  beforeAll(async () => {
    gossip = await startGossip()
    const database = await freshDatabase()
    await database.pool.query(`create role ${role} superuser login password '${passwords.database}'`)
    const url = new URL(database.url)
    Object.assign(url, { username: role, password: passwords.database })
    if (backend === 'redis') {
      redis = await RedisServer.start()
      redisUrl = await locked(redis)
    }
    const voiceUrl = gossip.url.replace('//', `//bursar:${passwords.voice}@`)
    const env = {
      ...configured,
      LOG_LEVEL: 'trace',
      VOICE_SERVICE_URL: voiceUrl,
      VAULT_URL: gossip.url,
      RAZORPAY_KEY_ID: 'rzp_test_key',
      ...Object.fromEntries(['STRIPE', 'RAZORPAY', 'PAYSTACK'].map((name) => [`${name}_API_BASE`, gossip.url])),
      ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl }),
    }
    bursar = await Deployment.start({ database: { ...database, url: url.href }, env, backoff: () => 1 })
    const port = await freePort()
    beside = await BursarProcess.start(['api', 'scheduler'], {
      ...bursar.env,
      VOICE_SERVICE_URL: voiceUrl,
      PORT: String(port),
      METRICS_PORT: String(await freePort()),
    })
    besideUrl = `http://127.0.0.1:${port}`
    basic = `Basic ${Buffer.from(`operator:${configured.BOARD_PASSWORD}`).toString('base64')}`
    document = new OpenApi((await bursar.get('/openapi.json')).body)
    seen = { refused: [], answered: [] }
    await live()
  }, 120_000)
  afterAll(async () => {
    await beside?.kill()
    const { database } = bursar
    await bursar.stop()
    await database.pool.query(`drop owned by ${role}`)
    await database.pool.query(`drop role ${role}`)
    await gossip.stop()
    await redis?.stop()
    await database.drop()
  })

  /** A Redis that wants a password from now on. */
  async function locked(server: RedisServer): Promise<string> {
    const client = new Redis(server.url)
    await client.config('SET', 'requirepass', passwords.redis)
    client.disconnect()
    return server.url.replace('//', `//:${passwords.redis}@`)
  }

  async function send(
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body?: string,
  ): Promise<Answer> {
    turn += 1
    const at = turn % 2 === 0 ? bursar.door.url : besideUrl
    const answer = await bursar.ask(method, path, {
      at,
      headers: { ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body }),
    })
    const text = `${JSON.stringify([...answer.headers])} ${JSON.stringify(answer.body)}`
    ;(answer.status >= 400 ? seen.refused : seen.answered).push(text)
    return answer
  }

  const issue = (voice_id: string) =>
    send('POST', '/token', { Prefer: 'wait=20' }, JSON.stringify({ budget: 50, voice_id }))

  /** A day in which everything happens, to everybody, in every place. */
  async function live(): Promise<void> {
    const { body: token } = await issue(voices.talker)
    made = {
      'signed form': token.token,
      jwt: await bursar.jwt('alice', ['admin']),
      basic: basic.slice('Basic '.length),
    }
    const { headers } = await send(
      'POST',
      `/token/${token.token}/deduct`,
      { Prefer: 'wait=20', 'X-Request-Id': REQUEST_ID, Authorization: `Bearer ${made.jwt}` },
      JSON.stringify({ amount: 1, description: TEA }),
    )
    for (const at of [bursar.door.url, besideUrl])
      await bursar.get('/health', { at, headers: { 'X-Request-Id': REQUEST_ID } })
    const existing = { token_id: [token.token_id, token.token], id: [headers.get('operation-id') ?? ''] }
    for (const route of document.routes) await misuse(route, existing)
    expect((await issue(voices.rejected)).status).toBe(401)
    await fallIll()
    await bursar.quiet()
  }

  /** Every needle in every place of a route, one place at a time. */
  async function misuse(route: DocumentedRoute, existing: Record<string, readonly string[]>): Promise<void> {
    const [fine] = fc.sample(validShot({ document, existing, callers: [] }, route), { seed: 1, numRuns: 1 })
    if (fine === undefined) throw new Error(`There is no way to ask ${route.name}`)
    const valid = fine.body === undefined ? undefined : JSON.parse(fine.body.toString())
    const strings = Object.entries((route.body === undefined ? {} : document.resolved(route.body).properties) ?? {})
      .filter(([, schema]) => document.resolved(schema).type === 'string')
      .map(([name]) => name)
    const shoot = (shot: Partial<Shot>, headers: Record<string, string> = {}, body: unknown = valid) =>
      send(
        route.method,
        targetOf({ ...fine, ...shot }),
        { Authorization: `Bearer ${made.jwt}`, ...headers },
        body === undefined || route.method === 'GET'
          ? undefined
          : typeof body === 'string'
            ? body
            : JSON.stringify(body),
      )
    const all: Promise<Answer>[] = []
    for (const card of Object.values(cards))
      for (const name of strings)
        all.push(
          shoot({}, {}, { ...valid, [name]: card }).then((answer) => {
            expect([route.name, answer.body.code]).toEqual([route.name, 'request.rawCardData'])
            return answer
          }),
        )
    const needles = Object.values(sensitive())
    const names = [
      'key',
      'access_token',
      // A user's id is theirs to choose here, too.
      ...route.parameters.filter((one) => one.in === 'query' && one.name !== 'user_id').map(({ name }) => name),
    ]
    for (const name of names) all.push(shoot({ query: needles.map((needle) => [name, needle]) }))
    all.push(shoot({ query: needles.map((needle) => [needle, needle]) }))
    for (const [at, needle] of needles.entries()) {
      // A user's id is theirs to choose, and stored as it is; only a card number is refused there, too.
      const places = Object.keys(fine.segments).filter((name) => name !== 'user_id' || /^\d/.test(needle))
      for (const name of places) all.push(shoot({ segments: { ...fine.segments, [name]: needle } }))
      const login = Buffer.from(`operator:${needle}`).toString('base64')
      all.push(
        shoot({}, { Authorization: [`Bearer ${needle}`, `Basic ${login}`, needle][at % 3] ?? needle, Cookie: needle }),
        shoot(
          {},
          {
            ...{ 'Idempotency-Key': needle, 'X-Api-Key': needle, Prefer: `wait=0, x=${needle}`, Cookie: `a=${needle}` },
            ...{
              'X-Request-Id': `${needle} is no name`,
              'X-Forwarded-For': needle,
              'User-Agent': needle,
              Origin: needle,
            },
          },
        ),
      )
      if (route.body === undefined) continue
      all.push(
        at % 2 === 0 ? shoot({}, { 'Content-Type': `text/${needle}` }) : shoot({}, {}, `{"voice_id":"${needle}"`),
        shoot(
          {},
          {},
          { ...valid, [needle]: 1, ...Object.fromEntries(strings.map((name) => [name, { [needle]: needle }])) },
        ),
      )
      if (strings.includes('voice_id')) all.push(shoot({}, {}, { ...valid, voice_id: needle }))
    }
    await Promise.all(all)
  }

  /** The voice service and the vault repeat what they were asked, the disk is full, connections are cut. */
  async function fallIll(): Promise<void> {
    await bursar.quiet()
    gossip.talking = true
    expect((await issue(voices.unheard)).body.status).toBe('stuck')
    await bursar.get('/health')
    gossip.talking = false
    await bursar.pool.query(`
      create function refuse_token() returns trigger language plpgsql as $$
      begin
        raise exception 'No room' using errcode = '53100', detail = format('Failing row contains (%s)', new);
      end $$`)
    await bursar.pool.query(
      'create trigger full_disk before insert on token for each row execute function refuse_token()',
    )
    expect((await issue(voices.homeless)).body.status).toBe('stuck')
    await bursar.pool.query('drop trigger full_disk on token')
    await bursar.pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${role}' and application_name like 'bursar%'`,
    )
    await vi.waitFor(async () => expect((await send('GET', '/health')).status).toBe(200), PATIENCE)
    await vi.waitFor(async () => expect((await issue(voices.talker)).status).toBeLessThan(500), PATIENCE)
  }

  const logs = (): Haystacks => ({ log: bursar.logged.join(''), 'log of the process beside': beside.output })

  const metrics = async (): Promise<Haystacks> => ({
    metrics: (await bursar.get('/metrics', { headers: { Authorization: basic } })).body,
    'metrics beside': (await bursar.get('/metrics', { at: besideUrl, headers: { Authorization: basic } })).body,
  })

  async function jobs(): Promise<Haystacks> {
    if (redisUrl !== undefined) return everyKey(redisUrl)
    return Object.fromEntries(Object.entries(await columns()).filter(([table]) => table.startsWith('bullmq.')))
  }

  const columns = () => everyColumn(bursar.pool)

  /** Every page and every answer of the board: its lists, each of its jobs, what it says of Redis. */
  async function board(): Promise<Haystacks> {
    const shown: string[] = []
    const look = async (path: string) => {
      const { status, body } = await bursar.get(`/admin/queues${path}`, OPERATOR)
      shown.push(typeof body === 'string' ? body : JSON.stringify(body))
      return { status, body }
    }
    for (const path of ['', '/api/job-schedulers', '/api/redis/stats', '/api/config']) await look(path)
    for (const name of bursar.foundation.queueNames) {
      await look(`/queue/${name}`)
      for (const status of ['latest', 'active', 'waiting', 'completed', 'failed', 'delayed', 'paused', 'prioritized']) {
        const { status: found, body } = await look(
          `/api/queues?activeQueue=${name}&status=${status}&page=1&jobsPerPage=1000`,
        )
        expect(found).toBe(200)
        const { jobs } = body.queues.find((queue: { name: string }) => queue.name === name)
        for (const { id } of status === 'failed' ? jobs : jobs.slice(0, 5))
          for (const more of ['', '/logs']) await look(`/api/queues/${name}/${id}${more}`)
      }
    }
    return { board: shown.join('\n') }
  }

  const nothing: string[] = []

  test('no log line at any level holds any of it', () => {
    expect(foundIn(logs(), { REQUEST_ID })).toHaveLength(2)
    expect(foundIn(logs(), { room: 'No room' })).toEqual(['room in log'])
    expect(foundIn(logs(), { ...sensitive(), row: 'Failing row' })).toEqual(nothing)
  })

  test('nor does any metric', async () => {
    expect(foundIn(await metrics(), { issued: 'payment_tokens_created_total' })).toHaveLength(2)
    expect(foundIn(await metrics(), sensitive())).toEqual(nothing)
  })

  test('nor any job, wherever the queue keeps it', async () => {
    expect(foundIn(await jobs(), { TEA })).not.toEqual(nothing)
    expect(foundIn(await jobs(), sensitive())).toEqual(nothing)
  })

  test('nor anything that the board shows', async () => {
    const shown = await board()
    expect(foundIn(shown, { TEA })).toEqual(['TEA in board'])
    expect(foundIn(shown, sensitive())).toEqual(nothing)
  })

  test('nor any column of the database, in any encoding', async () => {
    const rows = await columns()
    expect(foundIn(rows, { TEA })).toEqual(
      expect.arrayContaining(['TEA in public.operation', 'TEA in public.transfer']),
    )
    expect(foundIn(rows, sensitive())).toEqual(nothing)
  })

  test('nor any error that a caller was told, nor any answer but that which hands a token out', () => {
    expect(seen.refused.length).toBeGreaterThan(20 * document.routes.length)
    expect(foundIn({ refused: seen.refused.join('\n') }, { unknown: 'access.unauthenticated' })).toHaveLength(1)
    expect(foundIn({ refused: seen.refused.join('\n') }, sensitive())).toEqual(nothing)
    const { 'signed form': form = '', ...others } = sensitive() as Record<string, string>
    expect(foundIn({ answered: seen.answered.join('\n') }, { form })).toHaveLength(1)
    expect(foundIn({ answered: seen.answered.join('\n') }, others)).toEqual(nothing)
  })

  test('nor what Bursar says of itself: its document, its reference, its configuration', async () => {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [CONFIG], {
      env: { PATH: process.env.PATH, ...bursar.env, ...configured },
    })
    const said = {
      configuration: stdout + stderr,
      document: JSON.stringify((await bursar.get('/openapi.json')).body),
      reference: (await bursar.get('/docs')).body,
    }
    expect(foundIn(said, { redacted: '<redacted>' })).toContain('redacted in configuration')
    expect(foundIn(said, { name: 'Bursar' })).toEqual(['name in document', 'name in reference'])
    expect(foundIn(said, sensitive())).toEqual(nothing)
  })

  test('although all of it went where it belongs', () => {
    const heard = { gossip: gossip.heard.join('\n') }
    const { VAULT_TOKEN } = configured
    const login = Buffer.from(`bursar:${passwords.voice}`).toString('base64')
    const told = { VAULT_TOKEN, login, talker: voices.talker, unheard: voices.unheard, homeless: voices.homeless }
    expect(foundIn(heard, told)).toHaveLength(Object.keys(told).length)
  })

  test('and it would be found, in whatever form and place it lay', async () => {
    const needles = sensitive()
    const names = Object.keys(needles)
    await bursar.pool.query('create table planted (a text, b bytea, c jsonb, d text[])')
    const base64 = (needle: string) => Buffer.from(`xy${needle}`).toString('base64')
    const ways: ((needle: string) => unknown[])[] = [
      (needle) => [`a ${needle} b`, null, null, null],
      (needle) => [base64(needle), null, null, null],
      (needle) => [null, Buffer.from(`a ${needle}`), null, null],
      (needle) => [null, null, JSON.stringify({ a: [{ b: needle }] }), null],
      (needle) => [null, null, null, [needle]],
    ]
    for (const way of ways) {
      for (const needle of Object.values(needles))
        await bursar.pool.query('insert into planted values ($1, $2, $3, $4)', way(needle))
      const places = names.map((name) => `${name} in planted`)
      expect(foundIn({ planted: (await columns())['public.planted'] ?? '' }, needles)).toEqual(places)
      await bursar.pool.query('truncate planted')
    }
    for (const needle of Object.values(needles))
      for (const form of formsOf(needle)) expect(foundIn({ log: `{"msg":"${form}"}` }, { needle })).toHaveLength(1)
    await bursar.pool.query('drop table planted')

    for (const needle of Object.values(needles)) bursar.foundation.log.debug({ note: needle }, 'Planted')
    expect(foundIn(logs(), needles)).toEqual(names.map((name) => `${name} in log`))
    if (redisUrl === undefined) return
    const client = new Redis(redisUrl)
    await client.hset(
      'planted',
      Object.fromEntries(names.map((name) => [name, needles[name as keyof typeof needles] ?? ''])),
    )
    expect(foundIn(await jobs(), needles)).toHaveLength(names.length)
    client.disconnect()
  })
})
