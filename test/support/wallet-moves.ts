import { expect } from 'vitest'
import type { GatewayName } from '../../src/gateways/port.ts'
import type { Answer, Asking } from './deployment.ts'
import { BACKEND, type Wallets } from './wallets.ts'

const PAYMENTS = '/api/v1/payments'

/** What came back from whoever was asked for a movement, beside the toolbox's deposits. */
export const withdraw = (
  { bursar }: Wallets,
  user: string,
  body: Record<string, unknown>,
  asking: Asking = {},
): Promise<Answer> =>
  bursar.do('POST', `${PAYMENTS}/withdrawals/initiate`, { user_id: user, ...body }, { ...BACKEND, ...asking })

export const refund = (
  { bursar }: Wallets,
  deposit: string,
  body: Record<string, unknown> = {},
  asking: Asking = {},
): Promise<Answer> => bursar.do('POST', `${PAYMENTS}/deposits/${deposit}/refund`, body, { ...BACKEND, ...asking })

export const setKyc = (
  { bursar }: Wallets,
  user: string,
  body: Record<string, unknown>,
  asking: Asking = { as: 'ada', roles: ['admin'] },
): Promise<Answer> => bursar.do('PUT', `/api/v1/users/${user}/kyc`, body, asking)

/** What a user has, what of it is set aside, and what they may still spend. */
export async function purse(wallets: Wallets, user: string, currency = 'INR') {
  const { balance, locked_balance: locked, available_balance: available } = await wallets.balance(user, currency)
  return { balance, locked, available }
}

/** What a user has used of today's limit. */
export async function usedToday(wallets: Wallets, user: string, currency = 'INR'): Promise<string> {
  return (await wallets.balance(user, currency)).daily_used
}

/** A user who may move as much as anybody, with this much in their wallet. */
export async function funded(wallets: Wallets, amount: number | string, currency = 'INR'): Promise<string> {
  const user = await wallets.verified()
  await wallets.deposited(user, { amount, currency, gateway: 'mock' })
  return user
}

/** Asks a transaction's gateway how it stands, as the schedule would. */
export async function look(wallets: Wallets, transaction: string): Promise<void> {
  for (const { id, asked_at: askedAt } of await wallets.attempts(transaction)) {
    if (askedAt === null) continue
    const { status, error } = await wallets.ours('payment.lookup', { attempt_id: id })
    expect({ status, error }).toEqual({ status: 'succeeded', error: null })
  }
}

/** The status of a transaction once it is the one that is waited for. */
export const becomes = (wallets: Wallets, transaction: string, status: string): Promise<unknown> =>
  expect
    .poll(async () => (await wallets.transaction(transaction)).status, { timeout: 15_000, interval: 50 })
    .toBe(status)

/** Where money is paid out to at each gateway that pays out. */
export const payees = {
  mock: { token: 'mock_account', currency: 'INR' },
  stripe: { token: 'ba_sandbox', currency: 'USD' },
  razorpay: { token: 'fa_sandbox_bank', currency: 'INR' },
  paystack: { token: 'RCP_account', currency: 'NGN' },
} as const satisfies Record<GatewayName, { token: string; currency: string }>

/** A card that works at Razorpay's checkout. */
const CARD = { number: '4111111111111111', cvv: '123', expiry_month: 12, expiry_year: 30 }

/** A deposit of this amount that the gateway has taken, in the currency that it takes best. */
export async function paidAt(
  wallets: Wallets,
  gateway: GatewayName,
  user: string,
  amount: number | string = 100,
): Promise<{ id: string; currency: string }> {
  const { currency } = payees[gateway]
  const asked = { amount, currency, gateway }
  if (gateway === 'mock') return { id: await wallets.deposited(user, asked), currency }
  if (gateway !== 'razorpay') {
    const token = gateway === 'stripe' ? 'pm_card_visa' : 'AUTH_card'
    const method = await wallets.addMethod(user, gateway, token)
    const email = 'customer@example.com'
    return { id: await wallets.deposited(user, { ...asked, email, payment_method_id: method }), currency }
  }
  const { body } = await wallets.deposit(user, asked)
  const handler = await wallets.razorpay.checkout(body.order_id, { method: 'card', card: CARD })
  expect(handler.status, JSON.stringify(handler.body)).toBe(200)
  const { razorpay_payment_id, ...gateway_data } = handler.body
  const confirmed = await wallets.confirm(user, {
    transaction_id: body.transaction_id,
    gateway_payment_id: razorpay_payment_id,
    gateway_data,
  })
  expect(confirmed.body).toMatchObject({ status: 'COMPLETED' })
  return { id: body.transaction_id, currency }
}
