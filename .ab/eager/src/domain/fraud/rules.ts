import { type Anomaly, anomalyOf } from './anomaly.ts'
import { type Attempted, type Facts, RAPID_MINUTES } from './facts.ts'

/**
 * Why a request may not be the user's own, or not honest. Each rule says how much it weighs here: 0 when it does not apply.
 * Weights are combined as independent reasons are: score = 1 − Π(1 − weight).
 */
interface Rule {
  readonly weighs: (facts: Facts, asked: Attempted, anomaly: Anomaly) => number
  readonly says: (facts: Facts, asked: Attempted, anomaly: Anomaly) => string
}

/**
 * From this score on a person looks first. What happens to everybody at times stays below: a large payment from a new
 * phone, in a new town, at night, is 0.49; fifty times the usual, large, from an updated browser, is 0.597. Six requests
 * within minutes of which one is large are 0.615; all of a day's deposits taken out again from a device and a network that
 * the user never had are 0.63 if that is a large amount.
 */
export const SUSPICIOUS_FROM = 0.6

/** The door lets a person begin five deposits in five minutes: more than that in ten is not a checkout gone wrong. */
const RAPID = 5
/** Four times that is no person at all. */
const STORM = 20

/** Of what one transaction may be. */
const LARGE_PERCENT = 80n

/** Before so many payments there are no habits to break. */
const HABITS_FROM = 3
const HOURS_KNOWN_FROM = 20
const AMOUNTS_KNOWN_FROM = 5

/** Scales above a user's usual amounts: beyond three, chance is about one in a hundred while little is known. */
const UNUSUAL_FROM = 3

/** A card, an account and UPI are one person; four methods a day are rarely, seven are stolen cards being tried. */
const MANY_METHODS = 3
const TRIED_METHODS = 6

/** Of a day's deposits that a withdrawal takes out again. */
const ROUND_TRIP_PERCENT = 90n

export const rules = {
  rapid_successive_transactions: {
    weighs: ({ recent }) => (recent + 1 > STORM ? 0.8 : recent + 1 > RAPID ? 0.45 : 0),
    says: ({ recent }) => `${recent + 1} requests within ${RAPID_MINUTES} minutes`,
  },
  large_amount: {
    weighs: (_facts, { amount, limit }) => (amount * 100n >= limit * LARGE_PERCENT ? 0.3 : 0),
    says: () => `At least ${LARGE_PERCENT} % of what one transaction may be`,
  },
  unusual_amount: {
    weighs: (_facts, _asked, { seen, z, score }) =>
      seen >= AMOUNTS_KNOWN_FROM && z >= UNUSUAL_FROM ? Math.min(0.7 * score, 0.36) : 0,
    says: (_facts, _asked, { seen, z }) =>
      `${z.toFixed(1)} scales above what this user moves, learned from ${seen} payments`,
  },
  new_device: {
    weighs: ({ trusted, knowsDevice }) => (trusted >= HABITS_FROM && knowsDevice === false ? 0.1 : 0),
    says: () => 'None of the user’s payments came from this software',
  },
  new_ip: {
    weighs: ({ trusted, knowsNetwork }) => (trusted >= HABITS_FROM && knowsNetwork === false ? 0.1 : 0),
    says: () => 'None of the user’s payments came from this network',
  },
  unusual_hour: {
    weighs: ({ trusted, knowsHour }) => (trusted >= HOURS_KNOWN_FROM && !knowsHour ? 0.1 : 0),
    says: () => 'The user has never paid about this time of day',
  },
  many_payment_methods: {
    weighs: ({ methods }) => (methods > TRIED_METHODS ? 0.7 : methods > MANY_METHODS ? 0.4 : 0),
    says: ({ methods }) => `${methods} different methods within a day`,
  },
  round_trip: {
    weighs: ({ deposited }, { type, amount }) =>
      type === 'withdrawal' && deposited > 0n && amount * 100n >= deposited * ROUND_TRIP_PERCENT ? 0.35 : 0,
    says: () => 'Takes out what was paid in within the last day',
  },
} as const satisfies { readonly [indicator: string]: Rule }

export type Indicator = keyof typeof rules

/** One rule that applied. */
export interface Reason {
  readonly indicator: Indicator
  readonly weight: number
  readonly says: string
}

export interface Verdict {
  readonly score: number
  readonly suspicious: boolean
  readonly reasons: readonly Reason[]
  readonly anomaly: Anomaly
}

/** What the rules make of a request. Computes only: the same facts give the same verdict. */
export function judge(facts: Facts, asked: Attempted): Verdict {
  const anomaly = anomalyOf(facts.profile, asked.amount, asked.limit)
  const reasons = (Object.keys(rules) as Indicator[]).flatMap((indicator): Reason[] => {
    const rule: Rule = rules[indicator]
    const weight = rule.weighs(facts, asked, anomaly)
    return weight === 0 ? [] : [{ indicator, weight, says: rule.says(facts, asked, anomaly) }]
  })
  const score = 1 - reasons.reduce((left, { weight }) => left * (1 - weight), 1)
  return { score, suspicious: score >= SUSPICIOUS_FROM, reasons, anomaly }
}
