import { afterAll, beforeAll, expect, test } from 'vitest'
import { newId } from '../src/kit/ids.ts'
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
