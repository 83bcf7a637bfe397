import { Attempt, moveAttempt } from '../../domain/payments/attempt.ts'
import { openCase } from '../../domain/payments/desk.ts'
import { Payment, refundable, statusOnWire } from '../../domain/payments/payment.ts'
import { paymentRefusals } from '../../domain/payments/refusals.ts'
import { giveUp, newAttempt, settle } from '../../domain/payments/settle.ts'
import type { ChargeState, Gateway, GatewayName, RefundAnswer } from '../../gateways/port.ts'
import { amountProblems, minorUnits, refundDeposit } from '../../jobs/payments.ts'
import { assert } from '../../kit/assert.ts'
import { newId } from '../../kit/ids.ts'
import { type Amount, amount, covers, toDecimal } from '../../kit/money.ts'
import { Refusal } from '../../kit/refusal.ts'
import { ASK_NEXT, Done, staged } from '../shapes/staged.ts'
import type { Work } from '../shapes/work.ts'
import { movedBody, newsOfAnswer, newsOfLookUp, refusalOfFailed, transactionId } from './answers.ts'
import { audited, auditedBeginning } from './audited.ts'
import { overOrLater } from './over-or-later.ts'
import { ownedPayment } from './owned-payment.ts'
import { sendBack } from './send-back.ts'

interface Begun {
  /** `void`: nothing was paid yet, so that it is called off instead. */
  readonly does: 'refund' | 'void'
  readonly attemptId: string
  readonly gateway: GatewayName
  readonly chargeId: string
  readonly amount: Amount
  readonly currency: Payment['currency']
  readonly again: boolean
}

/** The refund is set aside in the wallet before the gateway hears of it, so that it cannot be spent meanwhile. */
export const depositRefund = staged(refundDeposit, {
  byKey: true,
  async begin(work) {
    const { em, input, operation, now } = work
    const deposit = await ownedPayment(work, { transaction: input.transaction_id, userId: input.user_id })
    if (deposit.type !== 'deposit') throw paymentRefusals.notFound()
    const known = await em.findOne(Payment, { operationId: operation.id })
    if (known === null && deposit.status === 'pending') return callOff(work, deposit)

    const refund = known ?? (await requested(work, deposit))
    const attempt = await em.findOneOrFail(Attempt, { paymentId: refund.id })
    if (attempt.status !== 'created' && attempt.status !== 'sent') return over(refund, attempt, deposit)
    const again = attempt.status === 'sent'
    moveAttempt(attempt, 'sent')
    attempt.askedAt ??= now
    attempt.lookAt = new Date(now.getTime() + 120_000)
    const begun: Begun = {
      does: 'refund',
      attemptId: attempt.id,
      gateway: attempt.gateway,
      chargeId: attempt.chargeId ?? '',
      amount: amount(refund.amount),
      currency: refund.currency,
      again,
    }
    return begun
  },

  async call({ begun, input }, { gateways }): Promise<RefundAnswer | ChargeState> {
    const gateway = gateways.get(begun.gateway)
    if (gateway === undefined) return { outcome: 'not_sent', reason: `${begun.gateway} is not configured any more` }
    if (begun.does === 'void') return callOffAt(gateway, begun)
    const { attemptId: reference, chargeId } = begun
    return gateway.refund({
      reference,
      chargeId,
      amount: begun.amount,
      currency: begun.currency,
      reason: input.reason,
    })
  },

  async finish(work, { begun, answer }) {
    const opened = await openCase(work, begun.attemptId)
    const { payment, attempt } = opened
    const before = payment.status
    if (begun.does === 'void') {
      const standing = await settle(work, opened, newsOfLookUp(answer))
      sendBack(work, standing)
      // A gateway that cannot call it off keeps it open there; should the money come after all, it goes back.
      const leftOpen = answer.outcome === 'pending' && 'waitsFor' in answer && answer.waitsFor === 'customer'
      if (leftOpen) attempt.lookAt = null
      if (payment.status === 'pending' && (standing.is === 'over' || leftOpen || answer.outcome === 'absent'))
        await giveUp(work, payment, { code: 'canceled', message: 'Called off' }, 'canceled')
      await audited(work, payment, before)
      // The customer has paid meanwhile, so that there is something to give back.
      if (payment.status === 'completed') return ASK_NEXT
      if (payment.status !== 'canceled') return paymentRefusals.notRefundable({ status: statusOnWire[payment.status] })
      return { ...movedBody(payment), refund_id: transactionId(payment) }
    }
    assert(payment.originalId, `Refund ${payment.id} gives nothing back`)
    const deposit = await work.em.findOneOrFail(Payment, { id: payment.originalId })
    const standing = await settle(work, opened, newsOfAnswer(answer, begun))
    await audited(work, payment, before)
    if (standing.is === 'over') {
      const later = overOrLater(work.operation, refundDeposit.retry, [attempt])
      if (later !== undefined) return later
      const why = { code: attempt.code ?? 'failed', message: attempt.message ?? '' }
      await giveUp(work, payment, why)
      await audited(work, payment, before)
    }
    return answered(payment, attempt, deposit)
  },
})

