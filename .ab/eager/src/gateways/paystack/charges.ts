import { z } from 'zod'
import { assert } from '../../kit/assert.ts'
import type { ChargeAnswer, ChargePending, ChargeRequest, ChargeState, Confirmation, Declined } from '../port.ts'
import { capabilities } from './capabilities.ts'
import { asUnknown, type Client, type Reply, unusable } from './client.ts'
import { chargeDecline, isAboutAuthorization, isAbsent, isDuplicate } from './declines.ts'
import { Currency, Minor, segment } from './fields.ts'

export const Transaction = z.object({
  /** Paystack's own number, which only its refunds ask for. */
  id: z.int(),
  reference: z.string(),
  status: z.string(),
  amount: Minor,
  currency: Currency,
  fees: Minor.nullish(),
  gateway_response: z.string().nullish(),
})
export type Transaction = z.infer<typeof Transaction>

const Entrance = z.object({ authorization_url: z.url(), access_code: z.string(), reference: z.string() })
/** The card's bank wants to see its owner. */
const Paused = Entrance.extend({ paused: z.literal(true), access_code: z.string().default('') })

/** What Paystack cannot do at all: said before anybody is asked. Another gateway may be able to. */
const cannot = (code: string, message: string): Declined => ({
  outcome: 'declined',
  code,
  message,
  hard: false,
  mayFailOver: true,
})

/** Paystack takes the money as soon as the customer agrees: there is no capture of its own to wait for. */
export async function charge(client: Client, request: ChargeRequest): Promise<ChargeAnswer> {
  const { reference, amount, currency, method, email, source } = request
  assert(capabilities.charges[method]?.includes(currency), `Paystack does not take ${method} in ${currency}`)
  if (request.capture === 'manual')
    return cannot('capture_unsupported', 'Paystack cannot authorise now and capture later')
  if (email === undefined)
    return cannot('email_missing', 'Paystack takes no charge without the address of the customer')

  // Text, so that no amount is rounded on its way. The reference is unique at Paystack: it is the idempotency key.
  const asked = { email, amount: String(amount), currency, reference }
  const reply =
    source === undefined
      ? await client.ask('POST', '/transaction/initialize', {
          ...asked,
          channels: [method],
          callback_url: request.returnUrl,
          metadata: request.description === undefined ? undefined : { description: request.description },
        })
      : await client.ask('POST', '/transaction/charge_authorization', { ...asked, authorization_code: source.token })
  if (reply.outcome === 'refused') return refused(client, reference, reply)
  if (reply.outcome !== 'answered') return reply

  const transaction = Transaction.safeParse(reply.data)
  // An answer about somebody else's transaction is no answer.
  if (transaction.success) return transaction.data.reference === reference ? read(transaction.data) : unusable('charge')
  const entrance = source === undefined ? Entrance.safeParse(reply.data) : Paused.safeParse(reply.data)
  return entrance.success && entrance.data.reference === reference ? atEntrance(entrance.data) : unusable('charge')
}

async function refused(
  client: Client,
  reference: string,
  reply: Extract<Reply, { outcome: 'refused' }>,
): Promise<ChargeAnswer> {
  if (isDuplicate(reply)) {
    const known = await lookUpCharge(client, reference)
    return known.outcome === 'absent' ? unusable('charge with a reference that it calls a duplicate') : known
  }
  const { code, message } = reply
  if (isAboutAuthorization(message))
    return { outcome: 'declined', code: 'invalid_authorization', message, hard: true, mayFailOver: false }
  return { outcome: 'not_sent', reason: `Paystack did not take the charge (${code}): ${message}` }
}

/** The transaction, undefined where Paystack has never heard of the reference. */
export async function verify(
  client: Client,
  reference: string,
): Promise<Transaction | undefined | ReturnType<typeof unusable>> {
  const reply = await client.ask('GET', `/transaction/verify/${segment(reference)}`)
  if (reply.outcome === 'refused') return isAbsent(reply) ? undefined : unusable('charge')
  if (reply.outcome !== 'answered') return asUnknown(reply)
  const transaction = Transaction.safeParse(reply.data)
  return transaction.success && transaction.data.reference === reference ? transaction.data : unusable('charge')
}

export async function lookUpCharge(client: Client, reference: string): Promise<ChargeState> {
  const seen = await verify(client, reference)
  if (seen === undefined) return { outcome: 'absent' }
  return 'outcome' in seen ? seen : read(seen)
}

/** Paystack signs nothing that the customer brings back: it names its transaction, and only Paystack itself is believed. */
export async function confirm(
  client: Client,
  { reference, paymentId, proof }: Confirmation,
): Promise<ChargeState | { readonly outcome: 'forged' }> {
  const named = [proof.reference, proof.trxref].filter((name) => name !== undefined)
  if (named.some((name) => name !== reference)) return { outcome: 'forged' }
  const seen = await verify(client, reference)
  if (seen === undefined) return { outcome: 'absent' }
  if ('outcome' in seen) return seen
  return paymentId === reference || paymentId === String(seen.id) ? read(seen) : { outcome: 'forged' }
}

/** Statuses as paystack.com/docs/payments/verify-payments lists them. */
function read(transaction: Transaction): ChargeAnswer {
  const { reference: id, status, amount, currency, fees } = transaction
  const pending = (waitsFor: ChargePending['waitsFor']): ChargePending => ({
    outcome: 'pending',
    id,
    amount,
    currency,
    waitsFor,
  })
  switch (status) {
    case 'success':
      return { outcome: 'succeeded', id, amount, currency, fee: fees ?? undefined }
    case 'reversed':
      // It was taken, and all of it went back.
      return { outcome: 'succeeded', id, amount, currency, fee: fees ?? undefined, refunded: amount }
    case 'failed':
      return chargeDecline(id, transaction.gateway_response)
    case 'abandoned':
    case 'ongoing':
      // Also what it is called before the customer has come: the page stays open.
      return pending('customer')
    default:
      return pending('gateway')
  }
}

const atEntrance = (entrance: z.infer<typeof Entrance>): ChargePending => ({
  outcome: 'pending',
  id: entrance.reference,
  waitsFor: 'customer',
  action: { type: 'checkout', url: entrance.authorization_url, fields: { access_code: entrance.access_code } },
})
