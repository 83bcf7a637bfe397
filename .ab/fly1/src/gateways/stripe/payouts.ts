import type Stripe from 'stripe'
import type {
  Declined,
  PaidOut,
  PayoutAnswer,
  PayoutPending,
  PayoutRequest,
  PayoutReturned,
  PayoutState,
  Unknown,
} from '../port.ts'
import { decline, declineOf } from './declines.ts'
import { parseDestination } from './destination.ts'
import { type Heard, unknown } from './line.ts'
import { idOf, type Parts } from './parts.ts'
import { findInList, findMade, mayBeForgotten, stillUnknown } from './reference.ts'
import { fromUnits, toUnits } from './units.ts'

/*
 * How Stripe pays somebody out. A payout goes to a bank account of the account whose balance it empties, never to a third
 * party: a customer who is to be paid is a connected account of ours. So it takes two steps, a transfer to that account and
 * a payout from there to its bank:
 *
 *   acct_…            to the connected account's default bank account
 *   acct_…/ba_…       to this one of its bank accounts (or `card_…`, a debit card)
 *   ba_…, card_…      our own: one payout from our own balance
 *
 * The transfer carries our reference as its group, by which Stripe lists consistently, and what the second step needs.
 * Whoever finds a transfer without its second step takes it, under a key of its own; whoever finds that the bank refused
 * brings the money back. Either may be done twice at once: the keys make it once.
 */

type Decided = PaidOut | PayoutPending | PayoutReturned | Declined | Unknown

export function payouts({ line, now }: Parts) {
  async function payout(request: PayoutRequest): Promise<PayoutAnswer> {
    const { reference } = request
    const destination = parseDestination(request.destination)
    if (destination === undefined)
      return {
        ...decline({ code: 'invalid_destination', message: 'No destination of a payout at Stripe.' }),
        hard: true,
      }
    const units = toUnits(request.amount, request.currency)
    if (typeof units !== 'number') return units
    if (mayBeForgotten(reference, now())) {
      const earlier = await byReference(reference)
      if (earlier.outcome !== 'absent') return asAnswer(earlier)
    }

    const money = { amount: units, currency: request.currency.toLowerCase() }
    const description = request.description === undefined ? {} : { description: request.description }
    const { account, bank } = destination
    if (account === undefined) {
      const heard = await line.ask((stripe) =>
        stripe.payouts.create(
          { ...money, ...description, destination: bank, metadata: { reference } },
          { idempotencyKey: reference },
        ),
      )
      if (heard.outcome === 'heard') return asAnswer(stateOf(heard.value, heard.value.id))
      return heard.outcome === 'refused' ? declineOf(heard) : heard
    }

    const heard = await line.ask((stripe) =>
      stripe.transfers.create(
        {
          ...money,
          ...description,
          destination: account,
          transfer_group: reference,
          metadata: { reference, ...(bank === undefined ? {} : { bank }) },
        },
        { idempotencyKey: reference },
      ),
    )
    if (heard.outcome === 'heard') return asAnswer(await carryOn(heard.value))
    return heard.outcome === 'refused' ? declineOf(heard) : heard
  }

  async function lookUpPayout(wanted: { reference: string; payoutId?: string | undefined }): Promise<PayoutState> {
    const { reference, payoutId } = wanted
    if (payoutId === undefined) return byReference(reference)
    if (payoutId.startsWith('tr_')) {
      const heard = await line.ask((stripe) => stripe.transfers.retrieve(payoutId))
      return heard.outcome === 'heard' ? carryOn(heard.value) : missing(heard)
    }
    const heard = await line.ask((stripe) => stripe.payouts.retrieve(payoutId))
    return heard.outcome === 'heard' ? stateOf(heard.value, heard.value.id) : missing(heard)
  }

  async function byReference(reference: string): Promise<Decided | { outcome: 'absent' }> {
    const transfer = await findInList(line, reference, (stripe, params) =>
      stripe.transfers.list({ ...params, transfer_group: reference }),
    )
    if (transfer.outcome !== 'heard') return stillUnknown(transfer)
    if (transfer.value !== undefined) return carryOn(transfer.value)
    const own = await findMade(line, reference, now(), (stripe, params) => stripe.payouts.list(params))
    if (own.outcome !== 'heard') return stillUnknown(own)
    return own.value === undefined ? { outcome: 'absent' } : stateOf(own.value, own.value.id)
  }

  /** From a transfer to the end: the payout from the connected account, or the money brought back. */
  async function carryOn(transfer: Stripe.Transfer): Promise<Decided> {
    const { reference, bank } = transfer.metadata
    const account = idOf(transfer.destination)
    if (reference === undefined || account === undefined) return unknown(`${transfer.id} is no payout of ours`)

    const found = await secondStep(transfer, account)
    if (found.outcome !== 'heard') return stillUnknown(found)
    if (found.value !== undefined) return conclude(transfer, stateOf(found.value, transfer.id))
    if (transfer.reversed)
      return decline({ code: 'transfer_reversed', message: 'The transfer was reversed.', id: transfer.id })

    const heard = await line.ask((stripe) =>
      stripe.payouts.create(
        {
          amount: transfer.amount,
          currency: transfer.currency,
          metadata: { reference },
          ...(bank === undefined ? {} : { destination: bank }),
        },
        { idempotencyKey: `${reference}:payout`, stripeAccount: account },
      ),
    )
    if (heard.outcome === 'heard') return conclude(transfer, stateOf(heard.value, transfer.id))
    if (heard.outcome === 'refused') return conclude(transfer, { ...declineOf(heard), id: transfer.id })
    // The transfer is made, so that «not sent» would be less than half of the truth.
    return unknown(heard.reason)
  }

  const secondStep = (transfer: Stripe.Transfer, account: string): Promise<Heard<Stripe.Payout | undefined>> =>
    findInList(
      line,
      transfer.metadata.reference ?? '',
      (stripe, params) => stripe.payouts.list(params, { stripeAccount: account }),
      { gte: transfer.created },
    )

  /** What failed is over when the money is ours again. */
  async function conclude(transfer: Stripe.Transfer, state: Decided): Promise<Decided> {
    if ((state.outcome !== 'declined' && state.outcome !== 'returned') || transfer.reversed) return state
    const heard = await line.ask((stripe) =>
      stripe.transfers.createReversal(
        transfer.id,
        { metadata: { reference: transfer.metadata.reference ?? '' } },
        { idempotencyKey: `${transfer.metadata.reference}:reversal` },
      ),
    )
    if (heard.outcome === 'heard') return state
    return unknown(
      heard.outcome === 'refused'
        ? `The bank refused, and Stripe does not bring the money back (${heard.code})`
        : heard.reason,
    )
  }

  /** For reconciliation: how far a transfer has come, without doing anything about it. */
  async function progressOf(transfer: Stripe.Transfer): Promise<Heard<Decided['outcome']>> {
    const account = idOf(transfer.destination)
    if (transfer.metadata.reference === undefined || account === undefined)
      return { outcome: 'heard', value: transfer.reversed ? 'returned' : 'succeeded' }
    const found = await secondStep(transfer, account)
    if (found.outcome !== 'heard') return found
    if (found.value !== undefined) return { outcome: 'heard', value: stateOf(found.value, transfer.id).outcome }
    return { outcome: 'heard', value: transfer.reversed ? 'declined' : 'pending' }
  }

  return { payout, lookUpPayout, progressOf }
}

