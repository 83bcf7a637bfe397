import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { checkLedger, inSnapshot } from '../src/domain/ledger/check.ts'
import { platformAccount } from '../src/domain/ledger/platform-accounts.ts'
import { deductToken, mirrorToken, sweepTokens } from '../src/jobs/tokens.ts'
import { assert } from '../src/kit/assert.ts'
import { Fault } from '../src/kit/fault.ts'
import { newCredential, newId } from '../src/kit/ids.ts'
import { amount } from '../src/kit/money.ts'
import { Refusal } from '../src/kit/refusal.ts'
import { inTransaction, sqlOf } from '../src/platform/database.ts'
import { StuckJob } from '../src/processors/run-job.ts'
import { decide } from '../src/processors/shapes/decide.ts'
import type { Processor } from '../src/processors/shapes/processor.ts'
import { type StagedRules, staged } from '../src/processors/shapes/staged.ts'
import { type TransactRules, transact } from '../src/processors/shapes/transact.ts'
import { tokenDeduct } from '../src/processors/tokens/deduct.ts'
import { count } from './support/ledger.ts'
import { Workshop } from './support/workshop.ts'

const no = () => new Refusal({ code: 'shape.no', status: 409, error: 'No', message: 'Not like this' })

const issuance = platformAccount('issuance', 'BUDGET')
const revenue = platformAccount('revenue', 'BUDGET')

const PERIOD = { period: '2026-11-20T12:00:00.000Z' }

let workshop: Workshop
let token: string
let account: string

beforeAll(async () => {
  workshop = await Workshop.open()
  await workshop.pool.query(`
    create table note (operation_id uuid, text text not null, unique (text) deferrable initially deferred)`)
  token = await workshop.issue(500)
  const { rows } = await workshop.pool.query('select account_id from token where id = $1', [token])
  account = rows[0].account_id
})
afterAll(async () => {
  const findings = await inTransaction(workshop.pool, (sql) => inSnapshot(sql, () => checkLedger(sql, new Date())))
  expect(findings).toEqual([])
  await workshop.close()
})
beforeEach(() => {
  workshop.queue.sent.length = 0
  workshop.logged.length = 0
})

const notes = (operationId: string) => count(workshop.pool, 'note where operation_id = $1', [operationId])
const transfers = (operationId: string) => count(workshop.pool, 'transfer where operation_id = $1', [operationId])
const followUps = (requestId: string) =>
  count(workshop.pool, `operation where request_id = $1 and submitted_by = ' bursar'`, [requestId])

