import { isKindName, kindNamed } from '../jobs/catalogue.ts'
import type { JobData } from '../jobs/envelope.ts'
import type { RetryPolicy } from '../jobs/kind.ts'
import { describe, type Outcome, recordFault } from '../jobs/operation.ts'
import { assert } from '../kit/assert.ts'
import type { WorkContext } from './context.ts'
import type { Processor } from './shapes/processor.ts'

/** What a job says on the board when it is done. */
export interface JobReport {
  readonly succeeded: number
  readonly refused: Readonly<Record<string, number>>
  readonly stuck: readonly string[]
  /** Operations that had their outcome before this job came: it was doubled, or late. */
  readonly already_done: number
}

/** A job whose operations are stuck: shown as failed, not to be tried again by the queue. */
export class StuckJob extends Error {}

/**
 * Runs one job. Operations that are final already are passed over. A fault counts one try against those that are open
 * and is thrown, for the queue to try again; when their tries run out they are stuck and `StuckJob` is thrown.
 */
export async function runJob(
  context: WorkContext,
  processors: Readonly<Record<string, Processor>>,
  job: { readonly id: string; readonly kind: string; readonly data: JobData },
): Promise<JobReport> {
  assert(isKindName(job.kind), `Job ${job.id} has the unknown kind ${job.kind}`)
  const processor = processors[job.kind]
  assert(processor !== undefined, `No processor for ${job.kind}`)
  const ids = job.data.operations
  const startedAt = performance.now()
  try {
    const outcomes = await processor.run(context, ids)
    const report = reportOn(outcomes, ids.length)
    measure(context, job.kind, outcomes, (performance.now() - startedAt) / 1_000)
    context.log.info({ kind: job.kind, job_id: job.id, ...brief(outcomes), ...report }, 'Job done')
    if (report.stuck.length > 0) throw new StuckJob(`${report.stuck.length} of ${ids.length} operations are stuck`)
    return report
  } catch (error) {
    if (error instanceof StuckJob) throw error
    throw await afterFault(context, job, error, (performance.now() - startedAt) / 1_000)
  }
}

/** Remembers the try; when even that is impossible the queue's own count stands, and the relay comes after it. */
async function afterFault(
  context: WorkContext,
  job: { readonly id: string; readonly kind: string; readonly data: JobData },
  error: unknown,
  seconds: number,
): Promise<Error> {
  const { attempts } = kindNamed(job.kind).retry
  context.log.warn(
    { err: error, kind: job.kind, job_id: job.id, operations: job.data.operations.length },
    'A fault stopped a job',
  )
  try {
    const { waiting, stuck } = await context.database.transaction((sql) =>
      recordFault(sql, job.data.operations, error, attempts),
    )
    for (const id of stuck) {
      context.log.error({ kind: job.kind, operation_id: id, err: error }, 'An operation is stuck: its tries ran out')
      context.measures.operationFinished(job.kind, 'stuck', 'operation.stuck', seconds)
    }
    // Neither waiting nor stuck: a commit whose answer was lost. The queue's next try finds everything done.
    if (waiting.length === 0 && stuck.length > 0) return new StuckJob(`Tries ran out: ${describe(error)}`)
  } catch (unrecorded) {
    context.log.warn({ err: unrecorded, kind: job.kind, job_id: job.id }, 'A try could not be recorded')
  }
  return error instanceof Error ? error : new Error(String(error))
}

function reportOn(outcomes: readonly Outcome[], asked: number): JobReport {
  const refused: Record<string, number> = {}
  for (const outcome of outcomes) {
    if (outcome.status === 'failed') refused[outcome.error.code] = (refused[outcome.error.code] ?? 0) + 1
  }
  return {
    succeeded: outcomes.filter(({ status }) => status === 'succeeded').length,
    refused,
    stuck: outcomes.filter(({ status }) => status === 'stuck').map(({ id }) => id),
    already_done: asked - outcomes.length,
  }
}

/** The operation itself where the job carries one, so that a log can be searched for it. */
const brief = (outcomes: readonly Outcome[]) => (outcomes.length === 1 ? { operation_id: outcomes[0]?.id } : {})

function measure(context: WorkContext, kind: string, outcomes: readonly Outcome[], seconds: number): void {
  for (const outcome of outcomes) {
    const code = outcome.status === 'succeeded' ? undefined : outcome.error.code
    context.measures.operationFinished(kind, outcome.status, code, seconds)
  }
}

/** How far two waits of one policy may differ: 20 %, so that what failed together does not come back together. */
const JITTER = 0.2

/** Milliseconds before the next try, after `made` of them. */
export function waitBeforeTry({ delayMs, maxDelayMs }: RetryPolicy, made: number, random = Math.random): number {
  const wait = Math.min(delayMs * 2 ** Math.max(0, made - 1), maxDelayMs)
  return Math.round(wait * (1 - JITTER * random()))
}
