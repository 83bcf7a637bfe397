import type { Asset } from '../../kit/money.ts'

export interface PurposeRules {
  /** A platform account is ours: it has no floor, and posting never locks it. */
  readonly platform: boolean
  readonly assets: readonly Asset[]
  /** What comes in must leave again: the ledger check lists what has stayed too long. */
  readonly returnsToZero?: true
}

/** What an account is for. */
export const purposes = {
  /** Where payment-token budgets come from and where unspent ones return. */
  issuance: { platform: true, assets: ['BUDGET'] },
  /** What has been earned. */
  revenue: { platform: true, assets: ['BUDGET'] },
  /** The budget of one payment token. */
  token: { platform: false, assets: ['BUDGET'] },
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
} as const satisfies Record<string, { debit: Purpose; credit: Purpose }>

export type Movement = keyof typeof movements
