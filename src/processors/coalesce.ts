import type { Outcome } from '../jobs/operation.ts'
import { Batcher } from '../kit/batcher.ts'
import type { WorkContext } from './context.ts'
import type { Processor } from './shapes/processor.ts'

/** Jobs decided in one transaction. At their fullest that is some two thousand operations. */
const MAX_JOBS = 4

/** While one transaction waits for the disk, another is decided. */
const MAX_FLYING = 2

/**
 * Lets jobs that are in work at the same time share a transaction. An idle worker decides a job at once; under load the
 * round trips and the commit are paid once for many jobs.
 */
export function coalesced(processor: Processor, context: WorkContext): Processor {
  const batcher = new Batcher<readonly string[], readonly Outcome[]>({
    async flush(jobs) {
      const outcomes = await processor.run(context, [...new Set(jobs.flat())])
      const byId = new Map(outcomes.map((outcome) => [outcome.id, outcome]))
      // A job that was doubled finds its operations told to the first of the two.
      return jobs.map((ids) => ids.flatMap((id) => take(byId, id)))
    },
    maxBatch: MAX_JOBS,
    maxWaiting: Number.POSITIVE_INFINITY, // bounded by the worker's concurrency
    maxFlying: MAX_FLYING,
    turnedAway: () => new Error('A worker has more jobs than it has room for'),
  })
  return { run: (_context, ids) => batcher.add(ids) }
}

function take(outcomes: Map<string, Outcome>, id: string): Outcome[] {
  const outcome = outcomes.get(id)
  outcomes.delete(id)
  return outcome === undefined ? [] : [outcome]
}

/** Every processor as it is, except that those which decide batches share their transactions. */
export const coalescing = <Name extends string>(
  processors: { readonly [name in Name]: Processor },
  context: WorkContext,
): { readonly [name in Name]: Processor } =>
  Object.fromEntries(
    Object.entries<Processor>(processors).map(([name, processor]) => [
      name,
      processor.together === true ? coalesced(processor, context) : processor,
    ]),
  ) as { readonly [name in Name]: Processor }
