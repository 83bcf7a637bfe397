import { Hono } from 'hono'
import { z } from 'zod'
import { Amount, bodyOf, collection, listed, noSuchId, Refused } from './errors.ts'
import type { DisputeRow, PaymentRow } from './rows.ts'
import { newId, type World } from './world.ts'

const Dispute = z.object({
  charge_id: z.string(),
  amount: Amount.optional(),
  status: z.enum(['open', 'under_review', 'won', 'lost', 'closed']).default('open'),
})

/** Seconds in which a dispute wants an answer: a week. */
const RESPOND_SECONDS = 7 * 24 * 60 * 60

/** Which status may follow which. */
const NEXT: Readonly<Record<DisputeRow['status'], readonly DisputeRow['status'][]>> = {
  open: ['under_review', 'won', 'lost', 'closed'],
  under_review: ['open', 'won', 'lost', 'closed'],
  won: [],
  lost: [],
  closed: [],
}

export function disputeRoutes(world: World): Hono {
  const app = new Hono()
  app.get('/v1/disputes', (c) => c.json(collection(listed(c, world.disputes.values()).items)))
  app.get('/v1/disputes/:id', (c) => {
    const dispute = world.disputes.get(c.req.param('id'))
    if (dispute === undefined) throw noSuchId()
    return c.json(dispute)
  })

  app.post('/_disputes', async (c) => {
    const { charge_id, amount, status } = await bodyOf(c, Dispute)
    const payment = world.payments.get(charge_id)
    if (payment === undefined) throw noSuchId()
    const running = world.disputes
      .values()
      .findLast(({ payment_id, status }) => payment_id === payment.id && NEXT[status].length > 0)
    const dispute = running ?? open(world, payment, amount ?? payment.amount)
    return c.json(status === dispute.status ? dispute : move(world, dispute, status))
  })
  return app
}

function open(world: World, payment: PaymentRow, amount: number): DisputeRow {
  const dispute = world.disputes.put({
    id: newId('disp'),
    entity: 'dispute',
    payment_id: payment.id,
    amount,
    currency: payment.currency,
    amount_deducted: 0,
    reason_code: 'goods_or_services_not_received_or_partially_received',
    respond_by: world.now() + RESPOND_SECONDS,
    status: 'open',
    phase: 'chargeback',
    created_at: world.now(),
  })
  world.emit('payment.dispute.created', { payment, dispute })
  return dispute
}

function move(world: World, dispute: DisputeRow, status: DisputeRow['status']): DisputeRow {
  if (!NEXT[dispute.status].includes(status))
    throw new Refused({ description: `The dispute is ${dispute.status} and cannot be ${status}` })
  const moved = world.disputes.put({ ...dispute, status, amount_deducted: status === 'lost' ? dispute.amount : 0 })
  const payment = world.payments.get(dispute.payment_id)
  const event = status === 'open' ? 'action_required' : status
  world.emit(`payment.dispute.${event}`, { ...(payment === undefined ? {} : { payment }), dispute: moved })
  return moved
}
