import type { InputOf, Kind, ResultOf } from '../../jobs/kind.ts'
import { lockOpen, type OpenOperation, type Outcome, refused, stuck, writeOutcomes } from '../../jobs/operation.ts'
import { openFields, sealFields } from '../../jobs/sealing.ts'
import { Bug } from '../../kit/assert.ts'
import { isFault } from '../../kit/fault.ts'
import type { Keyring } from '../../kit/keyring.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { WorkContext } from '../context.ts'

/** The input as the processor's types promise it. A row that no longer fits its schema is a bug, not a refusal. */
export function parsedInput<K extends Kind>(kind: K, operation: OpenOperation, keyring: Keyring): InputOf<K> {
  const parsed = kind.input.safeParse(openFields(kind, 'input', keyring, operation.id, operation.input))
  if (!parsed.success) {
    const fields = parsed.error.issues.map(({ path }) => path.join('.')).join(', ')
    throw new Bug(`The stored input of ${kind.name} does not fit its schema: ${fields}`)
  }
  return parsed.data as InputOf<K>
}

export const succeeded = <K extends Kind>(kind: K, id: string, result: ResultOf<K>, keyring: Keyring): Outcome => ({
  id,
  status: 'succeeded',
  result: sealFields(kind, 'result', keyring, id, result),
})

/** What an error means for the one operation that caused it. A fault is nobody's outcome: it is thrown on, to be tried again. */
export function outcomeOf(error: unknown, operation: { id: string; kind: string }, { log }: WorkContext): Outcome {
  if (error instanceof Refusal) return refused(operation.id, error)
  if (isFault(error)) throw error
  log.error({ err: error, kind: operation.kind, operation_id: operation.id }, 'A bug stopped an operation')
  return stuck(operation.id, error)
}

/**
 * Writes what an error means for its operation in a transaction of its own. Answers with that outcome, or with nothing
 * when the operation has one by now. Throws faults on.
 */
export async function settleAlone(context: WorkContext, kind: Kind, id: string, error: unknown): Promise<Outcome[]> {
  const outcome = outcomeOf(error, { id, kind: kind.name }, context)
  const now = context.services.clock.now()
  return context.database.transaction(async (sql) => {
    const [open] = await lockOpen(sql, kind.name, [id])
    if (open === undefined) return []
    await writeOutcomes(sql, [outcome], { startedAt: now, finishedAt: now })
    return [outcome]
  })
}
