import { describe, expect, test } from 'vitest'
import { Batcher } from '../src/kit/batcher.ts'

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
