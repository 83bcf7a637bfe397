import { Hono } from 'hono'
import { z } from 'zod'
import { Amount, bodyOf, collection, invalid, listed, NotesBody } from './errors.ts'
import { orderOf } from './payments.ts'
import { orderEntity } from './rows.ts'
import { newId, type World } from './world.ts'

/** Minor units: ₹1. */
const LEAST_RUPEES = 100

/** Some of the more than a hundred. */
const CURRENCIES = ['INR', 'USD', 'EUR', 'GBP', 'SGD', 'AED', 'NGN', 'JPY', 'KWD', 'BHD', 'OMR']
const THREE_DECIMALS = ['KWD', 'BHD', 'OMR']

const Order = z.object({
  amount: Amount,
  currency: z.string(),
  receipt: z.string().max(40, 'The receipt may not be greater than 40 characters.').nullish(),
  notes: NotesBody,
  payment: z
    .object({
      capture: z.enum(['automatic', 'manual']),
      capture_options: z
        .object({
          automatic_expiry_period: z.int().min(12).optional(),
          manual_expiry_period: z.int().max(7_200).optional(),
          refund_speed: z.enum(['normal', 'optimum']),
        })
        .optional(),
    })
    .optional(),
})

const Change = z.object({ notes: NotesBody })

export function orderRoutes(world: World): Hono {
  const app = new Hono()

  app.post('/v1/orders', async (c) => {
    const { amount, currency, receipt, notes, payment } = await bodyOf(c, Order)
    if (!CURRENCIES.includes(currency)) throw invalid('Currency is not supported', 'currency')
    if (currency === 'INR' && amount < LEAST_RUPEES)
      throw invalid('Order amount less than minimum amount allowed', 'amount')
    if (THREE_DECIMALS.includes(currency) && amount % 10 !== 0)
      throw invalid('The last digit of the amount must be 0 for this currency', 'amount')
    if (world.uniqueReceipts && world.orders.values().some((order) => receipt && order.receipt === receipt))
      throw invalid('Order receipt should be unique', 'receipt')
    const order = world.orders.put({
      id: newId('order'),
      entity: 'order',
      amount,
      amount_paid: 0,
      amount_due: amount,
      currency,
      receipt: receipt ?? null,
      offer_id: null,
      status: 'created',
      attempts: 0,
      notes,
      created_at: world.now(),
      capture: payment?.capture ?? 'automatic',
    })
    return c.json(orderEntity(order))
  })

  app.get('/v1/orders', (c) => {
    const receipt = c.req.query('receipt')
    const orders = world.orders.values().filter((order) => receipt === undefined || order.receipt === receipt)
    return c.json(collection(listed(c, orders).items.map(orderEntity)))
  })
  app.get('/v1/orders/:id', (c) => c.json(orderEntity(orderOf(world, c.req.param('id')))))
  app.get('/v1/orders/:id/payments', (c) => {
    const { id } = orderOf(world, c.req.param('id'))
    const payments = world.payments.values().filter(({ order_id }) => order_id === id)
    return c.json(collection(payments.toReversed()))
  })
  app.patch('/v1/orders/:id', async (c) => {
    const { notes } = await bodyOf(c, Change)
    return c.json(orderEntity(world.orders.put({ ...orderOf(world, c.req.param('id')), notes })))
  })
  return app
}