/** A webhook may have brought the gateway's no before its own answer did. */
const answered = (refund: Payment, attempt: Attempt, deposit: Payment) =>
  refund.status === 'failed' ? refusalOfFailed(attempt) : refundBody(refund, deposit)

function over(refund: Payment, attempt: Attempt, deposit: Payment) {
  const answer = answered(refund, attempt, deposit)
  return answer instanceof Refusal ? answer : new Done(answer)
}

async function requested(work: Work<typeof refundDeposit>, deposit: Payment): Promise<Payment> {
  const { em, input, operation, now } = work
  if (deposit.status !== 'completed') throw paymentRefusals.notRefundable({ status: statusOnWire[deposit.status] })
  const { currency } = deposit
  const left = refundable(deposit)
  const [problem] = amountProblems({ amount: input.amount, currency })
  if (problem !== undefined) throw paymentRefusals.invalidAmount({ problem: problem.message })
  const wanted = input.amount === undefined ? left : minorUnits(input.amount, currency)
  if (wanted === 0n) throw paymentRefusals.notRefundable({ status: 'refunded already' })
  if (wanted > left) throw paymentRefusals.overRefundable({ left: { amount: left, currency } })

  const charge = await em.findOneOrFail(Attempt, { paymentId: deposit.id, status: 'succeeded' })
  const books = await work.books([deposit.accountId])
  const wallet = books.account(deposit.accountId)
  if (!covers(wallet.available, amount(wanted)))
    throw paymentRefusals.insufficient({ wanted: { amount: wanted, currency }, available: wallet.available })
  const hold = books.hold(wallet, { amount: amount(wanted), operationId: operation.id })
  deposit.refunded += wanted
  const refund = em.create(Payment, {
    id: newId(),
    operationId: operation.id,
    userId: deposit.userId,
    type: 'refund',
    status: 'requested',
    currency,
    amount: wanted,
    fee: 0n,
    method: deposit.method,
    paymentMethodId: deposit.paymentMethodId ?? null,
    gateway: charge.gateway,
    description: input.reason ?? null,
    originalId: deposit.id,
    accountId: deposit.accountId,
    holdId: hold.id,
    refunded: 0n,
    disputed: 0n,
    clientIp: input.client?.ip ?? null,
    clientDevice: input.client?.device ?? null,
    createdAt: now,
  })
  newAttempt(work, refund, { position: 0, verb: 'refund', gateway: charge.gateway, chargeId: charge.movedId ?? '' })
  await em.flush()
  await auditedBeginning(work, refund)
  return refund
}

/** A deposit that was not paid yet has nothing to give back: the gateway is told to forget it. */
async function callOff({ em }: Work<typeof refundDeposit>, deposit: Payment): Promise<Begun> {
  const [attempt] = await em.find(
    Attempt,
    { paymentId: deposit.id, askedAt: { $ne: null } },
    { orderBy: { position: 'desc' }, limit: 1 },
  )
  assert(attempt, `Deposit ${deposit.id} is pending, and has asked nobody`)
  return {
    does: 'void',
    attemptId: attempt.id,
    gateway: attempt.gateway,
    chargeId: attempt.gatewayId ?? '',
    amount: amount(deposit.amount),
    currency: deposit.currency,
    again: false,
  }
}

/** Where the answer to the charge was lost, its name has to be found first. */
async function callOffAt(gateway: Gateway, { attemptId: reference, chargeId }: Begun): Promise<ChargeState> {
  if (chargeId !== '') return gateway.cancel({ reference, chargeId })
  const state = await gateway.lookUpCharge({ reference })
  if (state.outcome !== 'pending' || state.id === undefined) return state
  return gateway.cancel({ reference, chargeId: state.id })
}

const refundBody = (refund: Payment, deposit: Payment) => ({
  ...movedBody(refund),
  amount: toDecimal(refund.amount, refund.currency),
  transaction_id: transactionId(deposit),
  refund_id: transactionId(refund),
})
