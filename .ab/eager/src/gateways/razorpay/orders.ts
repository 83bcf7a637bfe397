import { toJsonInteger } from '../../kit/money.ts'
import type { ChargeRequest } from '../port.ts'
import type { Client } from './client.ts'
import type { Intent, Tried } from './judgement.ts'
import { collection, Order, Payment } from './objects.ts'
import { Problem } from './problem.ts'

/*
 * One charge is one order, and the order's receipt is our reference. Razorpay has no idempotency key for orders and, unless
 * an account asks for it, lets two orders have the same receipt: so everybody looks before they make one, and whoever looks
 * takes all orders with the receipt together. Of one order Razorpay lets only one payment be captured.
 */

/** The most that Razorpay lists at once. More orders than this under one receipt would be a bug. */
const PAGE = 100

/**
 * Minutes within which a payment is captured by Razorpay as soon as it is authorised, its least; one that is authorised later
 * is ours to judge. After the second, its most, what was not captured goes back to the customer: five days.
 */
const AUTOMATIC_CAPTURE_MINUTES = 12
const MANUAL_CAPTURE_MINUTES = 7_200

export async function createOrder(client: Client, request: ChargeRequest): Promise<Order | Problem> {
  const intent: Intent = {
    charged: request.source === undefined ? 'checkout' : 'token',
    capture: request.capture ?? 'automatic',
    cancelled: 'no',
  }
  return client.sdk('an order', Order, (razorpay) =>
    razorpay.orders.create({
      amount: toJsonInteger(request.amount),
      currency: request.currency,
      receipt: request.reference,
      notes: { reference: request.reference, ...intent },
      payment: {
        capture: intent.capture,
        capture_options: {
          automatic_expiry_period: AUTOMATIC_CAPTURE_MINUTES,
          manual_expiry_period: MANUAL_CAPTURE_MINUTES,
          refund_speed: 'normal',
        },
      },
    }),
  )
}

export const readOrder = (client: Client, id: string): Promise<Order | Problem> =>
  client.sdk('an order', Order, (razorpay) => razorpay.orders.fetch(id))

/** Every order of this reference with every payment of it, the oldest order first. */
export async function ordersOf(client: Client, reference: string): Promise<readonly Tried[] | Problem> {
  const found = await client.sdk('orders', collection(Order), (razorpay) =>
    razorpay.orders.all({ receipt: reference, count: PAGE }),
  )
  if (found instanceof Problem) return found
  // «Orders that contain the provided value for receipt», says the documentation.
  const orders = found.items.filter(({ receipt }) => receipt === reference)
  return withPayments(client, orders)
}

/** By the order's id, which is right at once, where we know it; a foreign or unknown id leaves the receipt. */
export async function ordersOfCharge(
  client: Client,
  { reference, chargeId }: { reference: string; chargeId?: string | undefined },
): Promise<readonly Tried[] | Problem> {
  if (chargeId === undefined || !ORDER_ID.test(chargeId)) return ordersOf(client, reference)
  const order = await readOrder(client, chargeId)
  if (order instanceof Problem && !order.isAbsence) return order
  if (order instanceof Problem || order.receipt !== reference) return ordersOf(client, reference)
  return withPayments(client, [order])
}

export async function withPayments(client: Client, orders: readonly Order[]): Promise<readonly Tried[] | Problem> {
  const tried: Tried[] = []
  for (const order of orders.toSorted((a, b) => a.created_at - b.created_at || (a.id < b.id ? -1 : 1))) {
    const payments = await client.sdk('payments', collection(Payment), (razorpay) =>
      razorpay.orders.fetchPayments(order.id),
    )
    if (payments instanceof Problem) return payments
    tried.push({ order, payments: payments.items })
  }
  return tried
}

/** Razorpay replaces all notes. */
export const markCancelled = (client: Client, order: Order): Promise<Order | Problem> =>
  client.sdk('an order', Order, (razorpay) =>
    razorpay.orders.edit(order.id, {
      notes: { ...textsOf(order.notes), cancelled: 'yes' satisfies Intent['cancelled'] },
    }),
  )

const textsOf = (notes: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(Object.entries(notes).map(([name, value]) => [name, String(value)]))

/** They become parts of paths. */
export const ORDER_ID = /^order_\w{1,64}$/
export const PAYMENT_ID = /^pay_\w{1,64}$/
export const REFUND_ID = /^rfnd_\w{1,64}$/
export const PAYOUT_ID = /^pout_\w{1,64}$/
export const FUND_ACCOUNT_ID = /^fa_\w{1,64}$/
