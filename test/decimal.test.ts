import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Decimal } from '../src/kit/decimal.ts'

const decimal = (written: string) => Decimal.of(written)

/** Any number of thousandths, and the text for it. */
const thousandths = fc.bigInt({ min: -(10n ** 24n), max: 10n ** 24n })
const ofThousandths = (units: bigint) => Decimal.ofUnits(units, 3)

describe('a decimal', () => {
  test.each([
    ['0', '0'],
    ['-0.000', '0'],
    ['+12.500', '12.5'],
    ['-0.05', '-0.05'],
    ['007.0100', '7.01'],
    ['123456789012345678901234.000000001', '123456789012345678901234.000000001'],
  ])('%s is written %s', (written, shortest) => {
    expect(String(decimal(written))).toBe(shortest)
    expect(JSON.stringify({ of: decimal(written) })).toBe(`{"of":"${shortest}"}`)
  })

  test.each(['', '.5', '5.', '1e3', '1,5', ' 1', '0x1', 'NaN'])('%j is none', (written) => {
    expect(() => decimal(written)).toThrow('Not a decimal number')
  })

  test('means the same however many zeros it was written with', () => {
    expect(decimal('1.50').equals(decimal('1.5'))).toBe(true)
    expect(decimal('1.50').isLessThan(decimal('1.500001'))).toBe(true)
    expect(decimal('-2').compare(decimal('-1.9'))).toBe(-1)
  })

  test('never loses anything: 0.1 + 0.2 is 0.3, and a third power has all its digits', () => {
    expect(String(decimal('0.1').plus(decimal('0.2')))).toBe('0.3')
    expect(String(decimal('0.001').times(decimal('0.001')).times(decimal('0.001')))).toBe('0.000000001')
    expect(String(decimal('1').minus(decimal('1.000000000000000001')))).toBe('-0.000000000000000001')
  })

  test('adds, subtracts, multiplies and compares as whole numbers of its finest unit do', () => {
    fc.assert(
      fc.property(thousandths, thousandths, (a, b) => {
        const [x, y] = [ofThousandths(a), ofThousandths(b)]
        expect(String(x.plus(y))).toBe(String(ofThousandths(a + b)))
        expect(String(x.minus(y))).toBe(String(ofThousandths(a - b)))
        expect(String(x.times(y))).toBe(String(Decimal.ofUnits(a * b, 6)))
        expect(x.compare(y)).toBe(a < b ? -1 : a > b ? 1 : 0)
        expect(Decimal.of(String(x)).equals(x)).toBe(true)
      }),
    )
  })
})

describe('rounding', () => {
  test.each([
    ['0.004', 0n],
    ['0.005', 1n],
    ['0.00499999999', 0n],
    ['1.015', 102n],
    ['2', 200n],
    ['-0.005', -1n],
    ['-0.004', 0n],
    ['-1.015', -102n],
  ])('%s dollars are %s cents', (written, cents) => {
    expect(decimal(written).rounded(2)).toBe(cents)
  })

  test('goes to the nearest unit, and half of one away from zero', () => {
    fc.assert(
      fc.property(thousandths, (units) => {
        const cents = ofThousandths(units).rounded(2)
        const off = units - cents * 10n
        expect(off >= -5n && off <= 5n).toBe(true)
        if (off === 5n) expect(units < 0n).toBe(true)
        if (off === -5n) expect(units > 0n).toBe(true)
      }),
    )
  })

  test('takes back with a credit exactly what its charge was', () => {
    fc.assert(
      fc.property(thousandths, (units) => {
        const charge = ofThousandths(units)
        expect(charge.rounded(2) + charge.negated().rounded(2)).toBe(0n)
      }),
    )
  })
})

describe('wholes', () => {
  test.each([
    ['0', '100', 0n],
    ['0.000001', '100', 1n],
    ['100', '100', 1n],
    ['100.000001', '100', 2n],
    ['250', '100', 3n],
    ['1', '0.3', 4n],
  ])('%s fit into packages of %s: %s of them', (quantity, size, packages) => {
    expect(decimal(quantity).inWholes(decimal(size))).toBe(packages)
  })

  test('of nothing, or of less than nothing, are a bug', () => {
    expect(() => decimal('1').inWholes(Decimal.zero)).toThrow('No number of 0 holds 1')
    expect(() => decimal('-1').inWholes(Decimal.one)).toThrow('No number of 1 holds -1')
  })
})
