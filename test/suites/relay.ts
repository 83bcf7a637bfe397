import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { Dispatcher } from '../../src/jobs/dispatch.ts'
import type { JobData } from '../../src/jobs/envelope.ts'
import { Intake } from '../../src/jobs/intake.ts'
import { Relay } from '../../src/jobs/relay.ts'
import { deductToken } from '../../src/jobs/tokens.ts'
import { newCredential, newId } from '../../src/kit/ids.ts'
import { inTransaction, sqlOf } from '../../src/platform/database.ts'
import { GiveUp } from '../../src/platform/queue.ts'
import { type Backend, Deployment } from '../support/deployment.ts'
import { emptyQueue } from '../support/queue.ts'

export function theRelay(backend: Backend): void {
  let bursar: Deployment
  let relay: Relay
  beforeAll(async () => {
    bursar = await Deployment.start({ backend, workers: false })
    relay = newRelay()
  })
  afterAll(() => bursar.stop())

  /** Each test begins without open operations and with an empty queue. */
  afterEach(async () => {
    await bursar.pool.query('delete from operation')
    await emptyQueue(bursar)
  })

  function newRelay(): Relay {
    const { queues, log } = bursar.foundation
    return new Relay({
      transaction: (work) => inTransaction(bursar.pool, work),
      messenger: queues,
      dispatcher: new Dispatcher(queues, log),
      clock: bursar.clock,
    })
  }

  /** Operations whose jobs wait in the queue, past the relay's grace. They came `together`, and so do they travel. */
  async function waiting(howMany: number, together = howMany): Promise<string[]> {
    const { queues, log, keyring, clock } = bursar.foundation
    const dispatcher = new Dispatcher(queues, log)
    const intake = new Intake({ sql: sqlOf(bursar.pool), dispatcher, keyring, clock, maxWaiting: 10_000 })
    const input = { token_id: newCredential(), amount: 1 }
    const ids: string[] = []
    while (ids.length < howMany) {
      const some = Array.from({ length: together }, () => intake.submit({ kind: 'token.deduct', input }))
      ids.push(...(await Promise.all(some)).map(({ id }) => id))
    }
    await sent(ids)
    bursar.clock.advance({ seconds: 10 })
    return ids
  }

  /** Answers come before their jobs are sent: this waits until the queue holds all of them. */
  async function sent(ids: readonly string[]): Promise<void> {
    const jobs = await jobsOf(ids)
    await expect.poll(async () => (await bursar.foundation.queues.fates('ledger', jobs)).size).toBe(jobs.length)
  }

  async function jobsOf(ids: readonly string[]): Promise<string[]> {
    const { rows } = await bursar.pool.query('select distinct job_id from operation where id = any($1)', [ids])
    return rows.map(({ job_id }) => job_id)
  }

  /** Takes jobs from the queue as a worker would, and ends each as it is told to. */
  function takeJobs(handle: (job: { id: string; data: JobData }) => Promise<unknown>) {
    return bursar.foundation.queues.work('ledger', {
      concurrency: 1,
      handle,
      backoff: () => 50,
      onError: () => {},
    })
  }

  test('leaves a long backlog alone: 5,000 operations that wait for a worker are not sent again', async () => {
    await waiting(5_000, 10)
    expect(await relay.round()).toEqual({ looked: 5_000, redispatched: 0, stuck: [] })
  })

  test('brings back what the queue has lost, once, under new job ids and well packed', async () => {
    const ids = await waiting(600)
    const lostJobs = await jobsOf(ids)
    await emptyQueue(bursar)

    expect(await relay.round()).toMatchObject({ looked: 600, redispatched: 600 })
    const jobs = await jobsOf(ids)
    expect(jobs).toHaveLength(Math.ceil(600 / deductToken.batch))
    expect(jobs.filter((id) => lostJobs.includes(id))).toEqual([])
    await sent(ids)
    expect(await relay.round()).toMatchObject({ looked: 600, redispatched: 0 })
  })

  test('does not ask about what is younger than its grace: a dispatch may still be on its way', async () => {
    const path = `/token/${newCredential()}/deduct`
    const { body } = await bursar.ask('POST', path, { body: { amount: 1 } })
    await sent([body.operation_id])
    await emptyQueue(bursar)
    // The clock of this test runs ahead of the one that the ids are made with.
    const young = new Relay({
      transaction: (work) => inTransaction(bursar.pool, work),
      messenger: bursar.foundation.queues,
      dispatcher: new Dispatcher(bursar.foundation.queues, bursar.foundation.log),
      clock: { now: () => new Date() },
    })
    expect(await young.round()).toEqual({ looked: 0, redispatched: 0, stuck: [] })
    expect(await relay.round()).toEqual({ looked: 1, redispatched: 1, stuck: [] })
  })

  test('of two that look at the same time, one brings them', async () => {
    const ids = await waiting(600)
    await emptyQueue(bursar)
    const reports = await Promise.all([relay, newRelay(), newRelay()].map((one) => one.round()))
    expect(reports.reduce((sum, { redispatched }) => sum + redispatched, 0)).toBe(600)
    await sent(ids)
    const depths = await bursar.foundation.queues.depths('ledger')
    expect(depths.waiting).toBe(2)
  })

  test('leaves an operation to the worker that holds it, although its job is gone', async () => {
    const [held = '', free = ''] = await waiting(2)
    await emptyQueue(bursar)
    await inTransaction(bursar.pool, async (sql) => {
      await sql.query('select from operation where id = $1 for no key update', [held])
      expect(await relay.round()).toMatchObject({ looked: 2, redispatched: 1 })
    })
    const [jobOfHeld] = await jobsOf([held])
    const [jobOfFree] = await jobsOf([free])
    expect(jobOfHeld).not.toBe(jobOfFree)
    await sent([free])
    // Let go of without an outcome: a worker that died.
    expect(await relay.round()).toMatchObject({ redispatched: 1 })
  })

  test('counts a try against operations whose job the queue gave up, and brings them until their tries run out', async () => {
    const [id = ''] = await waiting(1)
    await bursar.pool.query('update operation set attempts = $2 where id = $1', [id, deductToken.retry.attempts - 2])
    const worker = await takeJobs(() => Promise.reject(new GiveUp('not me')))
    const givenUp = async () => {
      const jobs = await jobsOf([id])
      await expect
        .poll(async () => [...(await bursar.foundation.queues.fates('ledger', jobs)).values()])
        .toEqual(['failed'])
    }

    await givenUp()
    const reports = await Promise.all([relay, newRelay()].map((one) => one.round()))
    expect(reports.map(({ redispatched }) => redispatched).sort()).toEqual([0, 1])
    expect(await bursar.statuses('token.deduct')).toEqual({ queued: 1 })

    await givenUp()
    expect(await relay.round()).toEqual({ looked: 1, redispatched: 0, stuck: [id] })
    const { body } = await bursar.get(`/api/v1/operations/${id}`)
    expect(body).toMatchObject({ status: 'stuck', attempts: deductToken.retry.attempts })
    expect(body.error.message).toContain('the queue gave its job up')
    await worker.close()
  })

  test('brings an operation whose job ended without an outcome for it', async () => {
    const [id = ''] = await waiting(1)
    const worker = await takeJobs(async () => 'done, it says')
    const [job = ''] = await jobsOf([id])
    await expect.poll(async () => (await bursar.foundation.queues.fates('ledger', [job])).size).toBe(0)
    await worker.close()
    expect(await relay.round()).toMatchObject({ redispatched: 1 })
    await sent([id])
  })

  test('leaves kinds that this version does not know to a process that does', async () => {
    await bursar.pool.query(
      `insert into operation (id, kind, job_id, input, submitted_at) values ($1, 'future.kind', $2, '{}', now())`,
      [newId(), newId()],
    )
    await waiting(1)
    await emptyQueue(bursar)
    expect(await relay.round()).toEqual({ looked: 2, redispatched: 1, stuck: [] })
  })
}
