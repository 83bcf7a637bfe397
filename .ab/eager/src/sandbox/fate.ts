import type { Moods } from './moods.ts'

/** What becomes of something that a stand-in is asked for. */
export interface Fate<Status> {
  readonly status: Status
  /** The stand-in's word for why: a code, or a sentence. */
  readonly said?: string
  /** What it becomes after `LATER_SECONDS`. */
  readonly later?: { readonly status: Status; readonly said?: string }
  /** One minor unit more is taken than was asked. */
  readonly wrongAmount?: true
}

/** Seconds of `POST /_time` after which what was pending is settled. */
export const LATER_SECONDS = 60

/** The fate of an instrument, unless a mood has another in store. */
export function fateOf<Status>(
  moods: Moods,
  call: string,
  fate: Fate<Status>,
  moody: { fails: Fate<Status>; waits: Fate<Status> },
): Fate<Status> {
  switch (moods.take(call, 'wrong_amount', 'late_failure', 'stay_pending')?.does) {
    case 'wrong_amount':
      return { ...fate, wrongAmount: true }
    case 'late_failure':
      return moody.fails
    case 'stay_pending':
      return moody.waits
    default:
      return fate
  }
}
