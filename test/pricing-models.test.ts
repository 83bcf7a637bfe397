import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { priceOf } from '../src/domain/pricing/models.ts'
import type { Price, PriceTerms } from '../src/domain/pricing/price.ts'
import { type PricedLine, type RateInput, rate } from '../src/domain/pricing/rate.ts'
import { Decimal } from '../src/kit/decimal.ts'

const comesTo = (price: PriceTerms, used: string) => String(priceOf(price, Decimal.of(used)).amount)

const graduated: PriceTerms = {
  model: 'graduated',
  terms: {
    tiers: [
      { up_to: '100', unit_amount: '0.10' },
      { up_to: '200', unit_amount: '0.05', flat_amount: '1' },
      { up_to: null, unit_amount: '0.01' },
    ],
  },
}
const volume: PriceTerms = { ...graduated, model: 'volume' }
const packages: PriceTerms = { model: 'package', terms: { package_size: '1000', package_amount: '2.50' } }

describe('per unit', () => {
  const price: PriceTerms = { model: 'per_unit', terms: { free_units: '1000', unit_amount: '0.002' } }
  test.each([
    ['0', '0'],
    ['999.5', '0'],
    ['1000', '0'],
    ['1001', '0.002'],
    ['1500', '1'],
  ])('with 1,000 free, %s units come to %s', (used, amount) => {
    expect(comesTo(price, used)).toBe(amount)
  })
})

describe('graduated', () => {
  test.each([
    ['0', '0'],
    ['1', '0.1'],
    ['100', '10'], // the last unit of the first tier
    ['100.000001', '11.00000005'], // a millionth in the second, whose fee is due
    ['101', '11.05'],
    ['200', '16'],
    ['201', '16.01'],
    ['1000', '24'],
  ])('%s units come to %s: each tier at its own price', (used, amount) => {
    expect(comesTo(graduated, used)).toBe(amount)
  })

  test('with free units begins its tiers after them', () => {
    const { tiers } = graduated.terms
    const price: PriceTerms = { model: 'graduated', terms: { free_units: '50', tiers } }
    expect(comesTo(price, '50')).toBe('0')
    expect(comesTo(price, '150')).toBe('10')
    expect(comesTo(price, '151')).toBe('11.05')
  })
})

describe('volume', () => {
  test.each([
    ['0', '0'],
    ['100', '10'],
    ['101', '6.05'], // cheaper than 100: all of them are in the second tier
    ['200', '11'],
    ['201', '2.01'],
  ])('%s units come to %s: all at the price of the last one', (used, amount) => {
    expect(comesTo(volume, used)).toBe(amount)
  })
})

describe('packages', () => {
  test.each([
    ['0', '0'],
    ['0.000001', '2.5'],
    ['1', '2.5'],
    ['1000', '2.5'],
    ['1001', '5'],
    ['2500', '7.5'],
  ])('of 1,000: %s units come to %s', (used, amount) => {
    expect(comesTo(packages, used)).toBe(amount)
  })

  test('are counted beyond the free units', () => {
    const price: PriceTerms = { model: 'package', terms: { ...packages.terms, free_units: '1000' } }
    expect(comesTo(price, '1000')).toBe('0')
    expect(comesTo(price, '1001')).toBe('2.5')
  })
})

const calls = (terms: PriceTerms, more: Partial<Price> = {}): Price =>
  ({ ...terms, metric: 'api_calls', label: 'API calls', currency: 'USD', startsOn: '2026-01-01', ...more }) as Price
const fee = (amount: string, more: Partial<Price> = {}): Price =>
  calls({ model: 'flat', terms: { amount } }, { metric: null, label: 'Pro', ...more })

const november = (input: Partial<RateInput>): PricedLine[] =>
  rate({ prices: [], aggregates: [], month: '2026-11', currency: 'USD', ...input })
const used = (quantity: string, more = {}) => ({ metric: 'api_calls', quantity: Decimal.of(quantity), ...more })
const brief = (lines: readonly PricedLine[]) => lines.map(({ description, amount }) => [description, amount])

