import { type OperationView, settledOperations } from '../jobs/operation-reads.ts'
import type { Sql } from '../kit/sql.ts'

/** Milliseconds between looks: at first often, for whoever asks an idle system; then an eighth of the time waited so far. */
const SHORTEST_LOOK_MS = 1
const LONGEST_LOOK_MS = 100

/** Waiters who are looked for that often. A look at more costs more and comes as much later, or looks would cost more than the work. */
const FEW = 16

/** Ids in one look. More waiters take turns. */
const MAX_IDS = 2_000

interface Waiter {
  readonly id: string
  readonly since: number
  readonly tell: (operation: OperationView | undefined) => void
}

/** Callers that wait for outcomes. All of one process share one query, however many they are. */
export class Waiting {
  readonly #sql: Sql
  readonly #waiters = new Set<Waiter>()
  #timer: NodeJS.Timeout | undefined
  #nextLookAt = Infinity
  #looking = false
  #closed = false

  constructor(sql: Sql) {
    this.#sql = sql
  }

  /** The operation once it is final or stuck, or undefined when that takes longer than `ms`. */
  until(id: string, ms: number): Promise<OperationView | undefined> {
    return new Promise((resolve) => {
      const done = (operation: OperationView | undefined) => {
        clearTimeout(deadline)
        this.#waiters.delete(waiter)
        resolve(operation)
      }
      const waiter: Waiter = { id, since: performance.now(), tell: done }
      const deadline = setTimeout(done, ms, undefined)
      this.#waiters.add(waiter)
      if (this.#closed) waiter.tell(undefined)
      else this.#plan(this.#soonest())
    })
  }

  /** Lets everybody go without an outcome: the process is about to end, and their operations are safe. */
  close(): void {
    this.#closed = true
    for (const waiter of [...this.#waiters]) waiter.tell(undefined)
  }

  /** Brings the next look forward and never puts it off: newcomers must not keep those before them waiting. */
  #plan(ms: number): void {
    const at = performance.now() + ms
    if (this.#looking || at >= this.#nextLookAt) return
    clearTimeout(this.#timer)
    this.#nextLookAt = at
    this.#timer = setTimeout(() => void this.#look(), ms)
  }

  async #look(): Promise<void> {
    this.#looking = true
    this.#nextLookAt = Infinity
    const asked = [...this.#waiters].slice(0, MAX_IDS)
    const settled = await settledOperations(this.#sql, [...new Set(asked.map(({ id }) => id))]).catch(() => [])
    const byId = new Map(settled.map((operation) => [operation.id, operation]))
    for (const waiter of asked) {
      const operation = byId.get(waiter.id)
      if (operation !== undefined) waiter.tell(operation)
      else {
        // To the end of the line, so that everybody has a turn.
        if (this.#waiters.delete(waiter)) this.#waiters.add(waiter)
      }
    }
    this.#looking = false
    if (this.#waiters.size > 0) this.#plan(this.#pause())
  }

  #pause(): number {
    let youngest = 0
    for (const { since } of this.#waiters) youngest = Math.max(youngest, since)
    return Math.max(this.#soonest(), Math.min(LONGEST_LOOK_MS, (performance.now() - youngest) / 8))
  }

  #soonest(): number {
    return Math.min(LONGEST_LOOK_MS, SHORTEST_LOOK_MS * Math.max(1, this.#waiters.size / FEW))
  }
}
