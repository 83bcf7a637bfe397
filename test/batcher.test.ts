import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Dispatcher } from '../src/jobs/dispatch.ts'
import type { Envelope } from '../src/jobs/envelope.ts'
import { Intake, type Submission } from '../src/jobs/intake.ts'
import { Batcher } from '../src/kit/batcher.ts'
import { newCredential } from '../src/kit/ids.ts'
import { Keyring } from '../src/kit/keyring.ts'
import { Refusal } from '../src/kit/refusal.ts'
import { Secret } from '../src/kit/secret.ts'
import type { Sql } from '../src/kit/sql.ts'
import { sqlOf } from '../src/platform/database.ts'
import { MovableClock } from './support/clock.ts'
import { freshDatabase, type TestDatabase } from './support/database.ts'

describe('Gathering what comes together', () => {
  /** A batcher of numbers whose batches are kept and end when they are told to. */
  function gathering(limits: { maxBatch?: number; maxWaiting?: number; maxFlying?: number } = {}) {
    const batches: { items: readonly number[]; end(error?: Error): void }[] = []
    const batcher = new Batcher<number, string>({
      flush(items) {
        const { promise, resolve, reject } = Promise.withResolvers<string[]>()
        batches.push({ items, end: (error) => (error ? reject(error) : resolve(items.map((item) => `did ${item}`))) })
        return promise
      },
      maxBatch: limits.maxBatch ?? 100,
      maxWaiting: limits.maxWaiting ?? 1_000,
      maxFlying: limits.maxFlying ?? 1,
      turnedAway: () => new Error('turned away'),
    })
    return { batcher, batches, items: () => batches.map(({ items }) => items) }
  }

  const turn = () => new Promise((resolve) => setImmediate(resolve))

  /** Batches start in a turn of their own, behind whatever that turn already holds. */
  const settle = async () => {
    for (let i = 0; i < 5; i++) await turn()
  }

  test('what arrives within one turn of the event loop is one batch, and each gets its own answer', async () => {
    const { batcher, batches, items } = gathering()
    const answers = Promise.all([1, 2, 3].map((item) => batcher.add(item)))
    await settle()
    expect(items()).toEqual([[1, 2, 3]])
    batches[0]?.end()
    expect(await answers).toEqual(['did 1', 'did 2', 'did 3'])
  })

  test('what arrives while a batch is on its way waits for the next one', async () => {
    const { batcher, batches, items } = gathering()
    const first = batcher.add(1)
    await settle()
    const later = Promise.all([batcher.add(2), batcher.add(3)])
    await settle()
    expect(items()).toEqual([[1]])
    batches[0]?.end()
    expect(await first).toBe('did 1')
    await settle()
    expect(items()).toEqual([[1], [2, 3]])
    batches[1]?.end()
    expect(await later).toEqual(['did 2', 'did 3'])
  })

  test('the next batch is on its way before anybody of the last one is told', async () => {
    const { batcher, batches, items } = gathering()
    const seen: unknown[] = []
    const first = batcher.add(1).then(() => seen.push(...items()))
    await settle()
    const later = batcher.add(2)
    batches[0]?.end()
    await first
    expect(seen).toEqual([[1], [2]])
    batches[1]?.end()
    await later
  })

  test('a batch whose work cannot even begin is refused to all of it, and the next one is done', async () => {
    let broken = true
    const batcher = new Batcher<number, string>({
      flush(items) {
        if (broken) throw new Error('no connection')
        return Promise.resolve(items.map((item) => `did ${item}`))
      },
      ...{ maxBatch: 100, maxWaiting: 1_000, maxFlying: 1, turnedAway: () => new Error('turned away') },
    })
    const refused = await Promise.allSettled([batcher.add(1), batcher.add(2)])
    expect(refused.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    broken = false
    expect(await batcher.add(3)).toBe('did 3')
  })

  test('no batch is larger than its limit, and no more of them fly than may', async () => {
    const { batcher, batches, items } = gathering({ maxBatch: 2, maxFlying: 2 })
    const answers = Promise.all([1, 2, 3, 4, 5].map((item) => batcher.add(item)))
    await settle()
    expect(items()).toEqual([
      [1, 2],
      [3, 4],
    ])
    expect(batcher.waiting).toBe(1)
    batches[1]?.end()
    await settle()
    expect(items().at(-1)).toEqual([5])
    batches[0]?.end()
    batches[2]?.end()
    expect(await answers).toEqual([1, 2, 3, 4, 5].map((item) => `did ${item}`))
  })

  test('newcomers are turned away while too many wait, and those who wait are served', async () => {
    const { batcher, batches } = gathering({ maxWaiting: 2 })
    const flying = batcher.add(1)
    await settle()
    const waiting = [batcher.add(2), batcher.add(3)]
    await expect(batcher.add(4)).rejects.toThrow('turned away')
    batches[0]?.end()
    await flying
    await settle()
    batches[1]?.end()
    expect(await Promise.all(waiting)).toEqual(['did 2', 'did 3'])
  })

  test('a batch that fails is the answer of its own items only', async () => {
    const { batcher, batches } = gathering()
    const unlucky = Promise.allSettled([batcher.add(1), batcher.add(2)])
    await settle()
    const lucky = batcher.add(3)
    batches[0]?.end(new Error('the disk is full'))
    expect((await unlucky).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    await settle()
    batches[1]?.end()
    expect(await lucky).toBe('did 3')
  })

  test('draining waits for everything that was added, and an idle one is drained already', async () => {
    const { batcher, batches } = gathering()
    await batcher.drain()
    const answers = [batcher.add(1)]
    await settle()
    answers.push(batcher.add(2))
    let drained = false
    const draining = batcher.drain().then(() => {
      drained = true
    })
    batches[0]?.end()
    await settle()
    expect(drained).toBe(false)
    batches[1]?.end()
    await draining
    expect(await Promise.all(answers)).toEqual(['did 1', 'did 2'])
  })
})

describe('The intake', () => {
  let database: TestDatabase
  const keyring = new Keyring(new Secret('a passphrase for tests'))
  beforeAll(async () => {
    database = await freshDatabase()
  })
  afterAll(() => database.drop())

  /** An intake of its own, and the jobs that it has sent. */
  function intake(options: { sql?: Sql; send?: () => Promise<void>; maxWaiting?: number } = {}) {
    const jobs: Envelope[] = []
    const warnings: string[] = []
    const messenger = {
      async send(_queue: string, envelopes: readonly Envelope[]) {
        await options.send?.()
        jobs.push(...envelopes)
      },
      fates: async () => new Map(),
    }
    const dispatcher = new Dispatcher(messenger, { warn: (_details, message) => warnings.push(message) })
    const sql = options.sql ?? sqlOf(database.pool)
    const clock = new MovableClock()
    const taking = new Intake({ sql, dispatcher, keyring, clock, maxWaiting: options.maxWaiting ?? 10_000 })
    return { taking, dispatcher, jobs, warnings }
  }

  const deduction = (more: Partial<Submission> = {}): Submission => ({
    kind: 'token.deduct',
    input: { token_id: newCredential(), amount: 1 },
    ...more,
  })

  const stored = async (ids: readonly string[]): Promise<number> =>
    (await database.pool.query('select from operation where id = any($1)', [ids])).rowCount ?? 0

  test('600 deductions that are submitted at once travel in two jobs, in the order in which they came', async () => {
    const { taking, jobs } = intake()
    const accepted = await Promise.all(Array.from({ length: 600 }, () => taking.submit(deduction())))
    expect(jobs.map(({ data }) => data.operations.length)).toEqual([512, 88])
    expect(jobs.flatMap(({ data }) => data.operations)).toEqual(accepted.map(({ id }) => id))
    expect(await stored(accepted.map(({ id }) => id))).toBe(600)
  })

  test('kinds do not share a job, and work on others travels one by one', async () => {
    const { taking, jobs } = intake()
    const revocation: Submission = { kind: 'token.revoke', input: { token_id: newCredential() } }
    const issue: Submission = { kind: 'token.issue', input: { budget: 1, voice_id: 'voice_1' } }
    await Promise.all([deduction(), issue, revocation, deduction(), issue].map((one) => taking.submit(one)))
    const travelled = jobs.map(({ kind, queue, data }) => [kind, queue, data.operations.length])
    expect(travelled.sort()).toEqual([
      ['token.deduct', 'ledger', 2],
      ['token.issue', 'gateways', 1],
      ['token.issue', 'gateways', 1],
      ['token.revoke', 'ledger', 1],
    ])
  })

  test('a job shows neither voice nor token to those who watch the board', async () => {
    const { taking, jobs } = intake()
    const { input } = deduction()
    await Promise.all([
      taking.submit(deduction({ input })),
      taking.submit({ kind: 'token.issue', input: { budget: 1, voice_id: 'voice_secret' } }),
    ])
    expect(JSON.stringify(jobs)).not.toContain(String(input.token_id))
    expect(JSON.stringify(jobs)).not.toContain('voice_secret')
  })

  test('a submission that cannot be stored fails alone, and only those that are stored travel', async () => {
    const { taking, jobs } = intake()
    const all = Array.from({ length: 20 }, (_, n) => deduction(n === 7 ? { submittedBy: 'half\0stored' } : {}))
    const answers = await Promise.allSettled(all.map((one) => taking.submit(one)))
    expect(answers.map(({ status }) => status).indexOf('rejected')).toBe(7)
    const ids = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value.id] : []))
    expect(await stored(ids)).toBe(19)
    expect(new Set(jobs.flatMap(({ data }) => data.operations))).toEqual(new Set(ids))
  })

  test('a key that comes twice in one batch is one operation, and another body under it is refused alone', async () => {
    const { taking, jobs } = intake()
    const idempotency = { scope: 'user_1', key: newCredential() }
    const first = deduction({ idempotency })
    const answers = await Promise.allSettled(
      [first, first, deduction({ idempotency }), deduction()].map((one) => taking.submit(one)),
    )
    const [one, same, other, sibling] = answers.map((answer) =>
      answer.status === 'fulfilled' ? answer.value : answer.reason,
    )
    expect(one.replayed).toBe(false)
    expect(same).toMatchObject({ id: one.id, replayed: true })
    expect(other).toBeInstanceOf(Refusal)
    expect(other.code).toBe('intake.keyReused')
    expect(jobs.flatMap(({ data }) => data.operations)).toEqual([one.id, sibling.id])
  })

  test('processes that claim the same keys in opposite orders do not block each other, and each key is one operation', async () => {
    const keys = Array.from({ length: 100 }, () => {
      const idempotency = { scope: 'user_2', key: newCredential() }
      return deduction({ idempotency })
    })
    const processes = [intake(), intake(), intake()]
    const answers = await Promise.all(
      processes.map(({ taking }, n) =>
        Promise.all((n % 2 === 0 ? keys : keys.toReversed()).map((one) => taking.submit(one))),
      ),
    )
    expect(new Set(answers.flat().map(({ id }) => id)).size).toBe(100)
    expect(answers.flat().filter(({ replayed }) => !replayed)).toHaveLength(100)
    expect(processes.flatMap(({ jobs }) => jobs).flatMap(({ data }) => data.operations)).toHaveLength(100)
  })

  test('without the database nothing is promised and nothing is sent', async () => {
    const gone = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
    const { taking, jobs } = intake({ sql: { query: () => Promise.reject(gone) } })
    const answers = await Promise.allSettled([deduction(), deduction()].map((one) => taking.submit(one)))
    for (const answer of answers) expect(answer).toMatchObject({ reason: { code: 'intake.unavailable', status: 503 } })
    expect(jobs).toEqual([])
  })

  test('while too many wait for their commit, newcomers are told to come back', async () => {
    const { promise: held, resolve: goOn } = Promise.withResolvers<void>()
    const slow: Sql = {
      async query<Row>(text: string, parameters?: readonly unknown[]) {
        await held
        return sqlOf(database.pool).query<Row>(text, parameters)
      },
    }
    const { taking } = intake({ sql: slow, maxWaiting: 5 })
    const answers = Array.from({ length: 10 }, () => taking.submit(deduction()))
    const settled = Promise.allSettled(answers)
    goOn()
    const refused = (await settled).filter(({ status }) => status === 'rejected')
    expect(refused).toHaveLength(5)
    for (const one of refused) expect(one).toMatchObject({ reason: { code: 'intake.overloaded', status: 503 } })
  })

  test('a queue that does not take jobs disturbs nobody: they are left to the relay', async () => {
    const { taking, dispatcher, warnings } = intake({ send: () => Promise.reject(new Error('Connection is closed')) })
    const accepted = await Promise.all(Array.from({ length: 600 }, () => taking.submit(deduction())))
    expect(await stored(accepted.map(({ id }) => id))).toBe(600)
    await taking.drain()
    await new Promise((resolve) => setImmediate(resolve))
    expect(dispatcher.leftBehind).toBe(2)
    expect(warnings).toEqual(['Jobs could not be sent; the relay will bring them'])
  })

  test('a queue that never answers holds only so many sends in memory', async () => {
    const { promise: never } = Promise.withResolvers<void>()
    const { taking, dispatcher } = intake({ send: () => never })
    for (let round = 0; round < 300; round++) await taking.submit(deduction())
    expect(dispatcher.leftBehind).toBe(300 - 256)
  })
})
