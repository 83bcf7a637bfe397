import { Attempt } from '../../domain/payments/attempt.ts'
import { openCase } from '../../domain/payments/desk.ts'
import { isFinal, statusOnWire } from '../../domain/payments/payment.ts'
import { paymentRefusals } from '../../domain/payments/refusals.ts'
import { giveUp, settle } from '../../domain/payments/settle.ts'
import type { ChargeState, Confirmation, GatewayName } from '../../gateways/port.ts'
import { confirmDeposit } from '../../jobs/payments.ts'
import { Done, staged } from '../shapes/staged.ts'
import { gatewayOnWire, movedBody, newsOfLookUp } from './answers.ts'
import { audited, auditedForgery } from './audited.ts'
import { lastWord } from './last-word.ts'
import { ownedPayment } from './owned-payment.ts'
import { sendBack } from './send-back.ts'

/** The browser's word is only a hint: the gateway is asked itself, and a webhook that came first has said the same. */
export const depositConfirm = staged(confirmDeposit, {
  byKey: true,
  async begin(work) {
    const { em, input } = work
    const payment = await ownedPayment(work, { transaction: input.transaction_id, userId: input.user_id })
    if (payment.type !== 'deposit') throw paymentRefusals.notFound()
    const [attempt] = await em.find(
      Attempt,
      { paymentId: payment.id, askedAt: { $ne: null } },
      { orderBy: { position: 'desc' }, limit: 1 },
    )
    if (attempt === undefined) throw paymentRefusals.notConfirmable({ status: statusOnWire[payment.status] })
    if (payment.status === 'completed' && attempt.movedId === input.gateway_payment_id)
      return new Done(movedBody(payment))
    const confirmation: Confirmation = {
      reference: attempt.id,
      chargeId: attempt.gatewayId ?? undefined,
      paymentId: input.gateway_payment_id,
      proof: input.gateway_data,
    }
    return { gateway: attempt.gateway as GatewayName, confirmation }
  },

  async call({ begun }, { gateways }): Promise<ChargeState | { readonly outcome: 'forged' }> {
    const gateway = gateways.get(begun.gateway)
    if (gateway === undefined) return { outcome: 'not_sent', reason: `${begun.gateway} is not configured any more` }
    const state = await gateway.confirm(begun.confirmation)
    return state.outcome === 'declined' ? lastWord(gateway, begun.confirmation.reference, state) : state
  },

  async finish(work, { begun, answer }) {
    if (answer.outcome === 'forged') {
      await auditedForgery(work, begun.gateway)
      return paymentRefusals.forged()
    }
    if (answer.outcome === 'absent') return paymentRefusals.otherPayment()
    const opened = await openCase(work, begun.confirmation.reference)
    const { payment, attempt } = opened
    const before = payment.status
    const standing = await settle(work, opened, newsOfLookUp(answer))
    sendBack(work, standing)
    if (standing.is === 'over' && !isFinal(payment.status) && payment.status !== 'review') {
      const why = { code: attempt.code ?? 'declined', message: attempt.message ?? '' }
      await giveUp(work, payment, why)
      await audited(work, payment, before)
      return paymentRefusals.declined({ gateway: gatewayOnWire(attempt.gateway), ...why })
    }
    await audited(work, payment, before)
    return payment.status === 'completed' || payment.status === 'pending' || payment.status === 'review'
      ? movedBody(payment)
      : paymentRefusals.notConfirmable({ status: statusOnWire[payment.status] })
  },
})