describe('Work in one transaction', () => {
  /** Writes a note, moves 1, asks for a follow-up, and then ends as it is told to. */
  const busy = (end: () => void = () => {}, note: string = newId()): Processor =>
    transact(sweepTokens, {
      async perform({ sql, books: open, operation, followUp }) {
        await sql.query('insert into note values ($1, $2)', [operation.id, note])
        const books = await open([account])
        books.post('token.deduct', {
          debit: books.account(account),
          credit: revenue,
          amount: amount(1),
          operationId: operation.id,
        })
        followUp({ kind: 'token.sweep', input: PERIOD })
        end()
        return { expired: 1, returned: 0 }
      },
    } satisfies TransactRules<typeof sweepTokens>)

  /** An operation whose follow-ups are found by its request. */
  async function sweep() {
    const requestId = newId()
    const id = await workshop.submit('token.sweep', PERIOD, { requestId })
    workshop.queue.sent.length = 0
    return { id, requestId, all: async () => [await notes(id), await transfers(id), await followUps(requestId)] }
  }

  test('everything it wrote, posted and asked for is there with its outcome', async () => {
    const { id, all } = await sweep()
    expect(await workshop.run('token.sweep', [id], busy())).toMatchObject({ succeeded: 1 })
    expect(await all()).toEqual([1, 1, 1])
    expect(await workshop.operation(id)).toMatchObject({
      status: 'succeeded',
      result: { expired: 1, returned: 0 },
      attempts: 1,
    })
    expect(workshop.queue.sent.map(({ kind }) => kind)).toEqual(['token.sweep'])
  })

  test('a refusal takes all of it back and is remembered as the answer', async () => {
    const { id, all } = await sweep()
    const report = await workshop.run(
      'token.sweep',
      [id],
      busy(() => {
        throw no()
      }),
    )
    expect(report).toMatchObject({ succeeded: 0, refused: { 'shape.no': 1 } })
    expect(await all()).toEqual([0, 0, 0])
    expect(await workshop.operation(id)).toMatchObject({
      status: 'failed',
      error: { code: 'shape.no', http_status: 409 },
    })
    expect(workshop.queue.sent).toEqual([])
  })

  test('a bug takes all of it back, is loud, and leaves the operation to a person', async () => {
    const { id, all } = await sweep()
    const running = workshop.run(
      'token.sweep',
      [id],
      busy(() => assert(false, 'two and two are five')),
    )
    await expect(running).rejects.toThrow(StuckJob)
    expect(await all()).toEqual([0, 0, 0])
    expect(await workshop.operation(id)).toMatchObject({ status: 'stuck', error: { code: 'operation.bug' } })
    expect(workshop.logged).toContainEqual(
      expect.objectContaining({
        level: 'error',
        kind: 'token.sweep',
        operation_id: id,
        msg: 'A bug stopped an operation',
      }),
    )
  })

  test('a fault takes all of it back, counts one try, and leaves the operation open for the next', async () => {
    const { id, all } = await sweep()
    const unwell = busy(() => {
      throw new Fault('the world is unwell')
    })
    await expect(workshop.run('token.sweep', [id], unwell)).rejects.toThrow('the world is unwell')
    expect(await all()).toEqual([0, 0, 0])
    expect(await workshop.operation(id)).toMatchObject({ status: 'queued', attempts: 1 })
    await workshop.run('token.sweep', [id], busy())
    expect(await all()).toEqual([1, 1, 1])
    expect(await workshop.operation(id)).toMatchObject({ status: 'succeeded', attempts: 2 })
  })

  test('a transaction that does not commit sends no job and leaves no follow-up', async () => {
    const first = await sweep()
    await workshop.run(
      'token.sweep',
      [first.id],
      busy(() => {}, 'only once'),
    )
    const second = await sweep()
    // The unique text is checked at the commit, when everything seemed done.
    await expect(
      workshop.run(
        'token.sweep',
        [second.id],
        busy(() => {}, 'only once'),
      ),
    ).rejects.toThrow(StuckJob)
    expect(await second.all()).toEqual([0, 0, 0])
    expect(workshop.queue.sent).toEqual([])
    expect(await workshop.operation(second.id)).toMatchObject({ status: 'stuck' })
  })

  test('run twice at once and once more, it happens once', async () => {
    const { id, all } = await sweep()
    const reports = await Promise.all([1, 2, 3].map(() => workshop.run('token.sweep', [id], busy())))
    reports.push(await workshop.run('token.sweep', [id], busy()))
    expect(reports.map(({ succeeded }) => succeeded).sort()).toEqual([0, 0, 0, 1])
    expect(reports.map(({ already_done }) => already_done).sort()).toEqual([0, 1, 1, 1])
    expect(await all()).toEqual([1, 1, 1])
  })
})

