import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Dispatcher } from '../src/jobs/dispatch.ts'
import type { Envelope } from '../src/jobs/envelope.ts'
import { Intake, type Submission } from '../src/jobs/intake.ts'
import { newCredential } from '../src/kit/ids.ts'
import { Keyring } from '../src/kit/keyring.ts'
import { Refusal } from '../src/kit/refusal.ts'
import { Secret } from '../src/kit/secret.ts'
import type { Sql } from '../src/kit/sql.ts'
import { sqlOf } from '../src/platform/database.ts'
import { MovableClock } from './support/clock.ts'
import { freshDatabase, type TestDatabase } from './support/database.ts'

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

  /** An intake whose every commit waits until it is told to go on, or to fail. */
  function gated() {
    const commits: PromiseWithResolvers<void>[] = []
    const sql: Sql = {
      async query<Row>(text: string, parameters?: readonly unknown[]) {
        const commit = Promise.withResolvers<void>()
        commits.push(commit)
        await commit.promise
        return sqlOf(database.pool).query<Row>(text, parameters)
      },
    }
    const { taking, jobs } = intake({ sql })
    /** Resolves with the next commit that waits for its end. */
    const next = async () => {
      while (commits.length === 0) await new Promise((resolve) => setImmediate(resolve))
      return commits.shift() as PromiseWithResolvers<void>
    }
    const submit = () => taking.submit(deduction())
    return { submit, next, jobs, travelled: () => jobs.flatMap(({ data }) => data.operations) }
  }

  test('answers with what is stored at once under load, while its job waits for the next commit', async () => {
    const { submit, next, jobs, travelled } = gated()
    const first = submit()
    const commit = await next()
    const second = submit()
    commit.resolve()
    const { id } = await first
    expect(jobs).toEqual([])
    ;(await next()).resolve()
    const { id: other } = await second
    expect(travelled()).toEqual([id, other])
    expect(jobs).toHaveLength(1)
    const { rows } = await database.pool.query('select distinct job_id from operation where id = any($1)', [
      travelled(),
    ])
    expect(rows).toEqual([{ job_id: jobs[0]?.id }])
  })

  test('sends what was stored before when the commit that it waited for fails', async () => {
    const { submit, next, travelled } = gated()
    const first = submit()
    const commit = await next()
    const second = submit()
    commit.resolve()
    const { id } = await first
    ;(await next()).reject(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }))
    await expect(second).rejects.toMatchObject({ code: 'intake.unavailable' })
    expect(travelled()).toEqual([id])
  })
})
