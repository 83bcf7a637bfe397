/* What is remembered: Razorpay's entities, field for field, and beside them what only the stand-in needs to know. */

export type Notes = Readonly<Record<string, string>> | readonly []

export interface OrderRow {
  readonly id: string
  readonly entity: 'order'
  readonly amount: number
  readonly amount_paid: number
  readonly amount_due: number
  readonly currency: string
  readonly receipt: string | null
  readonly offer_id: null
  readonly status: 'created' | 'attempted' | 'paid'
  readonly attempts: number
  readonly notes: Notes
  readonly created_at: number
  /** Not in the entity. */
  readonly capture: 'automatic' | 'manual'
}

export interface PaymentRow {
  readonly id: string
  readonly entity: 'payment'
  readonly amount: number
  readonly currency: string
  readonly status: 'created' | 'authorized' | 'captured' | 'refunded' | 'failed'
  readonly order_id: string
  readonly invoice_id: null
  readonly international: boolean
  readonly method: string
  readonly amount_refunded: number
  readonly refund_status: null | 'partial' | 'full'
  readonly captured: boolean
  readonly description: string | null
  readonly card_id: string | null
  readonly bank: string | null
  readonly wallet: string | null
  readonly vpa: string | null
  readonly email: string | null
  readonly contact: string | null
  readonly customer_id: string | null
  readonly token_id: string | null
  readonly notes: Notes
  readonly fee: number | null
  readonly tax: number | null
  readonly error_code: string | null
  readonly error_description: string | null
  readonly error_source: string | null
  readonly error_step: string | null
  readonly error_reason: string | null
  readonly created_at: number
}

export interface RefundRow {
  readonly id: string
  readonly entity: 'refund'
  readonly amount: number
  readonly currency: string
  readonly payment_id: string
  readonly notes: Notes
  readonly receipt: string | null
  readonly acquirer_data: { readonly arn: null }
  readonly created_at: number
  readonly batch_id: null
  readonly status: 'pending' | 'processed' | 'failed'
  readonly speed_processed: 'normal' | null
  readonly speed_requested: string
}

export interface PayoutRow {
  readonly id: string
  readonly entity: 'payout'
  readonly fund_account_id: string
  readonly amount: number
  readonly currency: string
  readonly notes: Notes
  readonly fees: number
  readonly tax: number
  readonly status: 'queued' | 'processing' | 'processed' | 'reversed' | 'failed'
  readonly purpose: string
  readonly utr: string | null
  readonly mode: string
  readonly reference_id: string | null
  readonly narration: string | null
  readonly batch_id: null
  readonly failure_reason: string | null
  readonly status_details: { readonly reason: string; readonly description: string; readonly source: string } | null
  readonly created_at: number
}

export interface ContactRow {
  readonly id: string
  readonly entity: 'contact'
  readonly name: string
  readonly contact: string | null
  readonly email: string | null
  readonly type: string | null
  readonly reference_id: string | null
  readonly batch_id: null
  readonly active: boolean
  readonly notes: Notes
  readonly created_at: number
}

export interface FundAccountRow {
  readonly id: string
  readonly entity: 'fund_account'
  readonly contact_id: string
  readonly account_type: 'bank_account' | 'vpa'
  readonly bank_account?: { ifsc: string; bank_name: string; name: string; notes: []; account_number: string }
  readonly vpa?: { username: string; handle: string; address: string }
  readonly batch_id: null
  readonly active: boolean
  readonly created_at: number
}

export interface CustomerRow {
  readonly id: string
  readonly entity: 'customer'
  readonly name: string | null
  readonly email: string | null
  readonly contact: string | null
  readonly gstin: null
  readonly notes: Notes
  readonly created_at: number
}

export interface TokenRow {
  readonly id: string
  readonly entity: 'token'
  readonly customer_id: string
  readonly method: 'card' | 'upi'
  readonly card?: { last4: string; network: string; type: string; issuer: string; international: boolean; emi: boolean }
  readonly vpa?: { username: string; handle: string; name: null }
  readonly recurring: boolean
  readonly status: 'active' | 'deactivated'
  readonly status_reason: null
  readonly expired_at: number
  readonly notes: Notes
  readonly created_at: number
  /** Not in the entity: what its bank says, a reason of `instruments.ts`. */
  readonly bankSays: string
}

export interface DisputeRow {
  readonly id: string
  readonly entity: 'dispute'
  readonly payment_id: string
  readonly amount: number
  readonly currency: string
  readonly amount_deducted: number
  readonly reason_code: string
  readonly respond_by: number
  readonly status: 'open' | 'under_review' | 'won' | 'lost' | 'closed'
  readonly phase: string
  readonly created_at: number
}

/** What `POST /_time` will do. */
export interface LaterRow {
  readonly id: string
  readonly what:
    | 'payment.approve'
    | 'payment.fail'
    | 'refund.process'
    | 'refund.fail'
    | 'payout.process'
    | 'payout.reverse'
  readonly of: string
  readonly at: number
  readonly done: boolean
}

/** The answer to the first request under an idempotency key. */
export interface KeptAnswer {
  readonly id: string
  readonly request: string
  readonly answer: unknown
}

export const orderEntity = ({ capture, ...entity }: OrderRow) => entity
export const tokenEntity = ({ bankSays, ...entity }: TokenRow) => entity
