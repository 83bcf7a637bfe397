import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { QUEUE_SCHEMA } from '../src/commands/migrate.ts'
import { CLEARS_EVERY, KEPT_COMPLETED, openQueues, type QueueSystem } from '../src/platform/queue.ts'
import { freshDatabase } from './support/database.ts'
import { onBothBackends } from './support/deployment.ts'
import { RedisServer } from './support/redis.ts'

type Name = 'ledger' | 'gateways'

const jobsNamed = (name: string, count: number) =>
  Array.from({ length: count }, (_, n) => ({ id: `${name}-${n}`, kind: 'token.deduct', data: {}, attempts: 1 }))

onBothBackends('Jobs that are sent', (backend) => {
  let opened: Opened
  let queues: QueueSystem<'ledger', object>
  beforeAll(async () => {
    opened = backend === 'redis' ? await onRedis() : await onPostgres()
    queues = openQueues({ names: ['ledger'], store: opened.store, onError: () => {} })
    await queues.ready()
  })
  afterAll(async () => {
    await queues.close()
    await opened.forget()
  })

  test.each([0, 1, 2, 9, 10, 40])('%d at once all wait, and sent again they are the same', async (count) => {
    const before = (await queues.depths('ledger'))['waiting'] ?? 0
    const jobs = jobsNamed(`of ${count}`, count)
    await queues.send('ledger', jobs)
    await queues.send('ledger', jobs)
    expect((await queues.depths('ledger'))['waiting']).toBe(before + count)
    expect(
      await queues.fates(
        'ledger',
        jobs.map(({ id }) => id),
      ),
    ).toEqual(new Map(jobs.map(({ id }) => [id, 'live'])))
  })

  test.runIf(backend === 'postgres')('have PostgreSQL make tables for them only when they are many', async () => {
    const made = await countingTables(opened.store)
    await queues.send('ledger', jobsNamed('few', 9))
    expect(await made()).toBe(0)
    await queues.send('ledger', jobsNamed('many', 10))
    expect(await made()).toBeGreaterThan(0)
  })
})

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
    await queues.send('ledger', jobsNamed('burst', more))
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

interface Opened {
  readonly store: { redisUrl: string } | { postgresUrl: string; schema: string }
  forget(): Promise<unknown>
}

async function onPostgres(): Promise<Opened> {
  const database = await freshDatabase()
  return { store: { postgresUrl: database.url, schema: QUEUE_SCHEMA }, forget: () => database.drop() }
}

async function onRedis(): Promise<Opened> {
  const server = await RedisServer.start()
  return { store: { redisUrl: server.url }, forget: () => server.stop() }
}

/** How many tables have been made in a database since this was called. */
async function countingTables(store: Opened['store']): Promise<() => Promise<number>> {
  const asked = async (text: string) => {
    const client = new pg.Client({ connectionString: 'postgresUrl' in store ? store.postgresUrl : '' })
    await client.connect()
    try {
      return await client.query(text)
    } finally {
      await client.end()
    }
  }
  await asked(`
    create sequence public.made;
    create function public.count_made() returns event_trigger language plpgsql as
      $$ begin perform nextval('public.made'); end $$;
    create event trigger counting on ddl_command_end when tag in ('CREATE TABLE AS') execute function public.count_made()`)
  return async () => {
    const { rows } = await asked(`select case when is_called then last_value else 0 end::int as made from public.made`)
    return rows[0].made
  }
}
