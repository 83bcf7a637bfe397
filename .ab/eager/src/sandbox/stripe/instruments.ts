import type { Behaviour, PaymentMethod } from './rows.ts'

/*
 * The test cards and bank accounts of https://docs.stripe.com/testing, by their token and their number.
 */

interface Instrument {
  readonly type: PaymentMethod['type']
  readonly brand: string
  readonly number: string
  readonly behaviour: Behaviour
}

const card = (brand: string, number: string, behaviour: Behaviour = { does: 'succeed' }): Instrument => ({
  type: 'card',
  brand,
  number,
  behaviour,
})

const declined = (number: string, declineCode: string, message = 'Your card was declined.'): Instrument =>
  card('visa', number, { does: 'decline', code: 'card_declined', declineCode, message })

const failing = (number: string, code: string, message: string): Instrument =>
  card('visa', number, { does: 'decline', code, declineCode: code, message })

const bank = (number: string, behaviour: Behaviour): Instrument => ({
  type: 'us_bank_account',
  brand: 'STRIPE TEST BANK',
  number,
  behaviour,
})

const sepa = (number: string, behaviour: Behaviour): Instrument => ({
  type: 'sepa_debit',
  brand: '37040044',
  number,
  behaviour,
})

export const INSTRUMENTS: ReadonlyMap<string, Instrument> = new Map([
  ['pm_card_visa', card('visa', '4242424242424242')],
  ['pm_card_visa_debit', card('visa', '4000056655665556')],
  ['pm_card_mastercard', card('mastercard', '5555555555554444')],
  ['pm_card_amex', card('amex', '378282246310005')],
  ['pm_card_in', card('visa', '4000003560000008')],
  ['pm_card_visa_chargeDeclined', declined('4000000000000002', 'generic_decline')],
  ['pm_card_chargeDeclined', declined('4000000000000002', 'generic_decline')],
  [
    'pm_card_visa_chargeDeclinedInsufficientFunds',
    declined('4000000000009995', 'insufficient_funds', 'Your card has insufficient funds.'),
  ],
  [
    'pm_card_chargeDeclinedInsufficientFunds',
    declined('4000000000009995', 'insufficient_funds', 'Your card has insufficient funds.'),
  ],
  ['pm_card_visa_chargeDeclinedLostCard', declined('4000000000009987', 'lost_card')],
  ['pm_card_visa_chargeDeclinedStolenCard', declined('4000000000009979', 'stolen_card')],
  ['pm_card_chargeDeclinedExpiredCard', failing('4000000000000069', 'expired_card', 'Your card has expired.')],
  [
    'pm_card_chargeDeclinedIncorrectCvc',
    failing('4000000000000127', 'incorrect_cvc', "Your card's security code is incorrect."),
  ],
  [
    'pm_card_chargeDeclinedProcessingError',
    failing(
      '4000000000000119',
      'processing_error',
      'An error occurred while processing your card. Try again in a little bit.',
    ),
  ],
  ['pm_card_visa_chargeDeclinedVelocityLimitExceeded', declined('4000000000006975', 'card_velocity_exceeded')],
  ['pm_card_authenticationRequiredOnSetup', card('visa', '4000002500003155', { does: 'authenticate' })],
  ['pm_card_authenticationRequired', card('visa', '4000002760003184', { does: 'authenticate' })],
  ['pm_card_threeDSecure2Required', card('visa', '4000000000003220', { does: 'authenticate' })],
  [
    'pm_card_authenticationRequiredChargeDeclinedInsufficientFunds',
    card('visa', '4000008260003178', {
      does: 'authenticate',
      code: 'card_declined',
      declineCode: 'insufficient_funds',
      message: 'Your card has insufficient funds.',
    }),
  ],
  ['pm_card_createDispute', card('visa', '4000000000000259', { does: 'succeed', disputed: true })],
  ['pm_card_refundFail', card('visa', '4000000000005126', { does: 'succeed', refund: 'fails' })],
  ['pm_card_pendingRefund', card('visa', '4000000000007726', { does: 'succeed', refund: 'pending' })],
  ['pm_usBankAccount_success', bank('000123456789', { does: 'debit' })],
  [
    'pm_usBankAccount_insufficientFunds',
    bank('000222222227', { does: 'debit_fails', code: 'insufficient_funds', message: 'Insufficient funds.' }),
  ],
  [
    'pm_usBankAccount_accountClosed',
    bank('000111111113', { does: 'debit_fails', code: 'account_closed', message: 'The account is closed.' }),
  ],
  ['pm_sepaDebit_success', sepa('DE89370400440532013000', { does: 'debit' })],
  [
    'pm_sepaDebit_failed',
    sepa('DE62370400440532013001', { does: 'debit_fails', code: 'insufficient_funds', message: 'Insufficient funds.' }),
  ],
])

/** By the number of the card or bank account; one that is not a test number simply works. */
export const instrumentOf = (type: Instrument['type'], number: string): Instrument =>
  [...INSTRUMENTS.values()].find((one) => one.type === type && one.number === number) ?? {
    type,
    brand: type === 'card' ? 'visa' : 'STRIPE TEST BANK',
    number,
    behaviour: { does: type === 'card' ? 'succeed' : 'debit' },
  }

/** What banks say to payouts, by the account number that they go to. */
export const PAYOUT_FAILURES: ReadonlyMap<string, string> = new Map([
  ['000111111113', 'account_closed'],
  ['000111111116', 'no_account'],
  ['000222222227', 'insufficient_funds'],
  ['000333333335', 'debit_not_authorized'],
  ['000444444440', 'invalid_currency'],
])

export type { Instrument }
