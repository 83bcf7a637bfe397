import { type Loading, Packing, type Traveller } from './envelope.ts'

/** Commits that a job with room in it waits for after its first: under full load that is some tens of milliseconds. */
const MOST_WAITS = 3

/**
 * The jobs of a process that takes operations in, until they leave. While others already wait for the next commit, a job
 * that has room waits for them: a job costs the queue and the worker the same however many travel in it. When nobody waits,
 * as on an idle system, it leaves at once.
 */
export class Departures<T extends Traveller> {
  readonly #packing = new Packing<T>()
  /** How many commits each has waited for. */
  readonly #waits = new Map<Loading<T>, number>()

  /** The job that each will travel in. Whoever is committed is put on its load. */
  assign(travellers: readonly T[]): { readonly traveller: T; readonly job: Loading<T> }[] {
    return travellers.map((traveller) => {
      const job = this.#packing.place(traveller)
      if (!this.#waits.has(job)) this.#waits.set(job, 0)
      return { traveller, job }
    })
  }

  /** The jobs that leave now; one that nobody was committed for is dropped. */
  leave(othersWait: boolean): Loading<T>[] {
    const leaving: Loading<T>[] = []
    for (const [job, waits] of this.#waits) {
      if (othersWait && waits < MOST_WAITS && this.#packing.hasRoom(job)) {
        this.#waits.set(job, waits + 1)
        continue
      }
      this.#packing.close(job)
      this.#waits.delete(job)
      if (job.load.length > 0) leaving.push(job)
    }
    return leaving
  }
}
