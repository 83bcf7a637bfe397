import { z } from 'zod'
import { type Amount, amount, assets } from '../../kit/money.ts'
import type {
  ChargeAnswer,
  Declined,
  NotSent,
  PaidOut,
  PayoutPending,
  PayoutReturned,
  Refunded,
  RefundPending,
  Unknown,
} from '../port.ts'
import type { Reply } from './client.ts'

/** What an answer of the mock gateway means to us. A status that we do not know is never success. */

const Minor = z.int().nonnegative().transform(amount)
const Currency = z.enum(Object.keys(assets) as [keyof typeof assets, ...(keyof typeof assets)[]])
const Moved = z.object({
  reference: z.string(),
  amount: Minor,
  currency: Currency,
  status: z.string(),
  code: z.string().optional(),
  message: z.string().optional(),
  created_at: z.iso.datetime(),
})

export const ChargeSeen = Moved.extend({
  object: z.literal('charge'),
  payment_id: z.string(),
  refunded: Minor,
  action_url: z.string().optional(),
})
export const RefundSeen = Moved.extend({ object: z.literal('refund'), refund_id: z.string() })
export const PayoutSeen = Moved.extend({ object: z.literal('payout'), payout_id: z.string() })
export const Seen = z.discriminatedUnion('object', [ChargeSeen, RefundSeen, PayoutSeen])

type ChargeSeen = z.infer<typeof ChargeSeen>
type RefundSeen = z.infer<typeof RefundSeen>
type PayoutSeen = z.infer<typeof PayoutSeen>

/** `mock/vocabulary.ts` of the sandbox lists them: cards that will never do, and the one decline that is the gateway's own. */
const HARD = new Set(['stolen_card', 'lost_card', 'expired_card', 'fraudulent', 'unknown_token', 'unknown_destination'])
const MAY_FAIL_OVER = new Set(['processor_unavailable'])

export const declined = (said: { id?: string; code?: string | undefined; message?: string | undefined }): Declined => ({
  outcome: 'declined',
  id: said.id,
  code: said.code ?? 'declined',
  message: said.message ?? 'The mock gateway gave no reason',
  hard: HARD.has(said.code ?? ''),
  mayFailOver: MAY_FAIL_OVER.has(said.code ?? ''),
})

/** The mock gateway writes amounts as JSON integers, which hold no more than this exactly. */
export const tooLarge = (wanted: Amount): Declined | undefined =>
  wanted > Number.MAX_SAFE_INTEGER
    ? declined({ code: 'amount_too_large', message: 'The mock gateway does not count that far' })
    : undefined

export const unusable = (wanted: string): Unknown => ({
  outcome: 'unknown',
  reason: `The mock gateway gave no usable answer about a ${wanted}`,
})

/** A request that was ours to write better. */
const MALFORMED = new Set(['invalid', 'key_missing'])

/** What a refusal of a request that moves money means: nothing was done under this key, save where it came with another body. */
export function refusal({ code, message }: Extract<Reply, { outcome: 'refused' }>): Declined | NotSent | Unknown {
  if (code === 'key_reused')
    return { outcome: 'unknown', reason: 'The mock gateway knows this reference with another request' }
  if (MALFORMED.has(code)) return { outcome: 'not_sent', reason: `The mock gateway did not take the request: ${code}` }
  return declined({ code, message })
}

export function chargeAnswer(seen: ChargeSeen): ChargeAnswer {
  const { payment_id: id, amount: moved, currency, status } = seen
  switch (status) {
    case 'captured':
      return { outcome: 'succeeded', id, amount: moved, currency, refunded: seen.refunded }
    case 'declined':
    case 'failed':
      return declined({ id, code: seen.code, message: seen.message })
    case 'canceled':
      return declined({ id, code: 'canceled', message: 'It was cancelled' })
    case 'authorized':
      return { outcome: 'pending', id, amount: moved, currency, waitsFor: 'capture' }
    case 'requires_action':
      return {
        outcome: 'pending',
        id,
        amount: moved,
        currency,
        waitsFor: 'customer',
        action: seen.action_url === undefined ? undefined : { type: 'redirect', url: seen.action_url, fields: {} },
      }
    default:
      return { outcome: 'pending', id, amount: moved, currency, waitsFor: 'gateway' }
  }
}

export function refundAnswer(seen: RefundSeen): Refunded | RefundPending | Declined {
  const { refund_id: id, amount: moved, currency, status } = seen
  if (status === 'succeeded') return { outcome: 'succeeded', id, amount: moved, currency }
  if (status === 'failed') return declined({ id, code: seen.code, message: seen.message })
  return { outcome: 'pending', id, amount: moved, currency }
}

export function payoutState(seen: PayoutSeen): PaidOut | PayoutPending | PayoutReturned | Declined {
  const { payout_id: id, amount: moved, currency, status } = seen
  if (status === 'paid') return { outcome: 'succeeded', id, amount: moved, currency }
  if (status === 'failed') return declined({ id, code: seen.code, message: seen.message })
  if (status === 'returned')
    return {
      outcome: 'returned',
      id,
      amount: moved,
      currency,
      code: seen.code ?? 'returned',
      message: seen.message ?? 'The bank sent it back',
    }
  return { outcome: 'pending', id, amount: moved, currency }
}

/** For lists: what pends is everything that has no end yet. */
export function listedStatus(status: string): 'succeeded' | 'pending' | 'failed' | 'returned' {
  if (status === 'captured' || status === 'succeeded' || status === 'paid') return 'succeeded'
  if (status === 'declined' || status === 'failed' || status === 'canceled') return 'failed'
  return status === 'returned' ? 'returned' : 'pending'
}
