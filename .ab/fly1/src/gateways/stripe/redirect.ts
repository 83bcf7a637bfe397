import type Stripe from 'stripe'

/** Where Stripe wants the customer to be sent, if anywhere. */
export const redirectOf = (intent: Stripe.PaymentIntent): string | undefined =>
  intent.status === 'requires_action' ? (intent.next_action?.redirect_to_url?.url ?? undefined) : undefined
