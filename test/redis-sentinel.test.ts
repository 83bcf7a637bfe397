import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { Deployment } from './support/deployment.ts'
import { Load } from './support/load.ts'
import { RedisSentinel } from './support/redis-sentinel.ts'

describe.skipIf(!inject('hasRedis'))('A Redis that sentinels watch', () => {
  let sentinel: RedisSentinel
  let bursar: Deployment
  beforeAll(async () => {
    sentinel = await RedisSentinel.start()
    bursar = await Deployment.start({ env: { REDIS_URL: sentinel.url }, relayGraceMs: 1_000 })
  })
  afterAll(async () => {
    await bursar.stop()
    await sentinel.stop()
  })

  test('and whose master is killed under load, loses nothing and doubles nothing, and nobody is turned away', {
    timeout: 120_000,
  }, async () => {
    expect(bursar.foundation.queues.backend).toBe('redis')
    const load = await Load.on(bursar)
    const running = load.run(1_000)
    await load.reaches(400)
    await sentinel.killMaster()
    await running
    expect(load.comeBack[503]).toBeUndefined()

    await sentinel.awaitFailover()
    const well = async () => (await bursar.get('/health')).body.dependencies.queue
    await expect.poll(well, { timeout: 30_000 }).toBe(true)
    await load.expectEachDoneOnce()
    expect(await bursar.balance(await bursar.issue(7))).toBe(7)
  })
})
