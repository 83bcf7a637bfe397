import type { Envelope } from '../../jobs/envelope.ts'
import type { InputOf, Kind, ResultOf } from '../../jobs/kind.ts'
import {
  lockOpen,
  markProcessing,
  type OpenOperation,
  type Outcome,
  refused,
  writeOutcomes,
} from '../../jobs/operation.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Services, WorkContext } from '../context.ts'
import type { Processor } from './processor.ts'
import { parsedInput, settleAlone, succeeded } from './turn.ts'
import { openWork, type Work } from './work.ts'

export interface StagedRules<K extends Kind, Begun, Answer> {
  /** Writes down what is about to be asked, under an id of its own. A second try finds the same row. */
  begin(work: Work<K>, services: Services): Promise<Begun>
  /** Asks somebody else. No transaction is in reach; a fault is tried again, with what `begin` wrote. */
  call(asked: { input: InputOf<K>; begun: Begun; operation: OpenOperation }, services: Services): Promise<Answer>
  /**
   * Believes the answer, once. A refusal that it returns is the outcome and keeps what was written with it; one that it
   * throws takes everything back.
   */
  finish(work: Work<K>, answered: { begun: Begun; answer: Answer }, services: Services): Promise<ResultOf<K> | Refusal>
  /** After the commit of a success. */
  measured?(result: ResultOf<K>, input: InputOf<K>, context: WorkContext): void
}

/** The shape of everything that asks somebody else: begin (transaction), call (none in reach), finish (transaction). */
export function staged<K extends Kind, Begun, Answer>(kind: K, rules: StagedRules<K, Begun, Answer>): Processor {
  /** Undefined: the operation has its outcome already, or was refused before anybody was asked. */
  async function begin(context: WorkContext, id: string) {
    let jobs: Envelope[] = []
    const begun = await context.database.unitOfWork(async (tx) => {
      const [operation] = await lockOpen(tx.sql, kind.name, [id])
      if (operation === undefined) return undefined
      await markProcessing(tx.sql, [id], context.services.clock.now())
      const input = parsedInput(kind, operation, context.services.keyring)
      const { work, settle } = openWork<K>(context, tx, operation, input)
      const row = await rules.begin(work, context.services)
      jobs = await settle()
      return { operation, input, begun: row }
    })
    context.dispatch(jobs)
    return begun
  }

  async function finish(context: WorkContext, id: string, begun: Begun, answer: Answer): Promise<Outcome[]> {
    const { database, services } = context
    let jobs: Envelope[] = []
    let measured = () => {}
    const outcomes = await database.unitOfWork(async (tx) => {
      const [operation] = await lockOpen(tx.sql, kind.name, [id])
      if (operation === undefined) return []
      const input = parsedInput(kind, operation, services.keyring)
      const { work, settle } = openWork<K>(context, tx, operation, input)
      const result = await rules.finish(work, { begun, answer }, services)
      jobs = await settle()
      const outcome = result instanceof Refusal ? refused(id, result) : succeeded(kind, id, result, services.keyring)
      if (!(result instanceof Refusal)) measured = () => rules.measured?.(result, input, context)
      await writeOutcomes(tx.sql, [outcome], { startedAt: work.now, finishedAt: services.clock.now() })
      return [outcome]
    })
    context.dispatch(jobs)
    measured()
    return outcomes
  }

  async function performOne(context: WorkContext, id: string): Promise<Outcome[]> {
    try {
      const started = await begin(context, id)
      if (started === undefined) return []
      const answer = await rules.call(started, context.services)
      return await finish(context, id, started.begun, answer)
    } catch (error) {
      return settleAlone(context, kind, id, error)
    }
  }

  return {
    async run(context, ids) {
      const outcomes: Outcome[] = []
      for (const id of ids) outcomes.push(...(await performOne(context, id)))
      return outcomes
    },
  }
}
