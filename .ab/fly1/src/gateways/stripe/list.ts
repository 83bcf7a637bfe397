import type Stripe from 'stripe'
import { Fault } from '../../kit/fault.ts'
import type { Gateway, Listed } from '../port.ts'
import type { Heard } from './line.ts'
import type { Parts } from './parts.ts'
import { stateOf as payoutStateOf, payouts } from './payouts.ts'
import { fromUnits } from './units.ts'

/** What is listed, in this order, each to its end. */
const SORTS = ['payment_intents', 'refunds', 'transfers', 'payouts'] as const
type Sort = (typeof SORTS)[number]

/** Stripe's largest page. */
const PAGE = 100

/** Every charge, refund and payout of a period. A cursor is a sort and the last id of it that was listed: `refunds re_…`. */
export function listing(parts: Parts): Gateway['list'] {
  const { line } = parts
  const { progressOf } = payouts(parts)

  async function page(
    sort: Sort,
    params: Stripe.PayoutListParams,
  ): Promise<{ items: Listed[]; last: string | undefined }> {
    switch (sort) {
      case 'payment_intents':
        return listed(await answered(line.ask((stripe) => stripe.paymentIntents.list(params))), async (intent) => ({
          ...common(intent),
          type: 'charge',
          status: chargeStatus(intent),
          units: intent.status === 'succeeded' ? intent.amount_received : intent.amount,
        }))
      case 'refunds':
        return listed(await answered(line.ask((stripe) => stripe.refunds.list(params))), async (refund) => ({
          ...common(refund),
          type: 'refund',
          status: refundStatus(refund),
          units: refund.amount,
        }))
      case 'transfers':
        return listed(await answered(line.ask((stripe) => stripe.transfers.list(params))), async (transfer) => ({
          ...common(transfer),
          type: 'payout',
          status: payoutStatus(await answered(progressOf(transfer))),
          units: transfer.amount,
        }))
      case 'payouts': {
        const answer = await answered(line.ask((stripe) => stripe.payouts.list(params)))
        return listed(answer, async (payout) => ({
          ...common(payout),
          type: 'payout',
          status: payoutStatus(payoutStateOf(payout, payout.id).outcome),
          units: payout.amount,
        }))
      }
    }
  }

  return async ({ from, until, cursor }) => {
    const [name, after] = (cursor ?? SORTS[0]).split(' ')
    const sort = SORTS.find((one) => one === name)
    if (sort === undefined) throw new Fault('This is no cursor of a list at Stripe')
    // Stripe counts in whole seconds: the first that is not before the instant.
    const created = { gte: Math.ceil(from.getTime() / 1_000), lt: Math.ceil(until.getTime() / 1_000) }
    const { items, last } = await page(sort, {
      created,
      limit: PAGE,
      ...(after === undefined ? {} : { starting_after: after }),
    })
    return { items, next: last === undefined ? SORTS[SORTS.indexOf(sort) + 1] : `${sort} ${last}` }
  }
}

interface Line extends Omit<Listed, 'amount' | 'currency'> {
  readonly units: number
  readonly code: string
}

/** Money that is not known here, and Stripe's own sweeps of our balance (negative when it takes), are none of ours. */
async function listed<T extends { readonly id: string }>(
  { data, has_more }: { data: T[]; has_more: boolean },
  read: (one: T) => Promise<Line>,
): Promise<{ items: Listed[]; last: string | undefined }> {
  const items: Listed[] = []
  for (const one of data) {
    const { units, code, ...rest } = await read(one)
    const money = fromUnits(units, code)
    if (money !== undefined) items.push({ ...rest, ...money })
  }
  return { items, last: has_more ? data.at(-1)?.id : undefined }
}

const common = (one: { id: string; metadata: Stripe.Metadata | null; created: number; currency: string }) => ({
  id: one.id,
  reference: one.metadata?.reference,
  at: new Date(one.created * 1_000),
  code: one.currency,
})

function chargeStatus(intent: Stripe.PaymentIntent): Listed['status'] {
  if (intent.status === 'succeeded') return 'succeeded'
  if (intent.status === 'canceled') return 'failed'
  return intent.status === 'requires_payment_method' && intent.last_payment_error !== null ? 'failed' : 'pending'
}

function refundStatus({ status }: Stripe.Refund): Listed['status'] {
  if (status === 'succeeded') return 'succeeded'
  return status === 'failed' || status === 'canceled' ? 'failed' : 'pending'
}

function payoutStatus(outcome: 'succeeded' | 'pending' | 'returned' | 'declined' | 'unknown'): Listed['status'] {
  if (outcome === 'declined') return 'failed'
  return outcome === 'unknown' ? 'pending' : outcome
}

/** A list has no «unknown»: whoever reconciles tries again later. */
async function answered<T>(asked: Promise<Heard<T>>): Promise<T> {
  const heard = await asked
  if (heard.outcome === 'heard') return heard.value
  throw new Fault(
    heard.outcome === 'refused' ? `Stripe refused a list (${heard.code}, status ${heard.status})` : heard.reason,
  )
}
