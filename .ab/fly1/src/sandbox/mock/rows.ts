import type { PaymentMethod } from './vocabulary.ts'

/** What a thing will become when time passes: see `Elapsed`. */
interface Later<Status> {
  readonly atSeconds: number
  readonly status: Status
  readonly code?: string | undefined
}

interface Movement<Status> {
  readonly id: string
  /** The Idempotency-Key under which it was asked for. */
  readonly reference: string
  /** Digest of what was asked, so that the same key with another body is found out. */
  readonly asked: string
  /** Minor units. */
  readonly amount: number
  readonly currency: string
  readonly status: Status
  readonly code?: string | undefined
  /** ISO 8601. */
  readonly createdAt: string
  /** Place among all movements, from 1. */
  readonly sequence: number
  readonly later?: Later<Status> | undefined
}

export type ChargeStatus =
  | 'captured'
  | 'authorized'
  | 'requires_action'
  | 'processing'
  | 'declined'
  | 'failed'
  | 'canceled'
  | 'teleported'
export interface Charge extends Movement<ChargeStatus> {
  readonly method: PaymentMethod
  readonly refunded: number
  readonly capture: 'automatic' | 'manual'
  readonly returnUrl?: string | undefined
}

export interface Refund extends Movement<'succeeded' | 'pending' | 'failed'> {
  readonly chargeId: string
}

export interface Payout extends Movement<'paid' | 'pending' | 'failed' | 'returned'> {
  readonly destination: string
  readonly method: PaymentMethod
}

export interface Dispute {
  readonly id: string
  readonly chargeId: string
  readonly amount: number
  readonly currency: string
  readonly status: 'needs_response' | 'under_review' | 'won' | 'lost'
}
