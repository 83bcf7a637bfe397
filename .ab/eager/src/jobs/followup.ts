import { newId } from '../kit/ids.ts'
import type { Keyring } from '../kit/keyring.ts'
import type { Sql } from '../kit/sql.ts'
import { type KindName, kinds } from './catalogue.ts'
import { type Envelope, envelope, packed } from './envelope.ts'
import { sealFields } from './sealing.ts'

export interface FollowUp {
  /** Where the id has to be known before the operation exists. */
  readonly id?: string
  readonly kind: KindName
  readonly input: Readonly<Record<string, unknown>>
  readonly requestId?: string | undefined
}

/**
 * Writes operations that follow from the work of this transaction: they exist exactly if it commits. Answers with their
 * jobs, to be sent after the commit; if that never happens the relay brings them.
 */
export async function insertFollowUps(
  sql: Sql,
  keyring: Keyring,
  followUps: readonly FollowUp[],
  now: Date,
): Promise<Envelope[]> {
  if (followUps.length === 0) return []
  const jobs = packed(followUps.map((followUp) => ({ ...followUp, id: followUp.id ?? newId() })))
  const rows = jobs.flatMap(({ jobId, load }) => load.map((operation) => ({ operation, jobId })))
  await sql.query(
    `insert into operation (id, kind, job_id, request_id, input, submitted_by, submitted_at)
     select id, kind, job_id, request_id, input, '${OURSELVES}', $6
     from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::json[]) as incoming (id, kind, job_id, request_id, input)`,
    [
      rows.map(({ operation }) => operation.id),
      rows.map(({ operation }) => operation.kind),
      rows.map(({ jobId }) => jobId),
      rows.map(({ operation }) => operation.requestId ?? null),
      rows.map(({ operation: { kind, id, input } }) =>
        JSON.stringify(sealFields(kinds[kind], 'input', keyring, id, input)),
      ),
      now,
    ],
  )
  return jobs.map(({ jobId, kind, load }) => envelope(jobId, kind, load))
}

/** Submitter of what Bursar asks of itself. No token's `sub` can be this: subjects with a leading space are refused. */
export const OURSELVES = ' bursar'
