import type { Sql } from '../kit/sql.ts'
import type { KindName } from './catalogue.ts'
import type { OperationStatus, StoredError } from './operation.ts'

/** An operation as its submitter may see it. */
export interface OperationView {
  readonly id: string
  readonly kind: KindName
  readonly status: OperationStatus
  readonly result: unknown
  readonly error: StoredError | null
  readonly attempts: number
  readonly submitted_by: string | null
  readonly request_id: string | null
  readonly submitted_at: Date
  readonly started_at: Date | null
  readonly finished_at: Date | null
}

const COLUMNS =
  'id, kind, status, result, error, attempts, submitted_by, request_id, submitted_at, started_at, finished_at'

export async function operationById(sql: Sql, id: string): Promise<OperationView | undefined> {
  const [row] = await sql.query<OperationView>(`select ${COLUMNS} from operation where id = $1`, [id])
  return row
}

/** Those of these operations that nobody works on any more: final, or stuck. */
export const settledOperations = (sql: Sql, ids: readonly string[]): Promise<OperationView[]> =>
  sql.query<OperationView>(
    `select ${COLUMNS} from operation where id = any($1::uuid[]) and status in ('succeeded', 'failed', 'stuck')`,
    [ids],
  )

/** Newest first. `before` is the last id of the page before. */
export const operationsPage = (
  sql: Sql,
  page: {
    readonly submittedBy: string | undefined
    readonly kind: string | undefined
    readonly status: OperationStatus | undefined
    readonly before: string | undefined
    readonly limit: number
  },
): Promise<OperationView[]> => {
  const wanted = [
    ['submitted_by =', page.submittedBy],
    ['kind =', page.kind],
    ['status =', page.status],
    ['id <', page.before],
  ].filter((pair): pair is [string, string] => pair[1] !== undefined)
  // Only conditions that were asked for, so that the partial indexes serve the statuses that they are for.
  const where = wanted.map(([condition], index) => `${condition} $${index + 2}`).join(' and ') || 'true'
  return sql.query<OperationView>(`select ${COLUMNS} from operation where ${where} order by id desc limit $1`, [
    page.limit,
    ...wanted.map(([, value]) => value),
  ])
}
