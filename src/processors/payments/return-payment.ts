import { Attempt, moveAttempt } from '../../domain/payments/attempt.ts'
import { openCase } from '../../domain/payments/desk.ts'
import { lockHolder } from '../../domain/payments/holder.ts'
import { Payment, statusOnWire } from '../../domain/payments/payment.ts'
import { giveUp, settle } from '../../domain/payments/settle.ts'
import type { RefundAnswer, RefundRequest } from '../../gateways/port.ts'
import { returnPayment } from '../../jobs/payments.ts'
import { amount } from '../../kit/money.ts'
import { Done, staged, TryLater } from '../shapes/staged.ts'
import { newsOfAnswer } from './answers.ts'
import { audited, auditedBeginning } from './audited.ts'

/** What came in vain goes back to whoever paid it, without anybody asking for it. */
export const paymentReturn = staged(returnPayment, {
  byKey: true,
  async begin(work) {
    const { em, sql, input, now } = work
    const known = await em.findOneOrFail(Payment, { id: input.payment_id })
    await lockHolder(sql, known.userId, now)
    const payment = await em.refresh(known)
    const attempt = await em.findOneOrFail(Attempt, { paymentId: input.payment_id })
    if (payment === null || (attempt.status !== 'created' && attempt.status !== 'sent'))
      return new Done({ status: statusOnWire[known.status] })
    const again = attempt.status === 'sent'
    if (attempt.askedAt == null) await auditedBeginning(work, payment)
    moveAttempt(attempt, 'sent')
    attempt.askedAt ??= now
    attempt.lookAt = new Date(now.getTime() + 120_000)
    const request: RefundRequest = {
      reference: attempt.id,
      chargeId: attempt.chargeId ?? '',
      amount: amount(payment.amount),
      currency: payment.currency,
      reason: 'Came after the payment had ended',
    }
    return { gateway: attempt.gateway, request, again }
  },

  async call({ begun }, { gateways }): Promise<RefundAnswer> {
    const gateway = gateways.get(begun.gateway)
    if (gateway === undefined) return { outcome: 'not_sent', reason: `${begun.gateway} is not configured any more` }
    return gateway.refund(begun.request)
  },

  async finish(work, { begun, answer }) {
    const opened = await openCase(work, begun.request.reference)
    const { payment, attempt } = opened
    const before = payment.status
    const standing = await settle(work, opened, newsOfAnswer(answer, begun))
    if (standing.is === 'over') {
      if (attempt.status === 'not_sent') {
        moveAttempt(attempt, 'created')
        return new TryLater(`${begun.gateway} could not be reached`)
      }
      // It stays in suspense, where the ledger check and the operators' list find it.
      await giveUp(work, payment, { code: attempt.code ?? 'failed', message: attempt.message ?? '' })
    }
    await audited(work, payment, before)
    return { status: statusOnWire[payment.status] }
  },
})
