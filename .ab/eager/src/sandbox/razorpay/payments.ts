import { Hono } from 'hono'
import { z } from 'zod'
import { Amount, bodyOf, collection, invalid, listed, NotesBody, noSuchId, Refused } from './errors.ts'
import { type BankSays, bankSays, cardEntity } from './instruments.ts'
import { type Notes, type OrderRow, orderEntity, type PaymentRow } from './rows.ts'
import { newId, sign, type World } from './world.ts'

/** Razorpay's usual 2 %, of which 18 % are tax on top. */
const FEE_PERCENT = 2
const TAX_PERCENT = 18

export interface Attempt {
  readonly method: string
  readonly card?: string | undefined
  readonly vpa?: string | undefined
  readonly bank?: string | undefined
  readonly wallet?: string | undefined
  readonly email?: string | undefined
  readonly contact?: string | undefined
  readonly customer?: string | undefined
  readonly token?: string | undefined
  readonly description?: string | undefined
  readonly notes: Notes
}

/** The customer has pressed «pay». Nothing is asked of a bank yet. */
export function begin(world: World, order: OrderRow, attempt: Attempt, amount: number): PaymentRow {
  world.orders.put({
    ...order,
    attempts: order.attempts + 1,
    status: order.status === 'paid' ? 'paid' : 'attempted',
  })
  return world.payments.put({
    id: newId('pay'),
    entity: 'payment',
    amount,
    currency: order.currency,
    status: 'created',
    order_id: order.id,
    invoice_id: null,
    international: attempt.card !== undefined && cardEntity(attempt.card).international,
    method: attempt.method,
    amount_refunded: 0,
    refund_status: null,
    captured: false,
    description: attempt.description ?? null,
    card_id: attempt.method === 'card' ? newId('card') : null,
    bank: attempt.bank ?? null,
    wallet: attempt.wallet ?? null,
    vpa: attempt.vpa ?? null,
    email: attempt.email ?? null,
    contact: attempt.contact ?? null,
    customer_id: attempt.customer ?? null,
    token_id: attempt.token ?? null,
    notes: attempt.notes,
    fee: null,
    tax: null,
    error_code: null,
    error_description: null,
    error_source: null,
    error_step: null,
    error_reason: null,
    created_at: world.now(),
  })
}

/** `late`: the bank's yes came after the time for capturing by itself. */
export function approve(world: World, id: string, { late = false, again = false } = {}): PaymentRow {
  const payment = paymentOf(world, id)
  const authorised = world.payments.put({ ...payment, status: 'authorized' })
  world.emit('payment.authorized', { payment: authorised })
  const order = orderOf(world, payment.order_id)
  const mayCapture = order.capture === 'automatic' && !late && (order.status !== 'paid' || again)
  return mayCapture ? capture(world, authorised) : authorised
}

export function fail(world: World, id: string, why: BankSays): PaymentRow {
  const failed = world.payments.put({
    ...paymentOf(world, id),
    status: 'failed',
    error_code: why.code,
    error_description: why.description,
    error_source: why.source,
    error_step: why.step,
    error_reason: why.reason,
  })
  world.emit('payment.failed', { payment: failed })
  return failed
}

function capture(world: World, payment: PaymentRow): PaymentRow {
  const order = orderOf(world, payment.order_id)
  const net = Math.floor((payment.amount * FEE_PERCENT) / 100)
  const tax = Math.floor((net * TAX_PERCENT) / 100)
  const captured = world.payments.put({ ...payment, status: 'captured', captured: true, fee: net + tax, tax })
  const paid = world.orders.put({
    ...order,
    status: 'paid',
    amount_paid: order.amount_paid + payment.amount,
    amount_due: Math.max(0, order.amount_due - payment.amount),
  })
  world.emit('payment.captured', { payment: captured })
  world.emit('order.paid', { payment: captured, order: orderEntity(paid) })
  return captured
}

export const paymentOf = (world: World, id: string): PaymentRow => found(world.payments.get(id))
export const orderOf = (world: World, id: string): OrderRow => found(world.orders.get(id))

