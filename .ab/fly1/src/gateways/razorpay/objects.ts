import { z } from 'zod'
import { type Amount, type Asset, amount, isAsset } from '../../kit/money.ts'

/* What Razorpay sends, as far as we read it. Everything else is left alone, so that a new field breaks nothing. */

/** Minor units. Razorpay counts as we do: paise, yen, thousandths of a dinar. */
const Minor = z.int().nonnegative()

/** An object, or an empty list where there are none. */
const Notes = z
  .union([z.record(z.string(), z.unknown()), z.array(z.unknown())])
  .nullish()
  .transform((notes) => (notes === null || notes === undefined || Array.isArray(notes) ? {} : notes))

export const Order = z.object({
  id: z.string(),
  amount: Minor,
  currency: z.string(),
  receipt: z.string().nullish(),
  status: z.string(),
  notes: Notes,
  created_at: z.int(),
})
export type Order = z.infer<typeof Order>

export const Payment = z.object({
  id: z.string(),
  amount: Minor,
  currency: z.string(),
  /** `created`, `authorized`, `captured`, `refunded`, `failed`; a word that we do not know is «pending». */
  status: z.string(),
  captured: z.boolean().nullish(),
  order_id: z.string().nullish(),
  amount_refunded: Minor.nullish(),
  fee: Minor.nullish(),
  notes: Notes,
  error_code: z.string().nullish(),
  error_description: z.string().nullish(),
  error_reason: z.string().nullish(),
  created_at: z.int(),
})
export type Payment = z.infer<typeof Payment>

export const Refund = z.object({
  id: z.string(),
  amount: Minor,
  currency: z.string(),
  payment_id: z.string(),
  /** `pending`, `processed`, `failed`. */
  status: z.string(),
  receipt: z.string().nullish(),
  notes: Notes,
  created_at: z.int(),
})
export type Refund = z.infer<typeof Refund>

export const Payout = z.object({
  id: z.string(),
  amount: Minor,
  currency: z.string(),
  /** `queued`, `pending`, `scheduled`, `processing`, `processed`, `reversed`, `cancelled`, `rejected`, `failed`. */
  status: z.string(),
  reference_id: z.string().nullish(),
  fees: Minor.nullish(),
  failure_reason: z.string().nullish(),
  status_details: z.object({ reason: z.string().nullish(), description: z.string().nullish() }).nullish(),
  created_at: z.int(),
})
export type Payout = z.infer<typeof Payout>

export const Customer = z.object({ id: z.string(), email: z.string().nullish(), contact: z.string().nullish() })

export const Token = z.object({
  id: z.string(),
  customer_id: z.string().nullish(),
  method: z.string(),
  status: z.string().nullish(),
  card: z
    .object({
      last4: z.string().nullish(),
      network: z.string().nullish(),
      expiry_month: z.coerce.number().int().nullish(),
      expiry_year: z.coerce.number().int().nullish(),
    })
    .nullish(),
  vpa: z.object({ handle: z.string().nullish() }).nullish(),
  bank: z.string().nullish(),
  wallet: z.string().nullish(),
  /** Unix seconds: the last one of the card's last month, Indian time. */
  expired_at: z.int().nullish(),
})
export type Token = z.infer<typeof Token>

export const FundAccount = z.object({
  id: z.string(),
  account_type: z.string(),
  active: z.boolean(),
  bank_account: z.object({ account_number: z.string(), bank_name: z.string().nullish() }).nullish(),
  vpa: z.object({ handle: z.string().nullish() }).nullish(),
})

/** What `create/recurring` answers. It says that there is a payment, not what became of it. */
export const Started = z.object({ razorpay_payment_id: z.string() })

export const collection = <One extends z.ZodType>(one: One) => z.object({ items: z.array(one) })

/** Undefined where the currency is none that we keep books in: that was not asked for by us. */
export function money(of: { amount: number; currency: string }): { amount: Amount; currency: Asset } | undefined {
  return isAsset(of.currency) ? { amount: amount(of.amount), currency: of.currency } : undefined
}
