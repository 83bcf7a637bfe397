import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { firstIdAt, newCredential } from '../src/kit/ids.ts'
import { Deployment, onBothBackends } from './support/deployment.ts'
import { Load } from './support/load.ts'
import { freePort } from './support/port.ts'
import { BursarProcess } from './support/process.ts'
import { emptyQueue } from './support/queue.ts'

onBothBackends('A queue that forgets everything', (backend) => {
  let bursar: Deployment
  beforeAll(async () => {
    bursar = await Deployment.start({ backend })
  })
  afterAll(() => bursar.stop())

  test('while 1,000 operations wait: all of them end, and none is done twice', { timeout: 120_000 }, async () => {
    const load = await Load.on(bursar)
    await bursar.workers?.stop()
    await load.run(1_000)
    await emptyQueue(bursar)
    expect(await bursar.statuses('token.deduct')).toEqual({ queued: 1_000 })
    await bursar.startWorkers({ relayGraceMs: 0 })
    await load.expectEachDoneOnce()
  })

  test('while workers are at it: all of them end, and none is done twice', { timeout: 120_000 }, async () => {
    await bursar.workers?.stop()
    await bursar.startWorkers({ relayGraceMs: 0 })
    await bursar.pool.query(`delete from operation where kind = 'token.deduct'`)
    const load = await Load.on(bursar)
    const running = load.run(1_000)
    for (const accepted of [200, 400, 600]) {
      await load.reaches(accepted)
      await emptyQueue(bursar)
    }
    await running
    await load.expectEachDoneOnce()
  })
})

describe.skipIf(!inject('hasRedis'))('A Redis that is away', () => {
  let bursar: Deployment
  beforeAll(async () => {
    bursar = await Deployment.start({ backend: 'redis', relayGraceMs: 1_000 })
  })
  afterAll(() => bursar.stop())

  const redis = () => {
    if (bursar.redis === undefined) throw new Error('There is no Redis')
    return bursar.redis
  }

  test('keeps nobody waiting: what is submitted is accepted at once, and done when it is back', {
    timeout: 120_000,
  }, async () => {
    const load = await Load.on(bursar)
    await load.run(50)
    await redis().kill()
    const startedAt = performance.now()
    await load.run(500)
    const perRequest = (performance.now() - startedAt) / (500 / 40)
    expect(load.comeBack).toEqual({})
    // Forty at a time, so that one that waits for Redis would show: its connection gives up after seconds.
    expect(perRequest).toBeLessThan(1_000)
    expect((await bursar.get('/health')).body).toMatchObject({ status: 'degraded', dependencies: { queue: false } })
    expect((await bursar.statuses('token.deduct')).queued).toBeGreaterThanOrEqual(500)

    await redis().start()
    await load.expectEachDoneOnce()
  })

  test('does not make limits forget: requests are still counted, by this process', async () => {
    await redis().kill()
    const { status, headers } = await bursar.ask('POST', '/token', { body: { budget: 1, voice_id: 'voice_1' } })
    expect(status).toBe(202)
    expect(Number(headers.get('ratelimit-remaining'))).toBeGreaterThan(0)
    await redis().start()
  })

  test('when a process starts does not keep it from starting, accepting and stopping', {
    timeout: 120_000,
  }, async () => {
    await bursar.workers?.stop()
    bursar.workers = undefined
    await redis().kill()
    // Open for a minute: the relay asks the queue about it in its first round.
    const old = firstIdAt(new Date(Date.now() - 60_000))
    await bursar.pool.query(
      `insert into operation (id, kind, job_id, input, submitted_at) values ($1, 'token.revoke', 'lost', $2, now())`,
      [old, JSON.stringify({ token_id: newCredential() })],
    )
    const port = await freePort()
    const env = { ...bursar.env, PORT: String(port) }
    const deduct = () =>
      bursar.ask('POST', `/token/${newCredential()}/deduct`, { body: { amount: 1 }, at: `http://127.0.0.1:${port}` })

    const first = await BursarProcess.start(['api', 'worker', 'scheduler'], env)
    expect((await deduct()).status).toBe(202)
    await first.saying('The relay could not look')
    expect(await first.kill('SIGTERM')).toEqual({ code: 0, signal: null })

    const second = await BursarProcess.start(['api', 'worker', 'scheduler'], env)
    const { status, body } = await deduct()
    expect(status).toBe(202)
    await redis().start()
    for (const id of [body.operation_id, old]) expect((await bursar.settled(id)).error.code).toBe('token.notFound')
    expect(await second.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  })
})
