/** Where time comes from. Tests hand in one that they move by hand, so that nothing has to sleep. */
export interface Clock {
  now(): Date
}

export const systemClock: Clock = { now: () => new Date() }
