import type { World } from './world.ts'

/** What it did to our balance. Stripe's usual fee, and no conversion: a balance in every currency. */
export function booked(
  world: World,
  type: 'charge' | 'refund' | 'payout' | 'transfer',
  source: string,
  amount: number,
  currency: string,
): string {
  const fee = type === 'charge' ? Math.round(amount * 0.029) + 30 : 0
  const id = world.newId('txn')
  world.bookings.put({
    id,
    object: 'balance_transaction',
    amount,
    created: world.seconds(),
    currency,
    fee,
    net: amount - fee,
    source,
    status: 'available',
    type,
  })
  return id
}
