import { defineEntity, type InferEntity, p } from '@mikro-orm/core'
import { newId } from '../../kit/ids.ts'
import { type Amount, amount, smallest } from '../../kit/money.ts'
import { type LifeCycle, mayMove, move } from '../../kit/states.ts'
import { platformAccount } from '../ledger/platform-accounts.ts'
import type { Case, Desk } from './desk.ts'
import type { Currency, GatewayName } from './names.ts'
import { isFinal, type Payment, refundable } from './payment.ts'

export type DisputeStatus = 'needs_response' | 'under_review' | 'won' | 'lost'

/** Late alerts never take back what was decided. A bank may ask again after it has reviewed. */
export const disputeCycle: LifeCycle<DisputeStatus> = {
  needs_response: ['under_review', 'won', 'lost'],
  under_review: ['needs_response', 'won', 'lost'],
  won: [],
  lost: [],
}

/** A customer's bank argues about a deposit. Its gateway takes the money at once, and so do we. */
export const Dispute = defineEntity({
  name: 'Dispute',
  tableName: 'dispute',
  properties: {
    id: p.uuid().primary(),
    gateway: p.text().$type<GatewayName>(),
    gatewayId: p.text().fieldName('gateway_id'),
    paymentId: p.uuid().fieldName('payment_id'),
    status: p.text().$type<DisputeStatus>(),
    currency: p.text().$type<Currency>(),
    amount: p.bigint(),
    /** What was there to take from the wallet; the rest is our loss for now. */
    taken: p.bigint(),
    openedAt: p.datetime().fieldName('opened_at'),
    closedAt: p.datetime().fieldName('closed_at').nullable(),
  },
})

export type Dispute = InferEntity<typeof Dispute>

export interface DisputeNews {
  readonly gateway: GatewayName
  readonly id: string
  readonly status: DisputeStatus
  readonly amount: Amount
  readonly currency: Currency
}

type Disputed = Pick<Case, 'payment' | 'attempt'>

/** A dispute about what is still under way, or waits for a person, has to wait for how that ends: only then is it known what was credited. */
export const mayBeDisputed = ({ payment }: Disputed): boolean => isFinal(payment.status)

/**
 * Believes news of a dispute about a charge, whose user must be locked. The wallet gives what of the deposit was neither
 * refunded nor disputed before, as far as it is there; never the same money a second time. Answers whether it was new.
 */
export async function settleDispute(desk: Desk, about: Disputed, news: DisputeNews): Promise<boolean> {
  const known = await desk.em.findOne(Dispute, { gateway: news.gateway, gatewayId: news.id })
  const dispute = known ?? (await open(desk, about, news))
  if (dispute.status === news.status || !mayMove(disputeCycle, dispute.status, news.status)) return known === null
  dispute.status = move(disputeCycle, dispute.status, news.status)
  if (news.status === 'won' || news.status === 'lost') await close(desk, about, dispute)
  return true
}

/** What came late or twice was never the wallet's: it goes back by itself, and a dispute about it is no matter of the deposit's. */
const wasCredited = ({ payment, attempt }: Disputed): boolean =>
  payment.status === 'completed' && attempt.status === 'succeeded'

/** How much of a deposit a dispute keeps from being refunded: all of it where the currency is another. */
const argued = (deposit: Payment, dispute: Pick<Dispute, 'amount' | 'currency'>): bigint =>
  dispute.currency === deposit.currency ? dispute.amount : deposit.amount

async function open(desk: Desk, about: Disputed, news: DisputeNews): Promise<Dispute> {
  const { payment: deposit } = about
  const books = await desk.books([deposit.accountId])
  const wallet = books.account(deposit.accountId)
  // In another currency nobody can say which part of the deposit is meant: nothing is taken, and nothing of it is refunded.
  const there = wasCredited(about) && news.currency === deposit.currency ? refundable(deposit) : 0n
  const taken = smallest(news.amount, there, wallet.available < 0n ? 0n : wallet.available)
  const operationId = desk.operation.id
  const inDispute = platformAccount('dispute', news.currency)
  if (taken > 0n) books.post('dispute.open', { debit: wallet, credit: inDispute, amount: amount(taken), operationId })
  if (news.amount > taken)
    books.post('dispute.advance', {
      debit: platformAccount('losses', news.currency),
      credit: inDispute,
      amount: amount(news.amount - taken),
      operationId,
    })
  if (wasCredited(about)) deposit.disputed += argued(deposit, news)
  // Written at once, so that whoever closes it in this transaction has books of its own.
  await books.write(desk.sql)
  return desk.em.create(Dispute, {
    id: newId(),
    gateway: news.gateway,
    gatewayId: news.id,
    paymentId: deposit.id,
    status: 'needs_response',
    currency: news.currency,
    amount: news.amount,
    taken,
    openedAt: desk.now,
  })
}

/** Positions of the closing transfers: a dispute may be opened and closed by one operation. */
const CLOSING = 10

async function close(desk: Desk, about: Disputed, dispute: Dispute): Promise<void> {
  const { payment: deposit } = about
  dispute.closedAt = desk.now
  const inDispute = platformAccount('dispute', dispute.currency)
  const operationId = desk.operation.id
  const books = await desk.books([deposit.accountId])
  if (dispute.status === 'lost') {
    // A bank may argue about nothing.
    if (dispute.amount === 0n) return
    books.post('dispute.lose', {
      debit: inDispute,
      credit: platformAccount('gateway', dispute.currency, dispute.gateway),
      amount: amount(dispute.amount),
      operationId,
      position: CLOSING,
    })
    return
  }
  if (wasCredited(about)) deposit.disputed -= argued(deposit, dispute)
  if (dispute.taken > 0n)
    books.post('dispute.win', {
      debit: inDispute,
      credit: books.account(deposit.accountId),
      amount: amount(dispute.taken),
      operationId,
      position: CLOSING,
    })
  if (dispute.amount > dispute.taken)
    books.post('dispute.recover', {
      debit: inDispute,
      credit: platformAccount('losses', dispute.currency),
      amount: amount(dispute.amount - dispute.taken),
      operationId,
      position: CLOSING + 1,
    })
}

/** Positions of what is recovered: the same operation has put it back into the wallet. */
const RECOVERING = 20

/**
 * A refund of a disputed deposit came to nothing, and left its amount in the wallet. The customer gets that money from their
 * bank, so that it makes up for what we have advanced. What is in the wallet must be written already.
 */
export async function recover(desk: Desk, deposit: Payment, freed: bigint): Promise<void> {
  if (deposit.disputed === 0n) return
  const disputes = await desk.em.find(
    Dispute,
    { paymentId: deposit.id, currency: deposit.currency, status: { $ne: 'won' } },
    { orderBy: { id: 'asc' } },
  )
  const books = await desk.books([deposit.accountId])
  const wallet = books.account(deposit.accountId)
  const inDispute = platformAccount('dispute', deposit.currency)
  const operationId = desk.operation.id
  let left = freed
  for (const [nth, dispute] of disputes.entries()) {
    const taken = smallest(dispute.amount - dispute.taken, left, wallet.available < 0n ? 0n : wallet.available)
    if (taken === 0n) continue
    const position = RECOVERING + 2 * nth
    books.post('dispute.open', { debit: wallet, credit: inDispute, amount: amount(taken), operationId, position })
    books.post('dispute.recover', {
      debit: inDispute,
      credit: platformAccount('losses', deposit.currency),
      amount: amount(taken),
      operationId,
      position: position + 1,
    })
    dispute.taken += taken
    left -= taken
  }
}