describe('Work that asks somebody else', () => {
  type Asked = { reference: string }
  type Rules = StagedRules<typeof mirrorToken, Asked, boolean>

  const mirror = () => workshop.submit('token.mirror', { token_id: newCredential() })

  const begin: Rules['begin'] = async ({ sql, operation }) => {
    const [known] = await sql.query<{ text: string }>('select text from note where operation_id = $1', [operation.id])
    if (known !== undefined) return { reference: known.text }
    const reference = newId()
    await sql.query('insert into note values ($1, $2)', [operation.id, reference])
    return { reference }
  }

  const post: Rules['finish'] = async (work, { answer }) => {
    const books = await work.books([])
    const opened = books.open({ owner: `token:${newId()}`, purpose: 'token', asset: 'BUDGET' })
    books.post('token.issue', { debit: issuance, credit: opened, amount: amount(1), operationId: work.operation.id })
    return { mirrored: answer }
  }

  test('a second try asks under the same reference, however the first one ended', async () => {
    const id = await mirror()
    const references: string[] = []
    const processor = staged(mirrorToken, {
      begin,
      async call({ begun }) {
        references.push(begun.reference)
        if (references.length === 1) throw new Fault('no answer')
        return true
      },
      async finish(work, answered, services) {
        // The second answer is lost between hearing it and writing it down.
        if (references.length === 2) throw new Fault('the database went away')
        return post(work, answered, services)
      },
    } satisfies Rules)
    await expect(workshop.run('token.mirror', [id], processor)).rejects.toThrow('no answer')
    expect(await workshop.operation(id)).toMatchObject({ status: 'processing', attempts: 1 })
    await expect(workshop.run('token.mirror', [id], processor)).rejects.toThrow('the database went away')
    expect(await transfers(id)).toBe(0)
    expect(await workshop.run('token.mirror', [id], processor)).toMatchObject({ succeeded: 1 })
    expect(new Set(references).size).toBe(1)
    expect(references).toHaveLength(3)
    expect([await notes(id), await transfers(id)]).toEqual([1, 1])
    expect(await workshop.operation(id)).toMatchObject({ status: 'succeeded', attempts: 3, result: { mirrored: true } })
  })

  test('while somebody else is asked, no transaction is open and nothing is locked', async () => {
    const id = await mirror()
    const seen: unknown[] = []
    const processor = staged(mirrorToken, {
      begin,
      async call() {
        const { rows } = await workshop.pool.query(
          `select count(*)::int as open from pg_stat_activity
           where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null and backend_type = 'client backend'`,
        )
        const locked = await workshop.pool.query('select status from operation where id = $1 for update nowait', [id])
        seen.push(rows[0].open, locked.rows[0].status)
        return true
      },
      finish: post,
    } satisfies Rules)
    await workshop.run('token.mirror', [id], processor)
    expect(seen).toEqual([0, 'processing'])
  })

  test('has its statements planned for the values at hand, and once only where it says that all is found by keys', async () => {
    const planning = `select current_setting('plan_cache_mode') as plans, current_setting('enable_seqscan') as scans`
    const seen: unknown[] = []
    for (const byKey of [false, true]) {
      const processor = staged(mirrorToken, {
        byKey,
        async begin(work) {
          seen.push(...(await work.sql.query(planning)))
          return { reference: work.operation.id }
        },
        call: async () => true,
        async finish(work) {
          seen.push(...(await work.sql.query(planning)))
          return { mirrored: true }
        },
      } satisfies Rules)
      await workshop.run('token.mirror', [await mirror()], processor)
    }
    const [anew, once] = [
      { plans: 'force_custom_plan', scans: 'on' },
      { plans: 'force_generic_plan', scans: 'off' },
    ]
    expect(seen).toEqual([anew, anew, once, once])
  })

  test('a refusal that is returned keeps what was written beside it', async () => {
    const id = await mirror()
    const processor = staged(mirrorToken, {
      begin,
      call: async () => false,
      async finish({ sql, operation }) {
        await sql.query('insert into note values ($1, $2)', [operation.id, newId()])
        return no()
      },
    } satisfies Rules)
    expect(await workshop.run('token.mirror', [id], processor)).toMatchObject({ refused: { 'shape.no': 1 } })
    expect(await notes(id)).toBe(2)
    expect(await workshop.operation(id)).toMatchObject({ status: 'failed', error: { code: 'shape.no' } })
  })

  test('a refusal that is thrown takes back what the answer had led to', async () => {
    const id = await mirror()
    const processor = staged(mirrorToken, {
      begin,
      call: async () => true,
      async finish(work, answered, services) {
        await post(work, answered, services)
        await work.sql.query('insert into note values ($1, $2)', [work.operation.id, newId()])
        work.followUp({ kind: 'token.mirror', input: { token_id: newCredential() } })
        throw no()
      },
    } satisfies Rules)
    workshop.queue.sent.length = 0
    await workshop.run('token.mirror', [id], processor)
    expect([await notes(id), await transfers(id)]).toEqual([1, 0])
    expect(workshop.queue.sent).toEqual([])
    expect(await workshop.operation(id)).toMatchObject({ status: 'failed', error: { code: 'shape.no' } })
  })

  test('refused before anybody was asked, nobody is', async () => {
    const id = await mirror()
    let asked = 0
    const processor = staged(mirrorToken, {
      async begin() {
        throw no()
      },
      async call() {
        asked += 1
        return true
      },
      finish: post,
    } satisfies Rules)
    await workshop.run('token.mirror', [id], processor)
    expect(asked).toBe(0)
    expect(await workshop.operation(id)).toMatchObject({ status: 'failed', error: { code: 'shape.no' } })
  })

  test('delivered twice at once, both ask under one reference and one outcome counts', async () => {
    const id = await mirror()
    const references: string[] = []
    const { promise: both, resolve: bothAsked } = Promise.withResolvers<void>()
    const processor = staged(mirrorToken, {
      begin,
      async call({ begun }) {
        references.push(begun.reference)
        if (references.length === 2) bothAsked()
        await both
        return true
      },
      finish: post,
    } satisfies Rules)
    const reports = await Promise.all([1, 2].map(() => workshop.run('token.mirror', [id], processor)))
    expect(reports.map(({ succeeded }) => succeeded).sort()).toEqual([0, 1])
    expect(new Set(references).size).toBe(1)
    expect([await notes(id), await transfers(id)]).toEqual([1, 1])
    expect(await workshop.run('token.mirror', [id], processor)).toMatchObject({ succeeded: 0, already_done: 1 })
    expect(references).toHaveLength(2)
  })

  test('one answer that is slow to come holds up no other operation of its job', async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, mirror))
    const slow = ids[0]
    const { promise: allOthers, resolve: othersAnswered } = Promise.withResolvers<void>()
    let answered = 0
    const processor = staged(mirrorToken, {
      begin,
      async call({ operation }) {
        if (operation.id === slow) await allOthers
        else answered += 1
        if (answered === ids.length - 1) othersAnswered()
        return true
      },
      finish: post,
    } satisfies Rules)
    expect(await workshop.run('token.mirror', ids, processor)).toMatchObject({ succeeded: 20 })
  })

  test('one of two deliveries finding a bug does not overwrite the outcome that the other one wrote', async () => {
    const id = await mirror()
    let calls = 0
    const { promise: firstDone, resolve: done } = Promise.withResolvers<void>()
    const processor = staged(mirrorToken, {
      begin,
      async call() {
        calls += 1
        if (calls === 1) return true
        await firstDone
        assert(false, 'asked twice')
      },
      finish: post,
    } satisfies Rules)
    const reports = await Promise.all([1, 2].map(() => workshop.run('token.mirror', [id], processor).finally(done)))
    expect(reports.map(({ succeeded }) => succeeded).sort()).toEqual([0, 1])
    expect(reports.map(({ stuck, already_done }) => [stuck.length, already_done]).sort()).toEqual([
      [0, 0],
      [0, 1],
    ])
    expect(await workshop.operation(id)).toMatchObject({ status: 'succeeded' })
  })
})

