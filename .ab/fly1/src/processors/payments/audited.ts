import type { PaymentAuditType } from '../../domain/audit/event.ts'
import { type Recording, recordAudit, recordSecurity } from '../../domain/audit/record.ts'
import type { DisputeNews, DisputeStatus } from '../../domain/payments/dispute.ts'
import type { Payment, PaymentStatus } from '../../domain/payments/payment.ts'
import { transactionId } from './answers.ts'

/** What the audit log calls it when a payment has come to stand so. What is merely open is no event. */
const TOLD = {
  requested: undefined,
  pending: undefined,
  review: 'held',
  completed: 'completed',
  failed: 'failed',
  expired: 'expired',
  canceled: 'canceled',
  returned: 'returned',
} as const satisfies Record<PaymentStatus, string | undefined>

/** Tells the audit log that a payment was asked for. */
export const auditedBeginning = (recording: Recording, payment: Payment): Promise<void> =>
  recordAudit(recording, eventOf(payment, 'initiated'))

/** Tells the audit log what has become of a payment since it stood at `before`; nothing where it stands as it stood. */
export async function audited(recording: Recording, payment: Payment, before: PaymentStatus): Promise<void> {
  const told = TOLD[payment.status]
  if (payment.status !== before && told !== undefined) await recordAudit(recording, eventOf(payment, told))
}

/** Tells the audit log that a person has decided on a payment in review, and what has become of it. */
export async function auditedDecision(
  recording: Recording,
  payment: Payment,
  ip: string | null | undefined,
): Promise<void> {
  const { userId, gateway = null } = payment
  const money = { amount: payment.amount, currency: payment.currency }
  await recordAudit(recording, {
    type: 'review_decided',
    userId,
    transactionId: transactionId(payment),
    money,
    gateway,
    ip: ip ?? null,
  })
  await audited(recording, payment, 'review')
}

/** Tells the security log of a confirmation whose signature is not its gateway's. */
export async function auditedForgery(
  work: Recording & { input: { user_id?: string | undefined; client?: { ip: string | null } | undefined } },
  gateway: string,
): Promise<void> {
  await recordSecurity(work, {
    type: 'confirmation_forged',
    userId: work.input.user_id ?? null,
    indicators: ['invalid_signature', `gateway_${gateway}`],
    ip: work.input.client?.ip ?? null,
    action: 'rejected',
  })
}

/** Tells the audit log of news about a dispute that `settleDispute` has found to be new. */
export async function auditedDispute(recording: Recording, deposit: Payment, news: DisputeNews): Promise<void> {
  await recordAudit(recording, {
    type: DISPUTED[news.status],
    userId: deposit.userId,
    transactionId: transactionId(deposit),
    money: { amount: news.amount, currency: news.currency },
    gateway: news.gateway,
  })
}

const DISPUTED = {
  needs_response: 'dispute_opened',
  under_review: 'dispute_answered',
  won: 'dispute_closed',
  lost: 'dispute_closed',
} as const satisfies Record<DisputeStatus, string>

const eventOf = (payment: Payment, what: PaymentAuditType extends `${string}_${infer What}` ? What : never) => ({
  type: `${payment.type}_${what}` as PaymentAuditType,
  userId: payment.userId,
  transactionId: transactionId(payment),
  money: { amount: payment.amount, currency: payment.currency },
  gateway: payment.gateway ?? null,
  ip: payment.clientIp ?? null,
})
