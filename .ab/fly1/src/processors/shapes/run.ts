import type { Envelope } from '../../jobs/envelope.ts'
import { insertFollowUps } from '../../jobs/followup.ts'
import type { InputOf, Kind, ResultOf } from '../../jobs/kind.ts'
import { lockOpen, markProcessing, type OpenOperation, type Outcome, writeOutcomes } from '../../jobs/operation.ts'
import { giveJobs, WAITS } from '../../jobs/relay.ts'
import type { chunkInput, chunkResult } from '../../jobs/runs.ts'
import type { scheduledInput } from '../../jobs/scheduled.ts'
import { assert } from '../../kit/assert.ts'
import { newId } from '../../kit/ids.ts'
import type { Sql } from '../../kit/sql.ts'
import type { Services, WorkContext } from '../context.ts'
import type { Processor } from './processor.ts'
import { parsedInput, settleAlone, succeeded } from './turn.ts'
import { openWork, type Work } from './work.ts'

/** Something that is done once for a period, and asked for by its clock. */
export type RunKind = Kind<string, typeof scheduledInput>
/** A part of it. */
export type ChunkKind = Kind<string, typeof chunkInput, typeof chunkResult>

/** Subjects in the order of their ids: `after` is not among them, `through` is the last. */
export interface Span {
  readonly after: string | null
  readonly through: string
  readonly items: number
}

/** A run as its rules see it. */
export interface RunView {
  readonly id: string
  readonly subject: string
  readonly period: string
  readonly total: number
  readonly done: number
  readonly failed: number
  /** What came of those that are done. */
  readonly made: number
}

/** What became of one chunk's subjects. */
export interface ChunkReport {
  readonly made: number
  /** Subjects that could not be done, and must not keep the others: a person looks at them. */
  readonly problems: readonly { readonly subject: string; readonly message: string }[]
}

export interface RunRules<R extends RunKind, C extends ChunkKind> {
  readonly run: R
  readonly chunk: C
  /** Whose run it is, and what its period is called: together they are done once, whoever asks. */
  names(input: InputOf<R>, services: Services): { readonly subject: string; readonly period: string }
  /** In a transaction of its own, before it is planned: closes what must not change any more. */
  opening?(work: Work<R>, run: RunView, services: Services): Promise<void>
  /** Cuts the run into spans of subjects. It holds the spans in memory, not the subjects. */
  spans(work: Work<R>, run: RunView, services: Services): Promise<readonly Span[]>
  /** Does the work of one span, in one transaction with the run's count: a crash leaves all of it undone, or all done. */
  perform(work: Work<C>, part: { run: RunView; span: Span }, services: Services): Promise<ChunkReport>
  result(run: RunView, already: boolean): ResultOf<R>
}

/** Problems that a chunk's outcome lists; their count is whole. */
const MAX_PROBLEMS = 20

/** Any number, with the kind beside it: what waits for a run and what ends one take turns. */
const RUN_LOCK = 7_205_759

/**
 * The shape of periodic work that fans out: plan → chunks → close. Runs of one kind follow one another in the order of
 * their periods. Each step is one transaction, so that a run which is killed anywhere goes on from there; the chunk that
 * is done last closes it. Between plan and close the run's own operation has no job.
 */
export function run<R extends RunKind, C extends ChunkKind>(
  rules: RunRules<R, C>,
): { run: Processor; chunk: Processor } {
  return { run: planning(rules), chunk: chunks(rules) }
}

/** One transaction on an operation that is still open, and the jobs to send after its commit. */
async function transaction<K extends Kind, Result>(
  context: WorkContext,
  kind: K,
  id: string,
  play: (turn: { operation: OpenOperation; work: Work<K> }) => Promise<Result>,
): Promise<Result | undefined> {
  const { database, services } = context
  let jobs: Envelope[] = []
  const result = await database.unitOfWork(async (tx) => {
    const [operation] = await lockOpen(tx.sql, kind.name, [id])
    if (operation === undefined) return undefined
    const { work, settle } = openWork<K>(context, tx, operation, parsedInput(kind, operation, services.keyring))
    const played = await play({ operation, work })
    jobs = await settle()
    return played
  })
  context.dispatch(jobs)
  return result
}

