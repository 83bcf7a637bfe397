import { z } from '@hono/zod-openapi'
import { Decimal } from '../kit/decimal.ts'
import { isMonth } from '../kit/months.ts'
import { GATEWAY_RETRY, kind, LEDGER_RETRY } from './kind.ts'
import { currencyCode } from './payments.ts'
import { chunkInput, chunkResult } from './runs.ts'
import { scheduledInput } from './scheduled.ts'
import { calendarDay, MAX_ID, plainText } from './text.ts'

/** A line, a reason. */
const MAX_WORDS = 500

/** Lines of an invoice made by hand: more belong into usage, or on several invoices. */
const MAX_ITEMS = 200

/** Whose invoice: left out by the user whom it would name. */
const userId = plainText(MAX_ID).optional().openapi({ description: 'Left out by the user whom it would name.' })

/** As it stands in paths; what never was one is told from what is not there by nobody. */
const invoiceId = z
  .string()
  .regex(/^[1-9]\d{0,14}$/)
  .transform(Number)

export const monthCode = z
  .string()
  .refine((text) => isMonth(text) && text >= '2000-01' && text < '2200-01', {
    error: 'must be a month such as 2024-01',
  })
  .openapi({ example: '2024-01' })

const day = calendarDay.openapi({ example: '2024-02-15' })

const decimals = (written: RegExp, mustBe: string) =>
  z
    .union([z.number(), z.string().max(40)])
    .refine((given) => written.test(String(given).trim()), { error: mustBe })
    .transform((given) => Decimal.of(String(given).trim()))

const quantity = decimals(
  /^(?=.*[1-9])\d{1,12}(\.\d{1,6})?$/,
  'must be a decimal number above 0 with at most 12 digits and 6 decimals',
).openapi({ anyOf: [{ type: 'number' }, { type: 'string' }], example: 10000 })

const unitPrice = decimals(
  /^\d{1,12}(\.\d{1,9})?$/,
  'must be a decimal number from 0 on with at most 12 digits and 9 decimals',
).openapi({
  anyOf: [{ type: 'number' }, { type: 'string' }],
  description: 'In units of the currency, as fine as anybody likes: 1 is one dollar, 0.0025 a quarter of a cent.',
  example: 0.01,
})

const percent = z
  .union([z.number(), z.string().max(10)])
  .refine((given) => /^(100(\.0{1,2})?|\d{1,2}(\.\d{1,2})?)$/.test(String(given).trim()), {
    error: 'must be from 0 to 100, with at most 2 decimals',
  })
  .transform((given) => String(given).trim())
  .openapi({
    anyOf: [
      { type: 'number', minimum: 0, maximum: 100 },
      { type: 'string', maxLength: 10 },
    ],
    example: 10,
  })

/** How an invoice answers: the seed's fields, to the letter. */
const made = z.object({
  success: z.literal(true),
  invoice_id: z.int().openapi({ example: 123 }),
  invoice_number: z.string().nullable().openapi({ example: 'AH-2024-01-000001-20240201' }),
  amount: z.number().openapi({ description: 'What is asked for, in units of the currency.', example: 25.5 }),
  payment_url: z.string().nullable().openapi({ description: 'Where it is paid; nobody has to know more.' }),
  status: z.string().openapi({ example: 'sent' }),
  due_date: z.string().nullable().openapi({ description: 'In the issuer’s time.', example: '2024-03-02T00:00:00' }),
})

export const createInvoice = kind({
  name: 'invoice.create',
  doc: 'Bills a month that is over to one customer: its fee, its usage, and usage that came late for earlier months. A month is billed once; asked again it answers with the same invoice.',
  queue: 'ledger',
  input: z.object({ user_id: userId, month: monthCode }),
  result: made,
  retry: LEDGER_RETRY,
  batch: 1,
  refusals: {
    'invoice.customerNotFound': 404,
    'invoice.monthNotOver': 409,
    'invoice.nothingToBill': 409,
    'invoice.tooLarge': 422,
  },
})

