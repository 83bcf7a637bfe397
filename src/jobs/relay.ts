import type { Clock } from '../kit/clock.ts'
import { Fault } from '../kit/fault.ts'
import { firstIdAt } from '../kit/ids.ts'
import type { Sql } from '../kit/sql.ts'
import { isKindName, kindNamed } from './catalogue.ts'
import type { Dispatcher, Messenger } from './dispatch.ts'
import { type Envelope, envelope, packed, type Traveller } from './envelope.ts'
import type { QueueName } from './kind.ts'
import { recordFault } from './operation.ts'
import { operationRefusals } from './operation-refusals.ts'

/** How long an open operation may go without its job before anybody asks: a healthy dispatch takes milliseconds. */
export const RELAY_GRACE_MS = 5_000

/** Open operations looked at in one step: some hundred jobs, a few hundred kilobytes. */
const PAGE = 10_000

/** Any number: relays take turns, so that nothing is brought back twice. */
const RELAY_LOCK = 7_205_759_407

/**
 * The job of an operation that has none and wants none: others work for it, and will give it one. Whoever waits so is not
 * lost, and relays leave it alone.
 */
export const WAITS = 'waits'

/** An operation that is open and has a job, as far as anybody here knows. */
export interface OpenRow {
  id: string
  kind: string
  job_id: string
}

/** The next operations of a page that were submitted before an instant and are open, oldest first. */
export const openOperations = (sql: Sql, { after = BEFORE_ALL, before }: { after?: string; before: Date }) =>
  sql.query<OpenRow>(
    `select id, kind, job_id from operation
     where status in ('queued', 'processing') and id > $1 and id < $2 and job_id <> '${WAITS}' order by id limit ${PAGE}`,
    [after, firstIdAt(before)],
  )

const BEFORE_ALL = '00000000-0000-0000-0000-000000000000'

/** Those whose job the queue has given up, or does not know. */
export async function lostOf(
  { fates }: Pick<Messenger, 'fates'>,
  rows: readonly OpenRow[],
): Promise<{ unknown: OpenRow[]; failed: OpenRow[] }> {
  const lost = { unknown: [] as OpenRow[], failed: [] as OpenRow[] }
  const known = rows.filter(({ kind }) => isKindName(kind))
  for (const [queue, inQueue] of Map.groupBy(known, ({ kind }): QueueName => kindNamed(kind).queue)) {
    const ends = await fates(queue, [...new Set(inQueue.map(({ job_id }) => job_id))])
    for (const row of inQueue) {
      const fate = ends.get(row.job_id)
      if (fate === 'failed') lost.failed.push(row)
      else if (fate === undefined) lost.unknown.push(row)
    }
  }
  return lost
}

export interface RelayReport {
  readonly looked: number
  readonly redispatched: number
  /** Operations whose tries ran out because the queue gave their jobs up again and again: a person has to look. */
  readonly stuck: readonly string[]
}

/**
 * Finds operations that are open beyond a grace time and whose job the queue no longer knows (flushed, evicted, lost
 * between commit and dispatch, given up), and dispatches them again. Jobs that still wait are left alone, however long
 * the backlog.
 */
