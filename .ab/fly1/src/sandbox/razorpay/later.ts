import { unreachable } from '../../kit/assert.ts'
import { refusalOf } from './checkout.ts'
import { approve, fail, paymentOf } from './payments.ts'
import { processPayout, reversePayout } from './payouts.ts'
import { failRefund, process } from './refunds.ts'
import type { LaterRow } from './rows.ts'
import type { World } from './world.ts'

/** Does what was put off until now, in its order. */
export function catchUp(world: World, elapsedSeconds: number): void {
  for (const one of world.later.values()) {
    if (one.done || one.at > elapsedSeconds) continue
    world.later.put({ ...one, done: true })
    act(world, one)
  }
}

function act(world: World, { what, of }: LaterRow): void {
  switch (what) {
    case 'payment.approve':
      if (paymentOf(world, of).status === 'created') approve(world, of)
      return
    case 'payment.fail':
      if (paymentOf(world, of).status === 'created') fail(world, of, refusalOf('payment_timed_out'))
      return
    case 'refund.process':
      process(world, of)
      return
    case 'refund.fail':
      failRefund(world, of)
      return
    case 'payout.process':
      processPayout(world, of)
      return
    case 'payout.reverse':
      reversePayout(world, of)
      return
    default:
      unreachable(what)
  }
}
