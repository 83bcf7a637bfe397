import type { Amount, Asset } from '../../kit/money.ts'
import { type Currency, currencies } from './names.ts'

/*
 * What a gateway said about one attempt, in the words of its port. `not_sent` is only ever the answer to the question
 * itself: a look-up that could not be sent is no news.
 */

interface Moved {
  readonly outcome: 'succeeded'
  /** What the gateway calls the money that moved. */
  readonly id: string
  readonly amount: Amount
  readonly currency: Asset
  /** Paid again for the same reference. */
  readonly surplus?: readonly { readonly id: string; readonly amount: Amount; readonly currency: Asset }[] | undefined
}

interface Pending {
  readonly outcome: 'pending'
  readonly id?: string | undefined
}

interface Declined {
  readonly outcome: 'declined'
  readonly id?: string | undefined
  readonly code: string
  readonly message: string
}

interface Returned {
  readonly outcome: 'returned'
  readonly code: string
  readonly message: string
}

type InDoubt = { readonly outcome: 'not_sent' | 'unknown'; readonly reason: string } | { readonly outcome: 'absent' }

export type News = Moved | Pending | Declined | Returned | InDoubt
export type MovedNews = Moved
export type ClosingNews = Declined | Returned | InDoubt

/** A wallet's currency, or a bug: we asked for one. */
export const isCurrency = (asset: Asset): asset is Currency => currencies.some((currency) => currency === asset)
