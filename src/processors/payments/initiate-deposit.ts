import type { EntityManager } from '@mikro-orm/postgresql'
import { Attempt, moveAttempt } from '../../domain/payments/attempt.ts'
import { openCase } from '../../domain/payments/desk.ts'
import { lockHolder, openWallet } from '../../domain/payments/holder.ts'
import { takeLimit } from '../../domain/payments/limits.ts'
import { SavedMethod, tokenPlace } from '../../domain/payments/method.ts'
import type { PaymentMethod } from '../../domain/payments/names.ts'
import { isFinal, Payment } from '../../domain/payments/payment.ts'
import { paymentRefusals } from '../../domain/payments/refusals.ts'
import { giveUp, newAttempt, settle } from '../../domain/payments/settle.ts'
import type { ChargeAnswer, ChargeRequest, CustomerAction, GatewayName } from '../../gateways/port.ts'
import { mayTryNext, route } from '../../gateways/routing.ts'
import { initiateDeposit, minorUnits } from '../../jobs/payments.ts'
import { assert } from '../../kit/assert.ts'
import { newId } from '../../kit/ids.ts'
import { amount } from '../../kit/money.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Services } from '../context.ts'
import { vet, type Wanted } from '../fraud/vet.ts'
import { ASK_NEXT, Done, staged } from '../shapes/staged.ts'
import type { Work } from '../shapes/work.ts'
import { gatewayOnWire, movedBody, newsOfAnswer, refusalOfNoRoute } from './answers.ts'
import { audited, auditedBeginning } from './audited.ts'
import { overOrLater } from './over-or-later.ts'
import { usableMethod } from './saved-method.ts'
import { sendBack } from './send-back.ts'

/** How long a customer may take to pay; after that the gateway is told to forget it. */
const EXPIRES_AFTER_MS = 24 * 3_600_000

/** A look-up comes this soon after a question whose answer nobody wrote down. */
const LOST_AFTER_MS = 120_000

interface Begun {
  readonly gateway: GatewayName
  readonly request: ChargeRequest
  readonly again: boolean
}

/**
 * The payment, its share of the limits and the questions to be asked are written before a gateway hears of it. One round
 * asks one gateway; only where that has surely done nothing, the next round asks the next.
 */
export const depositInitiate = staged(initiateDeposit, {
  byKey: true,
  async begin(work, services) {
    const { em, sql, input, operation, now } = work
    const userId = input.user_id ?? ''
    const holder = await lockHolder(sql, userId, now)
    const known = await em.findOne(Payment, { operationId: operation.id })
    // Asked for once, it is carried through: a method that is removed meanwhile changes nothing.
    const method =
      known === null
        ? await usableMethod(em, userId, input.payment_method_id, now)
        : ((await em.findOne(SavedMethod, { id: known.paymentMethodId ?? operation.id })) ?? undefined)
    if (known === null) {
      const currency = input.currency ?? 'INR'
      const wanted: Wanted = {
        type: 'deposit',
        currency,
        amount: minorUnits(input.amount, currency),
        method: method?.id ?? input.method ?? 'card',
        client: input.client,
      }
      const vetted = await vet(work, holder, wanted, services)
      if (vetted instanceof Refusal) return vetted
      const payment = await requested(work, services, method)
      const periods = await takeLimit(sql, holder, {
        currency: payment.currency,
        amount: amount(payment.amount),
        now,
      })
      payment.limitDay = periods.day
      payment.limitMonth = periods.month
      await em.flush()
      await vetted(payment)
      await auditedBeginning(work, payment)
    }
    const payment = known ?? (await em.findOneOrFail(Payment, { operationId: operation.id }))
    const attempts = await attemptsOf(em, payment.id)
    const attempt =
      attempts.find(({ status }) => status === 'sent') ?? attempts.find(({ status }) => status === 'created')
    // A webhook or look-up was here between our question and now.
    if (attempt === undefined || isFinal(payment.status)) {
      const asked = attempts.findLast(({ askedAt }) => askedAt !== null) ?? attempts[0]
      if (payment.status === 'failed' && asked !== undefined) return giveUpBecause(work, payment, asked)
      return new Done(depositBody(payment, asked))
    }

    const again = attempt.status === 'sent'
    moveAttempt(attempt, 'sent')
    attempt.askedAt ??= now
    attempt.lookAt = new Date(now.getTime() + LOST_AFTER_MS)
    payment.gateway = attempt.gateway
    const begun: Begun = {
      gateway: attempt.gateway,
      again,
      request: {
        reference: attempt.id,
        amount: amount(payment.amount),
        currency: payment.currency,
        method: payment.method,
        source: sourceAt(attempt.gateway, method, services),
        email: input.email,
        description: input.description,
        returnUrl: input.return_url,
      },
    }
    return begun
  },

  async call({ begun }, { gateways }): Promise<ChargeAnswer> {
    const gateway = gateways.get(begun.gateway)
    if (gateway === undefined) return { outcome: 'not_sent', reason: `${begun.gateway} is not configured any more` }
    return gateway.charge(begun.request)
  },

  async finish(work, { begun, answer }) {
    const opened = await openCase(work, begun.request.reference)
    const { payment, attempt } = opened
    const before = payment.status
    const standing = await settle(work, opened, newsOfAnswer(answer, begun))
    sendBack(work, standing)
    if (standing.is === 'over') {
      const attempts = await attemptsOf(work.em, payment.id)
      if (mayTryNext(answer) && attempts.some(({ status }) => status === 'created')) return ASK_NEXT
      const later = overOrLater(work.operation, initiateDeposit.retry, attempts)
      if (later !== undefined) return later
      return giveUpBecause(work, payment, attempt)
    }
    await audited(work, payment, before)
    if (payment.status === 'failed') return giveUpBecause(work, payment, attempt)
    return depositBody(payment, attempt, answer.outcome === 'pending' ? answer.action : undefined)
  },
})

