import type { Envelope } from './envelope.ts'
import type { QueueName } from './kind.ts'

/** What the spine needs of a queue: two backends speak it, and nothing else knows which one is there. */
export interface Messenger {
  /** Sends jobs. Rejects when the queue cannot be reached; sending an id that the queue still knows does nothing. */
  send(queue: QueueName, envelopes: readonly Envelope[]): Promise<void>
  /** Which of these jobs the queue still means to run, and which it has given up. All others it does not know. */
  fates(queue: QueueName, jobIds: readonly string[]): Promise<Map<string, 'live' | 'failed'>>
}

/** Beyond this many sends on their way the queue is unwell: operations stay in PostgreSQL and the relay brings them later. */
const MAX_FLYING = 256

export interface DispatchLog {
  warn(details: object, message: string): void
}

/** Hands jobs to the queue without ever making a caller wait or fail: what cannot be sent now is the relay's. */
export class Dispatcher {
  readonly #messenger: Messenger
  readonly #log: DispatchLog
  #flying = 0
  /** Jobs that were left to the relay since the process started. */
  leftBehind = 0

  constructor(messenger: Messenger, log: DispatchLog) {
    this.#messenger = messenger
    this.#log = log
  }

  /** Resolves when all are sent or left behind, and never rejects: whoever has a caller to answer does not wait for it. */
  async send(envelopes: readonly Envelope[]): Promise<void> {
    const byQueue = Map.groupBy(envelopes, ({ queue }) => queue)
    await Promise.all([...byQueue].map(([queue, jobs]) => this.#sendTo(queue, jobs)))
  }

  async #sendTo(queue: QueueName, jobs: readonly Envelope[]): Promise<void> {
    if (this.#flying >= MAX_FLYING) {
      this.leftBehind += jobs.length
      return
    }
    this.#flying += 1
    try {
      await this.#messenger.send(queue, jobs)
    } catch (error) {
      this.leftBehind += jobs.length
      this.#log.warn({ err: error, queue, jobs: jobs.length }, 'Jobs could not be sent; the relay will bring them')
    } finally {
      this.#flying -= 1
    }
  }
}
