import type { Envelope } from '../../jobs/envelope.ts'
import type { InputOf, Kind, ResultOf } from '../../jobs/kind.ts'
import { lockOpen, type Outcome, writeOutcomes } from '../../jobs/operation.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Services, WorkContext } from '../context.ts'
import type { Processor } from './processor.ts'
import { outcomeOf, parsedInput, settleAlone, succeeded } from './turn.ts'
import { openWork, type Work } from './work.ts'

export interface TransactRules<K extends Kind> {
  /** Does the work. A refusal that it throws takes back everything that it wrote. */
  perform(work: Work<K>, services: Services): Promise<ResultOf<K>>
  /** After the commit. */
  measured?(result: ResultOf<K>, input: InputOf<K>, context: WorkContext): void
}

/** The shape of ordinary work: one operation, one transaction. */
export function transact<K extends Kind>(kind: K, rules: TransactRules<K>): Processor {
  async function performOne(context: WorkContext, id: string): Promise<Outcome[]> {
    const { database, services } = context
    let jobs: Envelope[] = []
    let measured = () => {}
    const outcomes = await database.unitOfWork(async (tx) => {
      const [operation] = await lockOpen(tx.sql, kind.name, [id])
      if (operation === undefined) return []
      const startedAt = services.clock.now()
      await tx.sql.query('savepoint work')
      let outcome: Outcome
      try {
        const input = parsedInput(kind, operation, services.keyring)
        const { work, settle } = openWork<K>(context, tx, operation, input)
        const result = await rules.perform(work, services)
        jobs = await settle()
        measured = () => rules.measured?.(result, input, context)
        outcome = succeeded(kind, id, result, services.keyring)
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        await tx.sql.query('rollback to savepoint work')
        tx.em.clear()
        jobs = []
        outcome = outcomeOf(error, operation, context)
      }
      await writeOutcomes(tx.sql, [outcome], { startedAt, finishedAt: services.clock.now() })
      return [outcome]
    })
    context.dispatch(jobs)
    measured()
    return outcomes
  }

  return {
    async run(context, ids) {
      const outcomes: Outcome[] = []
      for (const id of ids) {
        try {
          outcomes.push(...(await performOne(context, id)))
        } catch (error) {
          outcomes.push(...(await settleAlone(context, kind, id, error)))
        }
      }
      return outcomes
    },
  }
}
