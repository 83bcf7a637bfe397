import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { Deployment } from './support/deployment.ts'
import { secondDoor } from './support/second-door.ts'

/** Their stand-ins, in the sandbox. */
const GATEWAYS = { stripe: true, razorpay: true, paystack: true, mock: true }

let bursar: Deployment
beforeAll(async () => {
  bursar = await Deployment.start({ backend: 'postgres' })
})
afterAll(() => bursar.stop())

const mood = (mode: 'ok' | 'down') =>
  fetch(`${bursar.foundation.voiceUrl}/_mood`, {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ mode }),
  })

/** One look serves everybody for a moment, so what has just changed is told a moment later. */
const health = () => expect.poll(async () => bursar.get('/health'), { timeout: 10_000 })

describe('Health', () => {
  test('has the seed’s body', async () => {
    await bursar.deduct(await bursar.issue(100, 'voice_health'), 30)
    await bursar.issue(50, 'voice_health')
    await health().toMatchObject({ body: { active_tokens: 2 } })
    const { status, headers, body } = await bursar.get('/health')
    expect(status).toBe(200)
    expect(headers.get('content-type')).toMatch(/^application\/json/)
    expect(body).toEqual({
      status: 'healthy',
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      active_tokens: 2,
      total_budget: 120,
      dependencies: { database: true, queue: true, voice_service: true, ...GATEWAYS },
    })
  })

  test('does not count tokens that nobody can spend any more', async () => {
    bursar.clock.advance({ seconds: 3_600 })
    await health().toMatchObject({ status: 200, body: { active_tokens: 0, total_budget: 0 } })
  })

  test('is degraded while the voice service is down, and no load balancer turns away from us for that', async () => {
    await mood('down')
    await health().toMatchObject({
      status: 200,
      body: { status: 'degraded', dependencies: { database: true, voice_service: false } },
    })
    await mood('ok')
    await health().toMatchObject({ status: 200, body: { status: 'healthy' } })
  })

  test('tells of the vault where one is configured', async () => {
    const vault = bursar.foundation.voiceUrl.replace('/voice', '/vault')
    const door = await secondDoor(bursar, { VAULT_URL: vault, VAULT_TOKEN: 'sandbox' })
    const { body } = await bursar.get('/health', { at: door.url })
    await door.stop()
    expect(body.dependencies).toEqual({ database: true, queue: true, voice_service: true, vault: true })
  })
})

test.skipIf(!inject('hasRedis'))('is degraded while the queue is away: what is accepted waits for it', async () => {
  const onRedis = await Deployment.start({ backend: 'redis', workers: false })
  await onRedis.redis?.kill()
  await expect
    .poll(async () => onRedis.get('/health'), { timeout: 10_000 })
    .toMatchObject({ status: 200, body: { status: 'degraded', dependencies: { database: true, queue: false } } })
  const { status } = await onRedis.ask('POST', '/token', { body: { budget: 1, voice_id: 'voice_waits' } })
  expect(status).toBe(202)
  await onRedis.stop()
})
