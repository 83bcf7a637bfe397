import type { Declined } from '../port.ts'

interface Meaning {
  readonly hard: boolean
  readonly mayFailOver: boolean
}

const HARD: Meaning = { hard: true, mayFailOver: false }
const SOFT: Meaning = { hard: false, mayFailOver: false }
const OURS: Meaning = { hard: false, mayFailOver: true }

/**
 * The reasons that mean more than «not this time», from Razorpay's lists of errors (razorpay.com/docs/errors: error reasons,
 * cards, UPI; razorpay.com/docs/errors/x/payout-status-details).
 *
 * Hard: the bank says that this instrument is closed, blocked or not one. To another gateway goes only what was refused
 * because of our account there, before any bank was asked. `gateway_technical_error` and its kin do not: Razorpay says of them
 * that a debited amount comes back within days, and calls the payment «authorised» when it finds out late that it went well.
 */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  // instruments
  card_expired: HARD,
  card_number_invalid: HARD,
  card_not_supported: HARD,
  debit_instrument_blocked: HARD,
  debit_instrument_inactive: HARD,
  payment_risk_check_failed: HARD,
  bank_account_invalid: HARD,
  bank_account_validation_failed: HARD,
  invalid_vpa: HARD,
  vpa_resolution_failed: HARD,
  token_invalid: HARD,
  token_not_found: HARD,
  mandate_cancelled: HARD,
  // destinations of payouts
  bank_account_closed: HARD,
  bank_account_frozen: HARD,
  beneficiary_account_dormant: HARD,
  beneficiary_account_invalid: HARD,
  beneficiary_vpa_invalid: HARD,
  invalid_beneficiary: HARD,
  invalid_ifsc_code: HARD,
  // our account at Razorpay
  bank_not_enabled: OURS,
  card_network_not_enabled: OURS,
  feature_not_enabled: OURS,
  international_transaction_not_allowed: OURS,
  invalid_currency: OURS,
  live_mode_not_enabled: OURS,
  low_balance: OURS,
  recurring_payment_not_enabled: OURS,
}

/** Declined for a reason of Razorpay's; one that is not listed is soft and stays here. */
export function declined(why: {
  id?: string | undefined
  code?: string | null | undefined
  message?: string | null | undefined
}): Declined {
  const code = why.code ?? 'declined'
  return {
    outcome: 'declined',
    id: why.id,
    code,
    message: why.message ?? 'Razorpay gives no reason',
    ...((Object.hasOwn(MEANINGS, code) ? MEANINGS[code] : undefined) ?? SOFT),
  }
}

/** Refused by us, for what this gateway cannot take; another one may. */
export const unfit = (code: string, message: string): Declined => ({
  outcome: 'declined',
  code,
  message,
  hard: true,
  mayFailOver: true,
})
