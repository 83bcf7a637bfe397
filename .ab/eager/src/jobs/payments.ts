import { z } from '@hono/zod-openapi'
import { type Asset, amount, assets, isAsset, parseDecimal } from '../kit/money.ts'
import { GATEWAY_RETRY, kind, LEDGER_RETRY, type RetryPolicy } from './kind.ts'
import { scheduledInput } from './scheduled.ts'
import { MAX_ID, plainText } from './text.ts'

/**
 * Somebody waits for the answer, so a gateway that cannot be reached is given up after half a minute: nothing was moved, and
 * they are told. What was sent, or may have been, is never given up.
 */
export const PAYER_RETRY: RetryPolicy = { attempts: 6, delayMs: 1_000, maxDelayMs: 10_000 }

/** A line on a statement. */
const MAX_DESCRIPTION = 500

/** A decimal number or text, in the currency's own unit. How many decimals it may have is the currency's, so `amountRule` looks. */
const decimalAmount = z
  .union([
    z.number().positive(),
    z
      .string()
      .max(40)
      .regex(/^\s*\d{1,19}(\.\d{1,18})?\s*$/, 'must be a positive decimal number such as 1000.50'),
  ])
  .openapi({ description: 'Decimal, in units of the currency: 1000.5 or "1000.50".', example: 1000 })

/** Lower or upper case in, upper case inside. */
export const currencyCode = z
  .string()
  .trim()
  .toUpperCase()
  .refine((code) => MONEY.has(code), { error: 'is not a currency of wallets: USD, EUR, INR, NGN, JPY or KWD' })
  .transform((code) => code as 'USD' | 'EUR' | 'INR' | 'NGN' | 'JPY' | 'KWD')
  .openapi({ type: 'string', enum: bothCases(['INR', 'USD', 'EUR', 'NGN', 'JPY', 'KWD']), example: 'INR' })
const MONEY: ReadonlySet<string> = new Set(['USD', 'EUR', 'INR', 'NGN', 'JPY', 'KWD'])

const named = <const Names extends readonly [string, ...string[]]>(names: Names) =>
  z
    .string()
    .trim()
    .toLowerCase()
    .pipe(z.enum(names))
    .openapi({ type: 'string', enum: bothCases(names) })

const gateway = named(['stripe', 'razorpay', 'paystack', 'mock'])
const methodType = named(['card', 'upi', 'netbanking', 'wallet', 'bank_transfer'])

const transactionId = plainText(MAX_ID).openapi({ example: 'txn_0198c9f24d5e7c3aa1b2c3d4e5f60718' })
const methodId = plainText(MAX_ID).openapi({ example: 'pm_0198c9f24d5e7c3aa1b2c3d4e5f60718' })

/** Whose wallet: left out by the user whom it would name; back ends name any user. */
const userId = plainText(MAX_ID).optional().openapi({ description: 'Left out by the user whom it would name.' })

/** Filled in at the door: where the request came from, for limits of suspicion and the audit log. */
const client = z.object({ ip: z.string().nullable(), device: z.string().nullable() }).optional()

export interface InputProblem {
  readonly field: string
  readonly message: string
}

/** The amount must be positive and have no more decimals than its currency. */
export function amountProblems(input: Readonly<Record<string, unknown>>): InputProblem[] {
  const { amount: written } = input
  const code = String(input.currency).toUpperCase()
  if (written === undefined || !isAsset(code)) return []
  const parsed = parseDecimal(written as number | string, code)
  const message =
    parsed === 'malformed'
      ? 'must be a positive decimal number such as 1000.50'
      : parsed === 'too precise'
        ? `${code} has ${assets[code].scale} decimals; it is never rounded silently`
        : parsed === 'too large'
          ? 'is too large'
          : parsed === 0n
            ? 'must be greater than 0'
            : undefined
  return message === undefined ? [] : [{ field: 'amount', message }]
}

/** Minor units of an amount that `amountProblems` has let through. */
export function minorUnits(written: number | string, currency: Asset) {
  const parsed = parseDecimal(written, currency)
  if (typeof parsed === 'string') throw new Error(`An amount that the door let in is ${parsed}`)
  return amount(parsed)
}

const money = z.string().openapi({ example: '1000.00' })
const action = z
  .object({ type: z.enum(['checkout', 'redirect']), url: z.string(), fields: z.record(z.string(), z.string()) })
  .nullable()
  .openapi({ description: 'What the customer has to do next; `fields` are for the gateway’s own front end.' })

export const transactionStatuses = [
  'PENDING',
  'REVIEW',
  'COMPLETED',
  'FAILED',
  'EXPIRED',
  'CANCELED',
  'RETURNED',
] as const

