import type { EntityManager } from '@mikro-orm/postgresql'
import { assert } from '../../kit/assert.ts'
import type { Sql } from '../../kit/sql.ts'
import type { Books } from '../ledger/books.ts'
import { Attempt } from './attempt.ts'
import { type Holder, lockHolder } from './holder.ts'
import { Payment } from './payment.ts'

/** What settling a payment needs of the transaction in which it happens. */
export interface Desk {
  readonly em: EntityManager
  readonly sql: Sql
  readonly now: Date
  readonly operation: { readonly id: string }
  books(accountIds: readonly string[], options?: { holds?: readonly string[] }): Promise<Books>
}

/** A payment and the attempt that there is news of, read after its user was locked. */
export interface Case {
  readonly holder: Holder
  readonly payment: Payment
  readonly attempt: Attempt
}

/** Locks the user first: confirm, webhook and look-up that come together take their turns, and each reads what is true then. */
export async function openCase(desk: Desk, attemptId: string): Promise<Case> {
  const [row] = await desk.sql.query<{ user_id: string; payment_id: string }>(
    `select payment.user_id, payment.id as payment_id
     from gateway_attempt join payment on payment.id = gateway_attempt.payment_id where gateway_attempt.id = $1`,
    [attemptId],
  )
  assert(row, `There is no attempt ${attemptId}`)
  const holder = await lockHolder(desk.sql, row.user_id, desk.now)
  const payment = await desk.em.findOneOrFail(Payment, { id: row.payment_id })
  const attempt = await desk.em.findOneOrFail(Attempt, { id: attemptId })
  return { holder, payment, attempt }
}
