import { describe, expect, test } from 'vitest'
import { anomalyOf, learned, type Profile, UNSEEN } from '../src/domain/fraud/anomaly.ts'
import { type Attempted, type Facts, hourIn } from '../src/domain/fraud/facts.ts'
import { type Indicator, judge, rules, SUSPICIOUS_FROM } from '../src/domain/fraud/rules.ts'

/** A request of 500 rupees where 5,000 are the most, at noon, by somebody who has paid ten times from here. */
const asked: Attempted = {
  operationId: '',
  userId: 'user_1',
  type: 'deposit',
  currency: 'INR',
  amount: 50_000n,
  limit: 500_000n,
  method: 'card',
  ip: '192.0.2.1',
  device: 'Firefox',
  timeZone: 'UTC',
  now: new Date('2026-11-20T12:00:00Z'),
}
const facts: Facts = {
  recent: 0,
  methods: 1,
  trusted: 10,
  knowsNetwork: true,
  knowsDevice: true,
  knowsHour: true,
  deposited: 0n,
  profile: UNSEEN,
  passes: false,
  waiting: false,
}

/** After so many payments of this amount. */
const profileOf = (amounts: readonly bigint[]): Profile => amounts.reduce(learned, UNSEEN)
const usual = profileOf(Array(20).fill(10_000n))

const indicators = (has: Partial<Facts>, wants: Partial<Attempted> = {}): Indicator[] =>
  judge({ ...facts, ...has }, { ...asked, ...wants }).reasons.map(({ indicator }) => indicator)

describe('an indicator', () => {
  const boundaries: [Indicator, Partial<Facts>, Partial<Attempted>, Partial<Facts>, Partial<Attempted>][] = [
    ['rapid_successive_transactions', { recent: 5 }, {}, { recent: 4 }, {}],
    ['large_amount', {}, { amount: 400_000n }, {}, { amount: 399_999n }],
    ['unusual_amount', { profile: usual }, { amount: 500_000n }, { profile: usual }, { amount: 20_000n }],
    ['new_device', { knowsDevice: false }, {}, { knowsDevice: false, trusted: 2 }, {}],
    ['new_ip', { knowsNetwork: false }, {}, { knowsNetwork: false, trusted: 2 }, {}],
    ['unusual_hour', { knowsHour: false, trusted: 20 }, {}, { knowsHour: false, trusted: 19 }, {}],
    ['many_payment_methods', { methods: 4 }, {}, { methods: 3 }, {}],
    [
      'round_trip',
      { deposited: 100_000n },
      { type: 'withdrawal', amount: 90_000n },
      { deposited: 100_000n },
      { type: 'withdrawal', amount: 89_999n },
    ],
  ]
  test.each(boundaries)('%s begins where it is tabled', (indicator, has, wants, hasNot, wantsNot) => {
    expect(indicators(has, wants)).toContain(indicator)
    expect(indicators(hasNot, wantsNot)).not.toContain(indicator)
  })

  test('is tried for every rule that there is', () => {
    expect(boundaries.map(([indicator]) => indicator).toSorted()).toEqual(Object.keys(rules).toSorted())
  })

  test('alone stops nobody, but for what no person does: twenty-one requests in ten minutes, seven methods in a day', () => {
    for (const [indicator, has, wants] of boundaries) {
      const { reasons, suspicious } = judge({ ...facts, ...has }, { ...asked, ...wants })
      const alone = reasons.filter((reason) => reason.indicator === indicator)
      expect(
        alone.every(({ weight }) => weight < SUSPICIOUS_FROM),
        indicator,
      ).toBe(true)
      if (reasons.length === 1) expect(suspicious, indicator).toBe(false)
    }
    expect(judge({ ...facts, recent: 19 }, asked).suspicious).toBe(false)
    expect(judge({ ...facts, recent: 20 }, asked).suspicious).toBe(true)
    expect(judge({ ...facts, methods: 6 }, asked).suspicious).toBe(false)
    expect(judge({ ...facts, methods: 7 }, asked).suspicious).toBe(true)
  })
})

