/*
 * What the stand-in remembers, with the fields that its documentation gives to them as far as anybody here reads them. Names
 * that begin with `_` are its own and are never shown.
 */

export interface Row {
  readonly id: string
  readonly object: string
  readonly created: number
}

export type Metadata = Readonly<Record<string, string>>

export interface PaymentMethod extends Row {
  readonly object: 'payment_method'
  readonly type: 'card' | 'us_bank_account' | 'sepa_debit'
  readonly customer: string | null
  readonly livemode: false
  readonly metadata: Metadata
  readonly billing_details: Readonly<Record<string, unknown>>
  readonly card?: Readonly<Record<string, unknown>>
  readonly us_bank_account?: Readonly<Record<string, unknown>>
  readonly sepa_debit?: Readonly<Record<string, unknown>>
  readonly _behaviour: Behaviour
}

/** How an instrument behaves when it is charged. */
export interface Behaviour {
  readonly does: 'succeed' | 'decline' | 'authenticate' | 'debit' | 'debit_fails'
  /** Of a decline: the error's code and the issuer's reason. */
  readonly code?: string
  readonly declineCode?: string
  readonly message?: string
  /** What happens to a refund of it, and whether it is disputed at once. */
  readonly refund?: 'fails' | 'pending'
  readonly disputed?: boolean
}

export type IntentStatus =
  | 'requires_payment_method'
  | 'requires_confirmation'
  | 'requires_action'
  | 'processing'
  | 'requires_capture'
  | 'succeeded'
  | 'canceled'

export interface Intent extends Row {
  readonly object: 'payment_intent'
  readonly allowed_payment_method_types: readonly string[] | null
  readonly amount: number
  readonly amount_capturable: number
  readonly amount_received: number
  readonly automatic_payment_methods: Readonly<Record<string, unknown>> | null
  readonly canceled_at: number | null
  readonly cancellation_reason: string | null
  readonly capture_method: string
  readonly client_secret: string
  readonly confirmation_method: 'automatic'
  readonly currency: string
  readonly customer: string | null
  readonly description: string | null
  readonly last_payment_error: Readonly<Record<string, unknown>> | null
  readonly latest_charge: string | null
  readonly livemode: false
  readonly metadata: Metadata
  readonly next_action: Readonly<Record<string, unknown>> | null
  readonly payment_method: string | null
  readonly payment_method_types: readonly string[]
  readonly processing: null
  readonly receipt_email: string | null
  readonly setup_future_usage: string | null
  readonly status: IntentStatus
  readonly transfer_group: string | null
  readonly _returnUrl: string | null
}

export interface Charge extends Row {
  readonly object: 'charge'
  readonly amount: number
  readonly amount_captured: number
  readonly amount_refunded: number
  readonly balance_transaction: string | null
  readonly captured: boolean
  readonly currency: string
  readonly customer: string | null
  readonly description: string | null
  readonly disputed: boolean
  readonly failure_code: string | null
  readonly failure_message: string | null
  readonly livemode: false
  readonly metadata: Metadata
  readonly outcome: Readonly<Record<string, unknown>>
  readonly paid: boolean
  readonly payment_intent: string
  readonly payment_method: string
  readonly payment_method_details: Readonly<Record<string, unknown>>
  readonly receipt_email: string | null
  readonly refunded: boolean
  readonly status: 'succeeded' | 'pending' | 'failed'
}

export interface BalanceTransaction extends Row {
  readonly object: 'balance_transaction'
  readonly amount: number
  readonly currency: string
  readonly fee: number
  readonly net: number
  readonly source: string
  readonly status: 'available'
  readonly type: 'charge' | 'refund' | 'payout' | 'transfer'
}

export interface Refund extends Row {
  readonly object: 'refund'
  readonly amount: number
  readonly balance_transaction: string | null
  readonly charge: string
  readonly currency: string
  readonly failure_reason?: string
  readonly metadata: Metadata
  readonly payment_intent: string
  readonly reason: string | null
  readonly receipt_number: null
  readonly status: 'pending' | 'succeeded' | 'failed' | 'canceled'
}

export interface Dispute extends Row {
  readonly object: 'dispute'
  readonly amount: number
  readonly balance_transactions: readonly unknown[]
  readonly charge: string
  readonly currency: string
  readonly evidence: Readonly<Record<string, unknown>>
  readonly evidence_details: Readonly<Record<string, unknown>>
  readonly is_charge_refundable: boolean
  readonly livemode: false
  readonly metadata: Metadata
  readonly payment_intent: string
  readonly reason: string
  readonly status: string
}

export interface Account extends Row {
  readonly object: 'account'
  readonly country: string
  readonly default_currency: string
  readonly email: string | null
  readonly type: string
  readonly charges_enabled: boolean
  readonly payouts_enabled: boolean
  readonly details_submitted: boolean
  readonly metadata: Metadata
}

