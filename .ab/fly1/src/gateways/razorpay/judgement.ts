import { z } from 'zod'
import type { Absent, Charged, ChargePending, CustomerAction, Declined, Moved, Unknown } from '../port.ts'
import { declined } from './declines.ts'
import { money, type Order, type Payment } from './objects.ts'

/** What we write on an order, so that whoever finds it by its receipt knows how it was meant. */
export const Intent = z.object({
  /** `token`: we charge a saved method; `checkout`: the customer pays, and may try as often as they like. */
  charged: z.enum(['token', 'checkout']).catch('checkout'),
  capture: z.enum(['automatic', 'manual']).catch('automatic'),
  /** We no longer want it. Razorpay has no such state. */
  cancelled: z.enum(['yes', 'no']).catch('no'),
})
export type Intent = z.infer<typeof Intent>

export const intentOf = (order: Order): Intent => Intent.parse(order.notes)

/** An order and every payment that was tried on it. */
export interface Tried {
  readonly order: Order
  readonly payments: readonly Payment[]
}

/** More than one payment of one charge was captured: `surplus` is to be given back. */
export interface ChargedOverAgain extends Charged {
  readonly surplus: readonly Moved[]
}

export type Verdict = Charged | ChargedOverAgain | ChargePending | Declined | Absent | Unknown

/**
 * Seconds for which a saved method's order without a payment may still get one: the request that makes it can be on its way,
 * and Razorpay writes the payment down before it asks a bank.
 */
const SETTLING_SECONDS = 120

/**
 * What became of a charge, by all that was tried for it. In this order: money that moved, money that is set aside, somebody
 * who is still at it, a refusal. `known` is the payment that was taken for the charge before, so that a second one that is
 * captured later never takes its place.
 */
export function judge(
  tried: readonly Tried[],
  { known, keyId, now }: { known: string | undefined; keyId: string; now: Date },
): Verdict {
  const [first] = tried
  if (first === undefined) return { outcome: 'absent' }
  const payments = tried
    .flatMap(({ order, payments }) => payments.map((payment) => ({ order, payment })))
    .toSorted((a, b) => a.payment.created_at - b.payment.created_at || (a.payment.id < b.payment.id ? -1 : 1))

  const captured = payments.filter(({ payment }) => isCaptured(payment)).map(({ payment }) => payment)
  if (captured.length > 0) return chargedBy(captured, known)

  const authorised = payments.find(({ payment }) => payment.status === 'authorized')
  const cancelled = tried.some(({ order }) => intentOf(order).cancelled === 'yes')
  // What is set aside and not captured goes back by itself.
  if (cancelled) return declined({ code: 'payment_cancelled', message: 'The payment was cancelled before it was made' })
  if (authorised !== undefined)
    return {
      outcome: 'pending',
      id: authorised.payment.id,
      ...money(authorised.payment),
      waitsFor: 'capture',
    }

  if (intentOf(first.order).charged === 'checkout') return waitingForCustomer(first.order, keyId)

  const last = payments.at(-1)?.payment
  if (last === undefined) return startedOrNot(first.order, now)
  return isOver(last)
    ? declinedBy(last)
    : { outcome: 'pending', id: first.order.id, ...money(first.order), waitsFor: 'gateway' }
}

/** `refunded` is also what an authorised payment becomes that nobody captured: that one never reached us. */
export const isCaptured = ({ status, captured }: Payment): boolean =>
  status === 'captured' || (status === 'refunded' && captured !== false)

const isOver = ({ status }: Payment): boolean => status === 'failed' || status === 'refunded'

export function chargedBy(captured: readonly Payment[], known?: string): Charged | ChargedOverAgain | Unknown {
  const charge = captured.find(({ id }) => id === known) ?? captured[0]
  const moved = charge === undefined ? undefined : movedBy(charge)
  if (charge === undefined || moved === undefined)
    return { outcome: 'unknown', reason: 'Razorpay names a currency that we keep no books in' }
  const surplus = captured.filter((payment) => payment !== charge).flatMap((payment) => movedBy(payment) ?? [])
  return {
    outcome: 'succeeded',
    ...moved,
    ...(charge.amount_refunded ? { refunded: money({ ...charge, amount: charge.amount_refunded })?.amount } : {}),
    ...(surplus.length > 0 ? { surplus } : {}),
  }
}

function movedBy(payment: Payment): Moved | undefined {
  const moved = money(payment)
  if (moved === undefined) return undefined
  // Razorpay counts its fee in rupees whatever the payment was in.
  const fee = payment.currency === 'INR' && payment.fee ? money({ ...payment, amount: payment.fee })?.amount : undefined
  return { id: payment.id, ...moved, ...(fee === undefined ? {} : { fee }) }
}

export const declinedBy = (payment: Payment): Declined =>
  payment.status === 'refunded'
    ? declined({
        id: payment.id,
        code: 'authorisation_expired',
        message: 'The payment was not captured in time and went back to the customer',
      })
    : declined({
        id: payment.id,
        code: payment.error_reason ?? payment.error_code?.toLowerCase(),
        message: payment.error_description,
      })

export const waitingForCustomer = (order: Order, keyId: string): ChargePending => ({
  outcome: 'pending',
  id: order.id,
  ...money(order),
  waitsFor: 'customer',
  action: checkout(order, keyId),
})

const checkout = (order: Order, keyId: string): CustomerAction => ({
  type: 'checkout',
  url: 'https://checkout.razorpay.com/v1/checkout.js',
  fields: { key: keyId, order_id: order.id },
})

function startedOrNot(order: Order, now: Date): Unknown | Absent {
  const age = Math.floor(now.getTime() / 1_000) - order.created_at
  return age > SETTLING_SECONDS
    ? { outcome: 'absent' }
    : { outcome: 'unknown', reason: 'Razorpay has the order and, so far, no payment of it' }
}
