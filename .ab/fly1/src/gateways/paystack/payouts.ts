import { z } from 'zod'
import { assert } from '../../kit/assert.ts'
import type { Declined, PayoutAnswer, PayoutRequest, PayoutState } from '../port.ts'
import { capabilities } from './capabilities.ts'
import { asUnknown, type Client, unusable } from './client.ts'
import { isAbsent, isDuplicate } from './declines.ts'
import { Currency, Minor, segment } from './fields.ts'

export const Transfer = z.object({
  reference: z.string(),
  transfer_code: z.string(),
  status: z.string(),
  amount: Minor,
  currency: Currency,
  fee_charged: Minor.nullish(),
  failures: z.object({ reason: z.string() }).nullish().catch(undefined),
})
type Transfer = z.infer<typeof Transfer>

const declined = (
  code: string,
  message: string,
  more: { id?: string; hard?: true; mayFailOver?: true } = {},
): Declined => ({
  outcome: 'declined',
  id: more.id,
  code,
  message,
  hard: more.hard ?? false,
  mayFailOver: more.mayFailOver ?? false,
})

/** The reference is unique among transfers: asked for twice, it is paid once, and the second time is a look-up. */
export async function payout(client: Client, request: PayoutRequest): Promise<PayoutAnswer> {
  const { reference, amount, currency, method } = request
  assert(capabilities.payouts[method]?.includes(currency), `Paystack does not pay out by ${method} in ${currency}`)
  const reply = await client.ask('POST', '/transfer', {
    source: 'balance',
    amount: String(amount),
    currency,
    recipient: request.destination,
    reference,
    reason: request.description,
  })
  if (reply.outcome === 'refused') {
    const { code, message } = reply
    if (isDuplicate(reply)) return asAnswer(await lookUpPayout(client, reference))
    if (/recipient/i.test(message)) return declined('invalid_recipient', message, { hard: true })
    // Our own balance there: another gateway may have more.
    if (/balance/i.test(message)) return declined('insufficient_balance', message, { mayFailOver: true })
    return { outcome: 'not_sent', reason: `Paystack did not take the transfer (${code}): ${message}` }
  }
  if (reply.outcome !== 'answered') return reply
  const transfer = Transfer.safeParse(reply.data)
  return transfer.success && transfer.data.reference === reference
    ? asAnswer(read(transfer.data))
    : unusable('transfer')
}

export async function lookUpPayout(client: Client, reference: string): Promise<PayoutState> {
  const reply = await client.ask('GET', `/transfer/verify/${segment(reference)}`)
  if (reply.outcome === 'refused') return isAbsent(reply) ? { outcome: 'absent' } : unusable('transfer')
  if (reply.outcome !== 'answered') return asUnknown(reply)
  const transfer = Transfer.safeParse(reply.data)
  return transfer.success && transfer.data.reference === reference ? read(transfer.data) : unusable('transfer')
}

/** Statuses as paystack.com/docs/transfers lists them. */
function read(transfer: Transfer): Exclude<PayoutState, { outcome: 'absent' | 'unknown' | 'not_sent' }> {
  const { transfer_code: id, status, amount, currency } = transfer
  const said = transfer.failures?.reason
  switch (status) {
    case 'success':
      return { outcome: 'succeeded', id, amount, currency, fee: transfer.fee_charged ?? undefined }
    case 'reversed':
      return { outcome: 'returned', id, amount, currency, code: 'reversed', message: said ?? 'The bank sent it back' }
    case 'failed':
    case 'blocked':
    case 'rejected':
    case 'abandoned':
      return declined(status, said ?? `The transfer was ${status}`, { id })
    default:
      // `pending`, `processing`, `received`, and `otp`: somebody has to confirm it at Paystack, or switch that off there.
      return { outcome: 'pending', id, amount, currency }
  }
}

/** What only a look-up may say is left to the next look-up. */
function asAnswer(state: PayoutState): PayoutAnswer {
  if (state.outcome === 'absent') return unusable('transfer with a reference that it calls a duplicate')
  return state.outcome === 'returned' ? { outcome: 'pending', id: state.id } : state
}
