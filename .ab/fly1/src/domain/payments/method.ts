import { defineEntity, type InferEntity, p } from '@mikro-orm/core'
import type { GatewayName, PaymentMethod } from './names.ts'

/** A card, account or address that a gateway keeps for a user. We hold the gateway's token for it, sealed, and no number. */
export const SavedMethod = defineEntity({
  name: 'SavedMethod',
  tableName: 'payment_method',
  properties: {
    id: p.uuid().primary(),
    operationId: p.uuid().fieldName('operation_id'),
    userId: p.text().fieldName('user_id'),
    gateway: p.text().$type<GatewayName>(),
    type: p.text().$type<PaymentMethod>(),
    /** Sealed: readable with the keyring only. */
    token: p.text(),
    tokenDigest: p.blob().fieldName('token_digest'),
    lastFour: p.text().fieldName('last_four').nullable(),
    brand: p.text().nullable(),
    expiryMonth: p.smallint().fieldName('expiry_month').nullable(),
    expiryYear: p.smallint().fieldName('expiry_year').nullable(),
    status: p.text().$type<'active' | 'removed'>(),
    addedAt: p.datetime().fieldName('added_at'),
    removedAt: p.datetime().fieldName('removed_at').nullable(),
  },
})

export type SavedMethod = InferEntity<typeof SavedMethod>

/** A token opens only in its own method. */
export const tokenPlace = (methodId: string): string => `payment_method:${methodId}:token`

/** A card is good through the last day of its month, wherever that day ends last. */
export function isExpired(method: { expiryMonth?: number | null; expiryYear?: number | null }, now: Date): boolean {
  const { expiryMonth, expiryYear } = method
  if (expiryMonth == null || expiryYear == null) return false
  const firstOfNextMonth = Date.UTC(expiryYear, expiryMonth, 1)
  return now.getTime() >= firstOfNextMonth + 12 * 3_600_000
}
