import type { Hono } from 'hono'
import { z } from 'zod'
import { read } from './form.ts'
import { intentOf } from './intents.ts'
import { Paging, page } from './paging.ts'
import { noSuch } from './problem.ts'
import { answer, fieldsOf } from './respond.ts'
import type { Charge, Dispute } from './rows.ts'
import { shown, type World } from './world.ts'

const STATUSES = [
  'warning_needs_response',
  'warning_under_review',
  'warning_closed',
  'needs_response',
  'under_review',
  'won',
  'lost',
] as const
const Wanted = z.object({
  charge_id: z.string(),
  amount: z.int().positive().optional(),
  status: z.enum(STATUSES).default('needs_response'),
  reason: z.string().default('fraudulent'),
})

const CLOSED: ReadonlySet<string> = new Set(['warning_closed', 'won', 'lost'])

/** `/v1/disputes`, and `POST /_disputes` by which they come about. */
export function disputeRoutes(app: Hono, world: World): void {
  world.when('dispute', (id) => {
    const charge = world.charges.get(id)
    if (charge !== undefined) open(world, charge, { status: 'needs_response', reason: 'fraudulent' })
  })

  app.get('/v1/disputes', async (c) =>
    c.json(page(world.disputes.values(), '/v1/disputes', read(Paging, await fieldsOf(c)))),
  )
  app.get('/v1/disputes/:id', (c) => {
    const dispute = world.disputes.get(c.req.param('id'))
    if (dispute === undefined) throw noSuch('dispute', c.req.param('id'))
    return answer(world, c, dispute)
  })

  app.post('/_disputes', async (c) => {
    const wanted = Wanted.safeParse(await c.req.json().catch(() => undefined))
    if (!wanted.success) return c.json({ error: z.prettifyError(wanted.error) }, 422)
    const { charge_id, amount, status, reason } = wanted.data
    const id = charge_id.startsWith('pi_') ? intentOf(world, charge_id).latest_charge : charge_id
    const charge = world.charges.get(id ?? '')
    if (charge === undefined) throw noSuch('charge', charge_id)
    const known = world.disputes.values().find((one) => one.charge === charge.id && !CLOSED.has(one.status))
    const dispute =
      known ?? open(world, charge, { amount, reason, status: CLOSED.has(status) ? 'needs_response' : status })
    return c.json(shown(dispute.status === status ? dispute : move(world, dispute, status)))
  })
}

function open(
  world: World,
  charge: Charge,
  { amount, status, reason }: { amount?: number | undefined; status: string; reason: string },
): Dispute {
  const dispute = world.disputes.put({
    id: world.newId('du'),
    object: 'dispute',
    // The bank's own number: it may be more than was charged.
    amount: amount ?? charge.amount,
    balance_transactions: [],
    charge: charge.id,
    created: world.seconds(),
    currency: charge.currency,
    evidence: {},
    evidence_details: {
      due_by: world.seconds() + 7 * 86_400,
      has_evidence: false,
      past_due: false,
      submission_count: 0,
    },
    is_charge_refundable: false,
    livemode: false,
    metadata: {},
    payment_intent: charge.payment_intent,
    reason,
    status,
  })
  world.charges.put({ ...charge, disputed: true })
  world.emit('charge.dispute.created', dispute)
  if (!status.startsWith('warning_')) world.emit('charge.dispute.funds_withdrawn', dispute)
  return dispute
}

function move(world: World, dispute: Dispute, status: string): Dispute {
  const moved = world.disputes.put({ ...dispute, status })
  world.emit(CLOSED.has(status) ? 'charge.dispute.closed' : 'charge.dispute.updated', moved)
  if (status === 'won') world.emit('charge.dispute.funds_reinstated', moved)
  const charge = world.charges.get(dispute.charge)
  if (charge !== undefined && (status === 'won' || status === 'warning_closed'))
    world.charges.put({ ...charge, disputed: false })
  return moved
}
