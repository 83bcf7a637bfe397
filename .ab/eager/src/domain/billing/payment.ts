import { assert } from '../../kit/assert.ts'
import { newId } from '../../kit/ids.ts'
import { type Amount, amount } from '../../kit/money.ts'
import type { Sql } from '../../kit/sql.ts'
import { type LifeCycle, move } from '../../kit/states.ts'
import type { GATEWAYS } from '../ledger/movements.ts'

export const paymentStatuses = [
  'created',
  'sent',
  'pending',
  'unknown',
  'succeeded',
  'declined',
  'not_sent',
  'review',
  'accepted',
] as const
export type PaymentStatus = (typeof paymentStatuses)[number]

/**
 * One question to a gateway whether an invoice can be paid. `created`: the gateway gets to know the invoice, nothing can be
 * charged yet. `sent` is written before it may be. `review`: another amount was moved than was asked for; a person decides,
 * and then it is `accepted`, as what pays or as what the wallet has.
 */
export const paymentCycle: LifeCycle<PaymentStatus> = {
  created: ['created', 'sent', 'succeeded', 'declined', 'not_sent', 'review'],
  // Surely not sent: asked anew from the start.
  sent: ['created', 'sent', 'pending', 'unknown', 'succeeded', 'declined', 'not_sent', 'review'],
  pending: ['pending', 'unknown', 'succeeded', 'declined', 'not_sent', 'review'],
  unknown: ['pending', 'unknown', 'succeeded', 'declined', 'not_sent', 'review'],
  succeeded: [],
  declined: [],
  not_sent: [],
  review: ['accepted'],
  accepted: [],
}

export const INVOICE_PAYMENT = 'inp'

/** One payment of an invoice. Amounts are minor units of the invoice's currency. */
export interface InvoicePayment {
  /** The key of the call at the gateway, which is why it is never made anew. */
  readonly id: string
  readonly invoiceId: number
  readonly operationId: string
  readonly gateway: (typeof GATEWAYS)[number]
  /** What the gateway calls the money that moved. */
  readonly gatewayId: string | null
  readonly status: PaymentStatus
  /** What was asked for. */
  readonly amount: Amount
  /** Sealed in its place. */
  readonly source: string | null
  readonly moved: bigint | null
  readonly movedCurrency: string | null
  readonly code: string | null
  readonly message: string | null
  readonly looks: number
  readonly askedAt: Date | null
}

interface PaymentRow {
  id: string
  invoice_id: string
  operation_id: string
  gateway: InvoicePayment['gateway']
  gateway_id: string | null
  status: PaymentStatus
  amount: string
  source: string | null
  moved: string | null
  moved_currency: string | null
  code: string | null
  message: string | null
  looks: number
  asked_at: Date | null
}

const COLUMNS =
  'id, invoice_id, operation_id, gateway, gateway_id, status, amount, source, moved, moved_currency, code, message, looks, asked_at'

const payment = (row: PaymentRow): InvoicePayment => ({
  id: row.id,
  invoiceId: Number(row.invoice_id),
  operationId: row.operation_id,
  gateway: row.gateway,
  gatewayId: row.gateway_id,
  status: row.status,
  amount: amount(row.amount),
  source: row.source,
  moved: row.moved === null ? null : BigInt(row.moved),
  movedCurrency: row.moved_currency,
  code: row.code,
  message: row.message,
  looks: row.looks,
  askedAt: row.asked_at,
})

/** A sealed method opens only in its own payment. */
export const sourcePlace = (paymentId: string): string => `invoice_payment:${paymentId}:source`

/** The invoice must be locked for all of these: whoever holds it decides about its payments. */
export const paymentOfOperation = (sql: Sql, operationId: string) => one(sql, 'operation_id = $1', [operationId])
export const paymentNamed = (sql: Sql, id: string) => one(sql, 'id = $1', [id])
export const paymentMoved = (sql: Sql, gateway: string, gatewayId: string) =>
  one(sql, 'gateway = $1 and gateway_id = $2', [gateway, gatewayId])
/** The one whose outcome nobody knows yet. */
export const openPayment = (sql: Sql, invoiceId: number) =>
  one(sql, `invoice_id = $1 and status in ('created', 'sent', 'pending', 'unknown')`, [invoiceId])
export const reviewedPayment = (sql: Sql, invoiceId: number) =>
  one(sql, `invoice_id = $1 and status = 'review'`, [invoiceId])

async function one(sql: Sql, where: string, parameters: unknown[]): Promise<InvoicePayment | undefined> {
  const [row] = await sql.query<PaymentRow>(`select ${COLUMNS} from invoice_payment where ${where} limit 1`, parameters)
  return row && payment(row)
}