describe('a month', () => {
  test('has the fee first, then a line for each metric that was used', () => {
    const storage = calls(
      { model: 'per_unit', terms: { unit_amount: '0.25' } },
      { metric: 'storage_gb', label: 'Storage' },
    )
    const lines = november({
      prices: [
        storage,
        calls({ model: 'per_unit', terms: { free_units: '1000', unit_amount: '0.002' } }),
        fee('29.99'),
      ],
      aggregates: [
        { metric: 'storage_gb', quantity: Decimal.of('2.5') },
        used('1500'),
        { metric: 'seats', quantity: Decimal.zero },
      ],
    })
    expect(brief(lines)).toEqual([
      ['Pro', 2999n],
      ['API calls: 1500 used, 1000 included', 100n],
      ['Storage: 2.5 used', 63n], // 62.5 cents, half up
    ])
    expect(lines.map(({ quantity, unitPrice }) => `${quantity} × ${unitPrice}`)).toEqual([
      '1 × 29.99',
      '500 × 0.002',
      '2.5 × 0.25',
    ])
  })

  test('without anything used and without a fee has no lines', () => {
    expect(november({ prices: [calls(packages)], aggregates: [used('0')] })).toEqual([])
  })

  test('shows what is within the allowance, at nothing', () => {
    const prices = [calls({ model: 'per_unit', terms: { free_units: '1000', unit_amount: '0.002' } })]
    expect(brief(november({ prices, aggregates: [used('800')] }))).toEqual([['API calls: 800 used, 1000 included', 0n]])
  })

  test('has the price of its first day, whatever comes within it or after it', () => {
    const prices = [
      calls({ model: 'per_unit', terms: { unit_amount: '1' } }),
      calls({ model: 'per_unit', terms: { unit_amount: '2' } }, { startsOn: '2026-11-01' }),
      calls({ model: 'per_unit', terms: { unit_amount: '3' } }, { startsOn: '2026-11-02' }),
    ]
    const amountIn = (month: string) => rate({ prices, aggregates: [used('1')], month, currency: 'USD' })[0]?.amount
    expect(['2026-10', '2026-11', '2026-12'].map(amountIn)).toEqual([100n, 200n, 300n])
  })

  test('says what the plan has no price for in this currency, and charges nothing for it', () => {
    const prices = [calls({ model: 'per_unit', terms: { unit_amount: '1' } }, { currency: 'EUR' })]
    expect(november({ prices, aggregates: [used('7')] })).toMatchObject([
      { description: 'api_calls: 7 used, not charged for in this plan', amount: 0n, unpriced: true },
    ])
  })

  test('says when corrections went below 0', () => {
    const prices = [calls({ model: 'per_unit', terms: { unit_amount: '1' } })]
    expect(brief(november({ prices, aggregates: [used('0', { clamped: Decimal.of('3') })] }))).toEqual([
      ['API calls: 0 used, corrections went 3 below 0', 0n],
    ])
  })

  test.each([
    ['JPY', 123n],
    ['USD', 12_346n],
    ['KWD', 123_457n],
  ] as const)('is rounded to the units of %s', (currency, amount) => {
    const prices = [calls({ model: 'per_unit', terms: { unit_amount: '123.4565' } }, { currency })]
    expect(november({ prices, currency, aggregates: [used('1')] })[0]?.amount).toBe(amount)
  })
})

describe('a fee', () => {
  const due = (cycle: 'none' | 'monthly' | 'annual', month: string) =>
    rate({ prices: [fee('9.99')], aggregates: [], month, currency: 'USD', fee: { cycle, since: '2024-03-31' } }).length

  test('is due every month, once a year in the month of the beginning, or never', () => {
    const months = ['2026-02', '2026-03', '2026-04']
    expect(months.map((month) => due('monthly', month))).toEqual([1, 1, 1])
    expect(months.map((month) => due('annual', month))).toEqual([0, 1, 0])
    expect(months.map((month) => due('none', month))).toEqual([0, 0, 0])
  })

  test('of nothing is no line', () => {
    expect(november({ prices: [fee('0')] })).toEqual([])
  })
})

