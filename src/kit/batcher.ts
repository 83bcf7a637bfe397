export interface BatcherOptions<Item, Result> {
  /** Does the work of a whole batch and answers in the batch's order. An error is everybody's answer. */
  readonly flush: (items: readonly Item[]) => Promise<readonly Result[]>
  readonly maxBatch: number
  /** How many may wait before newcomers are turned away: bounds memory and waiting time. */
  readonly maxWaiting: number
  /** How many batches may be on their way at once. */
  readonly maxFlying: number
  readonly turnedAway: () => Error
}

interface Waiter<Item, Result> {
  readonly item: Item
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

/**
 * Gathers what arrives within one turn of the event loop, or while earlier batches are on their way, and does it at once.
 * An idle batcher adds no more than that turn to the time of a single item.
 */
export class Batcher<Item, Result> {
  readonly #options: BatcherOptions<Item, Result>
  #waiting: Waiter<Item, Result>[] = []
  #flying = 0
  #scheduled = false
  #idle: (() => void)[] = []

  constructor(options: BatcherOptions<Item, Result>) {
    this.#options = options
  }

  get waiting(): number {
    return this.#waiting.length
  }

  add(item: Item): Promise<Result> {
    if (this.#waiting.length >= this.#options.maxWaiting) return Promise.reject(this.#options.turnedAway())
    return new Promise<Result>((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject })
      this.#schedule()
    })
  }

  /** Resolves when everything that was added has been answered. */
  drain(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  #isIdle(): boolean {
    return this.#waiting.length === 0 && this.#flying === 0
  }

  #schedule(): void {
    if (this.#scheduled || this.#flying >= this.#options.maxFlying) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      void this.#fly()
    })
  }

  async #fly(): Promise<void> {
    if (this.#waiting.length === 0 || this.#flying >= this.#options.maxFlying) return
    const batch = this.#waiting.splice(0, this.#options.maxBatch)
    this.#flying += 1
    if (this.#waiting.length > 0) this.#schedule()
    let answer: (waiter: Waiter<Item, Result>, index: number) => void
    try {
      const results = await this.#options.flush(batch.map(({ item }) => item))
      answer = ({ resolve }, index) => resolve(results[index] as Result)
    } catch (error) {
      answer = ({ reject }) => reject(error)
    }
    this.#flying -= 1
    // The next batch goes off before this one's callers are told: they take the processor while it is on its way.
    void this.#fly()
    batch.forEach(answer)
    if (this.#isIdle()) for (const tell of this.#idle.splice(0)) tell()
  }
}
