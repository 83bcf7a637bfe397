import { createHmac } from 'node:crypto'
import { z } from 'zod'
import { assert } from '../../kit/assert.ts'
import { Fault } from '../../kit/fault.ts'
import { type Asset, toJsonInteger } from '../../kit/money.ts'
import type { Secret } from '../../kit/secret.ts'
import type {
  Capabilities,
  ChargeAnswer,
  ChargeState,
  Gateway,
  Listed,
  PayoutAnswer,
  PayoutState,
  RefundAnswer,
  RefundState,
} from '../port.ts'
import { sameText } from '../same-text.ts'
import {
  ChargeSeen,
  chargeAnswer,
  listedStatus,
  PayoutSeen,
  payoutState,
  RefundSeen,
  refundAnswer,
  refusal,
  Seen,
  tooLarge,
  unusable,
} from './answers.ts'
import { asUnknown, mockClient, type Reply } from './client.ts'

const EVERYTHING: readonly Asset[] = ['INR', 'USD', 'EUR', 'NGN', 'JPY', 'KWD']
const EVERY_METHOD = {
  card: EVERYTHING,
  upi: EVERYTHING,
  netbanking: EVERYTHING,
  wallet: EVERYTHING,
  bank_transfer: EVERYTHING,
}

export const mockCapabilities: Capabilities = { charges: EVERY_METHOD, payouts: EVERY_METHOD, minimumCharge: {} }

const Found = z.object({ items: z.array(z.unknown()).max(1) })
const Page = z.object({ items: z.array(Seen), next: z.int().nullable() })
const Method = z.object({
  last_four: z.string().optional(),
  brand: z.string().optional(),
  expiry_month: z.int().optional(),
  expiry_year: z.int().optional(),
})

