import { assert } from '../../kit/assert.ts'
import { newId } from '../../kit/ids.ts'
import { amount, MAX_AMOUNT } from '../../kit/money.ts'
import { platformAccount } from '../ledger/platform-accounts.ts'
import { Attempt, attemptId, moveAttempt, nextLook } from './attempt.ts'
import type { Case, Desk } from './desk.ts'
import { recover } from './dispute.ts'
import { giveBackLimit } from './limits.ts'
import { type ClosingNews, isCurrency, type MovedNews, type News } from './news.ts'
import { fail, isFinal, moveTo, Payment } from './payment.ts'

/**
 * How a payment stands after news of one of its attempts was believed. `over`: the attempt came to nothing, and the
 * payment with it unless another gateway is asked. `surplus`: money came that the payment no longer wants.
 */
export interface Standing {
  readonly is: 'open' | 'ended' | 'over' | 'review' | 'unchanged' | 'surplus'
  /** Payments that return what nobody asked for. */
  readonly giveBack?: readonly string[]
}

/** An attempt that a gateway has not heard of this long after it was sent will not be heard of: milliseconds. */
const ABSENT_AFTER_MS = 15 * 60_000

/**
 * Believes news of an attempt. The same news again, or older news than is known, changes nothing, whoever brings it:
 * answer, confirmation, webhook or look-up. The case must have been opened in this transaction.
 */
export async function settle(desk: Desk, { payment, attempt }: Case, news: News): Promise<Standing> {
  switch (news.outcome) {
    case 'succeeded': {
      const standing = await settleMoved(desk, payment, attempt, news)
      const again = await settleAgain(desk, payment, attempt, news.surplus ?? [])
      return again.length === 0 ? standing : { ...standing, giveBack: [...(standing.giveBack ?? []), ...again] }
    }
    case 'pending':
      return stillOpen(desk, payment, attempt, 'pending', news.id)
    case 'unknown':
      return stillOpen(desk, payment, attempt, attempt.status === 'pending' ? 'pending' : 'unknown', undefined)
    case 'absent':
      return wasNeverSent(attempt, desk.now)
        ? settleOver(desk, attempt, news)
        : stillOpen(desk, payment, attempt, attempt.status === 'pending' ? 'pending' : 'unknown', undefined)
    case 'returned':
      return settleReturned(desk, payment, attempt, news)
    case 'declined':
      // Refunds that a bank sends back are told as declined after they were done.
      if (attempt.status === 'succeeded' && attempt.verb === 'refund')
        return settleReturned(desk, payment, attempt, news)
      return settleOver(desk, attempt, news)
    case 'not_sent':
      return settleOver(desk, attempt, news)
  }
}

/** What waits for its customer or gateway may well be unknown to a look-up by our reference; what is in doubt may not. */
const wasNeverSent = (attempt: Attempt, now: Date): boolean =>
  (attempt.status === 'sent' || attempt.status === 'unknown') &&
  now.getTime() - (attempt.askedAt?.getTime() ?? 0) >= ABSENT_AFTER_MS

function stillOpen(
  desk: Desk,
  payment: Payment,
  attempt: Attempt,
  status: 'pending' | 'unknown',
  gatewayId: string | undefined,
): Standing {
  if (!isOpen(attempt)) return { is: 'unchanged' }
  moveAttempt(attempt, status)
  if (gatewayId !== undefined) attempt.gatewayId = gatewayId
  attempt.answeredAt = desk.now
  attempt.lookAt = nextLook(attempt, desk.now)
  if (payment.status === 'requested') moveTo(payment, 'pending', desk.now)
  return { is: 'open' }
}

const isOpen = ({ status }: Attempt): boolean => status === 'sent' || status === 'pending' || status === 'unknown'