function planning<R extends RunKind, C extends ChunkKind>(rules: RunRules<R, C>): Processor {
  const kind = rules.run

  /** `undefined`: it waits, or is done by others. */
  async function open(context: WorkContext, id: string): Promise<'plan' | Outcome | undefined> {
    return transaction(context, kind, id, async ({ work }) => {
      const { sql, now, input } = work
      await markProcessing(sql, [id], now)
      await takeTurns(sql, kind)
      if (await isBehindOthers(sql, kind, { id, period: input.period })) return wait(sql, id)
      const { subject, period } = rules.names(input, context.services)
      await sql.query(
        `insert into run (id, kind, subject, period, status, started_at) values ($1, $2, $3, $4, 'planning', $5)
         on conflict do nothing`,
        [id, kind.name, subject, period, now],
      )
      const { view, status } = await readRun(sql, 'kind = $1 and subject = $2 and period = $3', [
        ...[kind.name, subject, period],
      ])
      if (status === 'closed') return finish(context, work, view, view.id !== id)
      assert(view.id === id, `Run ${view.id} is open without its operation`)
      if (status === 'running') return wait(sql, id)
      await rules.opening?.(work, view, context.services)
      return 'plan'
    })
  }

  async function plan(context: WorkContext, id: string): Promise<Outcome | undefined> {
    return transaction(context, kind, id, async ({ work }) => {
      const { sql, now } = work
      const { view, status } = await readRun(sql, 'id = $1', [id])
      if (status !== 'planning') return undefined
      const spans = await rules.spans(work, view, context.services)
      const children = spans.map((span, position) => ({ ...span, position, id: newId() }))
      work.dispatch(
        await insertFollowUps(
          sql,
          context.services.keyring,
          children.map((child) => ({
            id: child.id,
            kind: rules.chunk.name as never,
            input: { run_id: id, position: child.position },
            requestId: work.operation.requestId,
          })),
          now,
        ),
      )
      await sql.query(
        `insert into run_chunk (run_id, position, operation_id, after_id, through_id, items)
         select $1, * from unnest($2::int[], $3::uuid[], $4::text[], $5::text[], $6::int[])`,
        [
          id,
          children.map(({ position }) => position),
          children.map((child) => child.id),
          children.map(({ after }) => after),
          children.map(({ through }) => through),
          children.map(({ items }) => items),
        ],
      )
      const total = spans.reduce((sum, { items }) => sum + items, 0)
      await sql.query(`update run set status = 'running', total = $2, started_at = $3 where id = $1`, [id, total, now])
      if (spans.length > 0) return wait(sql, id)
      await takeTurns(sql, kind)
      return finish(context, work, { ...view, total }, false)
    })
  }

  /** Writes the outcome of the run's own operation, which is locked. */
  async function finish(context: WorkContext, work: Work<R>, view: RunView, already: boolean): Promise<Outcome> {
    const outcome = succeeded(kind, work.operation.id, rules.result(view, already), context.services.keyring)
    await writeOutcomes(work.sql, [outcome], { startedAt: work.now, finishedAt: context.services.clock.now() })
    if (!already) await work.sql.query(CLOSE, [view.id, work.now])
    work.dispatch(await wakeNext(work.sql, kind))
    return outcome
  }

  async function performOne(context: WorkContext, id: string): Promise<Outcome[]> {
    try {
      const opened = await open(context, id)
      const outcome = opened === 'plan' ? await plan(context, id) : opened
      return outcome === undefined ? [] : [outcome]
    } catch (error) {
      return settleAlone(context, kind, id, error)
    }
  }

  return oneByOne(performOne)
}

