import type { Declined } from '../port.ts'

interface Meaning {
  readonly says: RegExp
  readonly code: string
  /** This card will never do. */
  readonly hard?: true
  /** It is about the way to the bank, not about the customer's money. */
  readonly mayFailOver?: true
}

/**
 * Paystack gives no codes for declines, only the bank's sentence (`gateway_response`). These are the sentences of ISO 8583
 * response codes as Nigerian switches write them, and Paystack's page on failed transactions (paystack.com/docs/payments/
 * test-payments, support.paystack.com «why transactions fail»). What is not listed may be tried again, here.
 */
const MEANINGS: readonly Meaning[] = [
  { says: /insufficient/i, code: 'insufficient_funds' },
  { says: /stolen/i, code: 'stolen_card', hard: true },
  { says: /\blost\b/i, code: 'lost_card', hard: true },
  { says: /pick.?up/i, code: 'pick_up_card', hard: true },
  { says: /expired/i, code: 'expired_card', hard: true },
  { says: /restricted/i, code: 'restricted_card', hard: true },
  { says: /fraud/i, code: 'fraudulent', hard: true },
  {
    says: /invalid card|no such card|no (card|credit|such) (record|account)|closed account/i,
    code: 'invalid_card',
    hard: true,
  },
  {
    says: /inoperative|system malfunction|routing error|unable to process/i,
    code: 'issuer_unavailable',
    mayFailOver: true,
  },
  { says: /not permitted (to|on) terminal/i, code: 'not_permitted', mayFailOver: true },
  { says: /not permitted/i, code: 'not_permitted' },
  { says: /limit/i, code: 'limit_exceeded' },
  { says: /incorrect pin|pin tries/i, code: 'incorrect_pin' },
  { says: /timed? ?out|not completed|abandon/i, code: 'not_completed' },
]

export function chargeDecline(id: string, said: string | null | undefined): Declined {
  const meaning = MEANINGS.find(({ says }) => says.test(said ?? ''))
  return {
    outcome: 'declined',
    id,
    code: meaning?.code ?? 'declined',
    message: said || 'Paystack gave no reason',
    hard: meaning?.hard ?? false,
    mayFailOver: meaning?.mayFailOver ?? false,
  }
}

/** Refusals (4xx) of a charge that are about the saved authorization: it will never do. */
const AUTHORIZATION =
  /authorization.*(does not exist|deactivated|not reusable|not be found|invalid)|email does not match auth/i

export const isAboutAuthorization = (message: string): boolean => AUTHORIZATION.test(message)

/**
 * Refusals that say that our reference was used already, so that a look-up knows the rest. The code of transactions is
 * `duplicate_reference`, elsewhere `duplicate_transaction`; that of transfers `duplicate_transfer_reference`.
 */
export const isDuplicate = ({ code, message }: { code: string; message: string }): boolean =>
  /^duplicate_/.test(code) || /duplicate transaction reference|reference already exists/i.test(message)

/** Refusals of a look-up that say that there is no such thing, and not that the path is wrong. */
export const isAbsent = ({ code, message }: { code: string; message: string }): boolean =>
  /^(transaction|transfer|refund)_not_found$/.test(code) || /(transaction|transfer).*not found/i.test(message)
