import { newId } from '../../kit/ids.ts'
import type { Sql } from '../../kit/sql.ts'
import type { Finding } from './finding.ts'

/** `listing`: their list is being read. `asking`: they are asked for each that we have and it has not. */
export type RunStatus = 'listing' | 'asking' | 'done'

/** A comparison under way, resumed after a crash where it was. */
export interface Run {
  readonly id: string
  readonly status: RunStatus
  readonly gateway: string
  readonly from: Date
  readonly until: Date
  readonly nextPage: string | undefined
}

interface RunRow {
  id: string
  status: RunStatus
  gateway: string
  from_at: Date
  until_at: Date
  next_page: string | null
}

/** The operation's own run, begun the first time that it is asked for. */
export async function openRun(
  sql: Sql,
  wanted: { operationId: string; gateway: string; from: Date; until: Date; now: Date },
): Promise<Run> {
  await sql.query(
    `insert into reconciliation (id, operation_id, gateway, from_at, until_at, status, started_at)
     values ($1, $2, $3, $4, $5, 'listing', $6) on conflict (operation_id) do nothing`,
    [newId(), wanted.operationId, wanted.gateway, wanted.from, wanted.until, wanted.now],
  )
  const [row] = await sql.query<RunRow>(
    `select id, status, gateway, from_at, until_at, next_page from reconciliation where operation_id = $1 for no key update`,
    [wanted.operationId],
  )
  if (row === undefined) throw new Error('A run that was just opened is gone')
  const { id, status, gateway, from_at: from, until_at: until, next_page: nextPage } = row
  return { id, status, gateway, from, until, nextPage: nextPage ?? undefined }
}

/** Where reading their list goes on; nowhere, when it was read to its end. */
export async function readOn(sql: Sql, id: string, next: string | undefined): Promise<void> {
  await sql.query(`update reconciliation set next_page = $2, status = $3 where id = $1`, [
    id,
    next ?? null,
    next === undefined ? 'asking' : 'listing',
  ])
}

export interface Outcome {
  readonly compared: number
  readonly found: number
  readonly forPerson: number
  /** The first of them. */
  readonly findings: readonly Finding[]
}

/** Keeps what was found, and forgets their list. */
export async function closeRun(sql: Sql, id: string, outcome: Outcome, now: Date): Promise<void> {
  await sql.query(
    `update reconciliation set status = 'done', compared = $2, found = $3, for_person = $4, findings = $5, finished_at = $6
     where id = $1`,
    [id, outcome.compared, outcome.found, outcome.forPerson, JSON.stringify(outcome.findings), now],
  )
  await sql.query('delete from reconciliation_line where reconciliation_id = $1', [id])
}
