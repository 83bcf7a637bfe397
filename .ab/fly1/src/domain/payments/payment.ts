import { defineEntity, type InferEntity, p } from '@mikro-orm/core'
import { type LifeCycle, move } from '../../kit/states.ts'
import type { Currency, GatewayName, PaymentMethod } from './names.ts'

export const paymentTypes = ['deposit', 'withdrawal', 'refund', 'return'] as const
export type PaymentType = (typeof paymentTypes)[number]

export const paymentStatuses = [
  'requested',
  'pending',
  'review',
  'completed',
  'failed',
  'expired',
  'canceled',
  'returned',
] as const
export type PaymentStatus = (typeof paymentStatuses)[number]

/**
 * One movement of money between a user's wallet and the world. `review`: the gateway moved another amount than was asked,
 * and a person decides. `returned`: it was done, and the other side sent it back. What a gateway says after the end does
 * not reopen anything: money that comes late goes to suspense and back.
 */
export const paymentCycle: LifeCycle<PaymentStatus> = {
  requested: ['pending', 'completed', 'failed', 'review', 'canceled', 'expired'],
  pending: ['completed', 'failed', 'expired', 'canceled', 'review'],
  review: ['completed', 'failed'],
  completed: ['returned'],
  failed: [],
  expired: [],
  canceled: [],
  returned: [],
}

export const isFinal = (status: PaymentStatus): boolean =>
  status !== 'requested' && status !== 'pending' && status !== 'review'

export const Payment = defineEntity({
  name: 'Payment',
  tableName: 'payment',
  properties: {
    id: p.uuid().primary(),
    operationId: p.uuid().fieldName('operation_id'),
    userId: p.text().fieldName('user_id'),
    type: p.text().$type<PaymentType>(),
    status: p.text().$type<PaymentStatus>(),
    currency: p.text().$type<Currency>(),
    amount: p.bigint(),
    fee: p.bigint(),
    method: p.text().$type<PaymentMethod>(),
    paymentMethodId: p.uuid().fieldName('payment_method_id').nullable(),
    gateway: p.text().$type<GatewayName>().nullable(),
    description: p.text().nullable(),
    originalId: p.uuid().fieldName('original_id').nullable(),
    accountId: p.uuid().fieldName('account_id'),
    holdId: p.uuid().fieldName('hold_id').nullable(),
    limitDay: p.text().fieldName('limit_day').nullable(),
    limitMonth: p.text().fieldName('limit_month').nullable(),
    refunded: p.bigint(),
    disputed: p.bigint(),
    failureCode: p.text().fieldName('failure_code').nullable(),
    failureMessage: p.text().fieldName('failure_message').nullable(),
    clientIp: p.text().fieldName('client_ip').nullable(),
    clientDevice: p.text().fieldName('client_device').nullable(),
    createdAt: p.datetime().fieldName('created_at'),
    expiresAt: p.datetime().fieldName('expires_at').nullable(),
    completedAt: p.datetime().fieldName('completed_at').nullable(),
  },
})

export type Payment = InferEntity<typeof Payment>

/** Moves a payment on; an end gets its time. */
export function moveTo(payment: Payment, status: PaymentStatus, now: Date): void {
  payment.status = move(paymentCycle, payment.status, status)
  if (isFinal(status)) payment.completedAt = now
}

export function fail(payment: Payment, why: { code: string; message: string }, now: Date): void {
  moveTo(payment, 'failed', now)
  payment.failureCode = why.code
  payment.failureMessage = why.message
}

/** What is left to give back of a deposit, after what was given back, is on its way back, or is argued about. */
export const refundable = (deposit: Pick<Payment, 'amount' | 'refunded' | 'disputed'>): bigint => {
  const left = deposit.amount - deposit.refunded - deposit.disputed
  return left < 0n ? 0n : left
}

/** The owner of a user's wallet accounts. */
export const walletOwner = (userId: string): string => `user:${userId}`

/** How a payment's status is written for callers. */
export const statusOnWire = {
  requested: 'PENDING',
  pending: 'PENDING',
  review: 'REVIEW',
  completed: 'COMPLETED',
  failed: 'FAILED',
  expired: 'EXPIRED',
  canceled: 'CANCELED',
  returned: 'RETURNED',
} as const satisfies Record<PaymentStatus, string>

export const TRANSACTION = 'txn'
export const PAYMENT_METHOD = 'pm'
