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

/** Does what is there cover what is wanted? */
export const covers = (available: bigint, wanted: Amount): boolean => available >= wanted

/** For wires that carry amounts as JSON integers. The door lets nothing in that a double cannot hold exactly. */
export function toJsonInteger(value: bigint): number {
  const number = Number(value)
  assert(Number.isSafeInteger(number), `Too large for a JSON integer: ${value}`)
  return number
}
