import type { GatewayName } from '../gateways.ts'

export type Currency = 'INR' | 'USD' | 'NGN'

/** A saved method, by what its gateway's stand-in makes of it. */
export interface Instrument {
  readonly weight: number
  readonly gateway: GatewayName
  readonly type: 'CARD' | 'BANK_TRANSFER'
  readonly token: string
  readonly currency: Currency
  /** The gateway may say no to it. */
  readonly declines?: true
  /** Its customer has to say yes on the gateway's page. */
  readonly asks?: true
}

const card = { type: 'CARD' } as const
const bank = { type: 'BANK_TRANSFER' } as const
const mock = { gateway: 'mock', currency: 'INR' } as const
const stripe = { gateway: 'stripe', currency: 'USD' } as const
const razorpay = { gateway: 'razorpay', currency: 'INR' } as const
const paystack = { gateway: 'paystack', currency: 'NGN' } as const

/** What deposits are paid with. */
export const sources: readonly Instrument[] = [
  { ...mock, ...card, token: 'mock_card', weight: 10 },
  { ...mock, ...card, token: 'mock_3ds', weight: 3, asks: true },
  { ...mock, ...card, token: 'mock_pending', weight: 2 },
  { ...mock, ...card, token: 'mock_late_failure', weight: 1, declines: true },
  { ...mock, ...card, token: 'mock_insufficient', weight: 1, declines: true },
  { ...stripe, ...card, token: 'pm_card_visa', weight: 10 },
  { ...stripe, ...card, token: 'pm_card_visa_chargeDeclined', weight: 1, declines: true },
  { ...paystack, ...card, token: 'AUTH_visa', weight: 5 },
  { ...paystack, ...card, token: 'AUTH_late_failure', weight: 1, declines: true },
]

/** Where withdrawals go. */
export const destinations: readonly Instrument[] = [
  { ...mock, ...bank, token: 'mock_account', weight: 8 },
  { ...mock, ...bank, token: 'mock_payout_pending', weight: 2 },
  { ...mock, ...bank, token: 'mock_payout_fail', weight: 1, declines: true },
  { ...mock, ...bank, token: 'mock_payout_late_failure', weight: 2, declines: true },
  { ...mock, ...bank, token: 'mock_payout_returned', weight: 2 },
  { ...stripe, ...bank, token: 'ba_sandbox', weight: 5 },
  { ...stripe, ...bank, token: 'ba_sandbox_fails', weight: 1, declines: true },
  { ...stripe, ...bank, token: 'acct_payee/ba_payee', weight: 4 },
  { ...razorpay, ...bank, token: 'fa_sandbox_bank', weight: 4 },
  { ...paystack, ...bank, token: 'RCP_account', weight: 4 },
]