const moved = {
  success: z.literal(true),
  transaction_id: z.string(),
  status: z.enum(transactionStatuses),
  amount: money,
  currency: z.string(),
}

const anyRefusal = {
  'payment.belowMinimum': 400,
  'payment.methodNotFound': 404,
  'payment.methodExpired': 400,
  'payment.methodUnsupported': 400,
  'payment.overSingleLimit': 400,
  'payment.overDailyLimit': 400,
  'payment.overMonthlyLimit': 400,
  'payment.suspicious': 403,
  'payment.declined': 402,
  'payment.gatewayUnavailable': 502,
} as const

export const initiateDeposit = kind({
  name: 'deposit.initiate',
  doc: 'Begins a deposit into a wallet: charges a saved method, or answers what the customer has to do. The money is credited once the gateway has it.',
  queue: 'gateways',
  input: z.object({
    user_id: userId,
    amount: decimalAmount,
    currency: currencyCode.optional(),
    payment_method_id: methodId.optional(),
    method: methodType
      .optional()
      .openapi({ description: 'Without a saved method: how the customer will pay. card unless told.' }),
    gateway: gateway
      .optional()
      .openapi({ description: 'That gateway or none. Chosen by currency and method unless told.' }),
    description: plainText(MAX_DESCRIPTION).optional().openapi({ example: 'Wallet top-up' }),
    email: z.email().max(MAX_ID).optional().openapi({
      description: 'For gateways that write to the customer.',
      pattern: z.regexes.email.source,
    }),
    return_url: z.httpUrl().max(2_000).optional().openapi({ description: 'Where the customer comes back to.' }),
    client,
  }),
  check: amountProblems,
  result: z.object({
    ...moved,
    order_id: z.string().nullable(),
    checkout_url: z.string().nullable(),
    key: z.string().nullable(),
    gateway: z.string().openapi({ example: 'RAZORPAY' }),
    action,
  }),
  retry: PAYER_RETRY,
  batch: 1,
  refusals: anyRefusal,
  apart: ['client'],
})

export const confirmDeposit = kind({
  name: 'deposit.confirm',
  doc: 'Confirms a deposit with what the gateway gave the customer’s browser. The payment is read from the gateway itself before anything is credited.',
  queue: 'gateways',
  input: z.object({
    user_id: userId,
    transaction_id: transactionId,
    gateway_payment_id: plainText(MAX_ID).openapi({ example: 'pay_razorpay_123' }),
    gateway_data: z
      .record(z.string().max(MAX_ID), z.string().max(4_000))
      .default({})
      .openapi({
        example: { razorpay_order_id: 'order_razorpay_789', razorpay_signature: 'signature_hash' },
      }),
    client,
  }),
  result: z.object(moved),
  retry: GATEWAY_RETRY,
  batch: 1,
  refusals: {
    'payment.notFound': 404,
    'payment.notConfirmable': 409,
    'payment.forged': 400,
    'payment.otherPayment': 400,
    'payment.declined': 402,
  },
  apart: ['client'],
})

export const refundDeposit = kind({
  name: 'deposit.refund',
  doc: 'Gives a deposit back to where it came from, in whole or in part. The amount is set aside in the wallet until the gateway has given it back.',
  queue: 'gateways',
  input: z.object({
    user_id: userId,
    transaction_id: transactionId,
    amount: decimalAmount.optional().openapi({ description: 'Everything that is left, unless told.' }),
    reason: plainText(MAX_DESCRIPTION).optional(),
    client,
  }),
  result: z.object({ ...moved, refund_id: z.string() }),
  retry: PAYER_RETRY,
  batch: 1,
  refusals: {
    'payment.notFound': 404,
    'payment.notRefundable': 409,
    'payment.invalidAmount': 422,
    'payment.overRefundable': 400,
    'payment.insufficient': 400,
    'payment.declined': 402,
    'payment.gatewayUnavailable': 502,
  },
  apart: ['client'],
})

export const initiateWithdrawal = kind({
  name: 'withdrawal.initiate',
  doc: 'Pays out of a wallet: the amount is set aside at once, and leaves when the gateway has paid it, or is free again.',
  queue: 'gateways',
  input: z.object({
    user_id: userId,
    amount: decimalAmount,
    currency: currencyCode.optional(),
    payment_method_id: methodId,
    description: plainText(MAX_DESCRIPTION).optional().openapi({ example: 'Cash withdrawal' }),
    client,
  }),
  check: amountProblems,
  result: z.object({ ...moved, withdrawal_id: z.string(), gateway: z.string() }),
  retry: PAYER_RETRY,
  batch: 1,
  refusals: { ...anyRefusal, 'payment.insufficient': 400 },
  apart: ['client'],
})

