import type { Asset } from '../../kit/money.ts'

/** What happens to payments, as it is told: `deposit_initiated`, `refund_returned`. */
export type PaymentAuditType =
  `${'deposit' | 'withdrawal' | 'refund' | 'return'}_${'initiated' | 'completed' | 'failed' | 'expired' | 'canceled' | 'returned' | 'held'}`

export type AuditType =
  | PaymentAuditType
  | 'payment_method_added'
  | 'payment_method_removed'
  | 'kyc_changed'
  | 'review_decided'
  | 'dispute_opened'
  | 'dispute_answered'
  | 'dispute_closed'

/** Something that was done with money, or with what decides about money. No description, no number, no token: only what is listed. */
export interface AuditEvent {
  readonly type: AuditType
  readonly userId: string | null
  /** As callers know it: `txn_…`. */
  readonly transactionId?: string | null
  readonly money?: { readonly amount: bigint; readonly currency: Asset }
  readonly gateway?: string | null
  /** From where it was asked for; null where nobody asked, as of what gateways tell. */
  readonly ip?: string | null
}

export const securityTypes = [
  'suspicious_activity',
  'review_approved',
  'review_rejected',
  'webhook_forged',
  'webhook_refused',
  'confirmation_forged',
] as const
export type SecurityType = (typeof securityTypes)[number]

/** Something that somebody should know who looks after security. */
export interface SecurityEvent {
  readonly type: SecurityType
  readonly userId?: string | null
  readonly indicators: readonly string[]
  readonly ip?: string | null
  /** What was done about it: `additional_verification_required`. */
  readonly action: string
}

/** The audit log's fields, as they are hashed; `audit_hash` stands beside them. */
export interface AuditFields {
  readonly timestamp: string
  readonly event_type: string
  readonly user_id: string | null
  readonly transaction_id: string | null
  /** In the currency's own unit: 1000.5. */
  readonly amount: number | null
  readonly currency: string | null
  readonly gateway: string | null
  readonly ip_address: string | null
}

/** The security log's fields. */
export interface SecurityFields {
  readonly timestamp: string
  readonly event_type: string
  readonly user_id: string | null
  readonly indicators: readonly string[]
  readonly ip_address: string | null
  readonly action_taken: string
}

/** One line of the log, its fields in the order in which people read them. */
export const auditLine = (fields: AuditFields, hash: string) => ({
  timestamp: fields.timestamp,
  event_type: fields.event_type,
  user_id: fields.user_id,
  transaction_id: fields.transaction_id,
  amount: fields.amount,
  currency: fields.currency,
  gateway: fields.gateway,
  ip_address: fields.ip_address,
  audit_hash: hash,
})

export const securityLine = (fields: SecurityFields) => ({
  timestamp: fields.timestamp,
  event_type: fields.event_type,
  user_id: fields.user_id,
  indicators: fields.indicators,
  ip_address: fields.ip_address,
  action_taken: fields.action_taken,
})

/** The line of a stored event, whichever log it belongs to. */
export const lineOf = (event: StoredEvent): object =>
  event.category === 'audit' ? auditLine(event.body, event.audit_hash.toString('hex')) : securityLine(event.body)

export type StoredEvent = { readonly id: string; readonly audit_hash: Buffer } & (
  | { readonly category: 'audit'; readonly body: AuditFields }
  | { readonly category: 'security'; readonly body: SecurityFields }
)
