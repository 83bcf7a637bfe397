/*
 * What is learned of each user: how large their deposits and withdrawals are, per currency. A streaming method, so that
 * nothing is trained and nothing is scanned: three numbers per user, type and currency, updated with every payment that was
 * let through (Welford's online mean and variance, here of x = ln(amount)). Amounts are spread like logarithms: twice as
 * much is the same step at ten rupees as at ten thousand.
 *
 * New users are judged by a prior instead of by nothing. With n payments of mean m and squared distances S, the normal
 * distribution with unknown mean and variance and a normal-inverse-gamma prior (μ0, κ0, α0, β0) predicts the next x as
 *
 *   μ = (κ0·μ0 + n·m) / (κ0 + n)                              centre
 *   β = β0 + S/2 + κ0·n·(m − μ0)² / (2·(κ0 + n))
 *   s = √( β·(κ0 + n + 1) / ((α0 + n/2)·(κ0 + n)) )           scale of Student's t
 *   z = (x − μ) / s                                           how far above, in scales
 *
 * and the anomaly is z² / (z² + 9) for z > 0, else 0: a half at three scales, near 1 far beyond. Only what is larger than
 * usual can be worth a look.
 */

/** What a user's payments of one type and currency have taught. `squares`: summed squared distances from the mean. */
export interface Profile {
  readonly seen: number
  readonly mean: number
  readonly squares: number
}

export const UNSEEN: Profile = { seen: 0, mean: 0, squares: 0 }

export interface Anomaly {
  /** 0 (usual, or less) to 1. */
  readonly score: number
  /** How many scales above the centre. */
  readonly z: number
  /** Payments that it was learned from. */
  readonly seen: number
}

/** A prior weighs as much as two payments: it guides the first few, and is outvoted by a week of use. */
const PRIOR_WEIGHT = 2

/** Before anything is known, a tenth of what one transaction may be is expected… */
const PRIOR_SHARE_OF_LIMIT = 0.1

/** …give or take a factor of four; so the whole limit at once, as the first payment, is 1.4 scales up. */
const PRIOR_SPREAD = Math.log(4)
const PRIOR_SHAPE = 2

/** z at which the score is a half. */
const HALF_AT = 3

/** Beyond this many payments old ones fade, so that people may change their ways: a mean over about a year of weekly use. */
const MEMORY = 60

/** `limit`: what one transaction of this user may be at most, in the same minor units. */
export function anomalyOf(profile: Profile, amount: bigint, limit: bigint): Anomaly {
  const { seen, mean, squares } = profile
  const priorMean = Math.log(Number(limit) * PRIOR_SHARE_OF_LIMIT)
  const weight = PRIOR_WEIGHT + seen
  const centre = (PRIOR_WEIGHT * priorMean + seen * mean) / weight
  const rate =
    PRIOR_SHAPE * PRIOR_SPREAD ** 2 + squares / 2 + (PRIOR_WEIGHT * seen * (mean - priorMean) ** 2) / (2 * weight)
  const scale = Math.sqrt((rate * (weight + 1)) / ((PRIOR_SHAPE + seen / 2) * weight))
  const z = Math.max(0, (Math.log(Number(amount)) - centre) / scale)
  return { score: z ** 2 / (z ** 2 + HALF_AT ** 2), z, seen: Math.round(seen) }
}

/** The profile after one more payment. */
export function learned(profile: Profile, amount: bigint): Profile {
  const x = Math.log(Number(amount))
  const kept = Math.min(profile.seen, MEMORY - 1)
  const squaresKept = profile.seen > kept ? (profile.squares * kept) / profile.seen : profile.squares
  const seen = kept + 1
  const step = x - profile.mean
  const mean = profile.mean + step / seen
  return { seen, mean, squares: squaresKept + step * (x - mean) }
}