async function settleMoved(desk: Desk, payment: Payment, attempt: Attempt, news: MovedNews): Promise<Standing> {
  if (attempt.status === 'succeeded' || attempt.status === 'surplus' || attempt.status === 'returned')
    return { is: 'unchanged' }
  assert(isCurrency(news.currency), `${attempt.gateway} moved ${news.currency}, which no wallet holds`)
  attempt.movedId = news.id
  attempt.moved = news.amount
  attempt.movedCurrency = news.currency
  attempt.answeredAt = desk.now
  attempt.lookAt = null

  if (isFinal(payment.status) || payment.status === 'review') return settleSurplus(desk, payment, attempt, news)
  moveAttempt(attempt, 'succeeded')
  payment.gateway = attempt.gateway
  if (news.amount !== payment.amount || news.currency !== payment.currency)
    return settleMismatch(desk, payment, attempt, news)

  await POST_MOVED[payment.type](desk, payment)
  moveTo(payment, 'completed', desk.now)
  return { is: 'ended' }
}

/** How each type's money moves once its gateway has moved it. */
const POST_MOVED: Record<Payment['type'], (desk: Desk, payment: Payment) => Promise<void>> = {
  async deposit(desk, payment) {
    const books = await desk.books([payment.accountId])
    books.post('deposit.settle', {
      debit: gatewayAccount(payment),
      credit: books.account(payment.accountId),
      amount: amount(payment.amount),
      operationId: desk.operation.id,
      memo: payment.description ?? undefined,
    })
  },
  withdrawal: (desk, payment) => captureHold(desk, payment, 'withdrawal.settle'),
  refund: (desk, payment) => captureHold(desk, payment, 'refund.settle'),
  async return(desk, payment) {
    const books = await desk.books([])
    books.post('suspense.return', {
      debit: platformAccount('suspense', payment.currency),
      credit: gatewayAccount(payment),
      amount: amount(payment.amount),
      operationId: desk.operation.id,
    })
  },
}

async function captureHold(desk: Desk, payment: Payment, movement: 'withdrawal.settle' | 'refund.settle') {
  const { holdId } = payment
  assert(holdId, `Payment ${payment.id} has set nothing aside`)
  const books = await desk.books([payment.accountId], { holds: [holdId] })
  books.capture(books.placedHold(holdId), {
    movement,
    credit: gatewayAccount(payment),
    amount: amount(payment.amount),
    operationId: desk.operation.id,
    position: CAPTURE_POSITION,
    memo: payment.description ?? undefined,
  })
}

/** Of what was set aside: the operation of a refund may first have found that its deposit was paid, and posted that. */
const CAPTURE_POSITION = 1

/** Another amount or currency than was asked for: what a deposit brought waits in suspense for a person's decision. */
async function settleMismatch(desk: Desk, payment: Payment, attempt: Attempt, news: MovedNews): Promise<Standing> {
  if (payment.type === 'deposit') await receiveIntoSuspense(desk, attempt, news)
  moveTo(payment, 'review', desk.now)
  payment.failureCode = 'amount_mismatch'
  payment.failureMessage = `The gateway moved ${news.amount} ${news.currency}, ${payment.amount} ${payment.currency} was asked (minor units)`
  return { is: 'review' }
}

/** Money that came after the payment had ended, or a second time. It is written down, and goes back by itself. */
async function settleSurplus(desk: Desk, payment: Payment, attempt: Attempt, news: MovedNews): Promise<Standing> {
  moveAttempt(attempt, 'surplus')
  if (payment.type !== 'deposit') {
    // Money that left although it had been given up cannot be called back by us: reconciliation lists it.
    attempt.message = 'It was done after it had been given up'
    return { is: 'review' }
  }
  await receiveIntoSuspense(desk, attempt, news)
  return { is: 'surplus', giveBack: [returnOf(desk, payment, attempt).id] }
}

