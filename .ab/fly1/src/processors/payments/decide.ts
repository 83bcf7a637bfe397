import { platformAccount } from '../../domain/ledger/platform-accounts.ts'
import { Attempt } from '../../domain/payments/attempt.ts'
import { giveBackLimit } from '../../domain/payments/limits.ts'
import { fail, moveTo, Payment, statusOnWire } from '../../domain/payments/payment.ts'
import { paymentRefusals } from '../../domain/payments/refusals.ts'
import { returnOf } from '../../domain/payments/settle.ts'
import { decidePayment } from '../../jobs/payments.ts'
import { assert } from '../../kit/assert.ts'
import { amount, smallest } from '../../kit/money.ts'
import { transact } from '../shapes/transact.ts'
import { transactionId } from './answers.ts'
import { auditedDecision } from './audited.ts'
import { ownedPayment } from './owned-payment.ts'

/**
 * The gateway moved another amount than was asked. Of a deposit, what came is credited or goes back. What left for a
 * withdrawal or refund has left: accepting it books what was really moved, the difference at our cost.
 */
export const paymentDecide = transact(decidePayment, {
  async perform(work) {
    const { em, input, operation, now } = work
    const payment = await ownedPayment(work, { transaction: input.transaction_id })
    if (payment.status !== 'review') throw paymentRefusals.notInReview({ status: statusOnWire[payment.status] })
    const attempt = await em.findOneOrFail(Attempt, { paymentId: payment.id, status: 'succeeded' })
    assert(attempt.moved && attempt.movedCurrency, `Attempt ${attempt.id} has moved nothing`)
    const sameCurrency = attempt.movedCurrency === payment.currency
    const moved = amount(attempt.moved)
    const gateway = platformAccount('gateway', attempt.movedCurrency, attempt.gateway)

    if (payment.type === 'deposit' && input.decision === 'reject') {
      const back = returnOf(work, payment, attempt)
      fail(payment, { code: 'rejected', message: input.note }, now)
      await giveBackLimit(work.sql, payment)
      work.followUp({ kind: 'payment.return', input: { payment_id: back.id } })
      await auditedDecision(work, payment, input.client?.ip)
      return { success: true as const, transaction_id: transactionId(payment), status: statusOnWire[payment.status] }
    }
    if (!sameCurrency || input.decision === 'reject')
      throw paymentRefusals.undecidable({ decision: input.decision, type: payment.type })

    // What the customer has got or given; of what left beyond that only the attempt tells.
    let paid = moved
    const books = await work.books([payment.accountId], payment.holdId ? { holds: [payment.holdId] } : {})
    if (payment.type === 'deposit')
      books.post('suspense.credit', {
        debit: platformAccount('suspense', payment.currency),
        credit: books.account(payment.accountId),
        amount: moved,
        operationId: operation.id,
        memo: input.note,
      })
    else if (payment.type === 'return')
      books.post('suspense.return', {
        debit: platformAccount('suspense', payment.currency),
        credit: gateway,
        amount: moved,
        operationId: operation.id,
      })
    else {
      assert(payment.holdId, `Payment ${payment.id} has set nothing aside`)
      const hold = books.placedHold(payment.holdId)
      const covered = amount(smallest(moved, hold.amount))
      paid = covered
      const movement = payment.type === 'withdrawal' ? 'withdrawal.settle' : 'refund.settle'
      books.capture(hold, { movement, credit: gateway, amount: covered, operationId: operation.id })
      if (moved > covered)
        books.post('mismatch.cover', {
          debit: platformAccount('losses', payment.currency),
          credit: gateway,
          amount: amount(moved - covered),
          operationId: operation.id,
        })
      if (payment.type === 'refund' && payment.originalId) {
        const deposit = await em.findOneOrFail(Payment, { id: payment.originalId })
        deposit.refunded += covered - payment.amount
      }
    }
    payment.amount = paid
    moveTo(payment, 'completed', now)
    await auditedDecision(work, payment, input.client?.ip)
    return { success: true as const, transaction_id: transactionId(payment), status: statusOnWire[payment.status] }
  },
})
