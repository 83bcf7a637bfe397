import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { type Answer, Deployment } from './support/deployment.ts'

const MAX_WAITING = 50

let bursar: Deployment
let token: string

beforeAll(async () => {
  bursar = await Deployment.start({ env: { INTAKE_MAX_WAITING: String(MAX_WAITING) }, relayGraceMs: 500 })
  token = await bursar.issue(500)
})
afterAll(() => bursar.stop())

/** A connection beside all of Bursar's. */
async function apart<Result>(url: string, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

const deduct = () => bursar.ask('POST', `/token/${token}/deduct`, { body: { amount: 1 } })

const byStatus = (answers: readonly Answer[]) =>
  Object.fromEntries([...Map.groupBy(answers, ({ status }) => status)].map(([status, all]) => [status, all.length]))

test('when more comes in than can be taken, the surplus is told so at once and all that was accepted is done', async () => {
  const answers = await apart(bursar.database.url, async (client) => {
    await client.query('begin')
    await client.query('lock table operation in exclusive mode')
    const told: number[] = []
    const asked = Array.from({ length: 500 }, () =>
      deduct().then((answer) => {
        told.push(answer.status)
        return answer
      }),
    )
    // Whoever is turned away hears it while the others still wait for the lock.
    await expect.poll(() => told.length, { timeout: 8_000 }).toBeGreaterThan(300)
    expect(new Set(told)).toEqual(new Set([503]))
    await client.query('commit')
    return Promise.all(asked)
  })

  const refused = answers.filter(({ status }) => status === 503)
  const accepted = answers.filter(({ status }) => status === 202)
  expect(refused.length + accepted.length).toBe(500)
  expect(accepted.length).toBeGreaterThanOrEqual(MAX_WAITING)
  for (const { headers, body } of refused) {
    expect(body).toMatchObject({ error: 'Overloaded', code: 'intake.overloaded' })
    expect(headers.get('retry-after')).toBe('1')
  }
  await bursar.quiet()
  expect(await bursar.statuses('token.deduct')).toEqual({ succeeded: accepted.length })
  expect(await bursar.balance(token)).toBe(500 - accepted.length)
  expect((await deduct()).status).toBe(202)
  await bursar.quiet()
})

test('when the database is gone nothing is promised; when it is back everything goes on', async () => {
  const name = new URL(bursar.database.url).pathname.slice(1)
  const before = await bursar.statuses('token.deduct')
  const balance = await bursar.balance(token)
  expect((await bursar.get('/health')).body).toMatchObject({ status: 'healthy', dependencies: { database: true } })

  const refused = await apart(inject('serverUrl'), async (server) => {
    await server.query(`alter database ${name} allow_connections false`)
    await server.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name])
    try {
      const answers = [...(await Promise.all(Array.from({ length: 20 }, deduct))), await deduct()]
      const read = await bursar.get(`/balance/${token}`)
      await expect.poll(async () => (await bursar.get('/health')).status, { timeout: 10_000 }).toBe(503)
      const health = await bursar.get('/health')
      expect(health.body).toMatchObject({ status: 'unhealthy', dependencies: { database: false } })
      return [...answers, read]
    } finally {
      await server.query(`alter database ${name} allow_connections true`)
    }
  })
  expect(byStatus(refused)).toEqual({ 503: refused.length })
  for (const { headers, body } of refused) {
    expect(body.error).toBe('DatabaseUnavailable')
    expect(headers.get('retry-after')).toBe('1')
    expect(JSON.stringify(body)).not.toContain(name)
  }

  await expect.poll(async () => (await bursar.get('/health')).body.status, { timeout: 10_000 }).toBe('healthy')
  const done = await bursar.deduct(token, 1)
  expect([done.status, done.body.remaining]).toEqual([200, balance - 1])
  expect(await bursar.statuses('token.deduct')).toEqual({ succeeded: (before.succeeded ?? 0) + 1 })
  await bursar.expectCleanBooks()
})

test('a database that takes connections and answers nothing makes health say so in seconds', async () => {
  await expect.poll(async () => (await bursar.get('/health')).body.status, { timeout: 10_000 }).toBe('healthy')
  await apart(bursar.database.url, async (client) => {
    await client.query('begin')
    await client.query('lock table token in access exclusive mode')
    // Longer than one look serves everybody.
    await pause(2_100)
    const startedAt = performance.now()
    const { status, body } = await bursar.get('/health')
    expect([status, body.status]).toEqual([503, 'unhealthy'])
    expect(performance.now() - startedAt).toBeLessThan(4_000)
    await client.query('rollback')
  })
})
