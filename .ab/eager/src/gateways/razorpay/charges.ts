import { toJsonInteger } from '../../kit/money.ts'
import type { Secret } from '../../kit/secret.ts'
import type { Capabilities, ChargeAnswer, ChargeRequest, ChargeState, Gateway } from '../port.ts'
import { assertSupported, unfitCharge } from './capabilities.ts'
import type { Client } from './client.ts'
import {
  chargedBy,
  declinedBy,
  intentOf,
  isCaptured,
  judge,
  type Tried,
  type Verdict,
  waitingForCustomer,
} from './judgement.ts'
import { money, type Order, Payment, Started } from './objects.ts'
import {
  createOrder,
  markCancelled,
  ORDER_ID,
  ordersOf,
  ordersOfCharge,
  PAYMENT_ID,
  readOrder,
  withPayments,
} from './orders.ts'
import { type Payer, payerOf } from './payer.ts'
import { Problem } from './problem.ts'
import { signedBy } from './signature.ts'

export type Charges = Pick<Gateway, 'charge' | 'confirm' | 'capture' | 'cancel' | 'lookUpCharge'>

export function charges(options: {
  client: Client
  keyId: string
  keySecret: Secret
  supported: Capabilities['charges']
  now: () => Date
}): Charges {
  const { client, keyId, keySecret, supported, now } = options
  const judged = (tried: readonly Tried[], known?: string): Verdict => judge(tried, { known, keyId, now: now() })

  return {
    async charge(request) {
      assertSupported(supported, request)
      const refused = unfitCharge(request)
      if (refused !== undefined) return refused

      const before = await ordersOf(client, request.reference)
      if (before instanceof Problem) return nothingAsked(before)
      const asked = before[0]?.order
      if (asked !== undefined) {
        const verdict = judged(before)
        if (request.source === undefined || before.some(({ payments }) => payments.length > 0)) return present(verdict)
        // A saved method whose first request got as far as the order: the order is what keeps the charge single.
        if (verdict.outcome === 'declined') return verdict
      }

      if (request.source === undefined) {
        const order = await orderFor(request)
        return order instanceof Problem ? order.answer : waitingForCustomer(order, keyId)
      }
      const payer = await payerOf(client, request.source, request.email)
      if (payer instanceof Problem) return payer.kind === 'refused' ? payer.answer : nothingAsked(payer)
      if ('outcome' in payer) return payer
      const order = asked ?? (await orderFor(request))
      return order instanceof Problem ? order.answer : pay(order, payer, request)
    },

    async confirm({ reference, chargeId, paymentId, proof }) {
      const { razorpay_order_id: orderId, razorpay_signature: signature } = proof
      if (orderId === undefined || !signedBy(keySecret, `${orderId}|${paymentId}`, signature)) return FORGED
      if (!ORDER_ID.test(orderId) || !PAYMENT_ID.test(paymentId)) return FORGED
      const order = await readOrder(client, orderId)
      if (order instanceof Problem) return order.isAbsence ? FORGED : order.asUnknown
      // A proof is for one order: that of another deposit, however genuine, confirms nothing here.
      if (order.receipt !== reference) return FORGED

      const tried = await withPayments(client, [order])
      if (tried instanceof Problem) return tried.asUnknown
      const verdict = judged(tried, chargeId)
      const mayCapture = intentOf(order).capture === 'automatic' && verdict.outcome === 'pending'
      if (!mayCapture || verdict.waitsFor !== 'capture' || verdict.id === undefined) return verdict
      return capturePayment(verdict.id, order)
    },

    async capture({ reference, chargeId, amount, currency }) {
      const wanted = { amount: toJsonInteger(amount), currency }
      if (PAYMENT_ID.test(chargeId)) return capturePayment(chargeId, wanted)
      const tried = await ordersOfCharge(client, { reference, chargeId })
      if (tried instanceof Problem) return nothingAsked(tried)
      const verdict = judged(tried)
      if (verdict.outcome !== 'pending' || verdict.waitsFor !== 'capture' || verdict.id === undefined)
        return present(verdict)
      return capturePayment(verdict.id, wanted)
    },

    async cancel({ reference, chargeId }) {
      const tried = await ordersOfCharge(client, { reference, chargeId })
      if (tried instanceof Problem) return tried.asUnknown
      const verdict = judged(tried, chargeId)
      if (verdict.outcome !== 'pending' && verdict.outcome !== 'unknown') return verdict
      for (const { order } of tried) {
        const marked = await markCancelled(client, order)
        if (marked instanceof Problem) return marked.asUnknown
      }
      // Read again: the customer may have paid while it was cancelled, and then they have paid.
      return lookUp({ reference, chargeId })
    },

    lookUpCharge: lookUp,
  }

  async function lookUp(charge: { reference: string; chargeId?: string | undefined }): Promise<ChargeState> {
    const tried = await ordersOfCharge(client, charge)
    return tried instanceof Problem ? tried.asUnknown : judged(tried, charge.chargeId)
  }

  /** An account can ask Razorpay to refuse a receipt that it has seen: then somebody else was a moment faster. */
  async function orderFor(request: ChargeRequest): Promise<Order | Problem> {
    const made = await createOrder(client, request)
    if (!(made instanceof Problem) || made.kind !== 'refused') return made
    const found = await ordersOf(client, request.reference)
    return found instanceof Problem ? made : (found[0]?.order ?? made)
  }

  async function pay(order: Order, payer: Payer, request: ChargeRequest): Promise<ChargeAnswer> {
    const started = await client.sdk('a payment', Started, (razorpay) =>
      razorpay.payments.createRecurringPayment({
        amount: order.amount,
        currency: order.currency,
        order_id: order.id,
        email: payer.email,
        contact: payer.contact,
        customer_id: payer.customer,
        token: payer.token,
        recurring: '1',
        notes: { reference: request.reference },
        ...(request.description === undefined ? {} : { description: request.description }),
      }),
    )
    if (started instanceof Problem && started.kind !== 'refused') return started.answer
    // Neither its yes nor its no says what became of the money: the order's payments do, whoever made them.
    const tried = await withPayments(client, [order])
    const seen = !(tried instanceof Problem) && tried.some(({ payments }) => payments.length > 0)
    if (seen) return present(judged(tried))
    return started instanceof Problem
      ? started.answer
      : { outcome: 'pending', id: order.id, ...money(order), waitsFor: 'gateway' }
  }

  /** A second capture of the same payment is refused; what counts is how the payment stands. */
  async function capturePayment(id: string, wanted: { amount: number; currency: string }): Promise<ChargeAnswer> {
    const captured = await client.sdk('a payment', Payment, (razorpay) =>
      razorpay.payments.capture(id, wanted.amount, wanted.currency),
    )
    if (!(captured instanceof Problem)) return standing(captured)
    if (captured.kind !== 'refused') return captured.answer
    const payment = await client.sdk('a payment', Payment, (razorpay) => razorpay.payments.fetch(id))
    if (payment instanceof Problem) return payment.isAbsence ? captured.answer : payment.asUnknown
    if (isCaptured(payment)) return chargedBy([payment])
    return payment.status === 'refunded' || payment.status === 'failed' ? declinedBy(payment) : captured.answer
  }
}

const FORGED = { outcome: 'forged' } as const

const standing = (payment: Payment): ChargeAnswer =>
  isCaptured(payment)
    ? chargedBy([payment])
    : { outcome: 'pending', id: payment.id, ...money(payment), waitsFor: 'gateway' }

/** Looking came first and failed: of this call nothing was sent that could have moved money. */
const nothingAsked = (problem: Problem): ChargeAnswer =>
  problem.kind === 'not_sent' ? problem.answer : problem.asUnknown

/** A verdict as the answer to a request: that there is nothing is no answer to «do it». */
const present = (verdict: Verdict): ChargeAnswer =>
  verdict.outcome === 'absent' ? { outcome: 'unknown', reason: 'Razorpay has the order and no payment of it' } : verdict
