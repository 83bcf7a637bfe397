import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Waiting } from '../src/api/waiting.ts'
import { newId } from '../src/kit/ids.ts'

describe('Callers who wait for outcomes', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
  afterEach(() => void vi.useRealTimers())

  /** So many who begin to wait each millisecond, for outcomes that come 100 ms later: the looks of half a second, and how late each is told. */
  async function halfASecond(comingEachMs: number): Promise<{ looks: number; ids: number; latest: number }> {
    const due = new Map<string, number>()
    let looks = 0
    let ids = 0
    const waiting = new Waiting({
      async query<Row>(_text: string, [asked]: readonly unknown[] = []) {
        looks += 1
        ids += (asked as string[]).length
        const done = (asked as string[]).filter((id) => (due.get(id) ?? 0) <= performance.now())
        return done.map((id) => ({ id })) as Row[]
      },
    })
    let latest = 0
    for (let ms = 0; ms < 500; ms++) {
      const coming = Math.floor((ms + 1) * comingEachMs) - Math.floor(ms * comingEachMs)
      for (let n = 0; n < coming; n++) {
        const id = newId()
        const at = performance.now() + 100
        due.set(id, at)
        void waiting.until(id, 30_000).then((operation) => {
          if (operation !== undefined) latest = Math.max(latest, performance.now() - at)
        })
      }
      await vi.advanceTimersByTimeAsync(1)
    }
    waiting.close()
    return { looks, ids, latest }
  }

  test('are looked for every few milliseconds while they are few', async () => {
    const { looks, latest } = await halfASecond(0.2)
    expect(looks).toBeGreaterThan(100)
    expect(latest).toBeLessThan(10)
  })

  test('are looked for less often when there are more of them, so that all looks together cost the same', async () => {
    const [some, many] = [await halfASecond(1), await halfASecond(5)]
    expect(many.ids).toBeLessThan(1.5 * some.ids)
    expect(many.looks).toBeLessThan(some.looks / 3)
    expect(many.latest).toBeLessThan(50)
  })
})
