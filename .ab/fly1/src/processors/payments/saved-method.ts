import type { EntityManager } from '@mikro-orm/postgresql'
import { isExpired, SavedMethod } from '../../domain/payments/method.ts'
import { PAYMENT_METHOD } from '../../domain/payments/payment.ts'
import { paymentRefusals } from '../../domain/payments/refusals.ts'
import { fromPublicId } from '../../kit/ids.ts'

/** The user's own method under this id, when it may still be used; undefined when none was named. */
export async function usableMethod(
  em: EntityManager,
  userId: string,
  written: string | undefined,
  now: Date,
): Promise<SavedMethod | undefined> {
  if (written === undefined) return undefined
  const id = fromPublicId(PAYMENT_METHOD, written)
  const method = id === undefined ? null : await em.findOne(SavedMethod, { id, userId, status: 'active' })
  if (method === null) throw paymentRefusals.methodNotFound()
  const { expiryMonth, expiryYear } = method
  if (isExpired(method, now) && expiryMonth != null && expiryYear != null)
    throw paymentRefusals.methodExpired({ month: expiryMonth, year: expiryYear })
  return method
}
