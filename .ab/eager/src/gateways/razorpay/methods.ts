import type { Gateway, MethodDetails, PaymentMethod } from '../port.ts'
import type { Client } from './client.ts'
import { FundAccount, Token } from './objects.ts'
import { FUND_ACCOUNT_ID } from './orders.ts'
import { Problem } from './problem.ts'

type Described = Awaited<ReturnType<Gateway['describeMethod']>>

/** Razorpay's names for what we call by ours. A fund account is paid to, a token is charged. */
const TOKEN_METHODS: Readonly<Partial<Record<PaymentMethod, readonly string[]>>> = {
  card: ['card'],
  upi: ['upi'],
  netbanking: ['emandate', 'netbanking'],
  bank_transfer: ['nach', 'emandate'],
  wallet: ['wallet'],
}
const FUND_ACCOUNT_TYPES: Readonly<Partial<Record<PaymentMethod, string>>> = {
  upi: 'vpa',
  bank_transfer: 'bank_account',
}

export function methods({ client }: { client: Client }): Pick<Gateway, 'describeMethod'> {
  return {
    async describeMethod({ token, method }) {
      if (FUND_ACCOUNT_ID.test(token)) return describeFundAccount(token, method)
      const known = await client.sdk('a token', Token, (razorpay) => razorpay.tokens.fetch({ id: token }))
      if (known instanceof Problem) return notDescribed(known, 'Razorpay does not know this token')
      if (!TOKEN_METHODS[method]?.includes(known.method)) return unusable(`The token is for ${known.method}`)
      if (known.status && known.status !== 'active') return unusable(`The token is ${known.status}`)
      return {
        outcome: 'known',
        lastFour: known.card?.last4 ?? undefined,
        brand: known.card?.network ?? known.vpa?.handle ?? known.bank ?? known.wallet ?? undefined,
        ...expiryOf(known),
      }
    },
  }

  async function describeFundAccount(id: string, method: PaymentMethod): Promise<Described> {
    const known = await client.http('a fund account', FundAccount, { method: 'GET', path: `/v1/fund_accounts/${id}` })
    if (known instanceof Problem) return notDescribed(known, 'Razorpay does not know this fund account')
    if (FUND_ACCOUNT_TYPES[method] !== known.account_type)
      return unusable(`The fund account is a ${known.account_type}`)
    if (!known.active) return unusable('The fund account is not active')
    return {
      outcome: 'known',
      lastFour: known.bank_account?.account_number.slice(-4),
      brand: known.bank_account?.bank_name ?? known.vpa?.handle ?? undefined,
    }
  }
}

const unusable = (reason: string): Described => ({ outcome: 'unusable', reason })

function notDescribed(problem: Problem, absent: string): Described {
  if (problem.kind === 'refused') return unusable(problem.isAbsence ? absent : problem.reason)
  return problem.kind === 'not_sent' ? { outcome: 'not_sent', reason: problem.reason } : problem.asUnknown
}

/** Indian time is five and a half hours ahead, and a card's last second is counted there. */
const INDIAN_OFFSET_MS = 5.5 * 60 * 60 * 1_000

function expiryOf({ card, expired_at }: Token): Pick<MethodDetails, 'expiryMonth' | 'expiryYear'> {
  if (card?.expiry_month && card.expiry_year) return { expiryMonth: card.expiry_month, expiryYear: card.expiry_year }
  if (!card || !expired_at) return {}
  const last = new Date(expired_at * 1_000 + INDIAN_OFFSET_MS)
  return { expiryMonth: last.getUTCMonth() + 1, expiryYear: last.getUTCFullYear() }
}