/** A customer who paid twice for one reference gets the second back, once: each such payment is an attempt of its own. */
async function settleAgain(
  desk: Desk,
  payment: Payment,
  attempt: Attempt,
  surplus: readonly Pick<MovedNews, 'id' | 'amount' | 'currency'>[],
): Promise<string[]> {
  if (surplus.length === 0) return []
  await desk.em.flush()
  const known = await desk.em.find(Attempt, { paymentId: payment.id })
  const giveBack: string[] = []
  for (const extra of surplus.filter(({ id }) => !known.some(({ movedId }) => movedId === id))) {
    assert(isCurrency(extra.currency), `${attempt.gateway} moved ${extra.currency}, which no wallet holds`)
    const second = newAttempt(desk, payment, {
      position: known.length + giveBack.length,
      verb: 'charge',
      gateway: attempt.gateway,
    })
    Object.assign(second, {
      status: 'surplus',
      movedId: extra.id,
      moved: extra.amount,
      movedCurrency: extra.currency,
      answeredAt: desk.now,
    })
    await receiveIntoSuspense(desk, second, extra, SURPLUS_POSITION + giveBack.length)
    giveBack.push(returnOf(desk, payment, second).id)
  }
  return giveBack
}

/** Positions of what came again: the operation may have posted the first payment, too. */
const SURPLUS_POSITION = 10

async function receiveIntoSuspense(
  desk: Desk,
  attempt: Attempt,
  news: Pick<MovedNews, 'amount' | 'currency'>,
  position = 0,
): Promise<void> {
  const books = await desk.books([])
  books.post('suspense.receive', {
    debit: platformAccount('gateway', news.currency, attempt.gateway),
    credit: platformAccount('suspense', news.currency),
    amount: news.amount,
    operationId: desk.operation.id,
    position,
  })
}

/** The payment that gives back what an attempt has brought in vain, with its question to the gateway. */
export function returnOf(desk: Desk, deposit: Payment, attempt: Attempt): Payment {
  assert(attempt.moved && attempt.movedCurrency, `Attempt ${attempt.id} has brought nothing`)
  const id = newId()
  const payment = desk.em.create(Payment, {
    id,
    operationId: id, // asked for by ourselves: the operation that carries it out is told its id
    userId: deposit.userId,
    type: 'return',
    status: 'requested',
    currency: attempt.movedCurrency,
    amount: attempt.moved,
    fee: 0n,
    method: deposit.method,
    gateway: attempt.gateway,
    originalId: deposit.id,
    accountId: deposit.accountId,
    refunded: 0n,
    disputed: 0n,
    createdAt: desk.now,
  })
  newAttempt(desk, payment, { position: 0, verb: 'refund', gateway: attempt.gateway, chargeId: attempt.movedId ?? '' })
  return payment
}

/** A question that is about to be asked. For refunds `chargeId` is what is given back. */
export function newAttempt(
  desk: Desk,
  payment: Payment,
  asks: Pick<Attempt, 'position' | 'verb' | 'gateway'> & { chargeId?: string },
): Attempt {
  return desk.em.create(Attempt, {
    id: attemptId(payment.id, asks.position),
    paymentId: payment.id,
    position: asks.position,
    verb: asks.verb,
    gateway: asks.gateway,
    status: 'created',
    amount: payment.amount,
    currency: payment.currency,
    looks: 0,
    chargeId: asks.chargeId ?? null,
  })
}

/** The attempt came to nothing: what was set aside for it is free again, unless another gateway is asked. */
function settleOver(desk: Desk, attempt: Attempt, news: ClosingNews): Standing {
  if (!isOpen(attempt)) return { is: 'unchanged' }
  moveAttempt(attempt, news.outcome === 'declined' ? 'declined' : 'not_sent')
  attempt.answeredAt = desk.now
  attempt.lookAt = null
  const why = reasonOf(news)
  attempt.code = why.code
  attempt.message = why.message
  return { is: 'over' }
}

const reasonOf = (news: ClosingNews): { code: string; message: string } => {
  if (news.outcome === 'declined' || news.outcome === 'returned') return { code: news.code, message: news.message }
  return news.outcome === 'absent'
    ? { code: 'never_received', message: 'The gateway has never heard of it' }
    : { code: news.outcome, message: news.reason }
}

