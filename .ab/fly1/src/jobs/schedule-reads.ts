import type { Sql } from '../kit/sql.ts'
import type { OperationStatus } from './operation.ts'

/** The newest period of a schedule that was started. */
export interface LastRun {
  readonly period: Date
  readonly startedAt: Date
  readonly operationId: string
  /** Null once the operation is forgotten. */
  readonly status: OperationStatus | null
  readonly finishedAt: Date | null
}

/** By schedule; those that never ran are left out. */
export async function lastRuns(sql: Sql, names: readonly string[]): Promise<ReadonlyMap<string, LastRun>> {
  const rows = await sql.query<LastRun & { schedule: string }>(
    `select last.schedule, last.period, last.started_at as "startedAt", last.operation_id as "operationId", status,
       finished_at as "finishedAt"
     from unnest($1::text[]) as wanted (schedule)
     cross join lateral (
       select * from schedule_run where schedule_run.schedule = wanted.schedule order by period desc limit 1
     ) last
     left join operation on operation.id = last.operation_id`,
    [names],
  )
  return new Map(rows.map((row) => [row.schedule, row]))
}
