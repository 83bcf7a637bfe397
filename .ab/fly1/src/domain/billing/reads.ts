import type { Keyring } from '../../kit/keyring.ts'
import type { Sql } from '../../kit/sql.ts'
import { openOf } from './customer.ts'
import type { Currency, InvoiceStatus, Line } from './invoice.ts'
import { invoiceRefusals } from './refusals.ts'

export {
  type Currency,
  currencies,
  type InvoiceStatus,
  ISSUER,
  type Line,
  statusOnWire,
  type WireStatus,
  wireStatuses,
} from './invoice.ts'
export { invoiceOfToken, pageToken, pageUrl } from './link.ts'
export * from './reads-for-page.ts'
export { invoiceRefusals } from './refusals.ts'

/** An invoice or a credit note, as it stands. Amounts are minor units. */
export interface InvoiceView {
  readonly id: number
  readonly type: 'invoice' | 'credit_note'
  readonly origin: 'usage' | 'manual' | 'credit'
  readonly customerId: string
  readonly month: string | null
  readonly status: InvoiceStatus
  /** Gapless per issuer, in the order of finalisation; null on drafts, as the number and the dates. */
  readonly sequence: number | null
  readonly number: string | null
  readonly description: string | null
  readonly currency: Currency
  /** The lines add up to it. */
  readonly subtotal: bigint
  readonly discountPercent: string
  readonly discount: bigint
  /** On top of subtotal − discount, or inside it where prices hold it already (`taxInclusive`). */
  readonly tax: bigint
  readonly taxName: string | null
  readonly taxPercent: string
  readonly taxInclusive: boolean
  /** The customer accounts for the tax: none is charged, and prices that hold it are charged without. */
  readonly reverseCharge: boolean
  readonly total: bigint
  /** Owed from earlier invoices that were too small to be collected, asked for here on top of the total. */
  readonly brought: bigint
  /** Of the total: too little to be collected, asked for by the next invoice. */
  readonly carried: bigint
  readonly paid: bigint
  /** By credit notes. */
  readonly credited: bigint
  /** Of what was credited: given back into the customer's wallet, because it was paid. */
  readonly refunded: bigint
  /** What is still to be paid. */
  readonly due: bigint
  /** Of a credit note: the invoice that it corrects. */
  readonly creditsId: number | null
  /** Of a credit note or a write-off. */
  readonly reason: string | null
  readonly gateway: string | null
  readonly gatewayId: string | null
  /** The gateway's hosted page; null where ours is the only one. */
  readonly paymentUrl: string | null
  readonly overdue: boolean
  readonly dunningStep: number
  readonly dunningAt: Date | null
  readonly lastFailure: string | null
  readonly createdAt: Date
  readonly issuedAt: Date | null
  /** The first instant of the last day on which it is paid in time. */
  readonly dueAt: Date | null
  readonly sentAt: Date | null
  readonly paidAt: Date | null
  readonly closedAt: Date | null
}

interface InvoiceRow {
  id: string
  type: 'invoice' | 'credit_note'
  origin: 'usage' | 'manual' | 'credit'
  customer_id: string
  month: string | null
  status: InvoiceStatus
  sequence: string | null
  number: string | null
  description: string | null
  currency: Currency
  subtotal: string
  discount_percent: string
  discount: string
  tax: string
  tax_name: string | null
  tax_percent: string
  tax_inclusive: boolean
  reverse_charge: boolean
  total: string
  brought: string
  carried: string
  amount_paid: string
  credited: string
  refunded: string
  due: string
  credits_id: string | null
  reason: string | null
  gateway: string | null
  gateway_id: string | null
  payment_url: string | null
  overdue: boolean
  dunning_step: number
  dunning_at: Date | null
  last_failure: string | null
  created_at: Date
  issued_at: Date | null
  due_at: Date | null
  sent_at: Date | null
  paid_at: Date | null
  closed_at: Date | null
}

const COLUMNS = `id, type, origin, customer_id, month, status, sequence, number, description, currency, subtotal, discount_percent,
  discount, tax,  tax_name, tax_percent, tax_inclusive, reverse_charge, total, brought, carried, amount_paid, credited, refunded, due,
  credits_id, reason, gateway, gateway_id, payment_url, overdue, dunning_step, dunning_at, last_failure, created_at,
  issued_at, due_at, sent_at, paid_at, closed_at`

const view = (row: InvoiceRow): InvoiceView => ({
  id: Number(row.id),
  type: row.type,
  origin: row.origin,
  customerId: row.customer_id,
  month: row.month,
  status: row.status,
  sequence: row.sequence === null ? null : Number(row.sequence),
  number: row.number,
  description: row.description,
  currency: row.currency,
  subtotal: BigInt(row.subtotal),
  discountPercent: row.discount_percent,
  discount: BigInt(row.discount),
  tax: BigInt(row.tax),
  taxName: row.tax_name,
  taxPercent: row.tax_percent,
  taxInclusive: row.tax_inclusive,
  reverseCharge: row.reverse_charge,
  total: BigInt(row.total),
  brought: BigInt(row.brought),
  carried: BigInt(row.carried),
  paid: BigInt(row.amount_paid),
  credited: BigInt(row.credited),
  refunded: BigInt(row.refunded),
  due: BigInt(row.due),
  creditsId: row.credits_id === null ? null : Number(row.credits_id),
  reason: row.reason,
  gateway: row.gateway,
  gatewayId: row.gateway_id,
  paymentUrl: row.payment_url,
  overdue: row.overdue,
  dunningStep: row.dunning_step,
  dunningAt: row.dunning_at,
  lastFailure: row.last_failure,
  createdAt: row.created_at,
  issuedAt: row.issued_at,
  dueAt: row.due_at,
  sentAt: row.sent_at,
  paidAt: row.paid_at,
  closedAt: row.closed_at,
})