describe('an ordinary user', () => {
  const nothingKnown: Partial<Facts> = { trusted: 0, knowsNetwork: false, knowsDevice: false, knowsHour: false }
  const passing: [string, Partial<Facts>, Partial<Attempted>][] = [
    ['who pays for the first time, as much as they may', nothingKnown, { amount: 500_000n }],
    ['who tries a card five times and then another one', { recent: 5, methods: 2 }, {}],
    [
      'who is on a journey with a new phone, at night, and pays much',
      { knowsNetwork: false, knowsDevice: false, knowsHour: false, trusted: 50 },
      { amount: 450_000n },
    ],
    ['who takes back a large deposit', { deposited: 500_000n }, { type: 'withdrawal', amount: 500_000n }],
    [
      'who pays a thousand times as much as ever before, with a browser that was updated',
      { profile: profileOf(Array(60).fill(500n)), knowsDevice: false },
      { amount: 500_000n },
    ],
    [
      'who takes back a large deposit of this morning on their way to work',
      { deposited: 500_000n, knowsNetwork: false },
      { type: 'withdrawal', amount: 500_000n },
    ],
  ]
  test.each(passing)('%s is not stopped', (_who, has, wants) => {
    const { score, suspicious } = judge({ ...facts, ...has }, { ...asked, ...wants })
    expect(suspicious, `${score}`).toBe(false)
  })

  test('whose amounts go up and down as amounts do is unusual about once in a hundred times, and never stopped', () => {
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
    const random = randomFrom(seed)
    let unusual = 0
    for (let user = 0; user < 50; user++) {
      let profile = UNSEEN
      const typical = Math.log(100_00) + random() * Math.log(20)
      for (let payment = 0; payment < 40; payment++) {
        const amount = BigInt(Math.round(Math.min(500_000, Math.exp(typical + 0.8 * normal(random)))))
        const { reasons, suspicious } = judge({ ...facts, profile }, { ...asked, amount })
        if (reasons.some(({ indicator }) => indicator === 'unusual_amount')) unusual += 1
        expect(suspicious, `seed ${seed}`).toBe(false)
        profile = learned(profile, amount)
      }
    }
    expect(unusual / 2_000, `seed ${seed}`).toBeLessThan(0.02)
  })
})

describe('somebody who is not the user', () => {
  const stopped: [string, Partial<Facts>, Partial<Attempted>][] = [
    ['asks six times within minutes, and for much', { recent: 5 }, { amount: 400_000n }],
    [
      'empties the wallet from elsewhere',
      { knowsNetwork: false, knowsDevice: false, deposited: 420_000n },
      { type: 'withdrawal', amount: 420_000n },
    ],
    [
      'takes much more than ever from elsewhere',
      { knowsNetwork: false, knowsDevice: false, profile: usual },
      { amount: 450_000n },
    ],
    ['tries stolen cards one after the other', { recent: 6, methods: 6 }, {}],
  ]
  test.each(stopped)('%s, and is stopped', (_who, has, wants) => {
    const { score, suspicious } = judge({ ...facts, ...has }, { ...asked, ...wants })
    expect(suspicious, `${score}`).toBe(true)
  })
})

describe('what is learned', () => {
  test('is the mean and the spread of the logarithms, payment by payment as over all at once', () => {
    const amounts = [100n, 250n, 90n, 4_000n, 777n, 120n]
    const logs = amounts.map((amount) => Math.log(Number(amount)))
    const mean = logs.reduce((sum, x) => sum + x, 0) / logs.length
    const squares = logs.reduce((sum, x) => sum + (x - mean) ** 2, 0)
    const profile = profileOf(amounts)
    expect(profile.seen).toBe(6)
    expect(profile.mean).toBeCloseTo(mean, 10)
    expect(profile.squares).toBeCloseTo(squares, 10)
  })

  test('makes the same amount more usual the more often it was paid', () => {
    const scores = [0, 1, 5, 20].map(
      (times) => anomalyOf(profileOf(Array(times).fill(400_000n)), 400_000n, 500_000n).score,
    )
    expect(scores).toEqual(scores.toSorted((a, b) => b - a))
    expect(scores.at(-1)).toBeLessThan(0.02)
  })

  test('makes a large amount more unusual the longer only small ones were paid, and never a small one', () => {
    const paidSmall = (times: number) => profileOf(Array(times).fill(10_000n))
    const scores = [0, 3, 10, 40].map((times) => anomalyOf(paidSmall(times), 500_000n, 500_000n).score)
    expect(scores).toEqual(scores.toSorted((a, b) => a - b))
    expect(anomalyOf(paidSmall(40), 1n, 500_000n).score).toBe(0)
  })

  test('fades: after two years of large payments nobody remembers the small ones', () => {
    const grown = profileOf([...Array(500).fill(1_000n), ...Array(200).fill(100_000n)])
    expect(grown.seen).toBeLessThanOrEqual(60)
    expect(anomalyOf(grown, 100_000n, 500_000n).z).toBeLessThan(1)
  })
})

test('hours are the user’s own', () => {
  const now = new Date('2026-11-20T23:30:00Z')
  expect([hourIn('UTC', now), hourIn('Asia/Kolkata', now), hourIn('America/New_York', now)]).toEqual([23, 5, 18])
  expect(hourIn('UTC', new Date('2026-11-20T00:00:00Z'))).toBe(0)
})

/** Mulberry32. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Box and Muller. */
const normal = (random: () => number): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
