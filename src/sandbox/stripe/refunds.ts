import type { Hono } from 'hono'
import { z } from 'zod'
import { booked } from './bookings.ts'
import { Expand, Metadata, Positive, read, Text } from './form.ts'
import { intentOf } from './intents.ts'
import { Paging, page } from './paging.ts'
import { badParameter, noSuch, refused } from './problem.ts'
import { answer, fieldsOf } from './respond.ts'
import type { Charge, Refund } from './rows.ts'
import type { World } from './world.ts'

const NewRefund = z.strictObject({
  amount: Positive.optional(),
  charge: Text.optional(),
  payment_intent: Text.optional(),
  reason: z.enum(['duplicate', 'fraudulent', 'requested_by_customer']).optional(),
  metadata: Metadata,
  expand: Expand,
})
const Listing = Paging.extend({ charge: Text.optional(), payment_intent: Text.optional() })

/** `/v1/refunds`. */
export function refundRoutes(app: Hono, world: World): void {
  world.when('refund_succeeds', (id) => {
    const refund = world.refunds.get(id)
    if (refund?.status === 'pending') update(world, { ...refund, status: 'succeeded' })
  })
  world.when('refund_fails', (id, why) => {
    const refund = world.refunds.get(id)
    if (refund !== undefined && refund.status !== 'failed') fail(world, refund, why ?? 'expired_or_canceled_card')
  })

  app.post('/v1/refunds', async (c) => {
    const wanted = read(NewRefund, await fieldsOf(c))
    return answer(world, c, refund(world, chargeOf(world, wanted), wanted), wanted.expand)
  })
  app.get('/v1/refunds', async (c) => {
    const wanted = read(Listing, await fieldsOf(c))
    const rows = world.refunds
      .values()
      .filter(({ charge }) => charge === (wanted.charge ?? charge))
      .filter(({ payment_intent }) => payment_intent === (wanted.payment_intent ?? payment_intent))
    return answer(world, c, page(rows, '/v1/refunds', wanted), wanted.expand)
  })
  app.get('/v1/refunds/:id', (c) => {
    const refund = world.refunds.get(c.req.param('id'))
    if (refund === undefined) throw noSuch('refund', c.req.param('id'))
    return answer(world, c, refund)
  })
}

function chargeOf(world: World, wanted: z.infer<typeof NewRefund>): Charge {
  if (wanted.charge === undefined && wanted.payment_intent === undefined)
    throw badParameter(
      'parameter_missing',
      'One of the following params should be provided: payment_intent or charge.',
      'charge',
    )
  const id = wanted.charge ?? intentOf(world, wanted.payment_intent ?? '', 'payment_intent').latest_charge
  if (id === null)
    throw refused('This PaymentIntent does not have a successful charge to refund.', 'payment_intent_unexpected_state')
  const charge = world.charges.get(id)
  if (charge === undefined) throw noSuch('charge', id, 'charge')
  return charge
}

function refund(world: World, charge: Charge, wanted: z.infer<typeof NewRefund>): Refund {
  if (charge.status !== 'succeeded' || !charge.captured)
    throw refused('This charge has not been captured: cancel its PaymentIntent instead.', 'charge_not_refundable')
  if (charge.disputed)
    throw refused(`Charge ${charge.id} has been charged back; cannot issue a refund.`, 'charge_disputed', 'charge')
  const left = charge.amount - charge.amount_refunded
  if (left === 0) throw refused(`Charge ${charge.id} has already been refunded.`, 'charge_already_refunded')
  const amount = wanted.amount ?? left
  if (amount > left)
    throw refused(
      `Refund amount (${amount}) is greater than unrefunded amount on charge (${left})`,
      undefined,
      'amount',
    )

  const request = 'POST /v1/refunds'
  const actual = amount + (world.moods.take(request, 'wrong_amount') === undefined ? 0 : 1)
  const stays = world.moods.take(request, 'stay_pending') !== undefined
  const failsLate = world.moods.take(request, 'late_failure') !== undefined
  const { refund: behaviour } = world.methods.get(charge.payment_method)?._behaviour ?? {}
  const made = world.refunds.put({
    id: world.newId('re'),
    object: 'refund',
    amount: actual,
    balance_transaction: null,
    charge: charge.id,
    created: world.seconds(),
    currency: charge.currency,
    metadata: wanted.metadata,
    payment_intent: charge.payment_intent,
    reason: wanted.reason ?? null,
    receipt_number: null,
    status: stays || behaviour === 'pending' ? 'pending' : 'succeeded',
  })
  const booking = booked(world, 'refund', made.id, -actual, charge.currency)
  const result = world.refunds.put({ ...made, balance_transaction: booking })
  const returned = charge.amount_refunded + actual
  const after = world.charges.put({ ...charge, amount_refunded: returned, refunded: returned >= charge.amount })
  world.emit('refund.created', result)
  world.emit('charge.refunded', after)
  if (stays) world.later({ what: 'refund_succeeds', on: made.id, waits: 'for_time' })
  else if (behaviour === 'pending') world.later({ what: 'refund_succeeds', on: made.id, waits: 'a_while' })
  if (failsLate) world.later({ what: 'refund_fails', on: made.id, waits: 'for_time' })
  else if (behaviour === 'fails') world.later({ what: 'refund_fails', on: made.id, waits: 'a_while' })
  return result
}

function update(world: World, refund: Refund): Refund {
  const updated = world.refunds.put(refund)
  world.emit('refund.updated', updated)
  world.emit('charge.refund.updated', updated)
  return updated
}

/** The money comes back to our balance, and the charge may be refunded again. */
function fail(world: World, refund: Refund, why: string): void {
  const charge = world.charges.get(refund.charge)
  if (charge !== undefined)
    world.charges.put({ ...charge, amount_refunded: charge.amount_refunded - refund.amount, refunded: false })
  booked(world, 'refund', refund.id, refund.amount, refund.currency)
  const failed = update(world, { ...refund, status: 'failed', failure_reason: why })
  world.emit('refund.failed', failed)
}
