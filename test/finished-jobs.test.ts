import { afterAll, beforeAll, expect, test } from 'vitest'
import { QUEUE_SCHEMA } from '../src/commands/migrate.ts'
import { CLEARS_EVERY, KEPT_COMPLETED, openQueues, type QueueSystem } from '../src/platform/queue.ts'
import { freshDatabase } from './support/database.ts'
import { onBothBackends } from './support/deployment.ts'
import { RedisServer } from './support/redis.ts'

type Name = 'ledger' | 'gateways'

onBothBackends('Finished jobs', (backend) => {
  let queues: QueueSystem<Name, object>
  let forget: () => Promise<unknown>
  beforeAll(async () => {
    const opened = backend === 'redis' ? await onRedis() : await onPostgres()
    forget = opened.forget
    queues = openQueues({ names: ['ledger', 'gateways'], store: opened.store, onError: () => {} })
    await queues.ready()
  })
  afterAll(async () => {
    await queues.close()
    await forget()
  })

  test('are put away by the first of so many jobs of each queue, although queues are sent to in turns', async () => {
    for (let n = 0; n < 2 * CLEARS_EVERY; n++)
      for (const name of ['ledger', 'gateways'] as const)
        await queues.send(name, [{ id: `job-${n}`, kind: 'token.deduct', data: {}, attempts: 1 }])
    for (const queue of queues.boardQueues()) {
      const jobs = await queue.getJobs(['waiting'], 0, -1, true)
      const clearing = jobs.filter(({ opts }) => opts.removeOnComplete !== false)
      expect(clearing.map(({ id }) => id)).toEqual(['job-0', `job-${CLEARS_EVERY}`])
      for (const { opts } of clearing) expect(opts.removeOnComplete).toEqual(KEPT_COMPLETED)
    }
  })

  test('of a burst stay no more than so many beyond what is kept', async () => {
    const more = KEPT_COMPLETED.count + 3 * CLEARS_EVERY
    const jobs = Array.from({ length: more }, (_, n) => ({
      id: `burst-${n}`,
      kind: 'token.deduct',
      data: {},
      attempts: 1,
    }))
    await queues.send('ledger', jobs)
    const worker = await queues.work('ledger', {
      concurrency: 8,
      handle: async () => {},
      backoff: () => 0,
      onError: () => {},
    })
    const left = async () => {
      const { waiting = 0, active = 0 } = await queues.depths('ledger')
      return waiting + active
    }
    while ((await left()) > 0) await new Promise((resolve) => setImmediate(resolve))
    await worker.close()
    const { completed } = await queues.depths('ledger')
    expect(completed).toBeGreaterThanOrEqual(KEPT_COMPLETED.count)
    expect(completed).toBeLessThanOrEqual(KEPT_COMPLETED.count + CLEARS_EVERY + 8)
  })
})

async function onPostgres() {
  const database = await freshDatabase()
  return { store: { postgresUrl: database.url, schema: QUEUE_SCHEMA }, forget: () => database.drop() }
}

async function onRedis() {
  const server = await RedisServer.start()
  return { store: { redisUrl: server.url }, forget: () => server.stop() }
}
