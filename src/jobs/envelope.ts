import { newId } from '../kit/ids.ts'
import { type KindName, kindNamed } from './catalogue.ts'
import type { Kind, QueueName } from './kind.ts'

/** What a job carries. The ids are all that a worker needs; the preview is for the people who watch the board. */
export interface JobData {
  readonly operations: readonly string[]
  readonly preview: readonly unknown[]
}

/** A job before it is sent. */
export interface Envelope {
  readonly id: string
  readonly queue: QueueName
  readonly kind: KindName
  readonly data: JobData
  readonly attempts: number
}

/** An operation that wants to travel. */
export interface Traveller {
  readonly id: string
  readonly kind: KindName
  readonly input: unknown
}

/** How many inputs a job shows on the board: enough to recognise it, little enough to cost nothing. */
const PREVIEWED = 3

/** The fields whose values are credentials by their nature, whatever kind carries them. */
const CREDENTIALS = new Set(['token_id', 'token'])

/** An input as an operator may see it: sealed fields blanked, credentials cut to what tells them apart. */
export function redacted(kind: Kind, input: unknown): unknown {
  if (input === null || typeof input !== 'object') return input
  const sensitive = kind.sensitive?.input ?? []
  return Object.fromEntries(
    Object.entries(input).map(([field, value]) => {
      if (sensitive.includes(field)) return [field, '<redacted>']
      if (Array.isArray(value) && value.length > PREVIEWED)
        return [field, [...value.slice(0, PREVIEWED), `… ${value.length - PREVIEWED} more`]]
      if (CREDENTIALS.has(field) && typeof value === 'string') return [field, `${value.slice(0, 8)}…`]
      return [field, value]
    }),
  )
}

/** A job that is being packed. */
export interface Loading<T> {
  readonly jobId: string
  readonly kind: KindName
  readonly load: T[]
}

/** Finds operations their jobs: the same kind together, up to the kind's batch, in the order given. */
export class Packing<T extends Traveller> {
  readonly #open = new Map<KindName, { job: Loading<T>; weight: number }>()

  /** The open job of its kind while that has room for it, a new one otherwise. */
  place({ kind, input }: T): Loading<T> {
    const { batch, weigh } = kindNamed(kind)
    const weight = weigh?.(input) ?? 1
    let open = this.#open.get(kind)
    if (open === undefined || open.weight + weight > batch) {
      open = { job: { jobId: newId(), kind, load: [] }, weight: 0 }
      this.#open.set(kind, open)
    }
    open.weight += weight
    return open.job
  }

  /** Whether a job is still open, and not full. */
  hasRoom(job: Loading<T>): boolean {
    const open = this.#open.get(job.kind)
    return open?.job === job && open.weight < kindNamed(job.kind).batch
  }

  /** Nobody is placed in this job any more. */
  close(job: Loading<T>): void {
    if (this.#open.get(job.kind)?.job === job) this.#open.delete(job.kind)
  }
}

/** Packs operations into jobs that leave at once. */
export function packed<T extends Traveller>(travellers: readonly T[]): Loading<T>[] {
  const packing = new Packing<T>()
  const jobs = new Set<Loading<T>>()
  for (const traveller of travellers) {
    const job = packing.place(traveller)
    job.load.push(traveller)
    jobs.add(job)
  }
  return [...jobs]
}

export function envelope(jobId: string, kindName: KindName, load: readonly Traveller[]): Envelope {
  const kind = kindNamed(kindName)
  return {
    id: jobId,
    queue: kind.queue,
    kind: kindName,
    data: {
      operations: load.map(({ id }) => id),
      preview: load.slice(0, PREVIEWED).map(({ input }) => redacted(kind, input)),
    },
    attempts: kind.retry.attempts,
  }
}
