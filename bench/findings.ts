/** What one process used for one operation, in microseconds of processor: holds better than rates on a busy machine. */
export type CpuMicros = Readonly<Record<string, number>>

export interface LatencyMs {
  readonly p50: number
  readonly p99: number
  readonly p999?: number
}

/** One thing under one condition; medians over the rounds. */
export interface Measure {
  readonly what: string
  readonly condition?: string
  /** Operations that had their outcome, for each second from the first request to the last outcome. */
  readonly perSecond?: number
  /** The slowest and the quickest round of `perSecond`: how far this machine let the rounds differ. */
  readonly range?: readonly [slowest: number, quickest: number]
  /** Requests answered, for each second of the load. */
  readonly acceptedPerSecond?: number
  /** Of single requests: under the load that `perSecond` was measured with, or as the condition says. */
  readonly latency?: LatencyMs
  /** From request to outcome when nobody else asks. */
  readonly idleP50Ms?: number
  readonly cpuMicros?: CpuMicros
}

/** A line of the table of promises: a ratio within this run, milliseconds, or so many a second where the promise is one of digits. */
export interface Verdict {
  /** Stable, for whoever reads the JSON. */
  readonly id: string
  readonly what: string
  readonly against: string
  /** Both in a few words, for the chart. */
  readonly brief: string
  readonly target: { readonly atLeast: number } | { readonly atMost: number }
  readonly unit: '×' | 'ms' | '/s'
  readonly measured: number
  readonly kept: boolean
}

export interface Findings {
  readonly measures: readonly Measure[]
  readonly verdicts: readonly Verdict[]
}

/** A promise that something is at least so many times something else. */
export function atLeast(
  ratio: number,
  verdict: Pick<Verdict, 'id' | 'what' | 'against' | 'brief' | 'measured'>,
): Verdict {
  const measured = rounded(verdict.measured)
  return { ...verdict, target: { atLeast: ratio }, unit: '×', measured, kept: measured >= ratio }
}

/** A promise that something takes at most so many milliseconds. */
export function withinMs(
  limit: number,
  verdict: Pick<Verdict, 'id' | 'what' | 'against' | 'brief' | 'measured'>,
): Verdict {
  const measured = rounded(verdict.measured)
  return { ...verdict, target: { atMost: limit }, unit: 'ms', measured, kept: measured <= limit }
}

/** A promise that at least so many are done in a second, on two cores: the machine is part of it. */
export function perSecond(
  least: number,
  verdict: Pick<Verdict, 'id' | 'what' | 'against' | 'brief' | 'measured'>,
): Verdict {
  const measured = Math.round(verdict.measured)
  return { ...verdict, target: { atLeast: least }, unit: '/s', measured, kept: measured >= least }
}

/** Two decimals: more is noise. */
const rounded = (value: number): number => Math.round(value * 100) / 100

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length === 0) return Number.NaN
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

/** The value that `share` of the values do not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}
