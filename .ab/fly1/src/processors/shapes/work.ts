import { type Books, openBooks } from '../../domain/ledger/books.ts'
import type { Envelope } from '../../jobs/envelope.ts'
import { type FollowUp, insertFollowUps } from '../../jobs/followup.ts'
import type { InputOf, Kind } from '../../jobs/kind.ts'
import type { OpenOperation } from '../../jobs/operation.ts'
import type { Tx } from '../../platform/database.ts'
import type { WorkContext } from '../context.ts'

/** One operation inside one transaction, and what it may do there. */
export interface Work<K extends Kind> extends Tx {
  readonly input: InputOf<K>
  readonly operation: OpenOperation
  readonly now: Date
  /** Locks accounts and opens their books; what is posted is written before the transaction commits. */
  books(accountIds: readonly string[], options?: { holds?: readonly string[] }): Promise<Books>
  /** Asks for something that exists exactly if this transaction commits. */
  followUp(...followUps: FollowUp[]): void
  /** Jobs to send after the commit. */
  dispatch(jobs: readonly Envelope[]): void
}

/** Work as it is prepared by a shape: `settle` writes what was posted and asked for. */
export function openWork<K extends Kind>(
  context: WorkContext,
  tx: Tx,
  operation: OpenOperation,
  input: InputOf<K>,
): { work: Work<K>; settle(): Promise<Envelope[]> } {
  const now = context.services.clock.now()
  const opened: Books[] = []
  const asked: FollowUp[] = []
  const jobs: Envelope[] = []
  return {
    work: {
      ...tx,
      input,
      operation,
      now,
      async books(accountIds, options) {
        const books = await openBooks(tx.sql, accountIds, now, options)
        opened.push(books)
        return books
      },
      followUp: (...followUps) => {
        asked.push(...followUps.map((one) => ({ requestId: operation.requestId, ...one })))
      },
      dispatch: (more) => {
        jobs.push(...more)
      },
    },
    async settle() {
      // The books first: rows of entities may point at accounts that are opened here.
      for (const books of opened) await books.write(tx.sql)
      await tx.em.flush()
      return [...jobs, ...(await insertFollowUps(tx.sql, context.services.keyring, asked, now))]
    },
  }
}
