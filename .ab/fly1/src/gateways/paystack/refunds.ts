import { z } from 'zod'
import type { Declined, RefundAnswer, Refunded, RefundPending, RefundRequest, RefundState, Unknown } from '../port.ts'
import { verify } from './charges.ts'
import { asUnknown, type Client, unusable } from './client.ts'
import { Currency, Minor } from './fields.ts'

export const Refund = z.object({
  id: z.union([z.int(), z.string()]).transform(String),
  status: z.string(),
  amount: Minor,
  currency: Currency,
  merchant_note: z.string().nullish(),
})
type Refund = z.infer<typeof Refund>

/** Refunds of one transaction that are read: more than a customer was ever given. */
const MAX_REFUNDS = 100

/** How long a list of refunds is acted on: less than the time after which a job is given to somebody else. */
const FRESH_MS = 4_000

/**
 * Paystack has neither key nor reference for refunds. Ours travels as the merchant's note, and before a refund is asked for,
 * those of the transaction are listed: one that carries our note already is the answer. Two askers at once would both find
 * nothing: a worker that was stopped in between, and the one that took its job over. So a list that is no longer fresh is
 * not acted on; a job is taken over only after that.
 */
export async function refund(client: Client, request: RefundRequest): Promise<RefundAnswer> {
  const listedAt = performance.now()
  const known = await lookUpRefund(client, request)
  // Also when the list cannot be had: until it is known whether this was asked for before, it is not asked for again.
  if (known.outcome !== 'absent') return known
  if (performance.now() - listedAt > FRESH_MS)
    return { outcome: 'unknown', reason: 'The list of refunds took so long that somebody else may have asked since' }

  const reply = await client.ask('POST', '/refund', {
    transaction: request.chargeId,
    amount: String(request.amount),
    currency: request.currency,
    merchant_note: request.reference,
    customer_note: request.reason,
  })
  if (reply.outcome === 'refused')
    return { outcome: 'declined', code: reply.code, message: reply.message, hard: false, mayFailOver: false }
  if (reply.outcome !== 'answered') return reply
  const made = Refund.safeParse(reply.data)
  return made.success ? read(made.data) : unusable('refund')
}

export async function lookUpRefund(
  client: Client,
  { reference, chargeId }: { reference: string; chargeId: string },
): Promise<RefundState> {
  // The list asks for Paystack's number of the transaction, where we have its reference.
  const transaction = await verify(client, chargeId)
  if (transaction === undefined) return { outcome: 'absent' }
  if ('outcome' in transaction) return transaction
  const refunds = await refundsOf(client, transaction.id)
  if ('outcome' in refunds) return refunds
  const ours = refunds.find(({ merchant_note }) => merchant_note === reference)
  return ours === undefined ? { outcome: 'absent' } : read(ours)
}

async function refundsOf(client: Client, transaction: number): Promise<readonly Refund[] | Unknown> {
  const reply = await client.ask('GET', `/refund?transaction=${transaction}&perPage=${MAX_REFUNDS}`)
  if (reply.outcome === 'refused') return unusable('refund')
  if (reply.outcome !== 'answered') return asUnknown(reply)
  const refunds = z.array(Refund).safeParse(reply.data)
  // A list that may go on does not say that ours is not in it.
  return refunds.success && refunds.data.length < MAX_REFUNDS ? refunds.data : unusable('refund')
}

/** `pending`, `processing` and `needs-attention` (Paystack asks for the customer's account) have no end yet. */
function read({ id, status, amount, currency }: Refund): Refunded | RefundPending | Declined {
  if (status === 'processed') return { outcome: 'succeeded', id, amount, currency }
  if (status === 'failed')
    return {
      outcome: 'declined',
      id,
      code: 'refund_failed',
      message: 'Paystack could not give it back',
      hard: false,
      mayFailOver: false,
    }
  return { outcome: 'pending', id, amount, currency }
}