export class Relay {
  readonly #parts: {
    readonly transaction: <R>(work: (sql: Sql) => Promise<R>) => Promise<R>
    readonly messenger: Messenger
    readonly dispatcher: Dispatcher
    readonly clock: Clock
    readonly graceMs: number
  }

  constructor(parts: {
    transaction: <R>(work: (sql: Sql) => Promise<R>) => Promise<R>
    messenger: Messenger
    dispatcher: Dispatcher
    clock: Clock
    graceMs?: number
  }) {
    this.#parts = { graceMs: RELAY_GRACE_MS, ...parts }
  }

  /**
   * One round over everything that is open; no round at all while another relay is at it. Faults (queue or database away)
   * are the caller's to log; nothing is lost by them.
   */
  round(): Promise<RelayReport> {
    return this.#parts.transaction(async (sql) => {
      // Held until the round is over and its jobs are sent: what is on its way would seem lost to the next relay.
      const [lock] = await sql.query<{ mine: boolean }>('select pg_try_advisory_xact_lock($1) as mine', [RELAY_LOCK])
      return lock?.mine === true ? this.#roundAlone() : { looked: 0, redispatched: 0, stuck: [] }
    })
  }

  async #roundAlone(): Promise<RelayReport> {
    const total = { looked: 0, redispatched: 0, stuck: [] as string[] }
    let after = BEFORE_ALL
    for (;;) {
      const page = await this.#page(after)
      if (page.length === 0) return total
      total.looked += page.length
      const { jobs, stuck } = await this.#bring(page)
      total.redispatched += jobs.reduce((count, { data }) => count + data.operations.length, 0)
      total.stuck.push(...stuck)
      if (page.length < PAGE) return total
      after = (page.at(-1) as OpenRow).id
    }
  }

  /** The next open operations beyond the grace time. */
  #page(after: string): Promise<OpenRow[]> {
    const before = new Date(this.#parts.clock.now().getTime() - this.#parts.graceMs)
    return this.#parts.transaction((sql) => openOperations(sql, { after, before }))
  }

  /** Gives what was lost new jobs and sends them. A job that the queue gave up counts as one more try. */
  async #bring(page: readonly OpenRow[]): Promise<{ jobs: Envelope[]; stuck: string[] }> {
    const { messenger } = this.#parts
    const lost = await lostOf({ fates: (queue, jobIds) => messenger.fates(queue, jobIds) }, page)
    if (lost.failed.length + lost.unknown.length === 0) return { jobs: [], stuck: [] }
    const givenUp = new Set(lost.failed.map(({ id }) => id))
    const brought = await this.#parts.transaction(async (sql) => {
      const free = await lockLost(sql, [...lost.failed, ...lost.unknown])
      const stuck: string[] = []
      const failed = free.filter(({ id }) => givenUp.has(id))
      for (const [kind, rows] of Map.groupBy(failed, (row) => row.kind)) {
        const ids = rows.map(({ id }) => id)
        stuck.push(...(await recordFault(sql, ids, QUEUE_GAVE_UP, kindNamed(kind).retry.attempts)).stuck)
      }
      return { jobs: await giveJobs(sql, withoutThese(free, stuck)), stuck }
    })
    await this.#parts.dispatcher.send(brought.jobs)
    return brought
  }
}

const QUEUE_GAVE_UP = new Fault('the queue gave its job up')

const withoutThese = (travellers: readonly Traveller[], ids: readonly string[]): Traveller[] => {
  const left = new Set(ids)
  return travellers.filter(({ id }) => !left.has(id))
}

/**
 * Locks those that still have the job that we saw. Somebody else has brought the others meanwhile, or done them; and
 * rows that a worker holds locked are being worked on, and are left to it.
 */
const lockLost = (sql: Sql, rows: readonly OpenRow[]): Promise<Traveller[]> =>
  sql.query<Traveller>(
    `select operation.id, kind, input from operation
     join unnest($1::uuid[], $2::text[]) as seen (id, job_id) on seen.id = operation.id and seen.job_id = operation.job_id
     where status in ('queued', 'processing')
     order by operation.id for no key update of operation skip locked`,
    [rows.map(({ id }) => id), rows.map(({ job_id }) => job_id)],
  )

/**
 * Packs locked operations into new jobs, and answers with those. The ids are new, so that a queue that still remembers
 * the old ones as finished does not swallow them.
 */
export async function giveJobs(sql: Sql, travellers: readonly Traveller[]): Promise<Envelope[]> {
  const jobs = packed(travellers)
  const moves = jobs.flatMap(({ jobId, load }) => load.map(({ id }) => ({ id, jobId })))
  if (moves.length > 0)
    await sql.query(
      `update operation set job_id = move.job_id from unnest($1::uuid[], $2::text[]) as move (id, job_id)
       where operation.id = any($1::uuid[]) and operation.id = move.id`,
      [moves.map(({ id }) => id), moves.map(({ jobId }) => jobId)],
    )
  return jobs.map(({ jobId, kind, load }) => envelope(jobId, kind, load))
}

/**
 * An operator's second chance: `stuck` operations become `queued` with all their tries before them, and get new jobs.
 * Those that are not stuck are left as they are. Answers with the jobs to send; refuses when there is no such operation.
 */
export async function requeueStuck(sql: Sql, ids: readonly string[]): Promise<Envelope[]> {
  const requeued = await sql.query<Traveller>(
    `with chosen as (
       select id from operation where id = any($1::uuid[]) and status = 'stuck' order by id for no key update
     )
     update operation set status = 'queued', attempts = 0, error = null, started_at = null
     from chosen where operation.id = chosen.id
     returning operation.id, operation.kind, operation.input`,
    [ids],
  )
  if (requeued.length === 0) {
    const [known] = await sql.query('select from operation where id = any($1::uuid[]) limit 1', [ids])
    if (known === undefined) throw operationRefusals.notFound()
  }
  return giveJobs(sql, requeued)
}
