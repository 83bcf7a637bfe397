import type { World } from './world.ts'

interface Move {
  readonly reference: string
  readonly id: string
  readonly amount: number
  readonly currency: string
  readonly status: string
}

/** What really moved. One line for each reference: `amount` is all that moved for it, `times` how often. */
export function done(world: World) {
  const charges = world.payments
    .values()
    .filter(({ captured }) => captured)
    .map((payment) => ({ ...payment, reference: world.orders.get(payment.order_id)?.receipt ?? '' }))
  const refunds = world.refunds
    .values()
    .filter(({ status }) => status === 'processed')
    .map((refund) => ({ ...refund, reference: refund.receipt ?? '' }))
  const payouts = world.payouts
    .values()
    .filter(({ status }) => status === 'processed' || status === 'reversed')
    .map((payout) => ({ ...payout, reference: payout.reference_id ?? '' }))
  return { charges: byReference(charges), refunds: byReference(refunds), payouts: byReference(payouts) }
}

function byReference(moves: readonly Move[]) {
  const lines = new Map<string, Move & { times: number }>()
  for (const { reference, id, amount, currency, status } of moves) {
    const line = lines.get(reference || id)
    lines.set(reference || id, {
      reference,
      id: line?.id ?? id,
      amount: (line?.amount ?? 0) + amount,
      currency,
      status: line?.status ?? status,
      times: (line?.times ?? 0) + 1,
    })
  }
  return [...lines.values()]
}
