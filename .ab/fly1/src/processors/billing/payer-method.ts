import type { EntityManager } from '@mikro-orm/postgresql'
import { invoicePaymentRefusals } from '../../domain/billing/payment-refusals.ts'
import { isExpired, SavedMethod, tokenPlace } from '../../domain/payments/method.ts'
import { PAYMENT_METHOD } from '../../domain/payments/payment.ts'
import { paymentRefusals } from '../../domain/payments/refusals.ts'
import { fromPublicId } from '../../kit/ids.ts'
import type { Keyring } from '../../kit/keyring.ts'
import { digestOf } from '../payments/methods.ts'
import { usableMethod } from '../payments/saved-method.ts'

interface Payer {
  readonly em: EntityManager
  readonly now: Date
  readonly keyring: Keyring
  readonly customerId: string
}

/** Stripe's own ids of payment methods. */
const STRIPE_METHOD = /^pm_\w{1,250}$/
/** Stripe's published test tokens: everybody's. */
const EVERYBODYS = /^pm_(card|usBankAccount|sepaDebit)_/

/**
 * Stripe's token for the method that a caller names: one that the customer has saved here, or one that Stripe gave the
 * caller's front end. Never one that somebody else has saved.
 */
export async function methodNamed({ em, now, keyring, customerId }: Payer, written: string): Promise<string> {
  if (fromPublicId(PAYMENT_METHOD, written) !== undefined) {
    const method = await usableMethod(em, customerId, written, now)
    if (method === undefined) throw paymentRefusals.methodNotFound()
    return tokenOf(method, keyring)
  }
  if (!STRIPE_METHOD.test(written)) throw paymentRefusals.methodNotFound()
  if (EVERYBODYS.test(written)) return written
  const owners = await em.find(SavedMethod, {
    gateway: 'stripe',
    tokenDigest: keyring.digest(digestOf('stripe', written)),
    status: 'active',
  })
  if (owners.length > 0 && owners.every(({ userId }) => userId !== customerId)) throw paymentRefusals.methodNotFound()
  return written
}

/** The newest of the customer's methods that Stripe can charge without them. */
export async function methodOnFile({ em, now, keyring, customerId }: Payer): Promise<string> {
  const methods = await em.find(
    SavedMethod,
    { userId: customerId, gateway: 'stripe', status: 'active', type: { $in: ['card', 'wallet'] } },
    { orderBy: { addedAt: 'desc', id: 'desc' } },
  )
  const method = methods.find((one) => !isExpired(one, now))
  if (method === undefined) throw invoicePaymentRefusals.noMethod()
  return tokenOf(method, keyring)
}

function tokenOf(method: SavedMethod, keyring: Keyring): string {
  const { gateway, type } = method
  if (gateway !== 'stripe' || (type !== 'card' && type !== 'wallet'))
    throw paymentRefusals.methodUnsupported({
      does: 'charges',
      method: type,
      currency: 'invoices',
      gateway: gateway.toUpperCase(),
    })
  return keyring.open(method.token, tokenPlace(method.id))
}