const missing = (heard: Exclude<Heard<unknown>, { outcome: 'heard' }>): Unknown | { outcome: 'absent' } =>
  heard.outcome === 'refused' && heard.code === 'resource_missing' ? { outcome: 'absent' } : stillUnknown(heard)

/**
 * Stripe takes the money when a payout is made, and puts it back when it fails; `failed` may follow `paid` within five
 * business days, and does not say whether it did. So what failed was returned, whenever that was.
 */
export function stateOf(payout: Stripe.Payout, id: string): Decided {
  const money = fromUnits(payout.amount, payout.currency)
  switch (payout.status) {
    case 'paid':
    case 'failed':
      if (money === undefined)
        return unknown(`Stripe says ${payout.id} is ${payout.status}, in money that is not known here`)
      if (payout.status === 'paid' && payout.reversed_by === null) return { outcome: 'succeeded', id, ...money }
      return {
        outcome: 'returned',
        id,
        ...money,
        code: payout.status === 'paid' ? 'reversed' : (payout.failure_code ?? 'failed'),
        message: payout.failure_message ?? 'The bank returned the payout.',
      }
    case 'canceled':
      return decline({ code: 'canceled', message: 'The payout was canceled.', id })
    default:
      // `pending`, `in_transit`, and whatever Stripe invents: certainly no success, perhaps no failure.
      return { outcome: 'pending', id, ...money }
  }
}

/** A payout that is answered at once cannot have been returned: it was not paid, which is a decline. */
function asAnswer(state: Decided): PayoutAnswer {
  if (state.outcome !== 'returned') return state
  return decline({ code: state.code, message: state.message, id: state.id })
}
