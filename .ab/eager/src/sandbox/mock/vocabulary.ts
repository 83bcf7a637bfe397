import type { Fate } from '../fate.ts'
import type { ChargeStatus, Payout } from './rows.ts'

export const methods = ['card', 'upi', 'netbanking', 'wallet', 'bank_transfer'] as const
export type PaymentMethod = (typeof methods)[number]

export const currencies = ['INR', 'USD', 'EUR', 'NGN', 'JPY', 'KWD'] as const

/** The token and destination that nobody knows. */
export const UNKNOWN = 'mock_unknown'

/** What a token does to a charge. Every other token is captured at once, save `UNKNOWN`. */
export const tokens: ReadonlyMap<string, Fate<ChargeStatus>> = entries({
  mock_decline: { status: 'declined', said: 'card_declined' },
  mock_insufficient: { status: 'declined', said: 'insufficient_funds' },
  mock_limit: { status: 'declined', said: 'limit_exceeded' },
  mock_stolen: { status: 'declined', said: 'stolen_card' },
  mock_lost: { status: 'declined', said: 'lost_card' },
  mock_expired: { status: 'declined', said: 'expired_card' },
  mock_fraud: { status: 'declined', said: 'fraudulent' },
  mock_processor_down: { status: 'declined', said: 'processor_unavailable' },
  mock_3ds: { status: 'requires_action' },
  mock_pending: { status: 'processing', later: { status: 'captured' } },
  mock_late_failure: { status: 'processing', later: { status: 'failed', said: 'bank_declined' } },
  mock_wrong_amount: { status: 'captured', wrongAmount: true },
  mock_unheard_of: { status: 'teleported', later: { status: 'captured' } },
})

/** What a destination does to a payout. Every other one is paid at once, save `UNKNOWN`. */
export const destinations: ReadonlyMap<string, Fate<Payout['status']>> = entries({
  mock_payout_pending: { status: 'pending', later: { status: 'paid' } },
  mock_payout_fail: { status: 'failed', said: 'account_closed' },
  mock_payout_late_failure: { status: 'pending', later: { status: 'failed', said: 'account_frozen' } },
  mock_payout_returned: { status: 'paid', later: { status: 'returned', said: 'account_closed' } },
  mock_payout_wrong_amount: { status: 'paid', wrongAmount: true },
  mock_payout_wrong_amount_returned: {
    status: 'paid',
    wrongAmount: true,
    later: { status: 'returned', said: 'account_closed' },
  },
})

/** What the codes say to a reader. */
export const messages: ReadonlyMap<string, string> = entries({
  card_declined: 'The card was declined',
  insufficient_funds: 'The card has not enough money on it',
  limit_exceeded: 'The card is over its limit',
  stolen_card: 'The card was reported stolen',
  lost_card: 'The card was reported lost',
  expired_card: 'The card has expired',
  fraudulent: 'The payment looks fraudulent',
  processor_unavailable: 'The processor cannot take this payment at present',
  bank_declined: 'The bank declined in the end',
  authentication_failed: 'The customer did not authenticate',
  account_closed: 'The account is closed',
  account_frozen: 'The account is frozen',
  refund_failed: 'The bank sent the refund back',
})

/** A map, since whoever asks for `constructor` asks for nothing of ours. */
function entries<Value>(table: Readonly<Record<string, Value>>): ReadonlyMap<string, Value> {
  return new Map(Object.entries(table))
}
