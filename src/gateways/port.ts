import type { Amount, Asset } from '../kit/money.ts'

/** Those who move money for us. The names stand in rows and on the wire (`RAZORPAY` there). */
export const gatewayNames = ['stripe', 'razorpay', 'paystack', 'mock'] as const
export type GatewayName = (typeof gatewayNames)[number]

export const paymentMethods = ['card', 'upi', 'netbanking', 'wallet', 'bank_transfer'] as const
export type PaymentMethod = (typeof paymentMethods)[number]

/** What a gateway can do, so that an unsupported method is refused by name before anybody is asked. */
export interface Capabilities {
  readonly charges: Readonly<Partial<Record<PaymentMethod, readonly Asset[]>>>
  readonly payouts: Readonly<Partial<Record<PaymentMethod, readonly Asset[]>>>
  /** The least that it takes in one charge, minor units. */
  readonly minimumCharge: Readonly<Partial<Record<Asset, Amount>>>
  /** A saved method only makes the checkout shorter: its owner still has to be there. */
  readonly savedMethodsWantCustomer?: true
}

/** Nothing left this machine: asking another gateway, or this one again, cannot double anything. */
export interface NotSent {
  readonly outcome: 'not_sent'
  /** For operators. Names no secret. */
  readonly reason: string
}

/** It may have been done. Only a look-up by our reference can tell. */
export interface Unknown {
  readonly outcome: 'unknown'
  readonly reason: string
}

export interface Declined {
  readonly outcome: 'declined'
  readonly id?: string | undefined
  /** The gateway's own code: `insufficient_funds`. */
  readonly code: string
  readonly message: string
  /** The same instrument will never do: no retry, no dunning. */
  readonly hard: boolean
  /** Another gateway may be asked: the listed declines that are about this gateway, not about the customer's money. */
  readonly mayFailOver: boolean
}

/** Conclusive, and only from a look-up: the gateway has never heard of our reference. */
export interface Absent {
  readonly outcome: 'absent'
}

/** What the customer has to do next. `fields` are for the caller's front end and hold no secret of ours. */
export type CustomerAction =
  | { readonly type: 'checkout'; readonly url: string; readonly fields: Readonly<Record<string, string>> }
  | { readonly type: 'redirect'; readonly url: string; readonly fields: Readonly<Record<string, string>> }

/** Money as the gateway says it moved. Compared with our row: a difference stops for review. */
export interface Moved {
  /** What confirms and refunds it: `pi_…`, `pay_…`, Paystack's reference. */
  readonly id: string
  readonly amount: Amount
  readonly currency: Asset
  /** Minor units, where the gateway says. */
  readonly fee?: Amount | undefined
}

export interface Charged extends Moved {
  readonly outcome: 'succeeded'
  /** Paid again by the same customer for the same reference: nobody asked for these, and they go back. */
  readonly surplus?: readonly Moved[] | undefined
  /** What was returned of it so far, minor units, where the gateway says. */
  readonly refunded?: Amount | undefined
}

export interface ChargePending {
  readonly outcome: 'pending'
  /** What the gateway calls it: `pi_…`, `order_…`; absent where it has no name of its own yet. */
  readonly id?: string | undefined
  readonly amount?: Amount | undefined
  readonly currency?: Asset | undefined
  /** `authorised`: set aside at the customer's bank, waits for our `capture`. */
  readonly waitsFor: 'customer' | 'gateway' | 'capture'
  readonly action?: CustomerAction | undefined
}

export type ChargeAnswer = Charged | ChargePending | Declined | NotSent | Unknown
export type ChargeState = ChargeAnswer | Absent

export interface Refunded extends Moved {
  readonly outcome: 'succeeded'
}
export interface RefundPending {
  readonly outcome: 'pending'
  readonly id: string
  readonly amount?: Amount | undefined
  readonly currency?: Asset | undefined
}
export type RefundAnswer = Refunded | RefundPending | Declined | NotSent | Unknown
export type RefundState = RefundAnswer | Absent

/** `returned`: it was paid, and the bank sent it back. */
export interface PaidOut extends Moved {
  readonly outcome: 'succeeded'
}
export interface PayoutPending {
  readonly outcome: 'pending'
  readonly id: string
  readonly amount?: Amount | undefined
  readonly currency?: Asset | undefined
}
export interface PayoutReturned extends Moved {
  readonly outcome: 'returned'
  readonly code: string
  readonly message: string
}
export type PayoutAnswer = PaidOut | PayoutPending | Declined | NotSent | Unknown
export type PayoutState = PayoutAnswer | PayoutReturned | Absent

export interface ChargeRequest {
  /** Ours, unique for ever: the idempotency key of the call, and what look-ups ask for. 36 characters (a UUID). */
  readonly reference: string
  readonly amount: Amount
  readonly currency: Asset
  readonly method: PaymentMethod
  /** A saved method at this gateway (`pm_…`, `token_…`, `AUTH_…`): charged without the customer where the gateway can. */
  readonly source?: { readonly token: string; readonly customer?: string | undefined } | undefined
  /** Some gateways want an address to write to. */
  readonly email?: string | undefined
  readonly description?: string | undefined
  /** `manual`: authorise now, capture later. */
  readonly capture?: 'automatic' | 'manual'
  /** Where the customer comes back to. */
  readonly returnUrl?: string | undefined
}

