import type { EntityManager } from '@mikro-orm/postgresql'
import { assert } from '../../kit/assert.ts'
import type { Sql } from '../../kit/sql.ts'
import type { Books } from '../ledger/books.ts'
import { Attempt } from './attempt.ts'
import type { Holder } from './holder.ts'
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
  const [row] = await desk.sql.query<{ user_id: string; payment_id: string; time_zone: string }>(
    `select holder.user_id, holder.time_zone, payment.id as payment_id
     from gateway_attempt
     join payment on payment.id = gateway_attempt.payment_id
     join wallet_holder holder on holder.user_id = payment.user_id
     where gateway_attempt.id = $1 for no key update of holder`,
    [attemptId],
  )
  assert(row, `There is no attempt ${attemptId} of somebody with a wallet`)
  const holder: Holder = { userId: row.user_id, timeZone: row.time_zone }
  const payment = await desk.em.findOneOrFail(Payment, { id: row.payment_id })
  const attempt = await desk.em.findOneOrFail(Attempt, { id: attemptId })
  return { holder, payment, attempt }
}
