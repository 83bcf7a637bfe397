import { assert } from './assert.ts'

/** What can be counted. The scale is the number of decimals of the minor unit: USD 2 means that amounts are cents. */
export const assets = {
  BUDGET: { scale: 0 },
  COIN: { scale: 0 },
  CREDIT: { scale: 0 },
  USD: { scale: 2 },
  EUR: { scale: 2 },
  INR: { scale: 2 },
  NGN: { scale: 2 },
  JPY: { scale: 0 },
  KWD: { scale: 3 },
  USDC: { scale: 6 },
} as const satisfies Record<string, { scale: number }>

export type Asset = keyof typeof assets

/** Minor units, never negative, never mixed with a bare bigint. */
export type Amount = bigint & { readonly __brand: 'Amount' }

/** The largest amount that fits the books (PostgreSQL's bigint). */
export const MAX_AMOUNT = 9_223_372_036_854_775_807n

/** Minor units from a parsed value. A negative or oversized one is a bug here: the door has already refused it. */
export function amount(minorUnits: bigint | number | string): Amount {
  const value = BigInt(minorUnits)
  assert(value >= 0n && value <= MAX_AMOUNT, `Not an amount: ${value}`)
  return value as Amount
}

export const plus = (a: Amount, b: Amount): Amount => amount(a + b)
export const minus = (a: Amount, b: Amount): Amount => amount(a - b)

export function smallest(first: bigint, ...others: readonly bigint[]): bigint {
  let least = first
  for (const value of others) if (value < least) least = value
  return least
}

/** Does what is there cover what is wanted? */
export const covers = (available: bigint, wanted: Amount): boolean => available >= wanted

/** Decimal digits, no sign, no exponent: what a person would write on a form. */
const DECIMAL = /^(\d{1,19})(?:\.(\d{1,18}))?$/

/**
 * Minor units of a decimal number or text such as 1000.5 or "1000.50", exactly. `malformed` also for numbers that JSON
 * writes with an exponent or a sign; `too precise` where the currency has fewer decimals than are given.
 */
export function parseDecimal(
  written: number | string,
  asset: Asset,
): Amount | 'malformed' | 'too precise' | 'too large' {
  const [, whole, decimals = ''] = DECIMAL.exec(typeof written === 'number' ? String(written) : written.trim()) ?? []
  if (whole === undefined) return 'malformed'
  const { scale } = assets[asset]
  const significant = decimals.replace(/0+$/, '')
  if (significant.length > scale) return 'too precise'
  const value = BigInt(whole + significant.padEnd(scale, '0'))
  return value > MAX_AMOUNT ? 'too large' : (value as Amount)
}

/** `1500.00`: with the decimals of the asset, and two at least. */
export function toDecimal(value: bigint, asset: Asset): string {
  const { scale } = assets[asset]
  const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, '0')
  const whole = digits.slice(0, digits.length - scale)
  const decimals = digits.slice(digits.length - scale).padEnd(2, '0')
  return `${value < 0n ? '-' : ''}${whole}.${decimals}`
}

export const isAsset = (name: string): name is Asset => Object.hasOwn(assets, name)

/** For wires that carry amounts as JSON integers. The door lets nothing in that a double cannot hold exactly. */
export function toJsonInteger(value: bigint): number {
  const number = Number(value)
  assert(Number.isSafeInteger(number), `Too large for a JSON integer: ${value}`)
  return number
}