/** A gateway that moves no money and does what it is told: for development, tests and demonstrations. */
export function mockGateway(options: { key: Secret; apiBase: string; timeoutMs?: number | undefined }): Gateway {
  const client = mockClient(options)

  function chargeFrom(reply: Reply): ChargeAnswer {
    if (reply.outcome === 'refused') return refusal(reply)
    if (reply.outcome !== 'answered') return reply
    const seen = ChargeSeen.safeParse(reply.body)
    return seen.success ? chargeAnswer(seen.data) : unusable('charge')
  }

  /** By reference, which its store keeps with the thing itself: what it does not find there was never made. */
  async function find<Row extends { reference: string }, State>(
    path: string,
    reference: string,
    Row: z.ZodType<Row>,
    read: (row: Row) => State,
  ) {
    const reply = await client.ask({ method: 'GET', path: `${path}?reference=${segment(reference)}` })
    if (reply.outcome === 'refused') return unusable('look-up')
    if (reply.outcome !== 'answered') return asUnknown(reply)
    const found = Found.safeParse(reply.body)
    if (!found.success) return unusable('look-up')
    const [item] = found.data.items
    if (item === undefined) return { outcome: 'absent' } as const
    const row = Row.safeParse(item)
    return row.success && row.data.reference === reference ? read(row.data) : unusable('look-up')
  }

  const lookUpCharge = ({ reference }: { reference: string }): Promise<ChargeState> =>
    find('/charges', reference, ChargeSeen, chargeAnswer)

  return {
    name: 'mock',
    capabilities: mockCapabilities,

    async charge(request) {
      assert(
        mockCapabilities.charges[request.method]?.includes(request.currency),
        'The mock gateway cannot charge that',
      )
      const declined = tooLarge(request.amount)
      if (declined !== undefined) return declined
      const reply = await client.ask({
        method: 'POST',
        path: '/charges',
        key: request.reference,
        body: {
          amount: toJsonInteger(request.amount),
          currency: request.currency,
          method: request.method,
          token: request.source?.token,
          capture: request.capture,
          description: request.description,
          return_url: request.returnUrl,
        },
      })
      return chargeFrom(reply)
    },

    async confirm({ reference, paymentId, proof }) {
      const signature = proof.mock_signature
      const expected = createHmac('sha256', options.key.asKey()).update(`${reference}|${paymentId}`).digest('hex')
      // Without a page in between there is nothing signed: then only the gateway itself is believed, below.
      if (signature !== undefined && !sameText(signature, expected)) return { outcome: 'forged' }
      const reply = await client.ask({ method: 'GET', path: `/charges/${segment(paymentId)}` })
      if (reply.outcome === 'refused') return { outcome: 'forged' }
      if (reply.outcome !== 'answered') return asUnknown(reply)
      const seen = ChargeSeen.safeParse(reply.body)
      if (!seen.success) return unusable('charge')
      return seen.data.reference === reference ? chargeAnswer(seen.data) : { outcome: 'forged' }
    },

    async capture({ chargeId, amount }) {
      const path = `/charges/${segment(chargeId)}/capture`
      return chargeFrom(await client.ask({ method: 'POST', path, body: { amount: toJsonInteger(amount) } }))
    },

    async cancel({ reference, chargeId }) {
      const reply = await client.ask({ method: 'POST', path: `/charges/${segment(chargeId)}/cancel` })
      // It is past cancelling: what became of it is the answer.
      return reply.outcome === 'refused' ? lookUpCharge({ reference }) : chargeFrom(reply)
    },

    lookUpCharge,

    async refund(request): Promise<RefundAnswer> {
      const reply = await client.ask({
        method: 'POST',
        path: '/refunds',
        key: request.reference,
        body: {
          payment_id: request.chargeId,
          amount: toJsonInteger(request.amount),
          currency: request.currency,
          reason: request.reason,
        },
      })
      if (reply.outcome === 'refused') return refusal(reply)
      if (reply.outcome !== 'answered') return reply
      const seen = RefundSeen.safeParse(reply.body)
      return seen.success ? refundAnswer(seen.data) : unusable('refund')
    },

    lookUpRefund: ({ reference }): Promise<RefundState> => find('/refunds', reference, RefundSeen, refundAnswer),

    async payout(request): Promise<PayoutAnswer> {
      assert(
        mockCapabilities.payouts[request.method]?.includes(request.currency),
        'The mock gateway cannot pay that out',
      )
      const declined = tooLarge(request.amount)
      if (declined !== undefined) return declined
      const reply = await client.ask({
        method: 'POST',
        path: '/payouts',
        key: request.reference,
        body: {
          amount: toJsonInteger(request.amount),
          currency: request.currency,
          method: request.method,
          destination: request.destination,
          description: request.description,
        },
      })
      if (reply.outcome === 'refused') return refusal(reply)
      if (reply.outcome !== 'answered') return reply
      const seen = PayoutSeen.safeParse(reply.body)
      if (!seen.success) return unusable('payout')
      const state = payoutState(seen.data)
      // A repeat may find it sent back already, which only a look-up may say: the next one will.
      return state.outcome === 'returned' ? { outcome: 'pending', id: state.id } : state
    },

    lookUpPayout: ({ reference }): Promise<PayoutState> => find('/payouts', reference, PayoutSeen, payoutState),

    async describeMethod({ token, method }) {
      const reply = await client.ask({ method: 'GET', path: `/tokens/${segment(token)}?method=${method}` })
      if (reply.outcome === 'refused') return { outcome: 'unusable', reason: reply.message }
      if (reply.outcome !== 'answered') return reply
      const seen = Method.safeParse(reply.body)
      if (!seen.success) return unusable('token')
      const { last_four, brand, expiry_month, expiry_year } = seen.data
      return { outcome: 'known', lastFour: last_four, brand, expiryMonth: expiry_month, expiryYear: expiry_year }
    },

    async list({ from, until, cursor }) {
      const query = new URLSearchParams({ from: from.toISOString(), until: until.toISOString(), after: cursor ?? '0' })
      const reply = await client.ask({ method: 'GET', path: `/movements?${query}` })
      const page = reply.outcome === 'answered' ? Page.safeParse(reply.body) : undefined
      // An empty page would read as «nothing was made».
      if (page?.success !== true) throw new Fault('The mock gateway could not be asked for its list')
      return { items: page.data.items.map(listed), next: page.data.next === null ? undefined : String(page.data.next) }
    },

    reachable: () => client.reachable(),
  }
}

/** A text as one part of a path, whatever letters it has. */
const segment = (text: string): string => encodeURIComponent(text.toWellFormed())

function listed(seen: z.infer<typeof Seen>): Listed {
  const id = seen.object === 'charge' ? seen.payment_id : seen.object === 'refund' ? seen.refund_id : seen.payout_id
  return {
    type: seen.object,
    id,
    reference: seen.reference,
    status: listedStatus(seen.status),
    amount: seen.amount,
    currency: seen.currency,
    at: new Date(seen.created_at),
  }
}
