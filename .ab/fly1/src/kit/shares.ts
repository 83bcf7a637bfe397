import { assert } from './assert.ts'

/**
 * Divides a whole in proportion to weights, so that the shares add up to it: each gets its part rounded down, and what is
 * left goes, one by one, to those who lost most; of equals to the first.
 */
export function shares(whole: bigint, weights: readonly bigint[]): bigint[] {
  const sum = weights.reduce((total, weight) => total + weight, 0n)
  assert(whole >= 0n && weights.every((weight) => weight >= 0n), 'Only what is not below 0 is shared')
  assert(sum > 0n || whole === 0n, `There is nobody to share ${whole} among`)
  if (sum === 0n) return weights.map(() => 0n)
  const parts = weights.map((weight) => (whole * weight) / sum)
  const left = whole - parts.reduce((total, part) => total + part, 0n)
  const byLoss = weights
    .map((weight, index) => ({ index, lost: (whole * weight) % sum }))
    .sort((a, b) => (a.lost === b.lost ? a.index - b.index : a.lost < b.lost ? 1 : -1))
  for (const { index } of byLoss.slice(0, Number(left))) parts[index] = (parts[index] ?? 0n) + 1n
  return parts
}
