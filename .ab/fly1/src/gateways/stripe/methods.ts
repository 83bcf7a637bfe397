import type Stripe from 'stripe'
import type { Gateway, MethodDetails, NotSent, PaymentMethod, Unknown } from '../port.ts'
import { type Destination, parseDestination } from './destination.ts'
import type { Refused } from './line.ts'
import type { Parts } from './parts.ts'

/** Which of Stripe's types are a method of ours. */
const TYPES: Readonly<Partial<Record<PaymentMethod, ReadonlySet<string>>>> = {
  card: new Set(['card']),
  wallet: new Set(['card', 'link']),
  bank_transfer: new Set(['us_bank_account', 'sepa_debit']),
}

type Described = Awaited<ReturnType<Gateway['describeMethod']>>

/** `pm_…` is what customers pay with; `acct_…`, `ba_…` and `card_…` are where they are paid out to. */
export function methods({ line }: Parts): Gateway['describeMethod'] {
  async function destination({ account, bank }: Destination): Promise<Described> {
    const heard = await line.ask(async (stripe) => {
      const owner = account ?? (await stripe.accounts.retrieveCurrent()).id
      if (bank !== undefined) return stripe.accounts.retrieveExternalAccount(owner, bank)
      const { data } = await stripe.accounts.listExternalAccounts(owner, { limit: 100 })
      return data.find((one) => one.default_for_currency === true) ?? data[0]
    })
    if (heard.outcome !== 'heard') return unusable(heard)
    const found = heard.value
    if (found === undefined) return { outcome: 'unusable', reason: 'The account has no bank account to be paid out to' }
    return found.object === 'card'
      ? cardDetails(found)
      : { outcome: 'known', lastFour: found.last4, ...present({ brand: found.bank_name }) }
  }

  return async ({ token, method }) => {
    const to = parseDestination(token)
    if (to !== undefined) return destination(to)
    if (!/^pm_\w+$/.test(token)) return { outcome: 'unusable', reason: 'This is no token of Stripe' }
    const heard = await line.ask((stripe) => stripe.paymentMethods.retrieve(token))
    if (heard.outcome !== 'heard') return unusable(heard)
    const found = heard.value
    if (TYPES[method]?.has(found.type) !== true)
      return { outcome: 'unusable', reason: `Stripe knows this token as ${found.type}` }
    if (found.card !== undefined) return cardDetails(found.card)
    const bank = found.us_bank_account ?? found.sepa_debit
    return {
      outcome: 'known',
      ...present({
        lastFour: bank?.last4,
        brand: found.us_bank_account?.bank_name ?? found.sepa_debit?.bank_code ?? found.type,
      }),
    }
  }
}

const cardDetails = (card: Pick<Stripe.Card, 'last4' | 'brand' | 'exp_month' | 'exp_year'>): MethodDetails => ({
  outcome: 'known',
  lastFour: card.last4,
  brand: card.brand,
  expiryMonth: card.exp_month,
  expiryYear: card.exp_year,
})

function unusable(heard: Refused | NotSent | Unknown): Described {
  if (heard.outcome !== 'refused') return heard
  return heard.code === 'resource_missing'
    ? { outcome: 'unusable', reason: 'Stripe does not know this token' }
    : { outcome: 'unusable', reason: `Stripe refused this token (${heard.code})` }
}

/** Leaves out what Stripe does not say. */
const present = (said: { lastFour?: string | null | undefined; brand?: string | null | undefined }) =>
  Object.fromEntries(Object.entries(said).filter(([, value]) => value !== null && value !== undefined))