describe('Work that is decided by the hundred', () => {
  const BATCH = 256

  /** A batch of deductions of 1, and one in the middle that is another. */
  async function batchWith(odd: Record<string, unknown>, budget = 500) {
    const tokenId = await workshop.issue(budget)
    const ids = await Promise.all(
      Array.from({ length: BATCH }, (_, n) =>
        workshop.submit('token.deduct', { token_id: tokenId, amount: 1, ...(n === 100 ? odd : {}) }),
      ),
    )
    return { tokenId, ids, odd: ids[100] ?? '', siblings: ids.filter((_, n) => n !== 100) }
  }

  const statuses = async (ids: readonly string[]) =>
    Object.fromEntries(
      (
        await sqlOf(workshop.pool).query<{ status: string; count: number }>(
          'select status, count(*)::int from operation where id = any($1) group by 1',
          [ids],
        )
      ).map(({ status, count }) => [status, count]),
    )

  test('a refusal touches none of its 255 siblings', async () => {
    const { tokenId, ids, odd, siblings } = await batchWith({ amount: 401 })
    const report = await workshop.run('token.deduct', ids)
    expect(report).toMatchObject({ succeeded: 255, refused: { 'token.insufficient': 1 }, stuck: [], already_done: 0 })
    expect(await statuses(siblings)).toEqual({ succeeded: 255 })
    expect(await transfers(odd)).toBe(0)
    expect(await workshop.balance(tokenId)).toBe(500 - 255)
  })

  test('an operation in which a bug shows is stuck and loud; its 255 siblings succeed', async () => {
    const buggy = decide<typeof deductToken, undefined>(deductToken, {
      subjects: async () => undefined,
      accounts: () => [account],
      decide({ input, account: locked, books, operation }) {
        const transfer = books.post('token.deduct', {
          debit: locked(account),
          credit: revenue,
          amount: amount(1),
          operationId: operation.id,
        })
        assert(input.description !== 'poison', 'nobody thought of this')
        return { success: true, token_id: input.token_id, amount: 1, remaining: 0, transaction_id: transfer.id }
      },
    })
    const { ids, odd, siblings } = await batchWith({ description: 'poison' })
    await expect(workshop.run('token.deduct', ids, buggy)).rejects.toThrow('1 of 256 operations are stuck')
    expect(await statuses(siblings)).toEqual({ succeeded: 255 })
    expect(await transfers(odd)).toBe(0)
    expect(await workshop.operation(odd)).toMatchObject({ status: 'stuck', error: { code: 'operation.bug' } })
    expect(workshop.logged).toContainEqual(
      expect.objectContaining({ level: 'error', operation_id: odd, msg: 'A bug stopped an operation' }),
    )
  })

  test('an operation whose rows PostgreSQL refuses is found by halves and is stuck; its 255 siblings succeed', async () => {
    // A NUL passes JSON and every schema, and no text column takes it. The door refuses it; a row from elsewhere may hold it.
    const { tokenId, ids, odd, siblings } = await batchWith({ description: 'poi\0son' })
    await expect(workshop.run('token.deduct', ids)).rejects.toThrow('1 of 256 operations are stuck')
    expect(await statuses(siblings)).toEqual({ succeeded: 255 })
    expect(await workshop.operation(odd)).toMatchObject({ status: 'stuck', error: { http_status: 503 } })
    expect(await workshop.balance(tokenId)).toBe(500 - 255)
    const errors = workshop.logged.filter(({ level }) => level === 'error')
    expect(errors.map(({ operation_id }) => operation_id)).toEqual([odd])
  })

  test('an operation whose stored input no longer fits its schema is stuck; its 255 siblings succeed', async () => {
    const { tokenId, ids, odd, siblings } = await batchWith({})
    await workshop.pool.query(`update operation set input = '{"token_id":"gone","amount":"many"}' where id = $1`, [odd])
    await expect(workshop.run('token.deduct', ids)).rejects.toThrow(StuckJob)
    expect(await statuses(siblings)).toEqual({ succeeded: 255 })
    const { status, error } = await workshop.operation(odd)
    expect(status).toBe('stuck')
    expect(error?.message).toContain('does not fit its schema: token_id, amount')
    expect(await workshop.balance(tokenId)).toBe(500 - 255)
  })

  test('a fault in the middle of a batch does nothing of it, and counts one try against each', async () => {
    const { tokenId, ids } = await batchWith({})
    const { pool } = workshop
    await pool.query(`
      create function lose_connection() returns trigger language plpgsql as $$
      begin raise exception 'terminating connection due to administrator command' using errcode = '57P01'; end $$;
      create trigger lose_connection before insert on account_delta for each statement execute function lose_connection()`)
    await expect(workshop.run('token.deduct', ids)).rejects.toThrow('terminating connection')
    await pool.query('drop trigger lose_connection on account_delta; drop function lose_connection')
    expect(await statuses(ids)).toEqual({ queued: 256 })
    expect(await workshop.balance(tokenId)).toBe(500)
    expect(await workshop.run('token.deduct', ids)).toMatchObject({ succeeded: 256 })
    expect((await workshop.operation(ids[0] ?? '')).attempts).toBe(2)
  })

  test('two jobs that hold the same operations in opposite orders, at once, do each once', async () => {
    const { tokenId, ids } = await batchWith({})
    const reports = await Promise.all(
      [ids, ids.toReversed(), ids].map((order) => workshop.run('token.deduct', order, tokenDeduct)),
    )
    expect(reports.reduce((sum, { succeeded }) => sum + succeeded, 0)).toBe(256)
    expect(reports.reduce((sum, { already_done }) => sum + already_done, 0)).toBe(512)
    expect(await workshop.balance(tokenId)).toBe(500 - 256)
  })
})
