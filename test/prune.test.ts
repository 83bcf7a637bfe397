import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { firstIdAt, newId } from '../src/kit/ids.ts'
import { processors } from '../src/processors/index.ts'
import { Workshop } from './support/workshop.ts'

let workshop: Workshop
beforeAll(async () => {
  workshop = await Workshop.open()
})
afterAll(() => workshop.close())

test('What one run of pruning may not forget, the next one does, at once: a busy day is forgotten in a night', {
  timeout: 120_000,
}, async () => {
  await workshop.pool.query(
    `insert into idempotency_key select sha256(n::text::bytea), 'x', $1, now() - interval '40 days'
     from generate_series(1, 100001) n`,
    [newId()],
  )
  const first = await workshop.submit('operation.prune', { period: new Date().toISOString() })
  const prune = async (id: string) => {
    const before = workshop.queue.sent.length
    await workshop.run('operation.prune', [id], processors['operation.prune'])
    const next = workshop.queue.sent.slice(before).filter(({ kind }) => kind === 'operation.prune')
    return { result: (await workshop.operation(id)).result, next: next.flatMap(({ data }) => data.operations) }
  }
  const { result, next } = await prune(first)
  expect(result).toMatchObject({ keys: 100_000 })
  expect(next).toHaveLength(1)
  expect(await prune(next[0] ?? '')).toMatchObject({ result: { keys: 1 }, next: [] })
})

test('Verdicts on payments are kept for as long as banks let customers argue; what a person has looked at stays', async () => {
  const { pool } = workshop
  const DAY_MS = 86_400_000
  const now = Date.now()
  let made = 0
  const verdict = async (days: number, decision: string): Promise<string> => {
    const id = firstIdAt(new Date(now - days * DAY_MS - made++))
    const reviewed = decision === 'approved' || decision === 'rejected'
    await pool.query(
      `insert into fraud_decision (id, operation_id, user_id, type, currency, amount, method, hour, indicators, score,
         reasons, decision, decided_at, reviewed_by, reviewed_at, passes_until)
       values ($1, $1, 'carla', 'deposit', 'INR', 100, 'card', 3, '{}', 0, '[]', $2, now(), $3, $4, $5)`,
      [
        id,
        decision,
        reviewed ? 'olga' : null,
        reviewed ? new Date() : null,
        decision === 'approved' ? new Date() : null,
      ],
    )
    return id
  }
  const forgotten = [await verdict(401, 'allow'), await verdict(500, 'observed')]
  const kept = [
    await verdict(399, 'allow'),
    await verdict(500, 'review'),
    await verdict(500, 'approved'),
    await verdict(500, 'rejected'),
  ]
  const id = await workshop.submit('operation.prune', { period: new Date().toISOString() })
  await workshop.run('operation.prune', [id], processors['operation.prune'])
  expect((await workshop.operation(id)).result).toMatchObject({ decisions: forgotten.length })
  const { rows } = await pool.query('select id from fraud_decision order by id')
  expect(rows.map((row) => row.id)).toEqual(kept.toSorted())
})

test('What is forgotten is looked at a few times at most, though the planner believes that there is nothing', async () => {
  const { pool } = workshop
  const remember = (count: number) =>
    pool.query(
      `insert into operation (id, kind, status, job_id, input, result, submitted_at, finished_at)
       select lpad(n::text, 32, '0')::uuid, 'token.deduct', 'succeeded', 'old', '{}', '{}', now(), now()
       from generate_series(1, $1) n`,
      [count],
    )
  await remember(2_000)
  const { rowCount } = await pool.query('delete from operation')
  // What autovacuum leaves of a table that was just emptied: pages, and nothing in them.
  await pool.query('vacuum (analyze, truncate off) operation')
  await remember(2_000)
  const seen = async () => {
    const { rows } = await pool.query(
      `select (seq_tup_read + idx_tup_fetch)::int as read, n_tup_del::int as deleted
       from pg_stat_user_tables where relname = 'operation'`,
    )
    return rows[0]
  }
  const untilDeleted = (count: number) =>
    vi.waitFor(async () => {
      const all = await seen()
      expect(all.deleted).toBe(count)
      return all
    }, 20_000)
  const id = await workshop.submit('operation.prune', { period: new Date().toISOString() })
  const before = await untilDeleted(rowCount ?? 0)
  await workshop.run('operation.prune', [id], processors['operation.prune'])
  expect((await workshop.operation(id)).result).toMatchObject({ operations: 2_000 })
  const after = await untilDeleted(before.deleted + 2_000)
  expect(after.read - before.read).toBeLessThan(20_000)
})