function found<Row>(row: Row | undefined): Row {
  if (row === undefined) throw noSuchId()
  return row
}

/** What Checkout's handler is called with, and what a recurring payment answers. */
export const handed = (world: World, { id, order_id }: PaymentRow) => ({
  razorpay_payment_id: id,
  razorpay_order_id: order_id,
  razorpay_signature: sign(world.keys.keySecret, `${order_id}|${id}`),
})

export const bankRefused = (payment: PaymentRow, why: BankSays): Refused =>
  new Refused({ ...why, metadata: { payment_id: payment.id, order_id: payment.order_id } })

/** What moods make of a payment: an amount that is off by one, or a bank that takes its time. */
export function asked(
  world: World,
  request: string,
  order: OrderRow,
): { amount: number; waits: boolean; fails: boolean } {
  const { moods } = world
  return {
    amount: order.amount + (moods.take(request, 'wrong_amount') === undefined ? 0 : 1),
    waits: moods.take(request, 'stay_pending') !== undefined,
    fails: moods.take(request, 'late_failure') !== undefined,
  }
}

export const alreadyPaid = (): Refused => new Refused({ description: 'Payment already done for this order.' })

const Recurring = z.object({
  email: z.email('The email must be a valid email address.'),
  contact: z.coerce.string().min(8),
  amount: Amount,
  currency: z.string(),
  order_id: z.string(),
  customer_id: z.string(),
  token: z.string(),
  recurring: z.union([z.literal('1'), z.literal(1), z.literal(true), z.literal('true')]),
  description: z.string().optional(),
  notes: NotesBody,
})

const Capture = z.object({ amount: Amount, currency: z.string().optional() })

export function paymentRoutes(world: World): Hono {
  const app = new Hono()

  app.post('/v1/payments/create/recurring', async (c) => {
    const wanted = await bodyOf(c, Recurring)
    const order = orderOf(world, wanted.order_id)
    const token = world.tokens.get(wanted.token)
    if (token === undefined || token.customer_id !== wanted.customer_id) throw noSuchId()
    if (order.status === 'paid') throw alreadyPaid()
    if (wanted.amount !== order.amount || wanted.currency !== order.currency)
      throw invalid('Your payment amount is different from your order amount.', 'amount')
    if (token.status !== 'active')
      throw new Refused({ description: 'The token is not active.', source: 'business', reason: 'token_invalid' })

    const { amount, waits, fails } = asked(world, 'POST /v1/payments/create/recurring', order)
    const { email, contact, customer_id: customer, description, notes } = wanted
    const attempt = { method: token.method, email, contact, customer, token: token.id, description, notes }
    const payment = begin(world, order, attempt, amount)
    if (waits || fails || token.bankSays === 'ask_the_customer') {
      if (waits) world.postpone('payment.approve', payment.id)
      if (fails) world.postpone('payment.fail', payment.id)
      return c.json(handed(world, payment))
    }
    const no = bankSays(token.bankSays)
    if (no !== undefined) throw bankRefused(fail(world, payment.id, no), no)
    return c.json(handed(world, approve(world, payment.id)))
  })

  app.post('/v1/payments/:id/capture', async (c) => {
    const wanted = await bodyOf(c, Capture)
    const payment = paymentOf(world, c.req.param('id'))
    if (payment.status === 'captured' || payment.status === 'refunded')
      throw new Refused({ description: 'This payment has already been captured' })
    if (payment.status !== 'authorized')
      throw new Refused({
        description: 'Only payments which have been authorized and not yet captured can be captured',
      })
    if (orderOf(world, payment.order_id).status === 'paid') throw alreadyPaid()
    if (wanted.amount !== payment.amount)
      throw invalid('Capture amount must be equal to the amount authorized', 'amount')
    if (wanted.currency !== undefined && wanted.currency !== payment.currency)
      throw invalid('The currency provided does not match the currency of the payment', 'currency')
    return c.json(capture(world, payment))
  })

  app.get('/v1/payments', (c) => c.json(collection(listed(c, world.payments.values()).items)))
  app.get('/v1/payments/:id', (c) => c.json(paymentOf(world, c.req.param('id'))))
  return app
}
