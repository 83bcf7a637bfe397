import { arrayLiteral } from '../kit/array-literal.ts'
import { Batcher } from '../kit/batcher.ts'
import type { Clock } from '../kit/clock.ts'
import { canonicalJson } from '../kit/digest.ts'
import { isFault } from '../kit/fault.ts'
import { newId } from '../kit/ids.ts'
import type { Keyring } from '../kit/keyring.ts'
import { refusals } from '../kit/refusal.ts'
import type { Sql } from '../kit/sql.ts'
import { type KindName, kinds } from './catalogue.ts'
import { Departures } from './departures.ts'
import type { Dispatcher } from './dispatch.ts'
import { envelope, type Loading } from './envelope.ts'
import type { Kind } from './kind.ts'
import type { OperationStatus } from './operation.ts'
import { sealFields } from './sealing.ts'

/** A parsed request that wants to become an operation. */
export interface Submission {
  readonly kind: KindName
  /** As it was sent: plain JSON that has passed the kind's schema. */
  readonly input: Readonly<Record<string, unknown>>
  /** Who may read the operation; nobody when it was submitted without authentication, and then its id is the credential. */
  readonly submittedBy?: string | undefined
  readonly requestId?: string | undefined
  readonly idempotency?: { readonly scope: string; readonly key: string } | undefined
}

export interface Accepted {
  readonly id: string
  readonly kind: KindName
  readonly status: OperationStatus
  readonly submittedAt: Date
  /** True when the key had been used before: this is the first operation, and nothing new happens. */
  readonly replayed: boolean
}

export const intakeRefusals = refusals('intake', {
  overloaded: {
    status: 503,
    error: 'Overloaded',
    says: () =>
      'More work is waiting than can be taken in. Nothing was accepted; try again after the Retry-After time.',
  },
  unavailable: {
    status: 503,
    error: 'DatabaseUnavailable',
    says: () =>
      'The database cannot be reached, so nothing is promised. Try again after the Retry-After time; with an Idempotency-Key a repeat can never be done twice.',
  },
  keyReused: {
    status: 422,
    error: 'IdempotencyKeyReused',
    says: () => 'This Idempotency-Key was used for another request. Use a new key for a new request; nothing was done.',
  },
})

/** Operations in one commit. Beyond this the statement itself grows slower than the commit that it saves. */
const MAX_BATCH = 1_000

/**
 * One commit at a time: what arrives meanwhile makes the next one larger, and so its jobs and the worker's transactions.
 * Two at a time were measured a quarter dearer for each operation under load, and no quicker without.
 */
const MAX_FLYING = 1

interface Prepared extends Submission {
  readonly id: string
  readonly at: Date
  readonly scope: Buffer | undefined
  readonly fingerprint: Buffer | undefined
}

type Answer = Accepted | Error

/**
 * The only writer in the API. Gathers concurrent submissions, commits them together, hands them to the queue, and only
 * then answers. A submission whose key was used before gets the first operation, whatever its state.
 */
export class Intake {
  readonly #sql: Sql
  readonly #dispatcher: Dispatcher
  readonly #keyring: Keyring
  readonly #clock: Clock
  readonly #batcher: Batcher<Prepared, Answer>
  readonly #departures = new Departures<Prepared>()

