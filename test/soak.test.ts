import { describe, expect, inject, test } from 'vitest'
import { readOptions, UsageError } from '../soak/options.ts'
import { soak } from '../soak/soak.ts'
import { reportText } from '../soak/table.ts'
import { type Sample, trendOf } from '../soak/trend.ts'
import { verdictOn, warmUpOf } from '../soak/verdict.ts'

const MEBIBYTE = 1_048_576

/** Nine minutes of looks every five seconds, at a thousand operations a second. */
const SECONDS = 540
const OPERATIONS = SECONDS * 1_000
const series = (value: (at: number) => number): Sample[] =>
  Array.from({ length: SECONDS / 5 }, (_, n) => ({ at: 60 + n * 5, value: value(n * 5) }))

/** The same noise in every run, between -1 and 1. */
function noiseOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return state / 1_073_741_824 - 1
  }
}

describe('Memory', () => {
  const level = 60 * MEBIBYTE

  test('that stays where it is, give or take, is flat', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const noise = noiseOf(seed)
      const found = verdictOn(
        'heap',
        series(() => level + 5 * MEBIBYTE * noise()),
        OPERATIONS,
      )
      expect(found, `seed ${seed}`).toMatchObject({ flat: true, samples: 108 })
    }
  })

  test('of which an operation in a hundred keeps its 1,600 bytes grows, however it jumps about meanwhile', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const noise = noiseOf(seed)
      const leak = (at: number) => level + at * 1_000 * 16 + MEBIBYTE * noise()
      const found = verdictOn('heap', series(leak), OPERATIONS)
      expect(found, `seed ${seed}`).toMatchObject({ flat: false })
      // 16 bytes a thousand times a second.
      expect((found?.slope ?? 0) / 16_000).toBeCloseTo(1, 0)
    }
  })

  test('that rises and falls like the teeth of a saw is flat; one whose valleys rise is not', () => {
    const saw = (at: number) => level + ((at % 90) / 90) * 20 * MEBIBYTE
    expect(verdictOn('heap', series(saw), OPERATIONS)).toMatchObject({ flat: true })
    const rising = (at: number) => saw(at) + at * 0.1 * MEBIBYTE
    expect(verdictOn('heap', series(rising), OPERATIONS)).toMatchObject({ flat: false })
  })

  test('that jumped once and was measured wrongly twice is judged by all the other times', () => {
    const odd = (at: number) => (at === 300 || at === 535 ? 10 * level : level)
    expect(verdictOn('heap', series(odd), OPERATIONS)).toMatchObject({ flat: true })
  })

  test('that is resident may keep some pages for later, and no more', () => {
    const filling = (at: number) => level + Math.min(at, 300) * 0.02 * MEBIBYTE
    expect(verdictOn('resident', series(filling), OPERATIONS)).toMatchObject({ flat: true })
    expect(
      verdictOn(
        'resident',
        series((at) => level + at * 0.1 * MEBIBYTE),
        OPERATIONS,
      ),
    ).toMatchObject({ flat: false })
  })

  test('of a process that did nothing may not grow by more than code that is compiled late', () => {
    expect(
      verdictOn(
        'heap',
        series((at) => level + at * 1_000),
        0,
      ),
    ).toMatchObject({ flat: true })
    expect(
      verdictOn(
        'heap',
        series((at) => level + at * 8_000),
        0,
      ),
    ).toMatchObject({ flat: false })
  })

  test('that was looked at a few times only is not judged', () => {
    expect(verdictOn('heap', series((at) => at).slice(0, 11), OPERATIONS)).toBeUndefined()
  })
})

test('A trend is the middle of all slopes, and surely at least the lower end of their interval', () => {
  const straight = trendOf(series((at) => 3 * at))
  expect(straight).toEqual({ slope: 3, least: 3 })
  const noise = noiseOf(7)
  const noisy = trendOf(series((at) => 3 * at + 100 * noise()))
  expect(noisy.slope).toBeCloseTo(3, 0)
  expect(noisy.least).toBeLessThan(noisy.slope)
  expect(() => trendOf([{ at: 1, value: 1 }])).toThrow('A trend takes two samples')
})

test('The first minute warms up, or the first fifth of a run that is shorter than five', () => {
  expect([600, 300, 100].map(warmUpOf)).toEqual([60, 60, 20])
})

test('A wrong option is refused with what is right', () => {
  expect(readOptions(['--minutes', '5', '--backend', 'postgres'], 'here')).toMatchObject({
    ...{ minutes: 5, backend: 'postgres', results: 'here' },
  })
  expect(readOptions(['--help'], '')).toBeUndefined()
  for (const wrong of [['--minutes', 'ten'], ['--minutes', '0'], ['--backend', 'kafka'], ['--nonsense']])
    expect(() => readOptions(wrong, '')).toThrow(UsageError)
})

test.skipIf(!inject('hasRedis'))(
  'A run of seconds looks at every process, forgets what it may, and says so',
  {
    timeout: 120_000,
  },
  async () => {
    const said: string[] = []
    const options = { minutes: 0.1, backend: 'redis', clients: 4, everySeconds: 0.3, results: '' } as const
    const report = await soak(options, (line) => said.push(line))
    const looked = report.series.filter(({ samples }) => samples.every(({ value }) => value > 0))
    const seen = new Set(looked.map(({ process, what }) => `${process} ${what}`))
    for (const name of ['api', 'worker', 'scheduler'])
      expect([seen.has(`${name} heap`), seen.has(`${name} resident`)], name).toEqual([true, true])
    expect([seen.has('postgresql resident'), seen.has('redis resident')]).toEqual([true, true])

    const { counts, finishedJobs, retention } = report
    expect(counts.accepted).toBeGreaterThan(0)
    expect(counts.wrong).toBe(0)
    expect(finishedJobs.bounded).toBe(true)
    expect(retention.before.operations).toBeGreaterThanOrEqual(counts.accepted)
    expect(retention.after).toMatchObject({ keys: 0, transfers: retention.before.transfers })
    expect(retention.bounded).toBe(true)
    expect(reportText(report)).toMatch(/^api +heap /m)
  },
)
