/** One look at something that should not grow. */
export interface Sample {
  /** Seconds since the first. */
  readonly at: number
  readonly value: number
}

export interface Trend {
  /** What it grows by in a second: the median of the slopes between all pairs, which no outlier moves (Theil and Sen). */
  readonly slope: number
  /** It grows by at least this, but for one chance in two hundred (Sen's interval, by the variance of Kendall's S). */
  readonly least: number
}

/** Standard deviations that one sample in two hundred exceeds. */
const Z = 2.576

/** How fast something grows, from at least two samples at different times. */
export function trendOf(samples: readonly Sample[]): Trend {
  const slopes: number[] = []
  for (const [n, later] of samples.entries())
    for (const earlier of samples.slice(0, n))
      if (later.at > earlier.at) slopes.push((later.value - earlier.value) / (later.at - earlier.at))
  if (slopes.length === 0) throw new Error('A trend takes two samples')
  slopes.sort((a, b) => a - b)
  const n = samples.length
  const spread = Z * Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18)
  const lowest = Math.max(0, Math.floor((slopes.length - spread) / 2))
  return { slope: medianOfSorted(slopes), least: slopes[lowest] ?? 0 }
}

export const median = (values: readonly number[]): number => medianOfSorted([...values].sort((a, b) => a - b))

function medianOfSorted(sorted: readonly number[]): number {
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2
}
