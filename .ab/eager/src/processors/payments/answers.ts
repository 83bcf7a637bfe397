import type { Attempt } from '../../domain/payments/attempt.ts'
import type { News } from '../../domain/payments/news.ts'
import { PAYMENT_METHOD, type Payment, statusOnWire, TRANSACTION } from '../../domain/payments/payment.ts'
import { paymentRefusals } from '../../domain/payments/refusals.ts'
import type { ChargeState, PayoutState, RefundState } from '../../gateways/port.ts'
import type { NoRoute } from '../../gateways/routing.ts'
import { publicId } from '../../kit/ids.ts'
import { toDecimal } from '../../kit/money.ts'
import type { Refusal } from '../../kit/refusal.ts'

type State = ChargeState | RefundState | PayoutState

/**
 * News out of an answer to a question that moves money. `again`: it may have been asked before, by somebody who was killed
 * before he wrote down the answer; that nothing was sent this time says nothing about the first.
 */
export function newsOfAnswer<Answer extends State>(answer: Answer, asked: { again: boolean }): News {
  if (answer.outcome === 'not_sent' && asked.again)
    return { outcome: 'unknown', reason: `Asked again, and not sent: ${answer.reason}` }
  return answer
}

/** News out of a look-up: one that could not be sent says nothing about what it was to look up. */
export function newsOfLookUp(state: State): News {
  return state.outcome === 'not_sent' ? { outcome: 'unknown', reason: state.reason } : state
}

export const transactionId = (payment: Pick<Payment, 'id'>): string => publicId(TRANSACTION, payment.id)
export const methodId = (id: string): string => publicId(PAYMENT_METHOD, id)

/** What every answer about a payment begins with. */
export const movedBody = (payment: Payment) => ({
  success: true as const,
  transaction_id: transactionId(payment),
  status: statusOnWire[payment.status],
  amount: toDecimal(payment.amount, payment.currency),
  currency: payment.currency,
})

export const gatewayOnWire = (name: string): string => name.toUpperCase()

/** What is said of a payment that its last attempt has ended. */
export const refusalOfFailed = ({ status, gateway, code, message }: Attempt): Refusal =>
  status === 'declined'
    ? paymentRefusals.declined({ gateway: gatewayOnWire(gateway), code: code ?? 'failed', message: message ?? '' })
    : paymentRefusals.gatewayUnavailable()

/** Why there is no gateway to ask, in words for the caller. */
export function refusalOfNoRoute(
  reason: NoRoute,
  wanted: { does: 'charges' | 'payouts'; method: string; currency: string; gateway?: string | undefined },
): Refusal {
  if (reason.because === 'below_minimum')
    return paymentRefusals.belowMinimum({ minimum: { amount: reason.minimum, currency: reason.currency } })
  return paymentRefusals.methodUnsupported(wanted)
}
