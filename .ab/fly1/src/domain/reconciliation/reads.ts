import type { Sql } from '../../kit/sql.ts'
import type { Finding } from './finding.ts'
import { reportRefusals } from './refusals.ts'
import type { RunStatus } from './run.ts'

export { type ClearingAccount, clearingAccounts, type Waiting, waiting } from './clearing.ts'
export type { Finding } from './finding.ts'

export interface ReportView {
  readonly id: string
  readonly operationId: string
  readonly gateway: string
  readonly from: Date
  readonly until: Date
  readonly status: RunStatus
  readonly compared: number
  readonly found: number
  readonly forPerson: number
  readonly startedAt: Date
  readonly finishedAt: Date | null
}

const VIEW = `
  id, operation_id as "operationId", gateway, from_at as "from", until_at as "until", status, compared, found,
  for_person as "forPerson", started_at as "startedAt", finished_at as "finishedAt"`

/** Newest first. `before` is the last id of the page before. */
export const reports = (
  sql: Sql,
  page: { gateway?: string | undefined; before?: string | undefined; limit: number },
): Promise<ReportView[]> =>
  sql.query<ReportView>(
    `select ${VIEW} from reconciliation
     where ($1::text is null or gateway = $1) and ($2::uuid is null or id < $2) order by id desc limit $3`,
    [page.gateway ?? null, page.before ?? null, page.limit],
  )

/** A finding, and what came of the look-up that was asked for: its operation's status. */
export type FollowedFinding = Finding & { readonly looked_up: string | null }

export interface Report extends ReportView {
  readonly findings: readonly FollowedFinding[]
}

/** Refuses with `notFound`. */
export async function report(sql: Sql, id: string | undefined): Promise<Report> {
  const [row] =
    id === undefined
      ? []
      : await sql.query<ReportView & { findings: Finding[] }>(
          `select ${VIEW}, findings from reconciliation where id = $1`,
          [id],
        )
  if (row === undefined) throw reportRefusals.notFound()
  const asked = row.findings.flatMap(({ operation_id }) => operation_id ?? [])
  const operations = await sql.query<{ id: string; status: string }>(
    'select id, status from operation where id = any($1::uuid[])',
    [asked],
  )
  const statuses = new Map(operations.map((operation) => [operation.id, operation.status]))
  return {
    ...row,
    findings: row.findings.map((finding) => ({
      ...finding,
      looked_up: statuses.get(finding.operation_id ?? '') ?? null,
    })),
  }
}

/** Per gateway: what the newest finished reconciliation left for a person. */
export async function openFindings(sql: Sql): Promise<{ gateway: string; forPerson: number; finishedAt: Date }[]> {
  return sql.query(
    `select gateway, for_person as "forPerson", finished_at as "finishedAt"
     from unnest(array['stripe', 'razorpay', 'paystack', 'mock']) as name
     join lateral (
       select gateway, for_person, finished_at from reconciliation
       where gateway = name and status = 'done' order by id desc limit 1
     ) newest on true`,
  )
}