/** What a customer's browser brought back from the gateway. */
export interface Confirmation {
  readonly reference: string
  /** What `charge` called it, where it did. */
  readonly chargeId?: string | undefined
  /** `pay_…`, `pi_…`, as the caller sent it. */
  readonly paymentId: string
  /** The seed's `gateway_data`: `razorpay_order_id`, `razorpay_signature`, … */
  readonly proof: Readonly<Record<string, string>>
}

export interface RefundRequest {
  readonly reference: string
  /** What `Moved.id` of the charge was. */
  readonly chargeId: string
  readonly amount: Amount
  readonly currency: Asset
  readonly reason?: string | undefined
}

export interface PayoutRequest {
  readonly reference: string
  readonly amount: Amount
  readonly currency: Asset
  readonly method: PaymentMethod
  /** The saved destination at this gateway: `fa_…`, `ba_…`, `RCP_…`. */
  readonly destination: string
  readonly description?: string | undefined
}

/** One line of a gateway's own list, for reconciliation. */
export interface Listed {
  readonly type: 'charge' | 'refund' | 'payout'
  readonly id: string
  /** Ours, where the gateway carries it. */
  readonly reference: string | undefined
  readonly status: 'succeeded' | 'pending' | 'failed' | 'returned'
  readonly amount: Amount
  readonly currency: Asset
  readonly at: Date
}

/**
 * Somebody who moves money for us. No method throws for anything that the network or the gateway does: that is an answer.
 * The same reference asked twice is done once.
 */
export interface Gateway {
  readonly name: GatewayName
  readonly capabilities: Capabilities
  charge(request: ChargeRequest): Promise<ChargeAnswer>
  /** Checks the proof, then reads the payment itself; `forged` when the proof is not the gateway's. */
  confirm(confirmation: Confirmation): Promise<ChargeState | { readonly outcome: 'forged' }>
  capture(captured: { reference: string; chargeId: string; amount: Amount; currency: Asset }): Promise<ChargeAnswer>
  /** Gives back what was authorised and not captured, or ends what the customer never finished, or (`failed`) has failed at. */
  cancel(charge: { reference: string; chargeId: string; failed?: boolean }): Promise<ChargeState>
  lookUpCharge(charge: { reference: string; chargeId?: string | undefined }): Promise<ChargeState>
  refund(request: RefundRequest): Promise<RefundAnswer>
  lookUpRefund(refund: { reference: string; chargeId: string; refundId?: string | undefined }): Promise<RefundState>
  payout(request: PayoutRequest): Promise<PayoutAnswer>
  lookUpPayout(payout: { reference: string; payoutId?: string | undefined }): Promise<PayoutState>
  /** What the token stands for, masked, asked of the gateway itself; `unusable` when it does not know the token. */
  describeMethod(method: {
    token: string
    method: PaymentMethod
  }): Promise<MethodDetails | { readonly outcome: 'unusable'; readonly reason: string } | NotSent | Unknown>
  /** Everything of these types that was made in [from, until), a page at a time. */
  list(period: { from: Date; until: Date; cursor?: string | undefined }): Promise<{
    readonly items: readonly Listed[]
    readonly next: string | undefined
  }>
  /** Never throws. */
  reachable(): Promise<boolean>
}

export interface MethodDetails {
  readonly outcome: 'known'
  readonly lastFour?: string | undefined
  readonly brand?: string | undefined
  readonly expiryMonth?: number | undefined
  readonly expiryYear?: number | undefined
}

/** What a webhook is about. Its content is not believed: the object is read again from the gateway. */
export interface WebhookEvent {
  /** The gateway's own id of the event, or a digest of the raw body where it has none. */
  readonly eventId: string
  /** `payment_intent.succeeded`, `payment.captured`, … */
  readonly type: string
  readonly about:
    | { readonly object: 'charge'; readonly reference?: string | undefined; readonly id?: string | undefined }
    | {
        readonly object: 'refund'
        readonly reference?: string | undefined
        readonly id?: string | undefined
        readonly chargeId?: string | undefined
      }
    | { readonly object: 'payout'; readonly reference?: string | undefined; readonly id?: string | undefined }
    /** One that we had it send: `in_…`. */
    | { readonly object: 'invoice'; readonly id: string }
    | {
        readonly object: 'dispute'
        readonly id: string
        readonly chargeId: string
        readonly status: 'needs_response' | 'under_review' | 'won' | 'lost'
        readonly amount: Amount
        readonly currency: Asset
      }
    | { readonly object: 'other' }
}

/** Reads one webhook; `forged` when the signature is not the gateway's own, `stale` when it was made too long ago. */
export type ReadWebhook = (webhook: {
  readonly raw: Buffer
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly now: Date
}) => WebhookEvent | 'forged' | 'stale' | 'malformed'
