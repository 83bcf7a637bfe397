import { isDeepStrictEqual } from 'node:util'
import type pg from 'pg'
import { checkLedger, inSnapshot } from '../src/domain/ledger/check.ts'
import { isKindName, kindNamed } from '../src/jobs/catalogue.ts'
import { OURSELVES } from '../src/jobs/followup.ts'
import { inTransaction } from '../src/platform/database.ts'
import type { Finding } from './finding.ts'
import { jobsLeft, type QueueStore } from './quiet.ts'
import type { Told } from './records.ts'

export interface KindReport {
  asked: number
  requests: number
  doubts: number
  succeeded: number
  refused: number
}

export interface GeneralAudit {
  readonly findings: readonly Finding[]
  readonly kinds: Readonly<Record<string, KindReport>>
  /** Jobs that the queue shows as failed: their operations were brought back, or retried. */
  readonly failedJobs: number
}

interface OperationRow {
  readonly id: string
  readonly kind: string
  readonly status: string
  readonly code: string | null
  readonly result: unknown
  readonly keys: number
}

/** What is audited: the books and the queue, past all proxies, and the processes. */
export interface Audited {
  readonly pool: pg.Pool
  readonly queueStore: QueueStore
  readonly roles: ReadonlyMap<string, { readonly crashes: readonly string[] }>
}

/** Everything that holds for every kind: each accepted request has one outcome, and it is the one that was told. */
export async function auditAll(deployment: Audited, told: readonly Told[]): Promise<GeneralAudit> {
  const findings: Finding[] = []
  const finds = (sort: Finding['sort'], says: string) => void findings.push({ sort, says })

  const operations = await operationsOf(deployment)
  for (const { id, kind, status, code } of operations.values()) {
    if (status === 'queued' || status === 'processing') finds('open', `${kind} ${id} is still ${status}`)
    if (status === 'stuck') finds('open', `${kind} ${id} is stuck with ${code}`)
  }
  const kinds = reportOn(told, operations, finds)
  auditSubmitted(told, operations, finds)
  await auditHolds(deployment, finds)
  await auditSchedules(deployment, finds)

  const { left, failed } = await jobsLeft(deployment.queueStore)
  for (const [queue, depths] of Object.entries(left)) finds('open', `Queue ${queue} has ${JSON.stringify(depths)} left`)

  const ledger = await inTransaction(deployment.pool, (sql) => inSnapshot(sql, () => checkLedger(sql, new Date())))
  for (const { check, message, account, transfer } of ledger)
    finds('books', `Ledger check ${check}: ${[account, transfer, message].filter(Boolean).join(' ')}`)

  for (const role of deployment.roles.values()) for (const crash of role.crashes) finds('crash', crash)
  return { findings, kinds, failedJobs: failed }
}

type Finds = (sort: Finding['sort'], says: string) => void

function reportOn(told: readonly Told[], operations: ReadonlyMap<string, OperationRow>, finds: Finds) {
  const kinds: Record<string, KindReport> = {}
  for (const one of told) {
    const name = `${one.kind} (key ${one.key})`
    kinds[one.kind] ??= { asked: 0, requests: 0, doubts: 0, succeeded: 0, refused: 0 }
    const report = kinds[one.kind] as KindReport
    report.asked += 1
    report.requests += one.asked
    report.doubts += one.doubts
    if (one.operationId === undefined) {
      finds('lost', `${name} was never accepted`)
      continue
    }
    const operation = operations.get(one.operationId)
    if (operation === undefined) {
      finds('lost', `${name} was accepted as operation ${one.operationId}, and there is none`)
      continue
    }
    if (operation.status === 'succeeded') report.succeeded += 1
    else if (operation.status === 'failed') report.refused += 1
    if (one.outcome === undefined) continue
    const same =
      one.outcome.status === 'succeeded'
        ? operation.status === 'succeeded' &&
          isDeepStrictEqual(
            open(one.kind, one.outcome.result as Record<string, unknown>),
            open(one.kind, operation.result as Record<string, unknown>),
          )
        : operation.status === 'failed' && operation.code === one.outcome.code
    if (!same)
      finds(
        'told',
        `${name} was told ${JSON.stringify(one.outcome)}; the books say ${operation.status} ${operation.code ?? JSON.stringify(operation.result)}`,
      )
  }
  return kinds
}

/** Without what is sealed in the books: that is compared whenever a key is asked for again. */
function open(kind: string, result: Record<string, unknown>): Record<string, unknown> {
  const sealed = isKindName(kind) ? (kindNamed(kind).sensitive?.result ?? []) : []
  return Object.fromEntries(Object.entries(result).filter(([field]) => !sealed.includes(field)))
}

/** No operation but those that were asked for, one for each key. */
function auditSubmitted(told: readonly Told[], operations: ReadonlyMap<string, OperationRow>, finds: Finds): void {
  const keysOf = Map.groupBy(told, ({ operationId }) => operationId)
  for (const [id, keys] of keysOf)
    if (id !== undefined && keys.length > 1) finds('told', `Operation ${id} was told to ${keys.length} keys`)
  for (const { id, kind, keys } of operations.values()) {
    // What Bursar or a gateway has asked for, no client has.
    if (keys === 0) continue
    if (keys > 1) finds('told', `Operation ${id} has ${keys} keys`)
    if (!keysOf.has(id)) finds('doubled', `${kind} ${id} was done beside what was asked for`)
  }
}

/** All of them, with how many keys lead to each; what Bursar or a gateway has asked for counts as none. */
async function operationsOf({ pool }: Audited): Promise<Map<string, OperationRow>> {
  const { rows } = await pool.query<OperationRow>(
    `select operation.id, kind, status, coalesce(error->>'refusal', error->>'code') as code, result,
       case when submitted_by = $1 or submitted_by like ' gateway:%' then 0 else greatest(1, coalesce(keys, 0)) end::int as keys
     from operation
     left join (select operation_id, count(*) as keys from idempotency_key group by 1) keyed on keyed.operation_id = operation.id`,
    [OURSELVES],
  )
  return new Map(rows.map((row) => [row.id, row]))
}

async function auditHolds({ pool }: Audited, finds: Finds): Promise<void> {
  const { rows } = await pool.query(
    `select hold.id, operation.status from hold left join operation on operation.id = hold.operation_id
     where hold.status = 'held' and (operation.status is null or operation.status not in ('queued', 'processing'))`,
  )
  for (const { id, status } of rows) finds('open', `Hold ${id} of an operation that is ${status} is still held`)
}

/** Each period has its operation, and each scheduled operation its period. */
async function auditSchedules({ pool }: Audited, finds: Finds): Promise<void> {
  const { rows: lost } = await pool.query(
    `select schedule, period from schedule_run left join operation on operation.id = operation_id where operation.id is null`,
  )
  for (const { schedule, period } of lost) finds('lost', `${schedule} of ${period.toISOString()} has no operation`)
  const { rows: doubled } = await pool.query(
    `select kind, input->>'period' as period, count(*)::int from operation
     where submitted_by = $1 and input->>'period' is not null and kind <> 'token.sweep' group by 1, 2 having count(*) > 1`,
    [OURSELVES],
  )
  for (const { kind, period, count } of doubled) finds('doubled', `${kind} of ${period} was asked for ${count} times`)
}