/** Ends a payment whose attempts have all come to nothing: nothing moved, and everything reserved for it is given back. */
export async function giveUp(
  desk: Desk,
  payment: Payment,
  why: { code: string; message: string },
  as: 'failed' | 'expired' | 'canceled' = 'failed',
): Promise<void> {
  if (as === 'failed') fail(payment, why, desk.now)
  else moveTo(payment, as, desk.now)
  await giveBackLimit(desk.sql, payment)
  if (payment.holdId) {
    const books = await desk.books([payment.accountId], { holds: [payment.holdId] })
    books.release(books.placedHold(payment.holdId))
    await books.write(desk.sql)
  }
  if (payment.type === 'refund') await unrefund(desk, payment)
}

/** It was done, and came back: days later, as a rule. */
async function settleReturned(desk: Desk, payment: Payment, attempt: Attempt, news: ClosingNews): Promise<Standing> {
  if (attempt.status === 'returned') return { is: 'unchanged' }
  const why = reasonOf(news)
  if (attempt.status !== 'succeeded') {
    // The money's way there was never told of: going and coming back, it has not moved.
    if (!isOpen(attempt)) return { is: 'unchanged' }
    settleOver(desk, attempt, { outcome: 'declined', ...why })
    return { is: 'over' }
  }
  moveAttempt(attempt, 'returned')
  attempt.code = why.code
  attempt.message = why.message
  if (payment.status !== 'completed') return { is: 'review' }
  await POST_RETURNED[payment.type](desk, payment)
  await recoverExcess(desk, payment, attempt)
  await giveBackLimit(desk.sql, payment)
  if (payment.type === 'refund') await unrefund(desk, payment)
  moveTo(payment, 'returned', desk.now)
  payment.failureCode = why.code
  payment.failureMessage = why.message
  return { is: 'ended' }
}

const POST_RETURNED: Record<Payment['type'], (desk: Desk, payment: Payment) => Promise<void>> = {
  async deposit(_desk, payment) {
    assert(false, `Deposit ${payment.id} cannot come back: disputes have a way of their own`)
  },
  withdrawal: (desk, payment) => backToWallet(desk, payment, 'withdrawal.return'),
  refund: (desk, payment) => backToWallet(desk, payment, 'refund.reverse'),
  async return(desk, payment) {
    const books = await desk.books([])
    books.post('suspense.reverse', {
      debit: gatewayAccount(payment),
      credit: platformAccount('suspense', payment.currency),
      amount: amount(payment.amount),
      operationId: desk.operation.id,
    })
  },
}

async function backToWallet(desk: Desk, payment: Payment, movement: 'withdrawal.return' | 'refund.reverse') {
  const books = await desk.books([payment.accountId])
  books.post(movement, {
    debit: gatewayAccount(payment),
    credit: books.account(payment.accountId),
    amount: amount(payment.amount),
    operationId: desk.operation.id,
  })
  await books.write(desk.sql)
}

/** A gateway that had moved more than was asked brings that back, too: it was at our cost. */
async function recoverExcess(desk: Desk, payment: Payment, attempt: Attempt): Promise<void> {
  const excess = (attempt.moved ?? 0n) - payment.amount
  if (excess <= 0n || attempt.movedCurrency !== payment.currency) return
  const books = await desk.books([])
  books.post('mismatch.recover', {
    debit: gatewayAccount(payment),
    credit: platformAccount('losses', payment.currency),
    amount: amount(excess),
    operationId: desk.operation.id,
    position: EXCESS_POSITION,
  })
}

/** After what went back to the wallet. */
const EXCESS_POSITION = 1

/** A refund that came to nothing leaves its deposit as refundable as before. Its amount is in the wallet again, written. */
async function unrefund(desk: Desk, refund: Payment): Promise<void> {
  assert(refund.originalId, `Refund ${refund.id} gives nothing back`)
  const deposit = await desk.em.findOneOrFail(Payment, { id: refund.originalId })
  deposit.refunded -= refund.amount
  assert(deposit.refunded >= 0n && deposit.refunded <= MAX_AMOUNT, `More of ${deposit.id} came back than was given`)
  await recover(desk, deposit, refund.amount)
}

function gatewayAccount(payment: Payment) {
  assert(payment.gateway, `Payment ${payment.id} is at no gateway`)
  return platformAccount('gateway', payment.currency, payment.gateway)
}
