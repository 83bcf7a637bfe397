import { Hono } from 'hono'
import { z } from 'zod'
import { Amount, bodyOf, collection, invalid, listed, NotesBody, noSuchId, Refused } from './errors.ts'
import { once } from './kept.ts'
import { paymentOf } from './payments.ts'
import type { PaymentRow, RefundRow } from './rows.ts'
import { newId, type World } from './world.ts'

const Refund = z.object({
  amount: Amount.optional(),
  speed: z.enum(['normal', 'optimum']).default('normal'),
  receipt: z.string().max(40).nullish(),
  notes: NotesBody,
})

const KEY = /^[\w-]{10,}$/

export function refundRoutes(world: World): Hono {
  const app = new Hono()

  app.post('/v1/payments/:id/refund', async (c) => {
    const id = c.req.param('id')
    const wanted = await bodyOf(c, Refund)
    const key = c.req.header('x-refund-idempotency')
    if (key !== undefined && !KEY.test(key)) throw invalid('The idempotency key is invalid.', 'X-Refund-Idempotency')
    const request = { id, ...wanted }
    return c.json(
      once(world, { key: key && `refund:${key}`, request }, () => refund(world, paymentOf(world, id), wanted)),
    )
  })

  app.get('/v1/payments/:id/refunds', (c) => {
    const { id } = paymentOf(world, c.req.param('id'))
    const refunds = world.refunds.values().filter(({ payment_id }) => payment_id === id)
    return c.json(collection(listed(c, refunds).items))
  })
  app.get('/v1/payments/:id/refunds/:refund', (c) => {
    const refund = refundOf(world, c.req.param('refund'))
    if (refund.payment_id !== c.req.param('id')) throw noSuchId()
    return c.json(refund)
  })
  app.get('/v1/refunds', (c) => c.json(collection(listed(c, world.refunds.values()).items)))
  app.get('/v1/refunds/:id', (c) => c.json(refundOf(world, c.req.param('id'))))
  return app
}

function refund(world: World, payment: PaymentRow, wanted: z.infer<typeof Refund>): RefundRow {
  if (!payment.captured)
    throw new Refused({ description: 'The payment status should be captured for action to be taken' })
  const left = payment.amount - payment.amount_refunded
  if (left === 0) throw new Refused({ description: 'The payment has been fully refunded already' })
  const asked = wanted.amount ?? left
  if (asked > left) throw invalid('The total refund amount is greater than the refund payment amount', 'amount')

  const request = `POST /v1/payments/${payment.id}/refund`
  const waits = world.moods.take(request, 'stay_pending') !== undefined
  const fails = world.moods.take(request, 'late_failure') !== undefined
  const off = world.moods.take(request, 'wrong_amount') !== undefined
  const amount = Math.min(left, off ? asked + 1 : asked)
  const made = world.refunds.put({
    id: newId('rfnd'),
    entity: 'refund',
    amount,
    currency: payment.currency,
    payment_id: payment.id,
    notes: wanted.notes,
    receipt: wanted.receipt ?? null,
    acquirer_data: { arn: null },
    created_at: world.now(),
    batch_id: null,
    status: 'pending',
    speed_processed: null,
    speed_requested: wanted.speed,
  })
  returned(world, payment, amount)
  world.emit('refund.created', { refund: made, payment: paymentOf(world, payment.id) })
  if (fails) world.postpone('refund.fail', made.id)
  if (waits) world.postpone('refund.process', made.id)
  return waits ? made : process(world, made.id)
}

export function process(world: World, id: string): RefundRow {
  const processed = world.refunds.put({ ...refundOf(world, id), status: 'processed', speed_processed: 'normal' })
  world.emit('refund.processed', { refund: processed, payment: paymentOf(world, processed.payment_id) })
  return processed
}

/** The bank would not take it: the payment stands as if nothing had been returned. */
export function failRefund(world: World, id: string): void {
  const failed = world.refunds.put({ ...refundOf(world, id), status: 'failed' })
  returned(world, paymentOf(world, failed.payment_id), -failed.amount)
  world.emit('refund.failed', { refund: failed, payment: paymentOf(world, failed.payment_id) })
}

function returned(world: World, payment: PaymentRow, amount: number): void {
  const amount_refunded = payment.amount_refunded + amount
  const full = amount_refunded === payment.amount
  world.payments.put({
    ...payment,
    amount_refunded,
    refund_status: full ? 'full' : amount_refunded > 0 ? 'partial' : null,
    status: full ? 'refunded' : 'captured',
  })
}

function refundOf(world: World, id: string): RefundRow {
  const refund = world.refunds.get(id)
  if (refund === undefined) throw noSuchId()
  return refund
}