function chunks<R extends RunKind, C extends ChunkKind>(rules: RunRules<R, C>): Processor {
  const kind = rules.chunk

  async function performOne(context: WorkContext, id: string): Promise<Outcome[]> {
    const { keyring, clock } = context.services
    try {
      const outcome = await transaction(context, kind, id, async ({ work }) => {
        const { sql, input } = work
        const startedAt = work.now
        const part = await readPart(sql, input as { run_id: string; position: number })
        const { made, problems } = await rules.perform(work as Work<C>, part, context.services)
        const failed = problems.length
        const result = { done: part.span.items - failed, made, failed, problems: problems.slice(0, MAX_PROBLEMS) }
        const one = succeeded(kind, id, result as ResultOf<C>, keyring)
        await writeOutcomes(sql, [one], { startedAt, finishedAt: clock.now() })
        await sql.query(`update run_chunk set done_at = $3, made = $4 where run_id = $1 and position = $2`, [
          ...[part.run.id, part.position, clock.now(), made],
        ])
        // Chunks wait for each other from here to their commits, so this comes last.
        const [counted] = await sql.query<RunRow>(
          `update run set done = done + $2, failed = failed + $3, made = made + $4 where id = $1 returning *`,
          [part.run.id, result.done, failed, made],
        )
        assert(counted, `There is no run ${part.run.id}`)
        const view = viewOf(counted)
        if (view.done + view.failed === view.total) work.dispatch(await close(context, sql, view))
        return one
      })
      return outcome === undefined ? [] : [outcome]
    } catch (error) {
      return settleAlone(context, kind, id, error)
    }
  }

  /** The last chunk's part: the run's own operation gets its outcome in the same transaction. */
  async function close(context: WorkContext, sql: Sql, view: RunView): Promise<Envelope[]> {
    const { keyring, clock } = context.services
    await takeTurns(sql, rules.run)
    const now = clock.now()
    const outcome = succeeded(rules.run, view.id, rules.result(view, false), keyring)
    const open = await lockOpen(sql, rules.run.name, [view.id])
    if (open.length > 0) await writeOutcomes(sql, [outcome], { startedAt: now, finishedAt: now })
    await sql.query(CLOSE, [view.id, now])
    return wakeNext(sql, rules.run)
  }

  return oneByOne(performOne)
}

const oneByOne = (perform: (context: WorkContext, id: string) => Promise<Outcome[]>): Processor => ({
  async run(context, ids) {
    const outcomes: Outcome[] = []
    for (const id of ids) outcomes.push(...(await perform(context, id)))
    return outcomes
  },
})

const CLOSE = `update run set status = 'closed', finished_at = $2 where id = $1`

/** Held until the transaction ends: whoever looks whether it must wait, and whoever wakes the next, do so in turns. */
const takeTurns = (sql: Sql, { name }: Kind) =>
  sql.query('select pg_advisory_xact_lock($1, hashtext($2))', [RUN_LOCK, name])

/** Has an earlier period of the same kind, or the same one by somebody else, no outcome yet? */
async function isBehindOthers(sql: Sql, { name }: Kind, own: { id: string; period: string }): Promise<boolean> {
  const earlier = await sql.query(
    `select from operation
     where kind = $1 and status in ('queued', 'processing', 'stuck') and id <> $2
       and ((input->>'period')::timestamptz, id) < ($3::timestamptz, $2::uuid) limit 1`,
    [name, own.id, own.period],
  )
  return earlier.length > 0
}

/** No job until somebody gives it one: the last chunk, or the run before. */
async function wait(sql: Sql, id: string): Promise<undefined> {
  await sql.query('update operation set job_id = $2 where id = $1', [id, WAITS])
}

/** Those that wait for a run of this kind to end look again: the earliest goes on. */
async function wakeNext(sql: Sql, { name }: Kind): Promise<Envelope[]> {
  const waiting = await sql.query<{ id: string; kind: never; input: unknown }>(
    `select operation.id, operation.kind, operation.input from operation
     where kind = $1 and status = 'processing' and job_id = $2
       and not exists (select from run where run.id = operation.id and status = 'running')
     order by (input->>'period')::timestamptz, id limit 1 for no key update`,
    [name, WAITS],
  )
  return giveJobs(sql, waiting)
}

interface RunRow {
  id: string
  subject: string
  period: string
  status: 'planning' | 'running' | 'closed'
  total: string
  done: string
  failed: string
  made: string
}

const viewOf = (row: RunRow): RunView => ({
  id: row.id,
  subject: row.subject,
  period: row.period,
  total: Number(row.total),
  done: Number(row.done),
  failed: Number(row.failed),
  made: Number(row.made),
})

async function readRun(sql: Sql, where: string, parameters: readonly unknown[]) {
  const [row] = await sql.query<RunRow>(`select * from run where ${where} for no key update`, parameters)
  assert(row, 'A run that was begun is not there')
  return { view: viewOf(row), status: row.status }
}

async function readPart(sql: Sql, { run_id, position }: { run_id: string; position: number }) {
  const [row] = await sql.query<RunRow & { after_id: string | null; through_id: string; items: number }>(
    `select run.*, after_id, through_id, items from run_chunk join run on run.id = run_id
     where run_id = $1 and position = $2`,
    [run_id, position],
  )
  assert(row, `There is no chunk ${position} of run ${run_id}`)
  return { run: viewOf(row), position, span: { after: row.after_id, through: row.through_id, items: row.items } }
}
