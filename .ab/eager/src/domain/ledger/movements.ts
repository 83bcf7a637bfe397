import type { Asset } from '../../kit/money.ts'

export interface PurposeRules {
  /** A platform account is ours: it has no floor, and posting never locks it. */
  readonly platform: boolean
  readonly assets: readonly Asset[]
  /** What comes in must leave again: the ledger check lists what has stayed too long. */
  readonly returnsToZero?: true
  /** Places, each with an account of its own. */
  readonly at?: readonly string[]
}

/** Currencies that people pay with. */
export const MONEY = ['USD', 'EUR', 'INR', 'NGN', 'JPY', 'KWD'] as const satisfies readonly Asset[]

/** Where our money is that is not with us yet, or no longer. */
export const GATEWAYS = ['stripe', 'razorpay', 'paystack', 'mock'] as const

/** What an account is for. */
export const purposes = {
  /** Where payment-token budgets come from and where unspent ones return. */
  issuance: { platform: true, assets: ['BUDGET'] },
  /** What has been earned. */
  revenue: { platform: true, assets: ['BUDGET'] },
  /** The budget of one payment token. */
  token: { platform: false, assets: ['BUDGET'] },
  /** What a user has with us. */
  wallet: { platform: false, assets: MONEY },
  /** What each gateway has taken in for us (negative: it owes us) and paid out for us. */
  gateway: { platform: true, assets: MONEY, at: GATEWAYS },
  /** What came in and belongs to nobody yet: late, doubled, or of another amount than asked. It is credited or goes back. */
  suspense: { platform: true, assets: MONEY, returnsToZero: true },
  /** Set aside while a customer's bank argues with us. */
  dispute: { platform: true, assets: MONEY },
  /** What disputes and returns have cost us, where the user no longer had it, and invoices that nobody will pay. */
  losses: { platform: true, assets: MONEY },
  /**
   * What customers owe us by invoices (negative: they owe it). Ours and not one of each customer's: nothing is decided on it,
   * who owes what is in the invoices, and a month for everybody locks nobody.
   */
  receivable: { platform: true, assets: MONEY },
  /** What has been earned by invoices, without tax. */
  billing_revenue: { platform: true, assets: MONEY },
  /** Tax on invoices, which is not ours. */
  tax_payable: { platform: true, assets: MONEY },
} as const satisfies Record<string, PurposeRules>

export type Purpose = keyof typeof purposes

export const rulesOf = (purpose: Purpose): PurposeRules => purposes[purpose]

/**
 * Every way in which money may move, and between which purposes. What is not here cannot be posted. A movement that has
 * been used stays here for ever, since the ledger check holds old transfers against this table too.
 */
export const movements = {
  'token.issue': { debit: 'issuance', credit: 'token' },
  'token.deduct': { debit: 'token', credit: 'revenue' },
  'token.expire': { debit: 'token', credit: 'issuance' },
  'token.revoke': { debit: 'token', credit: 'issuance' },
  'deposit.settle': { debit: 'gateway', credit: 'wallet' },
  'withdrawal.settle': { debit: 'wallet', credit: 'gateway' },
  'withdrawal.return': { debit: 'gateway', credit: 'wallet' },
  'refund.settle': { debit: 'wallet', credit: 'gateway' },
  'refund.reverse': { debit: 'gateway', credit: 'wallet' },
  'suspense.receive': { debit: 'gateway', credit: 'suspense' },
  'suspense.credit': { debit: 'suspense', credit: 'wallet' },
  'suspense.return': { debit: 'suspense', credit: 'gateway' },
  'suspense.reverse': { debit: 'gateway', credit: 'suspense' },
  'mismatch.cover': { debit: 'losses', credit: 'gateway' },
  'mismatch.recover': { debit: 'gateway', credit: 'losses' },
  'dispute.open': { debit: 'wallet', credit: 'dispute' },
  'dispute.advance': { debit: 'losses', credit: 'dispute' },
  'dispute.lose': { debit: 'dispute', credit: 'gateway' },
  'dispute.win': { debit: 'dispute', credit: 'wallet' },
  'dispute.recover': { debit: 'dispute', credit: 'losses' },
  'invoice.issue': { debit: 'receivable', credit: 'billing_revenue' },
  'invoice.tax': { debit: 'receivable', credit: 'tax_payable' },
  'invoice.pay': { debit: 'gateway', credit: 'receivable' },
  'invoice.overpay': { debit: 'gateway', credit: 'wallet' },
  'invoice.settle': { debit: 'suspense', credit: 'receivable' },
  'invoice.void': { debit: 'billing_revenue', credit: 'receivable' },
  'invoice.void_tax': { debit: 'tax_payable', credit: 'receivable' },
  'invoice.credit': { debit: 'billing_revenue', credit: 'receivable' },
  'invoice.credit_tax': { debit: 'tax_payable', credit: 'receivable' },
  'invoice.refund': { debit: 'receivable', credit: 'wallet' },
  'invoice.write_off': { debit: 'losses', credit: 'receivable' },
  'invoice.recover': { debit: 'receivable', credit: 'losses' },
} as const satisfies Record<string, { debit: Purpose; credit: Purpose }>

export type Movement = keyof typeof movements
