import type { EntityManager } from '@mikro-orm/postgresql'
import { lockHolder } from '../../domain/payments/holder.ts'
import { Payment, TRANSACTION } from '../../domain/payments/payment.ts'
import { paymentRefusals } from '../../domain/payments/refusals.ts'
import { fromPublicId } from '../../kit/ids.ts'
import type { Sql } from '../../kit/sql.ts'

/**
 * The payment that a caller names, its user locked. `userId` is who may name it; left out, the caller acts for anybody.
 * Somebody else's is not found, like one that never was.
 */
export async function ownedPayment(
  { em, sql, now }: { em: EntityManager; sql: Sql; now: Date },
  asked: { transaction: string; userId?: string | undefined },
): Promise<Payment> {
  const id = fromPublicId(TRANSACTION, asked.transaction)
  const [row] =
    id === undefined ? [] : await sql.query<{ user_id: string }>('select user_id from payment where id = $1', [id])
  if (id === undefined || row === undefined || (asked.userId !== undefined && row.user_id !== asked.userId))
    throw paymentRefusals.notFound()
  await lockHolder(sql, row.user_id, now)
  return em.findOneOrFail(Payment, { id })
}
