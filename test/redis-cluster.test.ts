import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { manyAtOnce } from './suites/many-at-once.ts'
import { theRelay } from './suites/relay.ts'
import { Deployment, useCluster } from './support/deployment.ts'
import { Load } from './support/load.ts'
import { RedisCluster } from './support/redis-cluster.ts'

const hasRedis = inject('hasRedis')
let cluster: RedisCluster
beforeAll(async () => {
  if (!hasRedis) return
  cluster = await RedisCluster.start()
  useCluster(cluster)
})
afterAll(() => cluster?.stop())

describe.skipIf(!hasRedis)('On a Redis Cluster the spine promises what it does on one Redis, word for word', () => {
  describe('Many at once', () => manyAtOnce('cluster'))
  describe('The relay', () => theRelay('cluster'))
})

describe.skipIf(!hasRedis)('A Redis Cluster', () => {
  let bursar: Deployment
  beforeAll(async () => {
    bursar = await Deployment.start({ backend: 'cluster', relayGraceMs: 1_000 })
  })
  afterAll(() => bursar.stop())

  const operator = { as: 'op', roles: ['operator'] } as const

  test('holds each queue whole on one master, different queues on different ones, and shows them on the board', async () => {
    await bursar.issue(1)
    const masters = Map.groupBy(await cluster.keys(), ({ key }) => /^\{bursar:(\w+)\}/.exec(key)?.[1])
    const ports = (queue: string) => new Set(masters.get(queue)?.map(({ port }) => port))
    expect([ports('ledger').size, ports('gateways').size]).toEqual([1, 1])
    expect(ports('ledger')).not.toEqual(ports('gateways'))

    const { status, body } = await bursar.get('/admin/queues/api/queues', operator)
    expect(status).toBe(200)
    const gateways = body.queues.find(({ name }: { name: string }) => name === 'gateways')
    expect(gateways.counts.completed).toBeGreaterThan(0)
    expect((await bursar.get('/health')).body.dependencies.queue).toBe(true)
    expect((await bursar.get('/metrics', operator)).body).toContain('gateways')
  })

  test('counts the requests of a caller, wherever their count is held', async () => {
    const remaining = async () => {
      const { headers } = await bursar.ask('POST', '/token', { body: { budget: 1, voice_id: 'voice_1' } })
      return Number(headers.get('ratelimit-remaining'))
    }
    const counted = async () => {
      await remaining()
      return (await cluster.keys()).filter(({ key }) => key.startsWith('bursar:rate:')).length
    }
    // Until the door is connected, it counts for itself.
    await expect.poll(counted).toBeGreaterThan(0)
    const first = await remaining()
    expect([await remaining(), await remaining()]).toEqual([first - 1, first - 2])
  })

  test('with a master killed while work waits, and one fallen silent under load, loses nothing and doubles nothing', {
    timeout: 120_000,
  }, async () => {
    const load = await Load.on(bursar)
    await bursar.workers?.stop()
    await load.run(300)
    // The third that holds the ledger's queue.
    await cluster.killMaster(0)
    await load.run(300)
    expect(load.comeBack[503]).toBeUndefined()
    await bursar.startWorkers({ relayGraceMs: 1_000 })
    await cluster.awaitFailover()
    await load.expectEachDoneOnce()
    await cluster.revive()

    const running = load.run(1_500)
    await load.reaches(900)
    await cluster.silenceMaster(0)
    await running
    expect(load.comeBack[503]).toBeUndefined()
    await cluster.awaitFailover()
    await load.expectEachDoneOnce()

    // The gateways' queue, too.
    expect(await bursar.balance(await bursar.issue(7))).toBe(7)
  })
})
