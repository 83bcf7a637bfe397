import { type Account, type Books, openBooks } from '../../domain/ledger/books.ts'
import type { InputOf, Kind, ResultOf } from '../../jobs/kind.ts'
import { lockOpen, type OpenOperation, type Outcome, writeOutcomes } from '../../jobs/operation.ts'
import { isFault } from '../../kit/fault.ts'
import type { Sql } from '../../kit/sql.ts'
import type { Services, WorkContext } from '../context.ts'
import type { Processor } from './processor.ts'
import { outcomeOf, parsedInput, settleAlone, succeeded } from './turn.ts'

/** One operation's turn: everything it may look at and move. */
export interface Turn<K extends Kind, Subjects> {
  readonly input: InputOf<K>
  readonly operation: OpenOperation
  /** What the batch's inputs speak of, as it was before the accounts were locked: rely on what never changes. */
  readonly subjects: Subjects
  /** An account that this batch has locked. Read after the lock. */
  account(id: string): Account
  readonly books: Books
  readonly now: Date
}

export interface DecideRules<K extends Kind, Subjects> {
  /** Reads what all inputs speak of, in one statement. `about` has the operations of the inputs, in the same order. */
  subjects(
    sql: Sql,
    inputs: readonly InputOf<K>[],
    about: { readonly operations: readonly OpenOperation[]; readonly services: Services },
  ): Promise<Subjects>
  /** The accounts to lock for an input. */
  accounts(input: InputOf<K>, subjects: Subjects): readonly string[]
  /** Decides one operation on locked balances. A refusal that it throws takes back what this operation has posted. */
  decide(turn: Turn<K, Subjects>): ResultOf<K>
  /** Set-based writes of the kind's own rows, once for the batch, for the operations that succeeded. */
  written?(sql: Sql, done: readonly Done<K>[], now: Date): Promise<void>
  /** After the commit. */
  measured?(done: readonly Done<K>[], context: WorkContext): void
}

export interface Done<K extends Kind> {
  readonly operation: OpenOperation
  readonly input: InputOf<K>
  readonly result: ResultOf<K>
}

/**
 * The shape of hot ledger work: many operations, one transaction. Locks all accounts involved in id order, decides each
 * operation in order on the locked balances, writes all rows set-based. A refused operation leaves its siblings alone;
 * one that cannot be stored is found by halving the batch.
 */
export function decide<K extends Kind, Subjects>(kind: K, rules: DecideRules<K, Subjects>): Processor {
  async function decideTogether(context: WorkContext, ids: readonly string[]): Promise<readonly Outcome[]> {
    const { database, services } = context
    const startedAt = services.clock.now()
    const { outcomes, done } = await database.transaction(async (sql) => {
      const batch = await readBatch(kind, sql, ids, context)
      const inputs = batch.turns.map(({ input }) => input)
      const operations = batch.turns.map(({ operation }) => operation)
      const subjects = await rules.subjects(sql, inputs, { operations, services })
      const books = await openBooks(
        sql,
        inputs.flatMap((input) => rules.accounts(input, subjects)),
        startedAt,
      )
      // Read after the lock: whoever waited for it longer than a token lives is too late.
      const now = services.clock.now()
      const done: Done<K>[] = []
      const outcomes = batch.turns.map(({ operation, input }): Outcome => {
        const mark = books.mark()
        try {
          const turn = { input, operation, subjects, account: (id: string) => books.account(id), books, now }
          const result = rules.decide(turn)
          done.push({ operation, input, result })
          return succeeded(kind, operation.id, result, services.keyring)
        } catch (error) {
          books.undo(mark)
          return outcomeOf(error, operation, context)
        }
      })
      await books.write(sql)
      if (rules.written !== undefined && done.length > 0) await rules.written(sql, done, now)
      const all = [...batch.unreadable, ...outcomes]
      await writeOutcomes(sql, all, { startedAt, finishedAt: services.clock.now() })
      return { outcomes: all, done }
    })
    rules.measured?.(done, context)
    return outcomes
  }

  async function decideApart(context: WorkContext, ids: readonly string[]): Promise<readonly Outcome[]> {
    try {
      return await decideTogether(context, ids)
    } catch (error) {
      if (isFault(error)) throw error
      const [only] = ids
      if (only === undefined) throw error
      if (ids.length === 1) return settleAlone(context, kind, only, error)
      const half = ids.length >> 1
      const left = await decideApart(context, ids.slice(0, half))
      return [...left, ...(await decideApart(context, ids.slice(half)))]
    }
  }

  return { together: true, run: decideApart }
}

interface Batch<K extends Kind> {
  readonly turns: readonly { operation: OpenOperation; input: InputOf<K> }[]
  readonly unreadable: readonly Outcome[]
}

async function readBatch<K extends Kind>(
  kind: K,
  sql: Sql,
  ids: readonly string[],
  context: WorkContext,
): Promise<Batch<K>> {
  const turns: { operation: OpenOperation; input: InputOf<K> }[] = []
  const unreadable: Outcome[] = []
  for (const operation of await lockOpen(sql, kind.name, ids)) {
    try {
      turns.push({ operation, input: parsedInput(kind, operation, context.services.keyring) })
    } catch (error) {
      unreadable.push(outcomeOf(error, operation, context))
    }
  }
  return { turns, unreadable }
}
