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

/** Packs operations into jobs: same kind together, up to the kind's batch, in the order given. */
export function packed<T extends Traveller>(travellers: readonly T[]): { jobId: string; kind: KindName; load: T[] }[] {
  const open = new Map<KindName, { jobId: string; kind: KindName; load: T[]; weight: number }>()
  const jobs: { jobId: string; kind: KindName; load: T[] }[] = []
  for (const traveller of travellers) {
    const { batch, weigh } = kindNamed(traveller.kind)
    const weight = weigh?.(traveller.input) ?? 1
    let job = open.get(traveller.kind)
    if (job === undefined || job.weight + weight > batch) {
      job = { jobId: newId(), kind: traveller.kind, load: [], weight: 0 }
      open.set(traveller.kind, job)
      jobs.push(job)
    }
    job.load.push(traveller)
    job.weight += weight
  }
  return jobs
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