export const addMethod = kind({
  name: 'method.add',
  doc: 'Keeps a gateway’s token for a card, account or address. Never a number: the gateway has that.',
  queue: 'gateways',
  input: z.object({
    user_id: userId,
    type: methodType,
    gateway,
    token: plainText(MAX_ID).openapi({ example: 'card_token_from_gateway' }),
    metadata: z
      .object({
        last_four: z
          .string()
          .regex(/^\d{4}$/, 'must be the last four digits')
          .optional(),
        brand: plainText(40).optional(),
        expiry_month: z.int().min(1).max(12).optional(),
        expiry_year: z.int().min(2000).max(2100).optional(),
      })
      .default({}),
    client,
  }),
  result: z.object({ success: z.literal(true), id: z.string(), type: z.string(), gateway: z.string() }),
  retry: PAYER_RETRY,
  batch: 1,
  sensitive: { input: ['token'] },
  refusals: {
    'payment.methodExpired': 400,
    'payment.methodKnown': 409,
    'payment.methodUnusable': 400,
    'payment.methodUnsupported': 400,
    'payment.gatewayUnavailable': 502,
  },
  apart: ['client'],
})

export const removeMethod = kind({
  name: 'method.remove',
  doc: 'Forgets a payment method. What was paid with it can still be refunded.',
  queue: 'ledger',
  input: z.object({ user_id: userId, payment_method_id: methodId, client }),
  result: z.object({ success: z.literal(true), id: z.string() }),
  retry: LEDGER_RETRY,
  batch: 1,
  refusals: { 'payment.methodNotFound': 404 },
  // Said by the path and by who is asking: a DELETE has no body.
  apart: ['client', 'user_id'],
})

export const setKyc = kind({
  name: 'kyc.set',
  doc: 'Sets how far a user is verified, and so how much they may move, from a time on.',
  queue: 'ledger',
  input: z.object({
    user_id: plainText(MAX_ID),
    level: z
      .string()
      .trim()
      .toUpperCase()
      .pipe(z.enum(['BASIC', 'INTERMEDIATE', 'ADVANCED']))
      .openapi({
        type: 'string',
        enum: ['BASIC', 'INTERMEDIATE', 'ADVANCED'],
      }),
    starts_at: z.iso.datetime({ offset: true }).optional().openapi({ description: 'Now, unless told.' }),
    time_zone: z
      .string()
      .max(64)
      .refine(isTimeZone, { error: 'is not an IANA time zone such as Asia/Kolkata' })
      .optional()
      .openapi({ description: 'Where the user’s days and months begin at midnight.', example: 'Asia/Kolkata' }),
    client,
  }),
  result: z.object({ user_id: z.string(), level: z.string(), starts_at: z.iso.datetime(), time_zone: z.string() }),
  retry: LEDGER_RETRY,
  batch: 1,
  apart: ['client'],
})

export const decidePayment = kind({
  name: 'payment.decide',
  doc: 'An operator’s decision on a payment whose gateway moved another amount than was asked: credit what came, or give it back.',
  queue: 'ledger',
  input: z.object({
    transaction_id: transactionId,
    decision: z.enum(['accept', 'reject']),
    note: plainText(MAX_DESCRIPTION),
    client,
  }),
  result: z.object({ success: z.literal(true), transaction_id: z.string(), status: z.enum(transactionStatuses) }),
  retry: LEDGER_RETRY,
  batch: 1,
  refusals: { 'payment.notFound': 404, 'payment.notInReview': 409, 'payment.undecidable': 409 },
  apart: ['client'],
})

/** Ours: asks a gateway how an attempt stands. */
export const lookUpPayment = kind({
  name: 'payment.lookup',
  doc: 'Asks the gateway how an open attempt stands, and believes it.',
  queue: 'gateways',
  input: z.object({ attempt_id: z.uuid() }),
  result: z.object({ status: z.string() }),
  retry: GATEWAY_RETRY,
  batch: 1,
})

/** Ours: money that came in vain goes back. */
export const returnPayment = kind({
  name: 'payment.return',
  doc: 'Gives back what came late or twice, out of suspense.',
  queue: 'gateways',
  input: z.object({ payment_id: z.uuid() }),
  result: z.object({ status: z.enum(transactionStatuses) }),
  retry: GATEWAY_RETRY,
  batch: 1,
})

export const followPayments = kind({
  name: 'payment.follow',
  doc: 'Looks after what is open: asks for look-ups that are due, and expires deposits whose customers never came back.',
  queue: 'ledger',
  input: scheduledInput,
  result: z.object({ look_ups: z.int() }),
  retry: LEDGER_RETRY,
  batch: 1,
})

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}

/** As they may be written: in lower or in upper case. */
function bothCases(names: readonly string[]): string[] {
  return [...new Set(names.flatMap((name) => [name.toLowerCase(), name.toUpperCase()]))]
}
