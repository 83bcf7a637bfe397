import type { Backend } from './deployment.ts'
import { type FaultName, faultNamed, faultNames } from './faults.ts'
import type { Dice } from './random.ts'

/** One fault to come: what, to whom, when (milliseconds from the start), for how long, how bad. */
export interface PlannedFault {
  readonly at: number
  readonly fault: FaultName
  readonly target: string
  readonly lasts: number
  readonly force: number
}

/** Milliseconds between two faults: many overlap, and some find the system well. */
const CLOSEST_MS = 400
const FARTHEST_MS = 2_000

export interface Wanted {
  readonly backend: Backend
  readonly count: number
  /** How close they follow each other: 1 as the constants say, less is closer. */
  readonly pace: number
}

/** All faults of a run. They depend on the seed and on what is asked for, and on nothing that happens. */
export function planFaults(dice: Dice, { backend, count, pace }: Wanted): PlannedFault[] {
  const possible = faultNames
    .map((name) => ({ name, weight: faultNamed(name).weight, targets: faultNamed(name).targets(backend) }))
    .filter(({ targets }) => targets.length > 0)
  const planned: PlannedFault[] = []
  let at = 0
  for (let n = 0; n < count; n++) {
    at += Math.round(pace * dice.between(CLOSEST_MS, FARTHEST_MS))
    const { name, targets } = dice.weighted(possible)
    const [shortest, longest] = faultNamed(name).lasts
    planned.push({
      at,
      fault: name,
      target: dice.pick(targets),
      lasts: dice.between(shortest, longest),
      force: dice.next(),
    })
  }
  return planned
}