export interface External extends Row {
  readonly object: 'bank_account' | 'card'
  readonly account: string
  readonly country: string
  readonly currency: string
  readonly last4: string
  readonly default_for_currency: boolean
  readonly metadata: Metadata
  readonly bank_name?: string
  readonly routing_number?: string
  readonly status?: string
  readonly brand?: string
  readonly exp_month?: number
  readonly exp_year?: number
  /** What its bank says to a payout; undefined: it takes it. */
  readonly _failure?: string
}

export interface Transfer extends Row {
  readonly object: 'transfer'
  readonly amount: number
  readonly amount_reversed: number
  readonly balance_transaction: string | null
  readonly currency: string
  readonly description: string | null
  readonly destination: string
  readonly livemode: false
  readonly metadata: Metadata
  readonly reversals: {
    readonly object: 'list'
    readonly data: readonly unknown[]
    readonly has_more: false
    readonly url: string
  }
  readonly reversed: boolean
  readonly source_transaction: null
  readonly source_type: 'card'
  readonly transfer_group: string | null
}

export interface Payout extends Row {
  readonly object: 'payout'
  readonly amount: number
  readonly arrival_date: number
  readonly automatic: boolean
  readonly balance_transaction: string | null
  readonly currency: string
  readonly description: string | null
  readonly destination: string
  readonly failure_balance_transaction: string | null
  readonly failure_code: string | null
  readonly failure_message: string | null
  readonly livemode: false
  readonly metadata: Metadata
  readonly method: string
  readonly original_payout: string | null
  readonly reversed_by: string | null
  readonly source_type: 'card'
  readonly statement_descriptor: string | null
  readonly status: 'pending' | 'in_transit' | 'paid' | 'failed' | 'canceled'
  readonly type: 'bank_account' | 'card'
  readonly _account: string
}

export interface Customer extends Row {
  readonly object: 'customer'
  readonly balance: number
  readonly currency: string | null
  readonly default_source: null
  readonly description: string | null
  readonly email: string | null
  readonly invoice_settings: { readonly default_payment_method: string | null }
  readonly livemode: false
  readonly metadata: Metadata
  readonly name: string | null
  readonly phone: string | null
}

export interface StripeEvent extends Row {
  readonly object: 'event'
  readonly account?: string
  readonly api_version: string
  readonly data: { readonly object: unknown }
  readonly livemode: false
  readonly pending_webhooks: number
  readonly request: { readonly id: null; readonly idempotency_key: null }
  readonly type: string
}

export interface InvoiceItem extends Row {
  readonly object: 'invoiceitem'
  readonly amount: number
  readonly currency: string
  readonly customer: string
  readonly date: number
  readonly description: string | null
  readonly discountable: boolean
  readonly invoice: string | null
  readonly livemode: false
  readonly metadata: Metadata
}

export interface InvoiceLine {
  readonly id: string
  readonly object: 'line_item'
  readonly amount: number
  readonly currency: string
  readonly description: string | null
  readonly invoice: string
  readonly livemode: false
  readonly metadata: Metadata
  readonly quantity: number
}

/** How an invoice is paid: one for all tries. */
export interface InvoicePayment {
  readonly id: string
  readonly object: 'invoice_payment'
  readonly amount_paid: number | null
  readonly amount_requested: number
  readonly created: number
  readonly currency: string
  readonly invoice: string
  readonly is_default: true
  readonly livemode: false
  readonly payment: { readonly type: 'payment_intent'; readonly payment_intent: string }
  readonly status: 'open' | 'paid' | 'canceled'
}

export interface Invoice extends Row {
  readonly object: 'invoice'
  readonly account_country: string
  readonly account_name: string
  readonly amount_due: number
  readonly amount_overpaid: number
  readonly amount_paid: number
  readonly amount_remaining: number
  readonly attempt_count: number
  readonly attempted: boolean
  readonly auto_advance: boolean
  readonly billing_reason: 'manual'
  readonly collection_method: 'charge_automatically' | 'send_invoice'
  readonly currency: string
  readonly customer: string
  readonly customer_email: string | null
  readonly customer_name: string | null
  readonly default_payment_method: string | null
  readonly description: string | null
  readonly due_date: number | null
  readonly footer: string | null
  readonly hosted_invoice_url: string | null
  readonly invoice_pdf: string | null
  readonly lines: {
    readonly object: 'list'
    readonly data: readonly InvoiceLine[]
    readonly has_more: false
    readonly total_count: number
    readonly url: string
  }
  readonly livemode: false
  readonly metadata: Metadata
  readonly number: string | null
  readonly payments: {
    readonly object: 'list'
    readonly data: readonly InvoicePayment[]
    readonly has_more: false
    readonly url: string
  }
  readonly period_end: number
  readonly period_start: number
  readonly status: 'draft' | 'open' | 'paid' | 'void' | 'uncollectible' | 'deleted'
  readonly status_transitions: Readonly<Record<string, number | null>>
  readonly subtotal: number
  readonly total: number
  /** What is to pay it. */
  readonly _intent: string | null
}