/** What ends a payment that nobody could be found for, or that was declined. */
async function giveUpBecause(work: Work<typeof initiateDeposit>, payment: Payment, attempt: Attempt) {
  const why = { code: attempt.code ?? 'failed', message: attempt.message ?? '' }
  if (!isFinal(payment.status)) {
    const before = payment.status
    await giveUp(work, payment, why)
    await audited(work, payment, before)
  }
  return attempt.status === 'declined'
    ? paymentRefusals.declined({ gateway: gatewayOnWire(attempt.gateway), ...why })
    : paymentRefusals.gatewayUnavailable()
}

/** The payment as it is asked for, with a question for every gateway that could be asked, in order. */
async function requested(work: Work<typeof initiateDeposit>, { gateways }: Services, method: SavedMethod | undefined) {
  const { em, input, operation, now } = work
  const currency = input.currency ?? 'INR'
  const type: PaymentMethod = method?.type ?? input.method ?? 'card'
  const wanted = { direction: 'charge', method: type, currency, amount: minorUnits(input.amount, currency) } as const
  const found = route(gateways, { ...wanted, gateway: input.gateway })
  if (!('gateways' in found))
    throw refusalOfNoRoute(found, { does: 'charges', method: type, currency, gateway: input.gateway })
  const userId = input.user_id ?? ''
  const payment = em.create(Payment, {
    id: newId(),
    operationId: operation.id,
    userId,
    type: 'deposit',
    status: 'requested',
    currency,
    amount: wanted.amount,
    fee: 0n,
    method: type,
    paymentMethodId: method?.id ?? null,
    gateway: null,
    description: input.description ?? null,
    accountId: await openWallet(work, userId, currency),
    refunded: 0n,
    disputed: 0n,
    clientIp: input.client?.ip ?? null,
    clientDevice: input.client?.device ?? null,
    createdAt: now,
    expiresAt: new Date(now.getTime() + EXPIRES_AFTER_MS),
  })
  // Where the saved method is kept it can be charged without its owner: that gateway first.
  const order = found.gateways.toSorted((a, b) => Number(b === method?.gateway) - Number(a === method?.gateway))
  for (const [position, name] of order.entries()) newAttempt(work, payment, { position, verb: 'charge', gateway: name })
  return payment
}

const attemptsOf = (em: EntityManager, paymentId: string): Promise<Attempt[]> =>
  em.find(Attempt, { paymentId }, { orderBy: { position: 'asc' } })

/** A saved method is known only where it was saved. */
function sourceAt(gateway: GatewayName, method: SavedMethod | undefined, { gateways, keyring }: Services) {
  if (method === undefined || method.gateway !== gateway) return undefined
  if (gateways.get(gateway)?.capabilities.savedMethodsWantCustomer === true) return undefined
  return { token: keyring.open(method.token, tokenPlace(method.id)) }
}

function depositBody(payment: Payment, attempt: Attempt | undefined, action?: CustomerAction) {
  assert(attempt, `Deposit ${payment.id} has asked nobody`)
  return {
    ...movedBody(payment),
    order_id: attempt.gatewayId ?? attempt.movedId ?? null,
    checkout_url: action?.url ?? null,
    key: action?.fields.key ?? null,
    gateway: gatewayOnWire(attempt.gateway),
    action: action === undefined ? null : { type: action.type, url: action.url, fields: { ...action.fields } },
  }
}
