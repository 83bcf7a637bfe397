import type { Dispute, Recipient, Refund, Transaction, Transfer } from './rows.ts'

/* What Paystack writes, as far as its public reference shows it. */

const INTEGRATION = 100_043

const DOMAIN = 'test'

/** Paystack's price: 1.5 % plus ₦100 from ₦2,500 up, ₦2,000 at most; 3.9 % for other currencies. Minor units. */
export function feesOf({ amount, currency }: { amount: number; currency: string }): number {
  if (currency !== 'NGN') return Math.ceil(amount * 0.039)
  return Math.min(200_000, Math.ceil(amount * 0.015) + (amount >= 250_000 ? 10_000 : 0))
}

const customerOut = (email: string) => ({
  id: 297_743,
  first_name: null,
  last_name: null,
  email,
  customer_code: 'CUS_sandbox00000001',
  phone: null,
  metadata: null,
  risk_action: 'default',
})

const authorizationOut = (code: string, channel: string) => ({
  authorization_code: code,
  bin: '408408',
  last4: '4081',
  exp_month: '12',
  exp_year: '2034',
  channel,
  card_type: 'visa ',
  bank: 'TEST BANK',
  country_code: 'NG',
  brand: 'visa',
  reusable: channel === 'card',
  signature: `SIG_${code.slice(5)}`,
  account_name: null,
})

export const transactionOut = (row: Transaction) => ({
  id: row.number,
  domain: DOMAIN,
  status: row.status,
  reference: row.id,
  receipt_number: null,
  amount: row.amount,
  message: null,
  gateway_response: row.said,
  paid_at: row.paidAt ?? null,
  created_at: row.createdAt,
  channel: row.channel,
  currency: row.currency,
  ip_address: null,
  metadata: row.metadata ?? '',
  fees: row.paidAt === undefined ? null : feesOf(row),
  authorization: row.authorization === undefined ? {} : authorizationOut(row.authorization, row.channel),
  customer: customerOut(row.email),
  plan: null,
  requested_amount: row.requestedAmount,
})

/** As in lists and single reads: `transaction` is a number there. */
export const refundOut = (row: Refund, transaction: Transaction) => ({
  integration: INTEGRATION,
  id: Number(row.id),
  transaction: transaction.number,
  transaction_reference: transaction.id,
  dispute: null,
  settlement: null,
  domain: DOMAIN,
  currency: row.currency,
  amount: row.amount,
  status: row.status,
  refunded_at: row.status === 'processed' ? row.createdAt : null,
  refunded_by: 'merchant@example.com',
  customer_note: row.customerNote ?? `Refund for transaction ${transaction.id}`,
  merchant_note: row.merchantNote ?? `Refund for transaction ${transaction.id} by merchant@example.com`,
  deducted_amount: row.amount,
  fully_deducted: 1,
  createdAt: row.createdAt,
})

/** As in the answer to `POST /refund`: with the transaction in full. */
export const refundCreatedOut = (row: Refund, transaction: Transaction) => ({
  ...refundOut(row, transaction),
  transaction: transactionOut(transaction),
  channel: null,
  fully_deducted: 0,
})

/** The webhook names neither the refund's id nor a note, and writes the amount as text. */
export const refundEventOut = (row: Refund, transaction: Transaction) => ({
  status: row.status,
  transaction_reference: transaction.id,
  refund_reference: null,
  amount: String(row.amount),
  currency: row.currency,
  processor: 'instant-transfer',
  customer: customerOut(transaction.email),
  integration: INTEGRATION,
  domain: DOMAIN,
})

export const recipientOut = (row: Recipient) => ({
  active: true,
  createdAt: '2026-01-01T00:00:00.000Z',
  currency: row.currency,
  domain: DOMAIN,
  id: 28_453_765,
  integration: INTEGRATION,
  name: row.name,
  recipient_code: row.id,
  type: row.type,
  is_deleted: false,
  details: {
    authorization_code: null,
    account_number: row.accountNumber,
    account_name: row.name,
    bank_code: row.bankCode,
    bank_name: 'Test Bank',
  },
})

export const transferOut = (row: Transfer, recipient: Recipient) => ({
  amount: row.amount,
  createdAt: row.createdAt,
  updatedAt: row.createdAt,
  currency: row.currency,
  domain: DOMAIN,
  failures: row.said === undefined ? null : { reason: row.said },
  id: row.number,
  integration: INTEGRATION,
  reason: row.reason ?? null,
  reference: row.id,
  source: 'balance',
  source_details: null,
  status: row.status,
  transfer_code: row.code,
  recipient: recipientOut(recipient),
  fee_charged: 0,
})

/** What `POST /transfer` answers: the recipient is a number there. */
export const transferCreatedOut = (row: Transfer, recipient: Recipient) => ({
  ...transferOut(row, recipient),
  recipient: 28_453_765,
})

export const disputeOut = (row: Dispute, transaction: Transaction) => ({
  id: Number(row.id),
  refund_amount: row.amount,
  currency: transaction.currency,
  status: row.status,
  resolution: row.resolution,
  domain: DOMAIN,
  transaction: transactionOut(transaction),
  transaction_reference: null,
  category: 'chargeback',
  customer: customerOut(transaction.email),
  bin: '408408',
  last4: '4081',
  dueAt: null,
  resolvedAt: null,
  evidence: null,
  note: null,
})
