import { z } from '@hono/zod-openapi'
import { GATEWAY_RETRY, kind, LEDGER_RETRY } from './kind.ts'
import { PAYER_RETRY } from './payments.ts'
import { scheduledInput } from './scheduled.ts'
import { MAX_ID, plainText } from './text.ts'

/** Ids of invoices are integers, small enough for a JSON number. */
const invoiceId = z.coerce.number().int().positive().max(Number.MAX_SAFE_INTEGER).openapi({ example: 123 })

/** Whose invoice: left out by the user whom it would name. */
const userId = plainText(MAX_ID).optional().openapi({ description: 'Left out by the user whom it would name.' })

/** Money on the wires of invoices: a decimal number of the currency's own unit. */
const decimal = z.number().openapi({ example: 25.5 })

const paid = z.object({
  success: z.literal(true),
  invoice_id: z.int(),
  invoice_number: z.string().openapi({ example: 'AH-2024-01-000001-20240101' }),
  status: z.enum(['paid', 'pending', 'review']).openapi({
    description:
      'pending: the gateway has not said yet whether it was paid; the invoice tells when it has. review: it moved another amount than was asked, and a person looks.',
  }),
  amount_paid: decimal.openapi({ description: 'By this payment; 0 while it is pending or in review.' }),
  currency: z.string().openapi({ example: 'USD' }),
  payment_id: z.string().openapi({ example: 'inp_0198c9f24d5e7c3aa1b2c3d4e5f60718' }),
})

const refusedPayment = {
  'invoice.notFound': 404,
  'invoice.alreadyPaid': 409,
  'invoice.notPayable': 409,
  'invoice.paymentUnderWay': 409,
  'invoice.inReview': 409,
  'invoice.declined': 402,
  'invoice.actionRequired': 402,
  'invoice.amountDiffers': 502,
  'invoice.noGateway': 503,
  'payment.methodNotFound': 404,
  'payment.methodExpired': 400,
  'payment.methodUnsupported': 400,
  'payment.gatewayUnavailable': 502,
} as const

export const payInvoice = kind({
  name: 'invoice.pay',
  doc: 'Pays an invoice with a saved method at Stripe, or with one that Stripe gave the caller’s own front end. One payment of an invoice is under way at a time.',
  queue: 'gateways',
  input: z.object({
    user_id: userId,
    invoice_id: invoiceId,
    payment_method_id: plainText(MAX_ID).openapi({ example: 'pm_1234567890' }),
  }),
  result: paid,
  retry: PAYER_RETRY,
  batch: 1,
  refusals: refusedPayment,
})

/** Ours: dunning. */
export const collectInvoice = kind({
  name: 'invoice.collect',
  doc: 'Tries to collect what is due with the customer’s newest saved method at Stripe; when that fails, dunning says when it is tried again.',
  queue: 'gateways',
  input: z.object({ invoice_id: invoiceId }),
  result: paid,
  retry: PAYER_RETRY,
  batch: 1,
  refusals: { ...refusedPayment, 'invoice.noMethod': 409 },
})

/** Ours: what the button on an invoice's page asks for. */
export const publishInvoice = kind({
  name: 'invoice.publish',
  doc: 'Has Stripe know an open invoice, and answers with Stripe’s page on which it is paid.',
  queue: 'gateways',
  input: z.object({ invoice_id: invoiceId }),
  result: z.object({ payment_url: z.string() }),
  retry: PAYER_RETRY,
  batch: 1,
  refusals: {
    'invoice.notFound': 404,
    'invoice.alreadyPaid': 409,
    'invoice.notPayable': 409,
    'invoice.paymentUnderWay': 409,
    'invoice.inReview': 409,
    'invoice.declined': 402,
    'invoice.amountDiffers': 502,
    'invoice.noGateway': 503,
    'payment.gatewayUnavailable': 502,
  },
})

/** Ours. */
export const withdrawInvoice = kind({
  name: 'invoice.withdraw',
  doc: 'Tells Stripe that an invoice is not to be paid there any more: it is void, settled otherwise, or due with another amount.',
  queue: 'gateways',
  input: z.object({ invoice_id: invoiceId }),
  result: z.object({ status: z.string() }),
  retry: GATEWAY_RETRY,
  batch: 1,
})

/** Ours. */
export const lookUpInvoice = kind({
  name: 'invoice.lookup',
  doc: 'Asks Stripe how an invoice stands there, and believes it.',
  queue: 'gateways',
  input: z.object({ invoice_id: invoiceId }),
  result: z.object({ status: z.string() }),
  retry: GATEWAY_RETRY,
  batch: 1,
})

export const followInvoices = kind({
  name: 'invoice.follow',
  doc: 'Looks after what is open: asks for look-ups that are due, for withdrawals at Stripe, and for letters that are not sent.',
  queue: 'ledger',
  input: scheduledInput,
  result: z.object({ look_ups: z.int(), withdrawals: z.int(), letters: z.int() }),
  retry: LEDGER_RETRY,
  batch: 1,
})

/** Letters of one job, a few of them on their way side by side. */
const LETTERS = 16

/** Ours. */
export const sendInvoice = kind({
  name: 'invoice.send',
  doc: 'Mails an issued invoice to its customer, with its PDF and the link to its page. Once, or again under the same Message-ID where an answer was lost.',
  queue: 'outbound',
  input: z.object({ invoice_id: invoiceId }),
  result: z.object({ status: z.enum(['sent', 'not_sent']), note: z.string().nullable() }),
  retry: GATEWAY_RETRY,
  batch: LETTERS,
})

export const decideInvoicePayment = kind({
  name: 'invoice.decide',
  doc: 'An operator’s decision on a payment that moved another amount than was asked for: it pays what is due, or all of it goes into the customer’s wallet.',
  queue: 'ledger',
  input: z.object({
    payment_id: plainText(MAX_ID).openapi({ example: 'inp_0198c9f24d5e7c3aa1b2c3d4e5f60718' }),
    decision: z.enum(['accept', 'to_wallet']),
    note: plainText(500),
  }),
  result: z.object({
    success: z.literal(true),
    invoice_id: z.int(),
    status: z.string(),
    amount_paid: decimal,
    to_wallet: decimal,
  }),
  retry: LEDGER_RETRY,
  batch: 1,
  refusals: { 'invoice.paymentNotFound': 404, 'invoice.notInReview': 409, 'invoice.otherCurrency': 409 },
})