  constructor(parts: { sql: Sql; dispatcher: Dispatcher; keyring: Keyring; clock: Clock; maxWaiting: number }) {
    this.#sql = parts.sql
    this.#dispatcher = parts.dispatcher
    this.#keyring = parts.keyring
    this.#clock = parts.clock
    this.#batcher = new Batcher({
      flush: (items) => this.#takeIn(items),
      maxBatch: MAX_BATCH,
      maxWaiting: parts.maxWaiting,
      maxFlying: MAX_FLYING,
      turnedAway: () => intakeRefusals.overloaded(),
    })
  }

  /** How many submissions wait for their commit. */
  get waiting(): number {
    return this.#batcher.waiting
  }

  /** Refuses with 422 `keyReused`, 503 `overloaded`, or 503 `unavailable`, and then nothing was promised. */
  async submit(submission: Submission): Promise<Accepted> {
    const answer = await this.#batcher.add(this.#prepare(submission)).catch((error) => {
      throw isFault(error) ? Object.assign(intakeRefusals.unavailable(), { cause: error }) : error
    })
    if (answer instanceof Error) throw answer
    return answer
  }

  /** Resolves when every submission that was taken has been answered. */
  drain(): Promise<void> {
    return this.#batcher.drain()
  }

  #prepare(submission: Submission): Prepared {
    const { idempotency } = submission
    return {
      ...submission,
      id: newId(),
      at: this.#clock.now(),
      scope: idempotency && this.#keyring.digest(`${idempotency.scope}\n${idempotency.key}`),
      fingerprint: idempotency && this.#keyring.digest(canonicalJson([submission.kind, callersWords(submission)])),
    }
  }

  /** Commits a batch and sends the jobs that leave, whatever became of it: those of earlier commits may have waited for it. */
  async #takeIn(submissions: readonly Prepared[]): Promise<Answer[]> {
    try {
      return await this.#commitApart(submissions)
    } finally {
      const jobs = this.#departures.leave(this.#batcher.waiting > 0)
      this.#dispatcher.send(jobs.map(({ jobId, kind, load }) => envelope(jobId, kind, load)))
    }
  }

  /** Commits all together; if something among them cannot be stored at all, finds it by halves so that nobody else suffers. */
  async #commitApart(submissions: readonly Prepared[]): Promise<Answer[]> {
    try {
      return await this.#commit(submissions)
    } catch (error) {
      if (isFault(error)) throw error
      if (submissions.length === 1) return [error instanceof Error ? error : new Error(String(error))]
      const half = submissions.length >> 1
      const left = await this.#commitApart(submissions.slice(0, half))
      return [...left, ...(await this.#commitApart(submissions.slice(half)))]
    }
  }

  async #commit(submissions: readonly Prepared[]): Promise<Answer[]> {
    const rows = this.#departures.assign(submissions)
    const inserted = await insertSubmissions(this.#sql, this.#keyring, rows)
    for (const { traveller, job } of rows) if (inserted.has(traveller.id)) job.load.push(traveller)
    const repeats = submissions.filter(({ id }) => !inserted.has(id))
    const first = repeats.length === 0 ? new Map<string, FirstUse>() : await firstUses(this.#sql, repeats)
    return submissions.map((submission) =>
      inserted.has(submission.id) ? accepted(submission) : replay(submission, first),
    )
  }
}

const accepted = ({ id, kind, at }: Prepared): Accepted => ({
  id,
  kind,
  status: 'queued',
  submittedAt: at,
  replayed: false,
})

function replay(submission: Prepared, first: Map<string, FirstUse>): Answer {
  const use = first.get(submission.scope?.toString('hex') ?? '')
  // Forgotten by retention in the instant between the two statements: the caller's next try is a new request.
  if (use === undefined) return intakeRefusals.unavailable()
  if (submission.fingerprint === undefined || !use.fingerprint.equals(submission.fingerprint))
    return intakeRefusals.keyReused()
  return { id: use.id, kind: use.kind, status: use.status, submittedAt: use.submitted_at, replayed: true }
}

/** The input without what the door has filled in: a repeat may come from another address. */
function callersWords({ kind, input }: Submission): Readonly<Record<string, unknown>> {
  const apart: readonly string[] = (kinds[kind] as Kind).apart ?? []
  if (apart.length === 0) return input
  return Object.fromEntries(Object.entries(input).filter(([field]) => !apart.includes(field)))
}

type Row = { readonly traveller: Prepared; readonly job: Loading<Prepared> }

/** Answers with the ids of those that were new. */
async function insertSubmissions(sql: Sql, keyring: Keyring, rows: readonly Row[]): Promise<Set<string>> {
  const keyed = rows.some(({ traveller }) => traveller.scope !== undefined)
  const operations = [
    arrayLiteral(rows.map(({ traveller }) => traveller.id)),
    arrayLiteral(rows.map(({ traveller }) => traveller.kind)),
    arrayLiteral(rows.map(({ job }) => job.jobId)),
    rows.map(({ traveller }) => traveller.submittedBy ?? null),
    rows.map(({ traveller }) => traveller.requestId ?? null),
    rows.map(({ traveller: { kind, id, input } }) =>
      JSON.stringify(sealFields(kinds[kind], 'input', keyring, id, input)),
    ),
    arrayLiteral(rows.map(({ traveller }) => traveller.at.toISOString())),
  ]
  if (!keyed) {
    await sql.query(INSERT_UNKEYED, operations)
    return new Set(rows.map(({ traveller }) => traveller.id))
  }
  const inserted = await sql.query<{ id: string }>(INSERT_KEYED, [
    ...operations,
    rows.map(({ traveller }) => traveller.scope ?? null),
    rows.map(({ traveller }) => traveller.fingerprint ?? null),
  ])
  return new Set(inserted.map(({ id }) => id))
}

const COLUMNS = 'id, kind, job_id, submitted_by, request_id, input, submitted_at'
const ARRAYS = '$1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::json[], $7::timestamptz[]'

const INSERT_UNKEYED = `insert into operation (${COLUMNS}) select * from unnest(${ARRAYS})`

/** The keys of a batch are claimed in sorted order, so that two processes never wait for each other in a circle. */
const INSERT_KEYED = `
  with incoming as (
    select * from unnest(${ARRAYS}, $8::bytea[], $9::bytea[]) as incoming (${COLUMNS}, scope, fingerprint)
  ), claimed as (
    insert into idempotency_key (scope, fingerprint, operation_id, created_at)
    select scope, fingerprint, id, submitted_at from incoming where scope is not null order by scope, id
    on conflict (scope) do nothing
    returning operation_id
  )
  insert into operation (${COLUMNS})
  select ${COLUMNS} from incoming
  where scope is null or id in (select operation_id from claimed)
  returning id`

interface FirstUse {
  readonly fingerprint: Buffer
  readonly id: string
  readonly kind: KindName
  readonly status: OperationStatus
  readonly submitted_at: Date
}

async function firstUses(sql: Sql, repeats: readonly Prepared[]): Promise<Map<string, FirstUse>> {
  const rows = await sql.query<FirstUse & { scope: Buffer }>(
    `select key.scope, key.fingerprint, operation.id, operation.kind, operation.status, operation.submitted_at
     from idempotency_key key join operation on operation.id = key.operation_id
     where key.scope = any($1::bytea[])`,
    [repeats.map(({ scope }) => scope)],
  )
  return new Map(rows.map((row) => [row.scope.toString('hex'), row]))
}
