import { afterAll, beforeAll, expect, test } from 'vitest'
import { Deployment, onBothBackends } from './support/deployment.ts'

/** More than work on the queue of others at once, so that some of them only wait in it. */
const HANGING = 40

onBothBackends('A voice service that does not answer', (backend) => {
  let bursar: Deployment
  beforeAll(async () => {
    bursar = await Deployment.start({ backend, env: { VOICE_TIMEOUT_MS: '3000' } })
  })
  afterAll(() => bursar.stop())

  /** Tells the stand-in how to answer everything from now on. */
  const mood = (mode: 'ok' | 'hang' | 'down') =>
    fetch(`${bursar.foundation.voiceUrl}/_mood`, {
      method: 'PUT',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ mode }),
    })

  test('keeps its own callers waiting and nobody else: deductions are done as ever, and no token is issued unverified', async () => {
    const token = await bursar.issue(500)
    await mood('hang')
    const issues = await Promise.all(
      Array.from({ length: HANGING }, (_, n) =>
        bursar.ask('POST', '/token', { body: { budget: 1, voice_id: `voice_${n}` } }),
      ),
    )
    const ids = issues.map(({ body }) => body.operation_id)
    const processing = async () => (await bursar.statuses('token.issue')).processing
    await expect.poll(processing, { timeout: 5_000, interval: 10 }).toBe(bursar.config.worker.gatewayConcurrency)

    const startedAt = performance.now()
    const deductions = await Promise.all(Array.from({ length: 100 }, () => bursar.deduct(token, 1)))
    const tookMs = performance.now() - startedAt
    expect(new Set(deductions.map(({ status }) => status))).toEqual(new Set([200]))
    // All hundred while not one of the forty has even been given up.
    expect(tookMs).toBeLessThan(bursar.config.voice.timeoutMs)
    expect(await bursar.balance(token)).toBe(400)
    expect(await bursar.statuses('token.issue')).toMatchObject({ succeeded: 1 })

    await mood('ok')
    for (const id of ids) expect(await bursar.settled(id)).toMatchObject({ status: 'succeeded' })
    const { rows } = await bursar.pool.query(
      `select count(*)::int, count(distinct operation_id)::int as operations from token`,
    )
    expect(rows).toEqual([{ count: HANGING + 1, operations: HANGING + 1 }])
    await bursar.expectCleanBooks()
  })

  test('that is down is asked again, and the token is issued when it is back', async () => {
    await mood('down')
    const { body } = await bursar.ask('POST', '/token', { body: { budget: 1, voice_id: 'voice_down' } })
    const attempts = async () => (await bursar.get(`/api/v1/operations/${body.operation_id}`)).body.attempts
    await expect.poll(attempts, { timeout: 10_000, interval: 20 }).toBeGreaterThan(0)
    expect(await bursar.get(`/api/v1/operations/${body.operation_id}`)).toMatchObject({
      body: { status: 'processing' },
    })
    await mood('ok')
    expect(await bursar.settled(body.operation_id)).toMatchObject({ status: 'succeeded' })
  })
})