export const composeInvoice = kind({
  name: 'invoice.compose',
  doc: 'Makes an invoice by hand, with these items. It is finalised at once, unless it is kept as a draft.',
  queue: 'ledger',
  input: z.object({
    customer_id: plainText(MAX_ID).openapi({ example: 'user_456' }),
    items: z
      .array(
        z.object({
          description: plainText(MAX_WORDS).openapi({ example: 'API Usage - January' }),
          quantity: quantity.optional(),
          unit_price: unitPrice,
        }),
      )
      .min(1)
      .max(MAX_ITEMS),
    due_date: day.optional().openapi({
      description: 'The last day on which it is paid in time; INVOICE_DUE_DAYS after its issue unless told.',
    }),
    description: plainText(MAX_WORDS).optional(),
    discount_percent: percent.optional().openapi({ description: 'In place of the customer’s own.' }),
    draft: z.boolean().optional().openapi({ description: 'Keep it: it has no number, and nobody owes it.' }),
  }),
  result: made,
  retry: LEDGER_RETRY,
  batch: 1,
  refusals: { 'invoice.tooLarge': 422 },
})

export const finalizeInvoice = kind({
  name: 'invoice.finalize',
  doc: 'Finalises a draft: settles its tax and its terms, and gives it the number that it keeps for ever.',
  queue: 'ledger',
  input: z.object({ invoice_id: invoiceId }),
  result: made,
  retry: LEDGER_RETRY,
  batch: 1,
  refusals: { 'invoice.notFound': 404, 'invoice.notDraft': 409, 'invoice.tooLarge': 422 },
})

export const cancelInvoice = kind({
  name: 'invoice.cancel',
  doc: 'Cancels an unpaid invoice: it keeps its number, and nobody has to pay it any more, neither here nor on its gateway’s page. A draft is deleted.',
  queue: 'gateways',
  input: z.object({ invoice_id: invoiceId, user_id: userId }),
  result: z.object({
    success: z.literal(true),
    invoice_id: z.int(),
    invoice_number: z.string().nullable(),
    status: z.enum(['cancelled', 'deleted']),
  }),
  retry: GATEWAY_RETRY,
  batch: 1,
  refusals: {
    'invoice.notFound': 404,
    'invoice.notCancelable': 409,
    'invoice.partlyPaid': 409,
    'invoice.paymentUnderWay': 409,
  },
})

export const creditInvoice = kind({
  name: 'invoice.credit',
  doc: 'Takes back a part of an invoice, or all of it, by a credit note of its own. It lowers what is due; what was paid goes into the customer’s wallet.',
  queue: 'ledger',
  input: z.object({
    invoice_id: invoiceId,
    amount: z
      .union([z.number().positive(), z.string().max(40)])
      .optional()
      .openapi({
        description: 'With its tax, in units of the currency. All that is left, unless told.',
        example: 10.5,
      }),
    reason: plainText(MAX_WORDS).openapi({ example: 'The API was down' }),
  }),
  result: z.object({
    success: z.literal(true),
    credit_note_id: z.int(),
    credit_note_number: z.string(),
    invoice_id: z.int(),
    amount: z.number(),
    tax: z.number(),
    refunded_to_wallet: z.number(),
    invoice_status: z.string(),
  }),
  retry: LEDGER_RETRY,
  batch: 1,
  refusals: {
    'invoice.notFound': 404,
    'invoice.notCreditable': 409,
    'invoice.paymentUnderWay': 409,
    'invoice.overCreditable': 400,
    'invoice.invalidAmount': 422,
  },
})

export const writeOffInvoice = kind({
  name: 'invoice.forgive',
  doc: 'Gives an open invoice up: what is due is our loss. It may still be paid.',
  queue: 'ledger',
  input: z.object({ invoice_id: invoiceId, reason: plainText(MAX_WORDS) }),
  result: z.object({ success: z.literal(true), invoice_id: z.int(), status: z.string() }),
  retry: LEDGER_RETRY,
  batch: 1,
  refusals: { 'invoice.notFound': 404, 'invoice.notCollectible': 409, 'invoice.paymentUnderWay': 409 },
})

/** Ours and operators': the period is the local midnight with which the month after the billed one begins. */
export const runInvoices = kind({
  name: 'invoice.run',
  doc: 'Bills the month before the period to every customer, in chunks. Months are billed in their order, each once, whoever asks for it.',
  queue: 'runs',
  input: scheduledInput,
  result: z.object({
    run_id: z.uuid(),
    month: z.string(),
    customers: z.int(),
    invoices: z.int(),
    failed: z.int(),
    already_done: z.boolean().openapi({ description: 'Somebody else had run this month before.' }),
  }),
  retry: LEDGER_RETRY,
  batch: 1,
})

