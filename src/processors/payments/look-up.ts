import { moveAttempt } from '../../domain/payments/attempt.ts'
import { type Case, openCase } from '../../domain/payments/desk.ts'
import { isFinal } from '../../domain/payments/payment.ts'
import { giveUp, settle } from '../../domain/payments/settle.ts'
import type { ChargeState, Gateway, GatewayName, PayoutState, RefundState } from '../../gateways/port.ts'
import { lookUpPayment } from '../../jobs/payments.ts'
import { type Amount, type Asset, amount } from '../../kit/money.ts'
import { Done, staged } from '../shapes/staged.ts'
import type { Work } from '../shapes/work.ts'
import { newsOfLookUp } from './answers.ts'
import { audited } from './audited.ts'
import { lastWord } from './last-word.ts'
import { sendBack } from './send-back.ts'

/** What a look-up has to know before it asks. */
export interface LookUp {
  readonly attemptId: string
  readonly gateway: GatewayName
  readonly verb: 'charge' | 'refund' | 'payout'
  readonly gatewayId: string | undefined
  readonly movedId: string | undefined
  readonly chargeId: string | undefined
  readonly amount: Amount
  readonly currency: Asset
  /** The customer may be at it: what they fail at is called off before it is given up. */
  readonly waits: boolean
  /** The customer's time is over: what still waits for them is called off. */
  readonly expire: boolean
}

/** Whoever looks up: look-ups of our own, and webhooks that say that it is time. */
export type Working = Pick<Work<typeof lookUpPayment>, 'em' | 'sql' | 'now' | 'operation' | 'books' | 'followUp'>

export type Looked = ChargeState | RefundState | PayoutState

/** What concerns an attempt, taken down in the transaction before it is looked up. */
export function beginLookUp(work: Working, { payment, attempt }: Case): LookUp {
  attempt.looks += 1
  return {
    attemptId: attempt.id,
    gateway: attempt.gateway,
    verb: attempt.verb,
    gatewayId: attempt.gatewayId ?? undefined,
    movedId: attempt.movedId ?? undefined,
    chargeId: attempt.chargeId ?? undefined,
    amount: amount(attempt.amount),
    currency: attempt.currency,
    waits: attempt.status === 'pending',
    expire: payment.status === 'pending' && payment.expiresAt != null && payment.expiresAt <= work.now,
  }
}

/** Asks the gateway by our reference. Nothing is moved by it, except that what has expired is called off. */
export async function lookUp(gateways: ReadonlyMap<GatewayName, Gateway>, asked: LookUp): Promise<Looked> {
  const gateway = gateways.get(asked.gateway)
  if (gateway === undefined) return { outcome: 'not_sent', reason: `${asked.gateway} is not configured any more` }
  const reference = asked.attemptId
  switch (asked.verb) {
    case 'charge': {
      const chargeId = asked.movedId ?? asked.gatewayId
      const state = await gateway.lookUpCharge({ reference, chargeId })
      // Authorised too late to be captured by itself: the customer has paid, and waits for us.
      if (state.outcome === 'pending' && state.waitsFor === 'capture' && state.id !== undefined && !asked.expire)
        return gateway.capture({ reference, chargeId: state.id, amount: asked.amount, currency: asked.currency })
      if (asked.waits && state.outcome === 'declined') return lastWord(gateway, reference, state)
      if (!asked.expire || state.outcome !== 'pending' || state.waitsFor === 'gateway') return state
      const id = state.id ?? chargeId
      return id === undefined ? state : gateway.cancel({ reference, chargeId: id })
    }
    case 'refund':
      return gateway.lookUpRefund({
        reference,
        chargeId: asked.chargeId ?? '',
        refundId: asked.movedId ?? asked.gatewayId,
      })
    case 'payout':
      return gateway.lookUpPayout({ reference, payoutId: asked.movedId ?? asked.gatewayId })
  }
}

/** Believes what was looked up, and ends the payment when its last attempt has come to nothing. */
export async function finishLookUp(work: Working, asked: LookUp, state: Looked): Promise<string> {
  const opened = await openCase(work, asked.attemptId)
  const { payment, attempt } = opened
  const before = payment.status
  const standing = await settle(work, opened, newsOfLookUp(state))
  sendBack(work, standing)
  if (!isFinal(payment.status) && payment.status !== 'review') {
    if (standing.is === 'over' && payment.type === 'return' && attempt.status === 'not_sent') {
      // Nobody has heard of it, and the money has to go back all the same: it is asked for from the start.
      moveAttempt(attempt, 'created')
      work.followUp({ kind: 'payment.return', input: { payment_id: payment.id } })
    } else if (standing.is === 'over')
      await giveUp(
        work,
        payment,
        { code: attempt.code ?? 'failed', message: attempt.message ?? '' },
        asked.expire ? 'expired' : attempt.code === CALLED_OFF ? 'canceled' : 'failed',
      )
    // A gateway that cannot call it off keeps it open there, or has forgotten it; should the money come after all, it goes back.
    else if (asked.expire && isLeftOpen(state)) {
      attempt.lookAt = null
      await giveUp(work, payment, { code: 'expired', message: 'The customer did not pay in time' }, 'expired')
    }
  }
  await audited(work, payment, before)
  return payment.status
}

/** A gateway's word for a charge that we have told it to forget: a webhook may say so before whoever told it has written it down. */
const CALLED_OFF = 'canceled'

const isLeftOpen = (state: Looked): boolean =>
  state.outcome === 'absent' || (state.outcome === 'pending' && !('waitsFor' in state && state.waitsFor === 'gateway'))

export const paymentLookUp = staged(lookUpPayment, {
  byKey: true,
  async begin(work) {
    const opened = await openCase(work, work.input.attempt_id)
    // Nobody was asked yet, so there is nothing to look up.
    if (opened.attempt.status === 'created') return new Done({ status: opened.payment.status })
    return beginLookUp(work, opened)
  },
  call: ({ begun }, { gateways }) => lookUp(gateways, begun),
  async finish(work, { begun, answer }) {
    return { status: await finishLookUp(work, begun, answer) }
  },
})
