import type Stripe from 'stripe'
import type { Declined } from '../port.ts'
import type { Refused } from './line.ts'
import { withoutSecrets } from './redaction.ts'

/*
 * How final a «no» is, by https://docs.stripe.com/declines/codes and https://docs.stripe.com/error-codes. A code that stands
 * in no list is soft and stays here: the customer may try again, and nobody else is asked.
 */

/** The same instrument will never do, by the «next steps» of Stripe's table: another card, or the issuer first. */
const HARD: ReadonlySet<string> = new Set([
  'account_closed',
  'bank_account_unusable',
  'card_not_supported',
  'currency_not_supported',
  'debit_not_authorized',
  'do_not_try_again',
  'expired_card',
  'fraudulent',
  'incorrect_number',
  'invalid_account',
  'invalid_number',
  'live_mode_test_card',
  'lost_card',
  'merchant_blacklist',
  'new_account_information_available',
  'no_account',
  'payment_method_unexpected_state',
  'pickup_card',
  'resource_missing',
  'restricted_card',
  'revocation_of_all_authorizations',
  'revocation_of_authorization',
  'security_violation',
  'stolen_card',
  'stop_payment_order',
  'testmode_decline',
])

/** About Stripe or our account there, not about the customer's money: another gateway may be asked. */
const ABOUT_THE_GATEWAY: ReadonlySet<string> = new Set([
  'amount_too_large',
  'amount_too_small',
  'balance_insufficient',
  'card_not_supported',
  'currency_not_supported',
  'payment_method_unactivated',
  'payouts_not_allowed',
  'processing_error',
  'service_not_allowed',
])

/** Codes that are about the request itself and will be the same next time, whoever pays. */
const ABOUT_THE_REQUEST: ReadonlySet<string> = new Set([
  'amount_too_large',
  'amount_too_small',
  'charge_already_refunded',
])

/** Stripe's code as one of our declines. */
export function decline(said: {
  code: string
  message: string
  advice?: string | undefined
  id?: string | undefined
}): Declined {
  return {
    outcome: 'declined',
    ...(said.id === undefined ? {} : { id: said.id }),
    code: said.code,
    message: said.message,
    hard: HARD.has(said.code) || ABOUT_THE_REQUEST.has(said.code) || said.advice === 'do_not_try_again',
    mayFailOver: ABOUT_THE_GATEWAY.has(said.code),
  }
}

/** A refused request: it was understood and not done, so that it is a decline like any other. */
export const declineOf = ({ code, message, advice, payment }: Refused): Declined =>
  decline({ code, message, advice, id: payment?.id })

/** Why the last try of a payment failed, if one did. Stripe forgets it as soon as the payment is tried anew. */
export function lastFailure({ id, last_payment_error: error }: Stripe.PaymentIntent): Declined | undefined {
  if (error === null) return undefined
  return decline({
    code: error.decline_code ?? error.code ?? error.type,
    message: withoutSecrets(error.message ?? 'The payment failed.'),
    advice: error.advice_code,
    id,
  })
}
