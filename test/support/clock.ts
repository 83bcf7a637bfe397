import type { Clock } from '../../src/kit/clock.ts'

/** Real time, moved by hand: it goes on by itself, and jumps when it is told to. */
export class MovableClock implements Clock {
  #aheadMs = 0

  now(): Date {
    return new Date(Date.now() + this.#aheadMs)
  }

  advance({ seconds }: { seconds: number }): void {
    this.#aheadMs += seconds * 1_000
  }
}
