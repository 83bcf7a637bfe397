import type { RazorpayError } from './errors.ts'

/** A bank's no, as Razorpay passes it on. */
export type BankSays = Pick<RazorpayError, 'code' | 'description' | 'source' | 'step' | 'reason'>

const bad = (reason: string, description: string, source = 'customer'): BankSays => ({
  code: 'BAD_REQUEST_ERROR',
  description,
  source,
  step: 'payment_authorization',
  reason,
})

const REASONS: Readonly<Record<string, BankSays>> = Object.fromEntries(
  [
    bad('payment_timed_out', 'Your payment could not be completed due to a temporary issue. Try again later.'),
    bad(
      'insufficient_funds',
      'Your payment could not be completed due to insufficient account balance. Try another card or payment method.',
    ),
    bad('payment_cancelled', 'Your payment has been cancelled. Try again or complete the payment later.'),
    bad(
      'card_declined',
      'Your payment did not go through as it was declined by the bank. Try another payment method or contact your bank.',
      'bank',
    ),
    bad(
      'card_disabled_for_online_payments',
      'Your card is disabled for online payments. Please reach to your bank or try with another card.',
    ),
    bad('card_number_invalid', 'You have entered an incorrect card number. Try again.'),
    bad('card_expired', 'Your payment could not be completed because the card has expired. Try another card.'),
    bad('debit_instrument_blocked', 'Your card has been blocked. Try another card or contact your bank.', 'bank'),
    bad('payment_risk_check_failed', 'Your payment was declined by the bank. Try another payment method.', 'bank'),
    bad(
      'payment_failed',
      'Payment failed. Please try another payment method or contact your bank for details.',
      'bank',
    ),
    bad('invalid_vpa', 'Invalid VPA. Please enter a valid Virtual Payment Address.'),
    {
      ...bad(
        'gateway_technical_error',
        'Your payment did not go through due to a temporary issue. Any debited amount will be refunded in 4-5 business days.',
        'gateway',
      ),
      code: 'GATEWAY_ERROR' as const,
    },
    {
      ...bad(
        'authentication_failed',
        'Your payment could not be completed due to incorrect OTP or verification details. Try another payment method or contact your bank for details.',
      ),
      code: 'GATEWAY_ERROR' as const,
      step: 'payment_authentication',
    },
  ].map((says) => [says.reason, says]),
)

export const APPROVED = 'approved'

/** Undefined when the bank says yes. */
export const bankSays = (reason: string): BankSays | undefined => REASONS[reason]

/** Razorpay's own test cards (its page «Test Card Details»); the two blocked ones are the stand-in's, which Razorpay has not. */
const CARDS: Readonly<Record<string, readonly string[]>> = {
  [APPROVED]: [
    '4100280000001007',
    '5500670000001002',
    '6527658900001005',
    '36082800091007',
    '340256000401007',
    '5555555555554444',
    '5105105105105100',
    '5104060000000008',
    '4012888888881881',
    '4718609108204366',
    '5104015555555558',
    '4111111111111111',
  ],
  payment_timed_out: ['4100280000090000', '5305620000060000'],
  insufficient_funds: ['4100280000080001', '5305620000050001'],
  payment_cancelled: ['4100280000070002', '5305620000040002'],
  card_declined: [
    '4100280000060003',
    '5305620000030003',
    '4100280000050004',
    '5305620000020004',
    '4100280000040005',
    '5305620000010005',
  ],
  card_disabled_for_online_payments: ['4100280000030006', '5305620000000006'],
  card_number_invalid: ['4100280000010008', '5305620000080008'],
  gateway_technical_error: ['4100280000020007', '5305620000090007'],
  authentication_failed: ['4100280000000009', '5305620000070009'],
  debit_instrument_blocked: ['4100280000110006'],
  payment_risk_check_failed: ['4100280000120005'],
}

const INTERNATIONAL: readonly string[] = [
  '5555555555554444',
  '5105105105105100',
  '5104060000000008',
  '4012888888881881',
  '5104015555555558',
]

const NETWORKS: ReadonlyArray<readonly [beginning: RegExp, network: string]> = [
  [/^4/, 'Visa'],
  [/^5/, 'MasterCard'],
  [/^6/, 'RuPay'],
  [/^34|^37/, 'American Express'],
  [/^36/, 'Diners Club'],
]

/** What a card's bank says to a payment: `approved` or a reason. */
export const cardSays = (number: string): string =>
  Object.entries(CARDS).find(([, numbers]) => numbers.includes(number))?.[0] ?? 'card_number_invalid'

/** As a token keeps it: never the number. */
export const cardEntity = (number: string) => ({
  last4: number.slice(-4),
  network: NETWORKS.find(([beginning]) => beginning.test(number))?.[1] ?? 'Unknown',
  type: 'credit',
  issuer: 'RZPB',
  international: INTERNATIONAL.includes(number),
  emi: false,
})

/** Razorpay's test ids are `success@razorpay` and `failure@razorpay`; whatever else looks like one is paid. */
export function vpaSays(vpa: string): string {
  if (vpa === 'failure@razorpay') return 'payment_failed'
  return /^[\w.-]{2,}@[\w.]{2,}$/.test(vpa) ? APPROVED : 'invalid_vpa'
}