export const invoiceChunk = kind({
  name: 'invoice.chunk',
  doc: 'Bills a month to some hundreds of customers, in one transaction. A customer whose month cannot be reckoned is passed over and told of.',
  queue: 'runs',
  input: chunkInput,
  result: chunkResult,
  retry: LEDGER_RETRY,
  batch: 1,
})

export const markOverdueInvoices = kind({
  name: 'invoice.overdue',
  doc: 'Marks open invoices whose last day is over.',
  queue: 'ledger',
  input: scheduledInput,
  result: z.object({ marked: z.int() }),
  retry: LEDGER_RETRY,
  batch: 1,
})

export const dunInvoices = kind({
  name: 'invoice.dun',
  doc: 'Asks for the invoices to be collected whose turn has come: overdue ones at once, then 2, 7, 14 and 21 days later.',
  queue: 'ledger',
  input: scheduledInput,
  result: z.object({ collected: z.int() }),
  retry: LEDGER_RETRY,
  batch: 1,
})

export const setCustomer = kind({
  name: 'customer.set',
  doc: 'Sets by what a customer is billed: plan, currency, address, tax. What is left out stays. Invoices that are issued stay as they are.',
  queue: 'ledger',
  input: z.object({
    user_id: plainText(MAX_ID),
    plan: z
      .string()
      .regex(/^[a-z][a-z0-9_]{0,63}$/)
      .optional()
      .openapi({ example: 'pro' }),
    currency: currencyCode.optional(),
    name: plainText(MAX_ID).nullish(),
    email: z.email().max(MAX_ID).openapi({ pattern: z.regexes.email.source }).nullish(),
    address: plainText(MAX_WORDS).nullish(),
    country: z
      .string()
      .trim()
      .toUpperCase()
      .regex(/^[A-Z]{2}$/, 'must be two letters such as DE')
      .nullish()
      .openapi({ type: ['string', 'null'], pattern: '^[A-Za-z]{2}$', example: 'DE' }),
    tax_id: plainText(64).nullish().openapi({ example: 'DE123456789' }),
    discount_percent: percent.optional(),
    starts_on: day.optional().openapi({ description: 'Usage before it is refused.' }),
    ends_on: day.nullish().openapi({ description: 'The last day.' }),
  }),
  result: z.object({ success: z.literal(true), user_id: z.string(), plan: z.string(), currency: z.string() }),
  retry: LEDGER_RETRY,
  batch: 1,
  sensitive: { input: ['email', 'address'] },
  refusals: { 'customer.noPlan': 422, 'customer.currencyInUse': 409, 'customer.endsBeforeStart': 422 },
})

export const setTaxRate = kind({
  name: 'taxrate.set',
  doc: 'Sets a country’s tax from a day on. Invoices that are issued keep theirs.',
  queue: 'ledger',
  input: z.object({
    country: z
      .string()
      .trim()
      .toUpperCase()
      .regex(/^[A-Z]{2}$/, 'must be two letters such as DE')
      .openapi({ type: 'string', pattern: '^[A-Za-z]{2}$', example: 'DE' }),
    starts_on: day,
    name: plainText(32).openapi({ example: 'VAT' }),
    percent: z
      .union([z.number(), z.string().max(10)])
      .refine((given) => /^(100(\.0{1,3})?|\d{1,2}(\.\d{1,3})?)$/.test(String(given).trim()), {
        error: 'must be from 0 to 100, with at most 3 decimals',
      })
      .transform((given) => String(given).trim())
      .openapi({ anyOf: [{ type: 'number' }, { type: 'string' }], example: 19 }),
    inclusive: z.boolean().default(false).openapi({ description: 'Prices hold the tax already.' }),
    reverse_charge: z.boolean().default(false).openapi({
      description: 'Customers there with a tax id account for it themselves, where the issuer is elsewhere.',
    }),
  }),
  result: z.object({ success: z.literal(true), country: z.string(), starts_on: z.string() }),
  retry: LEDGER_RETRY,
  batch: 1,
})
