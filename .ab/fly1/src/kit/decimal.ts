import { assert } from './assert.ts'

/** A sign, digits, perhaps decimals: how PostgreSQL writes numeric. */
const DECIMAL = /^([+-]?)(\d+)(?:\.(\d+))?$/

/** An exact decimal number: quantities and unit prices, which are finer than any currency. Never changes. */
export class Decimal {
  /** The value times 10 to the power of `#scale`. */
  readonly #units: bigint
  readonly #scale: number

  static readonly zero = new Decimal(0n, 0)
  static readonly one = new Decimal(1n, 0)

  private constructor(units: bigint, scale: number) {
    this.#units = units
    this.#scale = scale
  }

  /** The number that a text such as `-12.050` stands for. Anything else is a bug: what callers write is checked before. */
  static of(written: string | bigint): Decimal {
    if (typeof written === 'bigint') return new Decimal(written, 0)
    const [, sign, whole, decimals = ''] = DECIMAL.exec(written) ?? []
    assert(whole !== undefined, `Not a decimal number: ${written}`)
    const significant = decimals.replace(/0+$/, '')
    const units = BigInt(whole + significant)
    return new Decimal(sign === '-' ? -units : units, significant.length)
  }

  /** Units that are 10 to the power of `-scale` each: cents, say, with a scale of 2. */
  static ofUnits(units: bigint, scale: number): Decimal {
    return new Decimal(units, scale)
  }

  plus(other: Decimal): Decimal {
    const scale = Math.max(this.#scale, other.#scale)
    return new Decimal(this.#at(scale) + other.#at(scale), scale)
  }

  minus(other: Decimal): Decimal {
    return this.plus(other.negated())
  }

  times(other: Decimal): Decimal {
    return new Decimal(this.#units * other.#units, this.#scale + other.#scale)
  }

  negated(): Decimal {
    return new Decimal(-this.#units, this.#scale)
  }

  /** Below, at or above 0 as this is less than, equal to or more than `other`. */
  compare(other: Decimal): number {
    const scale = Math.max(this.#scale, other.#scale)
    const difference = this.#at(scale) - other.#at(scale)
    return difference < 0n ? -1 : difference > 0n ? 1 : 0
  }

  equals(other: Decimal): boolean {
    return this.compare(other) === 0
  }

  isLessThan(other: Decimal): boolean {
    return this.compare(other) < 0
  }

  get isZero(): boolean {
    return this.#units === 0n
  }

  get isNegative(): boolean {
    return this.#units < 0n
  }

  /** How many whole `size`s it takes to hold this: a part of one counts as one. Not for what is below 0. */
  inWholes(size: Decimal): bigint {
    assert(!this.isNegative && !size.isZero && !size.isNegative, `No number of ${size} holds ${this}`)
    const scale = Math.max(this.#scale, size.#scale)
    const each = size.#at(scale)
    return (this.#at(scale) + each - 1n) / each
  }

  /**
   * The nearest number of units of 10 to the power of `-scale`. What lies in the middle is rounded away from zero, so that
   * a credit takes back exactly what its charge was.
   */
  rounded(scale: number): bigint {
    if (scale >= this.#scale) return this.#at(scale)
    const each = 10n ** BigInt(this.#scale - scale)
    const size = this.#units < 0n ? -this.#units : this.#units
    const nearest = (size + each / 2n) / each
    return this.#units < 0n ? -nearest : nearest
  }

  /** The shortest way to write it: `12.05`, `-3`, `0`. */
  toString(): string {
    const negative = this.#units < 0n
    const digits = (negative ? -this.#units : this.#units).toString().padStart(this.#scale + 1, '0')
    const whole = digits.slice(0, digits.length - this.#scale)
    const decimals = digits.slice(digits.length - this.#scale).replace(/0+$/, '')
    return `${negative ? '-' : ''}${whole}${decimals === '' ? '' : `.${decimals}`}`
  }

  toJSON(): string {
    return this.toString()
  }

  #at(scale: number): bigint {
    return scale === this.#scale ? this.#units : this.#units * 10n ** BigInt(scale - this.#scale)
  }
}

export const larger = (a: Decimal, b: Decimal): Decimal => (a.isLessThan(b) ? b : a)
export const smaller = (a: Decimal, b: Decimal): Decimal => (b.isLessThan(a) ? b : a)
