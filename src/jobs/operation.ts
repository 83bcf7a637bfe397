import { arrayLiteral } from '../kit/array-literal.ts'
import { Bug } from '../kit/assert.ts'
import type { Refusal } from '../kit/refusal.ts'
import type { Sql } from '../kit/sql.ts'
import type { LifeCycle } from '../kit/states.ts'
import type { KindName } from './catalogue.ts'

export type OperationStatus = 'queued' | 'processing' | 'succeeded' | 'failed' | 'stuck'

/** `stuck → queued` by an operator only. `succeeded` and `failed` are final. */
export const operationCycle: LifeCycle<OperationStatus> = {
  queued: ['processing', 'succeeded', 'failed', 'stuck'],
  processing: ['processing', 'succeeded', 'failed', 'stuck'],
  succeeded: [],
  failed: [],
  stuck: ['queued'],
}

export const operationStatuses = Object.keys(operationCycle) as [OperationStatus, ...OperationStatus[]]

export const isOpen = (status: OperationStatus): boolean => status === 'queued' || status === 'processing'

/** An accepted request on its way through a worker: what it asks, and how often it was tried. */
export interface OpenOperation {
  readonly id: string
  readonly kind: KindName
  readonly status: 'queued' | 'processing'
  readonly input: Record<string, unknown>
  readonly attempts: number
  readonly submittedBy: string | undefined
  readonly requestId: string | undefined
  readonly submittedAt: Date
}

/** The error body as it is kept: the contract's section 3 without what belongs to one request, plus the HTTP status. */
export interface StoredError {
  readonly error: string
  readonly code: string
  readonly message: string
  readonly http_status: number
  /** Our own code, where `code` is the one that a seed's clients know. */
  readonly refusal?: string
}

export type Outcome =
  | { readonly id: string; readonly status: 'succeeded'; readonly result: unknown }
  | { readonly id: string; readonly status: 'failed' | 'stuck'; readonly error: StoredError }

export const refused = (id: string, refusal: Refusal): Outcome => ({
  id,
  status: 'failed',
  error: {
    error: refusal.error,
    code: refusal.seedCode ?? refusal.code,
    message: refusal.message,
    http_status: refusal.status,
    ...(refusal.seedCode === undefined ? {} : { refusal: refusal.code }),
  },
})

/** The same words for a bug and for a fault whose tries ran out: the caller waits, a person looks. */
export const stuck = (id: string, error: unknown): Outcome => ({
  id,
  status: 'stuck',
  error: {
    error: 'OperationStuck',
    code: error instanceof Bug ? 'operation.bug' : 'operation.stuck',
    message: `It could not be finished and waits for an operator: ${describe(error)}. Nothing was done twice; ask again for its state later.`,
    http_status: 503,
  },
})

/** An error's own sentence, short enough to store. Our faults and bugs name no secret; PostgreSQL's message names columns, not values. */
export function describe(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.length > 500 ? `${text.slice(0, 500)}…` : text
}

interface OpenRow {
  id: string
  kind: KindName
  status: 'queued' | 'processing'
  input: Record<string, unknown>
  attempts: number
  submitted_by: string | null
  request_id: string | null
  submitted_at: Date
}

/**
 * Locks the operations of a kind that are still open, in id order, and answers with them in that order. Those that are
 * final are left out, so that a job that runs twice, late or twice at once finds nothing left to do.
 */
export async function lockOpen(sql: Sql, kind: string, ids: readonly string[]): Promise<OpenOperation[]> {
  const rows = await sql.query<OpenRow>(
    `select id, kind, status, input, attempts, submitted_by, request_id, submitted_at
     from operation where id = any($1::uuid[]) and kind = $2 and status in ('queued', 'processing')
     order by id for no key update`,
    [ids, kind],
  )
  return rows.map(openOperation)
}

/** Locks an operation as `lockOpen` does, and marks it as being worked on, for work that spans more than one transaction. */
export async function startOpen(sql: Sql, kind: string, id: string, now: Date): Promise<OpenOperation | undefined> {
  const [row] = await sql.query<OpenRow>(
    `update operation set status = 'processing', started_at = coalesce(started_at, $3)
     where id = $1 and kind = $2 and status in ('queued', 'processing')
     returning id, kind, status, input, attempts, submitted_by, request_id, submitted_at`,
    [id, kind, now],
  )
  return row && openOperation(row)
}

const openOperation = (row: OpenRow): OpenOperation => ({
  id: row.id,
  kind: row.kind,
  status: row.status,
  input: row.input,
  attempts: row.attempts,
  submittedBy: row.submitted_by ?? undefined,
  requestId: row.request_id ?? undefined,
  submittedAt: row.submitted_at,
})

/**
 * Writes outcomes into rows that `lockOpen` has locked in this transaction. The ids are named twice, so that the rows are looked
 * up by them even where the planner believes that the table is empty, and would read all of it.
 */
export async function writeOutcomes(
  sql: Sql,
  outcomes: readonly Outcome[],
  times: { startedAt: Date; finishedAt: Date },
): Promise<void> {
  if (outcomes.length === 0) return
  await sql.query(
    `update operation set
       status = outcome.status,
       result = outcome.result::json,
       error = outcome.error::json,
       attempts = attempts + 1,
       started_at = coalesce(started_at, $5),
       finished_at = case when outcome.status = 'stuck' then null else $6::timestamptz end
     from unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) as outcome (id, status, result, error)
     where operation.id = any($1::uuid[]) and operation.id = outcome.id`,
    [
      arrayLiteral(outcomes.map(({ id }) => id)),
      arrayLiteral(outcomes.map(({ status }) => status)),
      outcomes.map((outcome) => (outcome.status === 'succeeded' ? JSON.stringify(outcome.result) : null)),
      outcomes.map((outcome) => (outcome.status === 'succeeded' ? null : JSON.stringify(outcome.error))),
      times.startedAt,
      times.finishedAt,
    ],
  )
}

/** Marks operations as being worked on, for work that spans more than one transaction. */
export async function markProcessing(sql: Sql, ids: readonly string[], now: Date): Promise<void> {
  await sql.query(
    `update operation set status = 'processing', started_at = coalesce(started_at, $2) where id = any($1::uuid[])`,
    [ids, now],
  )
}

/**
 * Counts one more try against each operation that is still open. Those whose tries ran out become `stuck`.
 * Answers with the ids of both.
 */
export async function recordFault(
  sql: Sql,
  ids: readonly string[],
  error: unknown,
  maxAttempts: number,
): Promise<{ waiting: string[]; stuck: string[] }> {
  const outcome = stuck('', error)
  const rows = await sql.query<{ id: string; status: OperationStatus }>(
    `with open as (
       select id from operation where id = any($1::uuid[]) and status in ('queued', 'processing') order by id for no key update
     )
     update operation set
       attempts = attempts + 1,
       status = case when attempts + 1 >= $2 then 'stuck' else status end,
       error = case when attempts + 1 >= $2 then $3::json end
     from open where operation.id = open.id
     returning operation.id, operation.status`,
    [ids, maxAttempts, JSON.stringify(outcome.status === 'succeeded' ? null : outcome.error)],
  )
  return {
    waiting: rows.filter(({ status }) => status !== 'stuck').map(({ id }) => id),
    stuck: rows.filter(({ status }) => status === 'stuck').map(({ id }) => id),
  }
}
