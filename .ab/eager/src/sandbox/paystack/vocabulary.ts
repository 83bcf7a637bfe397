import type { Fate } from '../fate.ts'
import type { TransactionStatus, TransferStatus } from './rows.ts'

export const approved: Fate<TransactionStatus> = { status: 'success', said: 'Approved' }

/** What a saved authorization does when it is charged. Every other one that begins with `AUTH_` is approved. */
export const authorizations: ReadonlyMap<string, Fate<TransactionStatus>> = entries({
  AUTH_declined: { status: 'failed', said: 'Declined' },
  AUTH_insufficient: { status: 'failed', said: 'Insufficient Funds' },
  AUTH_stolen: { status: 'failed', said: 'Stolen Card, Pick-Up' },
  AUTH_lost: { status: 'failed', said: 'Lost Card, Pick-Up' },
  AUTH_expired: { status: 'failed', said: 'Expired Card' },
  AUTH_fraud: { status: 'failed', said: 'Suspected Fraud' },
  AUTH_limit: { status: 'failed', said: 'Exceeds Withdrawal Limit' },
  AUTH_unavailable: { status: 'failed', said: 'Issuer or Switch Inoperative' },
  AUTH_pending: { status: 'pending', said: 'Transaction in progress', later: approved },
  AUTH_late_failure: {
    status: 'pending',
    said: 'Transaction in progress',
    later: { status: 'failed', said: 'Declined' },
  },
  AUTH_quantum: { status: 'quantum', said: 'Neither', later: approved },
})

/** Challenges the customer: the answer is `paused` with a page to go to. */
export const CHALLENGED = 'AUTH_3ds'
export const UNKNOWN_AUTHORIZATION = 'AUTH_unknown'

/** What a recipient does to a transfer. Every other one that begins with `RCP_` is paid at once, as in Paystack's test mode. */
export const recipients: ReadonlyMap<string, Fate<TransferStatus>> = entries({
  RCP_pending: { status: 'pending', later: { status: 'success' } },
  RCP_otp: { status: 'otp' },
  RCP_fail: { status: 'failed', said: 'Account closed' },
  RCP_late_failure: { status: 'pending', later: { status: 'failed', said: 'Could not be credited' } },
  RCP_reversed: { status: 'success', later: { status: 'reversed', said: 'Sent back by the bank' } },
  RCP_blocked: { status: 'blocked', said: 'Blocked' },
})
export const UNKNOWN_RECIPIENT = 'RCP_unknown'
/** A transfer to this one is more than we have at Paystack. */
export const TOO_DEAR = 'RCP_poor'

/** A map, since whoever asks for `constructor` asks for nothing of ours. */
function entries<Value>(table: Readonly<Record<string, Value>>): ReadonlyMap<string, Value> {
  return new Map(Object.entries(table))
}
