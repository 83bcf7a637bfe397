import { describe, expect, test } from 'vitest'
import type { KindName } from '../src/jobs/catalogue.ts'
import { readForEach } from './support/rows-read.ts'
import type { Workshop } from './support/workshop.ts'

const issued = (shop: Workshop, count: number): Promise<string[]> =>
  Promise.all(Array.from({ length: count }, () => shop.issue(10)))

async function inOneJob(shop: Workshop, kind: KindName, inputs: readonly Record<string, unknown>[]): Promise<void> {
  const ids = await Promise.all(inputs.map((input) => shop.submit(kind, input)))
  expect(await shop.run(kind, ids)).toMatchObject({ succeeded: inputs.length })
}

describe('Though the planner believes that there is nothing, as much is read for each', () => {
  const works: Record<string, (shop: Workshop, count: number) => Promise<void>> = {
    'payment token issued': async (shop, count) => {
      await inOneJob(
        shop,
        'token.issue',
        Array.from({ length: count }, (_, n) => ({ budget: 10, voice_id: `voice ${n}` })),
      )
    },
    'deduction, each from a token of its own': async (shop, count) => {
      const tokens = await issued(shop, count)
      await inOneJob(
        shop,
        'token.deduct',
        tokens.map((token_id) => ({ token_id, amount: 1 })),
      )
    },
    'event of usage, each of a customer of its own': async (shop, count) => {
      const timestamp = shop.clock.now().toISOString()
      await inOneJob(
        shop,
        'usage.record',
        Array.from({ length: count }, (_, n) => ({
          events: [{ user_id: `user ${n}`, event_id: `event ${n}`, metric: 'api_calls', quantity: 1, timestamp }],
        })),
      )
    },
    'payment token that expires': async (shop, count) => {
      await issued(shop, count)
      shop.clock.advance({ seconds: 7_200 })
      await inOneJob(shop, 'token.sweep', [{ period: shop.clock.now().toISOString() }])
      const { rows } = await shop.pool.query(`select count(*)::int from token where status = 'expired'`)
      expect(rows).toEqual([{ count }])
    },
  }

  test.for(Object.entries(works))('%s', async ([, work]) => {
    const [few, many] = [await readForEach(8, work), await readForEach(64, work)]
    expect(few).toBeGreaterThan(2)
    expect(many).toBeLessThan(1.5 * few)
  })
})