/** An id as it stands in a path; undefined for what never was one, so that nobody asks the database for it. */
export const invoiceIdOf = (written: string): number | undefined =>
  /^[1-9]\d{0,14}$/.test(written) ? Number(written) : undefined

/** Refuses with `notFound`, also for somebody else's; `customerId` left out reads anybody's. */
export async function invoiceOf(
  sql: Sql,
  id: number | undefined,
  customerId: string | undefined,
): Promise<InvoiceView> {
  const [row] =
    id === undefined
      ? []
      : await sql.query<InvoiceRow>(
          `select ${COLUMNS} from invoice where id = $1 and ($2::text is null or customer_id = $2)`,
          [id, customerId ?? null],
        )
  if (row === undefined) throw invoiceRefusals.notFound()
  return view(row)
}

/** Locks one until the transaction ends, and reads it after the lock. */
export async function lockInvoice(sql: Sql, id: number): Promise<InvoiceView> {
  const [row] = await sql.query<InvoiceRow>(`select ${COLUMNS} from invoice where id = $1 for no key update`, [id])
  if (row === undefined) throw invoiceRefusals.notFound()
  return view(row)
}

export interface InvoiceFilter {
  /** Left out: everybody's. */
  readonly customerId: string | undefined
  readonly month?: string | undefined
  /** The last id of the page before. */
  readonly before?: number | undefined
  readonly limit: number
}

/** Invoices and credit notes, newest first. */
export async function invoicesOf(sql: Sql, filter: InvoiceFilter): Promise<InvoiceView[]> {
  const rows = await sql.query<InvoiceRow>(
    `select ${COLUMNS} from invoice
     where ($1::text is null or customer_id = $1) and ($2::text is null or month = $2) and ($3::bigint is null or id < $3)
     order by id desc limit $4`,
    [filter.customerId ?? null, filter.month ?? null, filter.before ?? null, filter.limit],
  )
  return rows.map(view)
}

/** The credit notes of an invoice, oldest first. */
export async function creditNotesOf(sql: Sql, id: number): Promise<InvoiceView[]> {
  const rows = await sql.query<InvoiceRow>(`select ${COLUMNS} from invoice where credits_id = $1 order by id`, [id])
  return rows.map(view)
}

/** With each line's share of the discount, minor units. */
export type LineView = Line & { readonly discount: bigint }

export async function linesOf(sql: Sql, id: number): Promise<LineView[]> {
  const rows = await sql.query<{
    metric: string | null
    month: string | null
    description: string
    quantity: string
    unit_price: string | null
    amount: string
    discount: string
  }>(
    `select metric, month, description, trim_scale(quantity)::text as quantity, trim_scale(unit_price)::text as unit_price,
       amount, discount
     from invoice_line where invoice_id = $1 order by position`,
    [id],
  )
  return rows.map((row) => ({
    metric: row.metric,
    month: row.month,
    description: row.description,
    quantity: row.quantity,
    unitPrice: row.unit_price,
    amount: BigInt(row.amount),
    discount: BigInt(row.discount),
  }))
}

/** Whom an invoice is for. */
export interface BilledView {
  readonly id: string
  readonly number: number
  readonly plan: string
  readonly currency: Currency
  readonly name: string | null
  readonly email: string | null
  readonly address: string | null
  readonly country: string | null
  readonly taxId: string | null
  readonly discountPercent: string
  readonly startsOn: string
  readonly endsOn: string | null
  /** Owed, too little to be collected by itself, minor units. */
  readonly brought: bigint
  readonly credit: bigint
}

/** Refuses with `customerNotFound`. */
export async function billedOf(sql: Sql, keyring: Keyring, id: string): Promise<BilledView> {
  const [row] = await sql.query<{
    id: string
    number: string
    plan: string
    currency: Currency
    name: string | null
    email: string | null
    address: string | null
    country: string | null
    tax_id: string | null
    discount_percent: string
    starts_on: string
    ends_on: string | null
    brought: string
    credit: string
  }>(
    `select id, number, plan, currency, name, email, address, country, tax_id, discount_percent, starts_on::text,
       ends_on::text, brought, credit
     from billing_customer where id = $1`,
    [id],
  )
  if (row === undefined) throw invoiceRefusals.customerNotFound()
  return {
    id: row.id,
    number: Number(row.number),
    plan: row.plan,
    currency: row.currency,
    name: row.name,
    email: openOf(keyring, row.id, 'email', row.email),
    address: openOf(keyring, row.id, 'address', row.address),
    country: row.country,
    taxId: row.tax_id,
    discountPercent: row.discount_percent,
    startsOn: row.starts_on,
    endsOn: row.ends_on,
    brought: BigInt(row.brought),
    credit: BigInt(row.credit),
  }
}

/** A country's tax from a day on, as it is tabled. */
export interface TaxRateView {
  readonly country: string
  readonly starts_on: string
  readonly name: string
  readonly percent: string
  readonly inclusive: boolean
  readonly reverse_charge: boolean
}

export const taxRates = (sql: Sql): Promise<TaxRateView[]> =>
  sql.query<TaxRateView>(
    `select country, starts_on::text, name, trim_scale(percent)::text as percent, inclusive, reverse_charge
     from tax_rate order by country, starts_on`,
  )
