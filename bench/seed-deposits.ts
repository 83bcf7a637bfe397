import { attemptId } from '../src/domain/payments/attempt.ts'
import { newId } from '../src/kit/ids.ts'
import type { BenchDatabase } from './stage.ts'

/** Something that a gateway's events are about: our reference, and what the gateway calls it. */
export interface Charge {
  readonly reference: string
  readonly id: string
}

/** Minor units. */
const AMOUNT = 100_000

/** Charges on their way to the stand-in at once. */
const AT_ONCE = 32

/** So many deposits, each of a user of their own, that the mock gateway has taken and that wait for us to hear of it. */
export async function seedDeposits(
  { client }: BenchDatabase,
  { count, apiBase, key }: { count: number; apiBase: string; key: string },
): Promise<Charge[]> {
  const payments = Array.from({ length: count }, () => newId())
  const next = payments.values()
  const charges = new Map<string, string>()
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const payment of next) {
        const reference = attemptId(payment, 0)
        const response = await fetch(`${apiBase}/charges`, {
          method: 'POST',
          headers: { authorization: `Bearer ${key}`, 'idempotency-key': reference, 'content-type': 'application/json' },
          body: JSON.stringify({ amount: AMOUNT, currency: 'INR', method: 'card' }),
        })
        const { payment_id: id } = (await response.json()) as { payment_id: string }
        charges.set(reference, id)
      }
    }),
  )
  await client.query(
    `with new as materialized (
       select payment_id, attempt_id, gateway_id, gen_random_uuid() as account_id, 'payer_' || n as user_id
       from unnest($1::uuid[], $2::uuid[], $3::text[]) with ordinality as given (payment_id, attempt_id, gateway_id, n)
     ), holders as (
       insert into wallet_holder (user_id, opened_at) select user_id, now() from new
     ), accounts as (
       insert into account (id, owner, purpose, asset, floor, opened_at)
       select account_id, 'user:' || user_id, 'wallet', 'INR', 0, now() from new
     ), payments as (
       insert into payment (id, operation_id, user_id, type, status, currency, amount, method, gateway, account_id, created_at)
       select payment_id, payment_id, user_id, 'deposit', 'pending', 'INR', ${AMOUNT}, 'card', 'mock', account_id, now() from new
     )
     insert into gateway_attempt (id, payment_id, position, verb, gateway, status, amount, currency, gateway_id, asked_at)
     select attempt_id, payment_id, 0, 'charge', 'mock', 'pending', ${AMOUNT}, 'INR', gateway_id, now() from new`,
    [payments, payments.map((id) => attemptId(id, 0)), payments.map((id) => charges.get(attemptId(id, 0)))],
  )
  await client.query('analyze')
  return payments.map((id) => ({ reference: attemptId(id, 0), id: charges.get(attemptId(id, 0)) ?? '' }))
}
