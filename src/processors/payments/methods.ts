import { recordAudit } from '../../domain/audit/record.ts'
import { lockHolder } from '../../domain/payments/holder.ts'
import { isExpired, SavedMethod, tokenPlace } from '../../domain/payments/method.ts'
import { PAYMENT_METHOD } from '../../domain/payments/payment.ts'
import { paymentRefusals } from '../../domain/payments/refusals.ts'
import type { Gateway } from '../../gateways/port.ts'
import { addMethod, removeMethod } from '../../jobs/payments.ts'
import { fromPublicId, newId } from '../../kit/ids.ts'
import { staged, TryLater } from '../shapes/staged.ts'
import { transact } from '../shapes/transact.ts'
import { gatewayOnWire, methodId } from './answers.ts'

type Described = Awaited<ReturnType<Gateway['describeMethod']>>

/** What a token is known by, so that the same one is found again although it is sealed. */
export const digestOf = (gateway: string, token: string): string => `payment method ${gateway} ${token}`

/** The gateway is asked what the token stands for: its word on digits and expiry goes before the caller's. */
export const methodAdd = staged(addMethod, {
  byKey: true,
  async begin({ input, now }, { gateways }) {
    const { gateway: name, type } = input
    const gateway = gateways.get(name)
    const { expiry_month: expiryMonth, expiry_year: expiryYear } = input.metadata
    if (gateway?.capabilities.charges[type] === undefined && gateway?.capabilities.payouts[type] === undefined)
      throw paymentRefusals.methodUnsupported({
        does: 'charges',
        method: type,
        currency: 'any currency',
        gateway: gateway === undefined ? undefined : name,
      })
    if (expiryMonth !== undefined && expiryYear !== undefined && isExpired({ expiryMonth, expiryYear }, now))
      throw paymentRefusals.methodExpired({ month: expiryMonth, year: expiryYear })
    return {}
  },

  async call({ input }, { gateways }): Promise<Described> {
    const gateway = gateways.get(input.gateway)
    if (gateway === undefined) return { outcome: 'not_sent', reason: `${input.gateway} is not configured any more` }
    return gateway.describeMethod({ token: input.token, method: input.type })
  },

  async finish({ em, sql, input, operation, now }, { answer }, { keyring }) {
    if (answer.outcome === 'unusable') return paymentRefusals.methodUnusable({ gateway: gatewayOnWire(input.gateway) })
    if (answer.outcome !== 'known') {
      if (operation.attempts + 1 >= addMethod.retry.attempts) return paymentRefusals.gatewayUnavailable()
      return new TryLater(`${input.gateway} could not be asked`)
    }
    const userId = input.user_id ?? ''
    await lockHolder(sql, userId, now)
    const tokenDigest = keyring.digest(digestOf(input.gateway, input.token))
    const twin = await em.findOne(SavedMethod, { userId, gateway: input.gateway, tokenDigest, status: 'active' })
    if (twin !== null) return paymentRefusals.methodKnown()
    const expiryMonth = answer.expiryMonth ?? input.metadata.expiry_month ?? null
    const expiryYear = answer.expiryYear ?? input.metadata.expiry_year ?? null
    if (expiryMonth !== null && expiryYear !== null && isExpired({ expiryMonth, expiryYear }, now))
      return paymentRefusals.methodExpired({ month: expiryMonth, year: expiryYear })
    const id = newId()
    em.create(SavedMethod, {
      id,
      operationId: operation.id,
      userId,
      gateway: input.gateway,
      type: input.type,
      token: keyring.seal(input.token, tokenPlace(id)),
      tokenDigest,
      lastFour: answer.lastFour ?? input.metadata.last_four ?? null,
      brand: answer.brand ?? input.metadata.brand ?? null,
      expiryMonth,
      expiryYear,
      status: 'active',
      addedAt: now,
    })
    const ip = input.client?.ip ?? null
    await recordAudit({ sql, now }, { type: 'payment_method_added', userId, gateway: input.gateway, ip })
    return {
      success: true as const,
      id: methodId(id),
      type: input.type.toUpperCase(),
      gateway: gatewayOnWire(input.gateway),
    }
  },
})

export const methodRemove = transact(removeMethod, {
  async perform({ em, sql, input, now }) {
    const id = fromPublicId(PAYMENT_METHOD, input.payment_method_id)
    const owner = input.user_id === undefined ? {} : { userId: input.user_id }
    const method = id === undefined ? null : await em.findOne(SavedMethod, { id, status: 'active', ...owner })
    if (method === null) throw paymentRefusals.methodNotFound()
    method.status = 'removed'
    method.removedAt = now
    const { userId, gateway } = method
    await recordAudit({ sql, now }, { type: 'payment_method_removed', userId, gateway, ip: input.client?.ip ?? null })
    return { success: true as const, id: methodId(method.id) }
  },
})
