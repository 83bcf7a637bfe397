import { z } from '@hono/zod-openapi'
import type { Sql } from '../kit/sql.ts'

/** What a chunk of a run is told. */
export const chunkInput = z.object({ run_id: z.uuid(), position: z.int().min(0) })

/** What a chunk answers: how many subjects it looked at, what came of them, and those that could not be done. */
export const chunkResult = z.object({
  done: z.int(),
  made: z.int(),
  failed: z.int(),
  problems: z.array(z.object({ subject: z.string(), message: z.string() })),
})

/** How far a run is. */
export interface Progress {
  readonly runId: string
  readonly status: 'planning' | 'running' | 'closed'
  readonly period: string
  readonly total: number
  readonly done: number
  readonly failed: number
  /** What came of those that are done. */
  readonly made: number
  readonly perSecond: number | undefined
  readonly secondsLeft: number | undefined
}

interface RunRow {
  id: string
  status: Progress['status']
  period: string
  total: string
  done: string
  failed: string
  made: string
  started_at: Date
  finished_at: Date | null
}

/** The progress of those of these operations that are runs, or chunks of one. */
export async function progressOf(
  sql: Sql,
  operationIds: readonly string[],
  now: Date,
): Promise<ReadonlyMap<string, Progress>> {
  if (operationIds.length === 0) return new Map()
  const rows = await sql.query<RunRow & { operation_id: string }>(
    `select run.*, run.id as operation_id from run where id = any($1::uuid[])
     union all
     select run.*, run_chunk.operation_id from run_chunk join run on run.id = run_id where operation_id = any($1::uuid[])`,
    [operationIds],
  )
  return new Map(rows.map((row) => [row.operation_id, progress(row, now)]))
}

function progress(row: RunRow, now: Date): Progress {
  const [total, done, failed] = [Number(row.total), Number(row.done), Number(row.failed)]
  const seconds = ((row.finished_at ?? now).getTime() - row.started_at.getTime()) / 1_000
  const looked = done + failed
  const perSecond = looked > 0 && seconds > 0 ? looked / seconds : undefined
  return {
    runId: row.id,
    status: row.status,
    period: row.period,
    total,
    done,
    failed,
    made: Number(row.made),
    perSecond: perSecond === undefined ? undefined : Math.round(perSecond * 10) / 10,
    secondsLeft: perSecond === undefined ? undefined : Math.ceil((total - looked) / perSecond),
  }
}

export const progressSchema = z
  .object({
    run_id: z.uuid(),
    status: z.enum(['planning', 'running', 'closed']),
    period: z.string(),
    total: z.int(),
    done: z.int(),
    failed: z.int(),
    made: z.int().openapi({ description: 'What came of those that are done, such as invoices.' }),
    per_second: z.number().nullable(),
    seconds_left: z.int().nullable(),
  })
  .openapi('Progress')

/** As it is shown to callers and on the board. */
export const progressBody = (one: Progress): z.input<typeof progressSchema> => ({
  run_id: one.runId,
  status: one.status,
  period: one.period,
  total: one.total,
  done: one.done,
  failed: one.failed,
  made: one.made,
  per_second: one.perSecond ?? null,
  seconds_left: one.secondsLeft ?? null,
})
