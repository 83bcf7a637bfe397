import type { Fate } from '../fate.ts'

/** What a thing becomes when time passes: see `Elapsed`. */
export interface Later<Status> {
  readonly atSeconds: number
  readonly status: Status
  readonly said?: string | undefined
}

export type TransactionStatus =
  | 'success'
  | 'failed'
  | 'abandoned'
  | 'ongoing'
  | 'pending'
  | 'queued'
  | 'reversed'
  | 'quantum'

/** By `id`, which is the caller's reference: it is unique. */
export interface Transaction {
  readonly id: string
  readonly number: number
  readonly accessCode: string
  readonly amount: number
  readonly requestedAmount: number
  readonly currency: string
  readonly status: TransactionStatus
  readonly said: string
  readonly channel: string
  readonly email: string
  readonly authorization: string | undefined
  readonly metadata: unknown
  readonly callbackUrl: string | undefined
  /** ISO 8601. */
  readonly createdAt: string
  readonly paidAt: string | undefined
  /** What happens once the customer approves. */
  readonly fate: Fate<TransactionStatus>
  readonly later: Later<TransactionStatus> | undefined
}

export type RefundStatus = 'pending' | 'processing' | 'needs-attention' | 'processed' | 'failed'

/** By `id`, its number as text. Paystack keeps no reference of the caller's, only the two notes. */
export interface Refund {
  readonly id: string
  readonly transaction: string
  readonly amount: number
  readonly currency: string
  readonly status: RefundStatus
  readonly customerNote: string | undefined
  readonly merchantNote: string | undefined
  readonly createdAt: string
  readonly later: Later<RefundStatus> | undefined
}

export type TransferStatus =
  | 'success'
  | 'pending'
  | 'otp'
  | 'failed'
  | 'reversed'
  | 'abandoned'
  | 'blocked'
  | 'rejected'

/** By `id`, which is the caller's reference. */
export interface Transfer {
  readonly id: string
  readonly number: number
  readonly code: string
  readonly amount: number
  readonly currency: string
  readonly recipient: string
  readonly reason: string | undefined
  readonly status: TransferStatus
  readonly said: string | undefined
  readonly createdAt: string
  readonly later: Later<TransferStatus> | undefined
}

/** By `id`, its code. */
export interface Recipient {
  readonly id: string
  readonly name: string
  readonly type: string
  readonly currency: string
  readonly accountNumber: string
  readonly bankCode: string
}

/** By `id`, its number as text. */
export interface Dispute {
  readonly id: string
  readonly transaction: string
  readonly amount: number
  readonly status: 'awaiting-merchant-feedback' | 'awaiting-bank-feedback' | 'resolved'
  readonly resolution: 'merchant-accepted' | 'declined' | null
}
