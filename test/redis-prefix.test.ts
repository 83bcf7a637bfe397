import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { Deployment } from './support/deployment.ts'
import { Load } from './support/load.ts'

describe.skipIf(!inject('hasRedis'))('Jobs that an older version left under the one prefix of all queues', () => {
  let bursar: Deployment
  beforeAll(async () => {
    bursar = await Deployment.start({ backend: 'redis' })
  })
  afterAll(() => bursar.stop())

  test('are lost to the queue and not to Bursar: their operations get new jobs, and are done once', async () => {
    const load = await Load.on(bursar)
    await bursar.workers?.stop()
    await load.run(200)
    const redis = new Redis(bursar.redis?.url ?? '')
    const keys = await redis.keys('{bursar:ledger}:*')
    expect(keys.length).toBeGreaterThan(0)
    for (const key of keys) await redis.rename(key, key.replace('{bursar:ledger}', '{bursar}'))
    redis.disconnect()
    expect(await bursar.statuses('token.deduct')).toEqual({ queued: 200 })

    await bursar.startWorkers({ relayGraceMs: 0 })
    await load.expectEachDoneOnce()
  })
})
