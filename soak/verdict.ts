import { KEPT_COMPLETED } from '../src/platform/queue.ts'
import { median, type Sample, type Trend, trendOf } from './trend.ts'

/** What a series counts, and so how much of its growth is no leak. */
export type Measure = 'heap' | 'resident' | 'rows'

interface Tolerance {
  /** For each operation that was carried out meanwhile. */
  readonly perOperation: number
  /** Whatever was carried out: code that is compiled late, caches that fill. */
  readonly anyway: number
  /** Of the level: pages that an allocator keeps for later. */
  readonly ofLevel: number
}

/**
 * An operation's request, row, job and answer are more than 1,600 bytes together, so 8 bytes are half a percent of what
 * passes through: whoever forgets to let go of one in a hundred is found. The emptiest entry of a Map is 50 bytes.
 */
const PER_OPERATION_BYTES = 8

const MEBIBYTE = 1_048_576

const tolerances: { readonly [measure in Measure]: Tolerance } = {
  /** After a collection, so there is nothing in it that somebody does not hold. */
  heap: { perOperation: PER_OPERATION_BYTES, anyway: 2 * MEBIBYTE, ofLevel: 0 },
  /** Whole pages, of which some hold nothing. */
  resident: { perOperation: PER_OPERATION_BYTES, anyway: 4 * MEBIBYTE, ofLevel: 0.05 },
  /** A queue may still fill up with the finished jobs that it keeps, and the limits of callers live for a minute. */
  rows: { perOperation: 0.005, anyway: 3 * KEPT_COMPLETED.count, ofLevel: 0.02 },
}

/** Fewer say nothing about a trend. */
const LEAST_SAMPLES = 12

/** A run shorter than five minutes warms up for a fifth of itself: caches fill and code is compiled. */
export const WARM_UP_SECONDS = 60
/** Whatever the clock says: what is kept of the newest so many jobs and callers has to fill up first. */
export const WARM_UP_OPERATIONS = 20_000

export const warmUpOf = (seconds: number): number => Math.min(WARM_UP_SECONDS, seconds / 5)

export interface Verdict extends Trend {
  readonly flat: boolean
  readonly samples: number
  readonly first: number
  readonly last: number
  readonly level: number
  /** What it may have grown by in this time, and what it surely has. */
  readonly tolerated: number
  readonly grown: number
}

/**
 * Flat is what has surely not grown by more than is tolerated, «surely» being 199 in 200: noise passes, and so does a
 * sawtooth of some periods. `samples` are those after the warm-up, `operations` what was carried out meanwhile.
 */
export function verdictOn(measure: Measure, samples: readonly Sample[], operations: number): Verdict | undefined {
  const [first, last] = [samples[0], samples.at(-1)]
  if (first === undefined || last === undefined || samples.length < LEAST_SAMPLES) return undefined
  const trend = trendOf(samples)
  const level = median(samples.map(({ value }) => value))
  const { perOperation, anyway, ofLevel } = tolerances[measure]
  const tolerated = perOperation * operations + anyway + ofLevel * level
  const grown = trend.least * (last.at - first.at)
  return {
    ...trend,
    ...{ flat: grown <= tolerated, samples: samples.length, level, tolerated, grown },
    ...{ first: first.value, last: last.value },
  }
}
