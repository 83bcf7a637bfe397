import { Attempt, moveAttempt } from '../../domain/payments/attempt.ts'
import { openCase } from '../../domain/payments/desk.ts'
import { lockHolder, walletAccount } from '../../domain/payments/holder.ts'
import { takeLimit } from '../../domain/payments/limits.ts'
import { SavedMethod, tokenPlace } from '../../domain/payments/method.ts'
import { PAYMENT_METHOD, Payment } from '../../domain/payments/payment.ts'
import { paymentRefusals } from '../../domain/payments/refusals.ts'
import { giveUp, newAttempt, settle } from '../../domain/payments/settle.ts'
import type { GatewayName, PayoutAnswer, PayoutRequest } from '../../gateways/port.ts'
import { route } from '../../gateways/routing.ts'
import { initiateWithdrawal, minorUnits } from '../../jobs/payments.ts'
import { assert } from '../../kit/assert.ts'
import { fromPublicId, newId } from '../../kit/ids.ts'
import { amount, covers } from '../../kit/money.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Services } from '../context.ts'
import { vet, type Wanted } from '../fraud/vet.ts'
import { Done, staged } from '../shapes/staged.ts'
import type { Work } from '../shapes/work.ts'
import { gatewayOnWire, movedBody, newsOfAnswer, refusalOfFailed, refusalOfNoRoute, transactionId } from './answers.ts'
import { audited, auditedBeginning } from './audited.ts'
import { overOrLater } from './over-or-later.ts'
import { usableMethod } from './saved-method.ts'

interface Begun {
  readonly gateway: GatewayName
  readonly request: PayoutRequest
  readonly again: boolean
}

/**
 * The amount is set aside, and where it goes is written down, before the gateway hears of it. There is one place where the
 * user's destination is known, so no other gateway is asked.
 */
export const withdrawalInitiate = staged(initiateWithdrawal, {
  byKey: true,
  async begin(work, services) {
    const { em, sql, input, operation, now } = work
    const userId = input.user_id ?? ''
    const holder = await lockHolder(sql, userId, now)
    const known = await em.findOne(Payment, { operationId: operation.id })
    const currency = input.currency ?? 'INR'
    const wanted: Wanted = {
      type: 'withdrawal',
      currency,
      amount: minorUnits(input.amount, currency),
      method: fromPublicId(PAYMENT_METHOD, input.payment_method_id) ?? input.payment_method_id,
      client: input.client,
    }
    const vetted = known === null ? await vet(work, holder, wanted, services) : undefined
    if (vetted instanceof Refusal) return vetted
    const payment = known ?? (await requested(work, services))
    if (vetted !== undefined) {
      const taken = { currency: payment.currency, amount: amount(payment.amount), now }
      const periods = await takeLimit(sql, holder, taken)
      payment.limitDay = periods.day
      payment.limitMonth = periods.month
      await em.flush()
      await vetted(payment)
      await auditedBeginning(work, payment)
    }
    const attempt = await em.findOneOrFail(Attempt, { paymentId: payment.id })
    if (attempt.status !== 'created' && attempt.status !== 'sent') return over(payment, attempt)
    const again = attempt.status === 'sent'
    moveAttempt(attempt, 'sent')
    attempt.askedAt ??= now
    attempt.lookAt = new Date(now.getTime() + 120_000)
    assert(payment.paymentMethodId, `Withdrawal ${payment.id} goes nowhere`)
    const method = await em.findOneOrFail(SavedMethod, { id: payment.paymentMethodId })
    const begun: Begun = {
      gateway: attempt.gateway,
      again,
      request: {
        reference: attempt.id,
        amount: amount(payment.amount),
        currency: payment.currency,
        method: payment.method,
        destination: services.keyring.open(method.token, tokenPlace(method.id)),
        description: input.description,
      },
    }
    return begun
  },

  async call({ begun }, { gateways }): Promise<PayoutAnswer> {
    const gateway = gateways.get(begun.gateway)
    if (gateway === undefined) return { outcome: 'not_sent', reason: `${begun.gateway} is not configured any more` }
    return gateway.payout(begun.request)
  },

  async finish(work, { begun, answer }) {
    const opened = await openCase(work, begun.request.reference)
    const { payment, attempt } = opened
    const before = payment.status
    const standing = await settle(work, opened, newsOfAnswer(answer, begun))
    await audited(work, payment, before)
    if (standing.is !== 'over') return answered(payment, attempt)
    const later = overOrLater(work.operation, initiateWithdrawal.retry, [attempt])
    if (later !== undefined) return later
    const why = { code: attempt.code ?? 'failed', message: attempt.message ?? '' }
    await giveUp(work, payment, why)
    await audited(work, payment, before)
    return answered(payment, attempt)
  },
})

/** A webhook may have brought the gateway's no before its own answer did. */
const answered = (payment: Payment, attempt: Attempt) =>
  payment.status === 'failed' ? refusalOfFailed(attempt) : withdrawalBody(payment)

function over(payment: Payment, attempt: Attempt) {
  const answer = answered(payment, attempt)
  return answer instanceof Refusal ? answer : new Done(answer)
}

async function requested(work: Work<typeof initiateWithdrawal>, { gateways }: Services): Promise<Payment> {
  const { em, input, operation, now } = work
  const userId = input.user_id ?? ''
  const currency = input.currency ?? 'INR'
  const method = await usableMethod(em, userId, input.payment_method_id, now)
  assert(method, 'A withdrawal names its method')
  const wanted = minorUnits(input.amount, currency)
  const found = route(gateways, { direction: 'payout', method: method.type, currency, gateway: method.gateway })
  if (!('gateways' in found))
    throw refusalOfNoRoute(found, { does: 'payouts', method: method.type, currency, gateway: method.gateway })

  const accountId = await walletAccount(work.sql, userId, currency)
  if (accountId === undefined)
    throw paymentRefusals.insufficient({ wanted: { amount: wanted, currency }, available: 0n })
  const books = await work.books([accountId])
  const wallet = books.account(accountId)
  if (!covers(wallet.available, wanted))
    throw paymentRefusals.insufficient({ wanted: { amount: wanted, currency }, available: wallet.available })
  const hold = books.hold(wallet, { amount: wanted, operationId: operation.id })
  const payment = em.create(Payment, {
    id: newId(),
    operationId: operation.id,
    userId,
    type: 'withdrawal',
    status: 'requested',
    currency,
    amount: wanted,
    fee: 0n,
    method: method.type,
    paymentMethodId: method.id,
    gateway: method.gateway,
    description: input.description ?? null,
    accountId,
    holdId: hold.id,
    refunded: 0n,
    disputed: 0n,
    clientIp: input.client?.ip ?? null,
    clientDevice: input.client?.device ?? null,
    createdAt: now,
  })
  newAttempt(work, payment, { position: 0, verb: 'payout', gateway: method.gateway })
  return payment
}

const withdrawalBody = (payment: Payment) => ({
  ...movedBody(payment),
  withdrawal_id: transactionId(payment),
  gateway: gatewayOnWire(payment.gateway ?? ''),
})
