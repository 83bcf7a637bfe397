import type { Envelope } from '../../jobs/envelope.ts'
import type { InputOf, Kind, ResultOf } from '../../jobs/kind.ts'
import { lockOpen, type OpenOperation, type Outcome, refused, startOpen, writeOutcomes } from '../../jobs/operation.ts'
import { Fault } from '../../kit/fault.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Sql } from '../../kit/sql.ts'
import { turns } from '../../kit/turns.ts'
import type { Services, WorkContext } from '../context.ts'
import type { Processor } from './processor.ts'
import { parsedInput, settleAlone, succeeded } from './turn.ts'
import { openWork, type Work } from './work.ts'

/** What `begin` returns when nobody has to be asked any more. */
export class Done<Result> {
  readonly result: Result
  constructor(result: Result) {
    this.result = result
  }
}

/** What `finish` returns when its answer is kept and somebody else is asked next: `begin` says who. */
export const ASK_NEXT = Symbol('ask next')

/** What `finish` returns when its answer is kept and the operation is worth another try later. */
export class TryLater {
  readonly reason: string
  constructor(reason: string) {
    this.reason = reason
  }
}

export interface StagedRules<K extends Kind, Begun, Answer> {
  /**
   * Every statement of `begin` and `finish` finds a few rows by their keys, so its plan is made once. Leave it out where
   * one reads as much as there is, such as a month's usage.
   */
  readonly byKey?: boolean
  /**
   * Writes down what is about to be asked, under an id of its own. A second try finds the same row. A refusal that it
   * returns is the outcome and keeps what was written with it; one that it throws takes everything back.
   */
  begin(work: Work<K>, services: Services): Promise<Begun | Refusal | Done<ResultOf<K>>>
  /** Asks somebody else. No transaction is in reach; a fault is tried again, with what `begin` wrote. */
  call(asked: { input: InputOf<K>; begun: Begun; operation: OpenOperation }, services: Services): Promise<Answer>
  /** Believes the answer, once. Refusals as in `begin`. */
  finish(
    work: Work<K>,
    answered: { begun: Begun; answer: Answer },
    services: Services,
  ): Promise<ResultOf<K> | Refusal | typeof ASK_NEXT | TryLater>
  /** After the commit of a success. */
  measured?(result: ResultOf<K>, input: InputOf<K>, context: WorkContext): void
}

/** Operations of one job that ask at once: each waits for somebody else, not for the processor. */
const SIDE_BY_SIDE = 8

/** How one transaction of a staged operation ended. */
type Ended<Next> = { readonly outcomes: Outcome[] } | { readonly next: Next }

/** The shape of everything that asks somebody else: begin (transaction), call (none in reach), finish (transaction). */
export function staged<K extends Kind, Begun, Answer>(kind: K, rules: StagedRules<K, Begun, Answer>): Processor {
  const terms = { byKey: rules.byKey === true }
  type Turn = { readonly operation: OpenOperation; readonly input: InputOf<K>; readonly work: Work<K> }

  /**
   * One transaction on an operation that is still open. What `play` returns is its outcome, or what comes next. Nothing is
   * done when the operation has its outcome already.
   */
  async function transaction<Next>(
    context: WorkContext,
    id: string,
    open: (sql: Sql, now: Date) => Promise<OpenOperation | undefined>,
    play: (turn: Turn) => Promise<Done<ResultOf<K>> | Refusal | { next: Next }>,
  ): Promise<Ended<Next>> {
    const { database, services } = context
    let jobs: Envelope[] = []
    let measured = () => {}
    const ended = await database.unitOfWork(async (tx): Promise<Ended<Next>> => {
      const startedAt = services.clock.now()
      const operation = await open(tx.sql, startedAt)
      if (operation === undefined) return { outcomes: [] }
      const input = parsedInput(kind, operation, services.keyring)
      const { work, settle } = openWork<K>(context, tx, operation, input)
      const played = await play({ operation, input, work })
      jobs = await settle()
      if ('next' in played) return played
      const outcome =
        played instanceof Refusal ? refused(id, played) : succeeded(kind, id, played.result, services.keyring)
      if (played instanceof Done) measured = () => rules.measured?.(played.result, input, context)
      await writeOutcomes(tx.sql, [outcome], { startedAt, finishedAt: services.clock.now() })
      return { outcomes: [outcome] }
    }, terms)
    context.dispatch(jobs)
    measured()
    return ended
  }

  const starting = (id: string) => (sql: Sql, now: Date) => startOpen(sql, kind.name, id, now)
  const goingOn = (id: string) => async (sql: Sql) => (await lockOpen(sql, kind.name, [id]))[0]

  const begin = (context: WorkContext, id: string) =>
    transaction(context, id, starting(id), async ({ operation, input, work }) => {
      const begun = await rules.begin(work, context.services)
      if (begun instanceof Refusal || begun instanceof Done) return begun
      return { next: { operation, input, begun } }
    })

  const finish = (context: WorkContext, id: string, begun: Begun, answer: Answer) =>
    transaction<typeof ASK_NEXT | TryLater>(context, id, goingOn(id), async ({ work }) => {
      const result = await rules.finish(work, { begun, answer }, context.services)
      if (result === ASK_NEXT) return { next: ASK_NEXT }
      if (result instanceof TryLater) return { next: result }
      return result instanceof Refusal ? result : new Done(result as ResultOf<K>)
    })

  async function performOne(context: WorkContext, id: string): Promise<Outcome[]> {
    try {
      for (;;) {
        const started = await begin(context, id)
        if ('outcomes' in started) return started.outcomes
        const answer = await rules.call(started.next, context.services)
        const finished = await finish(context, id, started.next.begun, answer)
        if ('outcomes' in finished) return finished.outcomes
        if (finished.next instanceof TryLater) throw new Fault(finished.next.reason)
      }
    } catch (error) {
      return settleAlone(context, kind, id, error)
    }
  }

  return {
    async run(context, ids) {
      const inTurn = turns(SIDE_BY_SIDE)
      const ended = await Promise.allSettled(ids.map((id) => inTurn(() => performOne(context, id))))
      const outcomes = ended.flatMap((one) => (one.status === 'fulfilled' ? one.value : []))
      const faults = ended.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
      // Those that ended are written already; the job comes again for what is open, and finds no more than that.
      if (faults.length > 0) throw faults[0]
      return outcomes
    },
  }
}