describe('late use', () => {
  const late = (quantity: string, before: string) => ({
    ...used(quantity),
    late: { month: '2026-10', before: Decimal.of(before) },
  })

  test('is charged as the difference that it makes to its own month, at that month’s price', () => {
    const prices = [
      calls({ model: 'per_unit', terms: { free_units: '1000', unit_amount: '0.01' } }),
      calls({ model: 'per_unit', terms: { unit_amount: '5' } }, { startsOn: '2026-11-01' }),
    ]
    expect(november({ prices, aggregates: [late('1500', '900')] })).toMatchObject([
      { month: '2026-10', amount: 500n, description: 'API calls, late for 2026-10: 1500 used, not 900' },
    ])
    expect(november({ prices, aggregates: [late('900', '800')] })[0]?.amount).toBe(0n)
  })

  test('may make its month cheaper, and then takes back the difference', () => {
    expect(november({ prices: [calls(volume)], aggregates: [late('101', '100')] })[0]?.amount).toBe(605n - 1000n)
  })

  test('never brings the fee again', () => {
    const lines = november({ prices: [fee('29.99'), calls(packages)], aggregates: [late('1', '0')] })
    expect(brief(lines)).toEqual([
      ['Pro', 2999n],
      ['API calls, late for 2026-10: 1 used, not 0', 250n],
    ])
  })

  test('and what was invoiced before it add up to what the month comes to with it', () => {
    fc.assert(
      fc.property(anyPrice, quantity, quantity, (terms, before, after) => {
        const prices = [calls(terms)]
        const sum = (aggregates: RateInput['aggregates'], month: string) =>
          rate({ prices, aggregates, month, currency: 'USD' }).reduce((total, { amount }) => total + amount, 0n)
        const first = sum([used(before)], '2026-10')
        const adjustment = sum([late(after, before)], '2026-11')
        expect(first + adjustment).toBe(sum([used(after)], '2026-10'))
      }),
    )
  })
})

const millionths = (units: number) => String(Decimal.ofUnits(BigInt(units), 6))
const quantity = fc.oneof(
  fc.integer({ min: 0, max: 300 }).map(String),
  fc.integer({ min: 0, max: 300_000_000 }).map(millionths),
)
const unitAmount = fc.integer({ min: 0, max: 2_000_000 }).map(millionths)
const free = fc.option(fc.integer({ min: 0, max: 100 }).map(String), { nil: undefined })
const tiers = fc
  .tuple(
    fc.uniqueArray(fc.integer({ min: 1, max: 250 }), { maxLength: 4 }),
    fc.array(fc.tuple(unitAmount, fc.option(unitAmount, { nil: undefined })), { minLength: 5, maxLength: 5 }),
  )
  .map(([limits, amounts]) =>
    [...limits.toSorted((a, b) => a - b).map(String), null].map((up_to, index) => {
      const [unit_amount, flat_amount] = amounts[index] ?? ['0', undefined]
      return { up_to, unit_amount, flat_amount }
    }),
  )
const anyPrice: fc.Arbitrary<PriceTerms> = fc.oneof(
  fc.record({ free_units: free, unit_amount: unitAmount }).map((terms) => ({ model: 'per_unit' as const, terms })),
  fc.record({ free_units: free, tiers }).map((terms) => ({ model: 'graduated' as const, terms })),
  fc.record({ free_units: free, tiers }).map((terms) => ({ model: 'volume' as const, terms })),
  fc
    .record({ free_units: free, package_size: fc.integer({ min: 1, max: 90 }).map(String), package_amount: unitAmount })
    .map((terms) => ({ model: 'package' as const, terms })),
)

describe('every price', () => {
  test('of nothing is nothing, and is never below 0', () => {
    fc.assert(
      fc.property(anyPrice, quantity, (price, amount) => {
        expect(comesTo(price, '0')).toBe('0')
        expect(priceOf(price, Decimal.of(amount)).amount.isNegative).toBe(false)
      }),
    )
  })

  test('that shows a unit price is that price times the quantity, rounded once', () => {
    fc.assert(
      fc.property(anyPrice, quantity, (terms, amount) => {
        for (const line of november({ prices: [calls(terms)], aggregates: [used(amount)] })) {
          if (line.unitPrice === null) continue
          expect(line.quantity.times(line.unitPrice).rounded(2)).toBe(line.amount)
        }
      }),
    )
  })

  test('but volume never falls when more is used', () => {
    fc.assert(
      fc.property(anyPrice, quantity, quantity, (price, a, b) => {
        fc.pre(price.model !== 'volume')
        const [less, more] = [Decimal.of(a), Decimal.of(b)].toSorted((x, y) => x.compare(y)) as [Decimal, Decimal]
        expect(priceOf(price, more).amount.compare(priceOf(price, less).amount)).toBeGreaterThanOrEqual(0)
      }),
    )
  })
})
