import type { Clock } from '../kit/clock.ts'
import { firstIdAt, newId } from '../kit/ids.ts'
import type { Sql } from '../kit/sql.ts'
import { isKindName, type KindName, kindNamed } from './catalogue.ts'
import type { Dispatcher, Messenger } from './dispatch.ts'
import { envelope, packed } from './envelope.ts'
import type { QueueName } from './kind.ts'
import { recordFault } from './operation.ts'

/** How long an open operation may go without its job before anybody asks: a healthy dispatch takes milliseconds. */
export const RELAY_GRACE_MS = 5_000

/** Open operations looked at in one step: some hundred jobs, a few hundred kilobytes. */
const PAGE = 10_000

/** Any number: relays take turns, because two of them would only ask the same questions. */
const RELAY_LOCK = 7_205_759_404

interface OpenRow {
  id: string
  kind: string
  job_id: string
}

export interface RelayReport {
  readonly looked: number
  readonly redispatched: number
  readonly stuck: number
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

  /** One round over everything that is open. Faults (queue or database away) are the caller's to log; nothing is lost by them. */
  async round(): Promise<RelayReport> {
    const total = { looked: 0, redispatched: 0, stuck: 0 }
    let after = '00000000-0000-0000-0000-000000000000'
    for (;;) {
      const page = await this.#page(after)
      if (page === undefined || page.length === 0) return total
      total.looked += page.length
      const { redispatched, stuck } = await this.#bring(page)
      total.redispatched += redispatched
      total.stuck += stuck
      if (page.length < PAGE) return total
      after = (page.at(-1) as OpenRow).id
    }
  }

  /** The next open operations beyond the grace time, or undefined while another relay is at it. */
  #page(after: string): Promise<OpenRow[] | undefined> {
    const before = firstIdAt(new Date(this.#parts.clock.now().getTime() - this.#parts.graceMs))
    return this.#parts.transaction(async (sql) => {
      const [lock] = await sql.query<{ mine: boolean }>('select pg_try_advisory_xact_lock($1) as mine', [RELAY_LOCK])
      if (lock?.mine !== true) return undefined
      return sql.query<OpenRow>(
        `select id, kind, job_id from operation
         where status in ('queued', 'processing') and id > $1 and id < $2 order by id limit ${PAGE}`,
        [after, before],
      )
    })
  }

  async #bring(page: readonly OpenRow[]): Promise<{ redispatched: number; stuck: number }> {
    const lost = await this.#lost(page.filter(({ kind }) => isKindName(kind)))
    let stuck = 0
    for (const [kind, rows] of Map.groupBy(lost.failed, (row) => row.kind)) {
      const recorded = await this.#parts.transaction((sql) =>
        recordFault(
          sql,
          rows.map(({ id }) => id),
          new Error('the queue gave its job up'),
          kindNamed(kind).retry.attempts,
        ),
      )
      stuck += recorded.stuck.length
    }
    const redispatched = await this.#redispatch([...lost.failed, ...lost.unknown])
    return { redispatched, stuck }
  }

  async #lost(rows: readonly OpenRow[]): Promise<{ unknown: OpenRow[]; failed: OpenRow[] }> {
    const lost = { unknown: [] as OpenRow[], failed: [] as OpenRow[] }
    for (const [queue, inQueue] of Map.groupBy(rows, ({ kind }): QueueName => kindNamed(kind).queue)) {
      const fates = await this.#parts.messenger.fates(queue, [...new Set(inQueue.map(({ job_id }) => job_id))])
      for (const row of inQueue) {
        const fate = fates.get(row.job_id)
        if (fate === 'failed') lost.failed.push(row)
        else if (fate === undefined) lost.unknown.push(row)
      }
    }
    return lost
  }

  /** Under new job ids, so that a queue that still remembers the old one as finished does not swallow them. */
  async #redispatch(rows: readonly OpenRow[]): Promise<number> {
    if (rows.length === 0) return 0
    const sent = await this.#parts.transaction((sql) =>
      assignJobs(
        sql,
        rows.map(({ id }) => id),
        rows.map(({ job_id }) => job_id),
      ),
    )
    this.#parts.dispatcher.send(sent)
    return sent.reduce((count, { data }) => count + data.operations.length, 0)
  }
}

/**
 * Gives open operations new jobs, unless somebody has given them one since we looked, and answers with those jobs.
 * Rows that a worker holds locked are being worked on, and are left to it.
 */
async function assignJobs(sql: Sql, ids: readonly string[], oldJobs: readonly string[]) {
  const rows = await sql.query<{ id: string; kind: KindName; input: unknown }>(
    `select operation.id, kind, input from operation
     join unnest($1::uuid[], $2::text[]) as seen (id, job_id) on seen.id = operation.id and seen.job_id = operation.job_id
     where status in ('queued', 'processing')
     order by operation.id for no key update of operation skip locked`,
    [ids, oldJobs],
  )
  const jobs = packed(rows)
  await moveToJobs(
    sql,
    jobs.flatMap(({ jobId, load }) => load.map(({ id }) => ({ id, jobId }))),
  )
  return jobs.map(({ jobId, kind, load }) => envelope(jobId, kind, load))
}

export async function moveToJobs(sql: Sql, moves: readonly { id: string; jobId: string }[]): Promise<void> {
  await sql.query(
    `update operation set job_id = move.job_id from unnest($1::uuid[], $2::text[]) as move (id, job_id) where operation.id = move.id`,
    [moves.map(({ id }) => id), moves.map(({ jobId }) => jobId)],
  )
}

/**
 * An operator's second chance: `stuck` operations become `queued` with all their tries before them, and get new jobs.
 * Those that are not stuck are left as they are. Answers with the jobs to send.
 */
export async function requeueStuck(sql: Sql, ids: readonly string[]) {
  const rows = await sql.query<{ id: string; kind: KindName; input: unknown }>(
    `with chosen as (
       select id from operation where id = any($1::uuid[]) and status = 'stuck' order by id for no key update
     )
     update operation set status = 'queued', attempts = 0, error = null, started_at = null, job_id = $2
     from chosen where operation.id = chosen.id
     returning operation.id, operation.kind, operation.input`,
    [ids, newId()],
  )
  const jobs = packed(rows)
  await moveToJobs(
    sql,
    jobs.flatMap(({ jobId, load }) => load.map(({ id }) => ({ id, jobId }))),
  )
  return jobs.map(({ jobId, kind, load }) => envelope(jobId, kind, load))
}