export interface NewPayment {
  readonly id: string
  readonly invoiceId: number
  readonly gateway: InvoicePayment['gateway']
  readonly amount: Amount
  readonly source: string | null
}

/** Writes down that somebody is about to be asked, or that somebody has paid unasked. */
export async function addPayment(
  { sql, now, operation }: { sql: Sql; now: Date; operation: { readonly id: string } },
  wanted: Omit<NewPayment, 'id'> & { readonly id?: string },
): Promise<InvoicePayment> {
  const [row] = await sql.query<PaymentRow>(
    `insert into invoice_payment (id, invoice_id, operation_id, gateway, status, amount, source, created_at)
     values ($1, $2, $3, $4, 'created', $5, $6, $7) returning ${COLUMNS}`,
    [wanted.id ?? newId(), wanted.invoiceId, operation.id, wanted.gateway, wanted.amount, wanted.source, now],
  )
  assert(row, 'A payment was not written')
  return payment(row)
}

/** What is due may have changed before anybody was asked for it. */
export async function askFor(sql: Sql, before: InvoicePayment, due: Amount): Promise<InvoicePayment> {
  assert(before.status === 'created', `Payment ${before.id} was asked for already`)
  await sql.query('update invoice_payment set amount = $2 where id = $1', [before.id, due])
  return { ...before, amount: due }
}

/** What is learned of a payment. */
export interface PaymentNews {
  readonly status: PaymentStatus
  readonly gatewayId?: string | undefined
  readonly moved?: { readonly amount: bigint; readonly currency: string } | undefined
  readonly code?: string | undefined
  readonly message?: string | undefined
  /** When it is looked at next; never, unless told. */
  readonly lookAt?: Date | undefined
}

export async function movePayment(
  { sql, now }: { sql: Sql; now: Date },
  before: InvoicePayment,
  news: PaymentNews,
): Promise<InvoicePayment> {
  const [row] = await sql.query<PaymentRow>(
    `update invoice_payment set status = $2, gateway_id = coalesce($3, gateway_id), moved = coalesce($4, moved),
       moved_currency = coalesce($5, moved_currency), code = $6, message = $7, look_at = $8,
       asked_at = case when $2 = 'sent' then coalesce(asked_at, $9) else asked_at end,
       answered_at = case when $2 = 'sent' then answered_at else $9 end
     where id = $1 returning ${COLUMNS}`,
    [
      ...[
        before.id,
        move(paymentCycle, before.status, news.status),
        news.gatewayId ?? null,
        news.moved?.amount ?? null,
      ],
      ...[news.moved?.currency ?? null, news.code ?? null, news.message ?? null, news.lookAt ?? null, now],
    ],
  )
  assert(row, `Payment ${before.id} is gone`)
  return payment(row)
}

/**
 * Seconds from one look to the next. What is unknown is money in doubt: looked at within seconds, then ever more rarely. A
 * bank takes its days, and Stripe tells us when it is through.
 */
const UNKNOWN_SECONDS = [5, 15, 60, 300, 900, 3_600, 4 * 3_600]
const PENDING_SECONDS = [60, 900, 3_600, 4 * 3_600, 12 * 3_600]
const DAY_SECONDS = 86_400

export function nextLook(status: 'pending' | 'unknown', looks: number, now: Date): Date {
  const pauses = status === 'pending' ? PENDING_SECONDS : UNKNOWN_SECONDS
  return new Date(now.getTime() + (pauses[looks] ?? DAY_SECONDS) * 1_000)
}

/** One more look is about to be taken. */
export const countLook = (sql: Sql, id: string): Promise<unknown> =>
  sql.query('update invoice_payment set looks = looks + 1 where id = $1', [id])

/** Before the same payment is looked at again, should this look be lost: seconds. */
const AGAIN_SECONDS = 600

/** Invoices whose payments are to be looked at now, with the next look put off. */
export async function takeLooks(sql: Sql, { now, limit }: { now: Date; limit: number }): Promise<number[]> {
  const rows = await sql.query<{ invoice_id: string }>(
    `with due as (
       select id from invoice_payment where look_at <= $1 order by look_at limit $2 for no key update skip locked
     )
     update invoice_payment set look_at = $1::timestamptz + make_interval(secs => ${AGAIN_SECONDS})
     from due where invoice_payment.id = due.id returning invoice_id`,
    [now, limit],
  )
  return rows.map(({ invoice_id }) => Number(invoice_id))
}
