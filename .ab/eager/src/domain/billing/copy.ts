import { namedId } from '../../kit/ids.ts'
import type { Sql } from '../../kit/sql.ts'
import type { InvoiceView } from './reads.ts'

/*
 * Stripe's copy of an invoice is what a customer pays at Stripe. It is made when somebody is about to pay, for what is due
 * then, and it is void as soon as that is no longer right. Ours stays the one that counts.
 */

export interface Copy {
  /** `cus_…`; null as long as Stripe does not know them. */
  readonly customer: string | null
  /** `in_…`; null as long as it was never made. */
  readonly id: string | null
  /** What can be paid there, minor units; null: nothing. */
  readonly amount: bigint | null
  readonly url: string | null
  /** Made before this one, and withdrawn. */
  readonly earlier: number
}

export async function copyOf(sql: Sql, invoiceId: number): Promise<Copy> {
  const [row] = await sql.query<{
    stripe_id: string | null
    gateway_id: string | null
    gateway_amount: string | null
    payment_url: string | null
    gateway_copies: number
  }>(
    `select stripe_id, gateway_id, gateway_amount, payment_url, gateway_copies
     from invoice join billing_customer on billing_customer.id = customer_id where invoice.id = $1`,
    [invoiceId],
  )
  return {
    customer: row?.stripe_id ?? null,
    id: row?.gateway_id ?? null,
    amount: row?.gateway_amount == null ? null : BigInt(row.gateway_amount),
    url: row?.payment_url ?? null,
    earlier: row?.gateway_copies ?? 0,
  }
}

/** Our name for a customer at Stripe. */
export const customerReference = (customerId: string): string => namedId(`stripe customer ${customerId}`)

/** Our name for a copy: one that was withdrawn is not made again, its successor is another. */
export const copyReference = (invoice: Pick<InvoiceView, 'id' | 'number' | 'issuedAt'>, { earlier }: Copy): string =>
  namedId(`stripe invoice ${invoice.id} ${invoice.number} ${invoice.issuedAt?.getTime()} ${earlier}`)

export const keepCustomer = (sql: Sql, customerId: string, stripeId: string): Promise<unknown> =>
  sql.query('update billing_customer set stripe_id = coalesce(stripe_id, $2) where id = $1', [customerId, stripeId])

export const keepCopy = (
  { sql, now }: { readonly sql: Sql; readonly now: Date },
  invoiceId: number,
  copy: { readonly id: string; readonly amount: bigint; readonly url: string | undefined },
): Promise<unknown> =>
  sql.query(
    `update invoice set gateway = 'stripe', gateway_id = $2, gateway_amount = $3, payment_url = $4,
       gateway_look_at = $5::timestamptz + make_interval(mins => ${FIRST_LOOK_MINUTES})
     where id = $1`,
    [invoiceId, copy.id, copy.amount, copy.url ?? null, now],
  )

/** A customer who was led to Stripe's page has paid by then, as a rule, and a webhook has told. */
const FIRST_LOOK_MINUTES = 15
const NEXT_LOOK_HOURS = 6

/** Invoices that may have been paid on Stripe's page without a webhook that says so, with the next look put off. */
export async function takeCopies(sql: Sql, { now, limit }: { now: Date; limit: number }): Promise<number[]> {
  const rows = await sql.query<{ id: string }>(
    `with due as (
       select id from invoice where gateway_amount is not null and gateway_look_at <= $1 order by gateway_look_at limit $2
       for no key update skip locked
     )
     update invoice set gateway_look_at = $1::timestamptz + make_interval(hours => ${NEXT_LOOK_HOURS})
     from due where invoice.id = due.id returning invoice.id`,
    [now, limit],
  )
  return rows.map(({ id }) => Number(id))
}

/** It cannot be paid there any more. What Stripe called it is kept: news of it may come when there is another. */
export const closeCopy = (sql: Sql, invoiceId: number, { id }: { readonly id: string }): Promise<unknown> =>
  sql.query(
    `with closed as (
       update invoice set gateway_amount = null, payment_url = null, gateway_copies = gateway_copies + 1 where id = $1
     )
     insert into invoice_copy_closed (gateway, gateway_id, invoice_id) values ('stripe', $2, $1)
     on conflict do nothing`,
    [invoiceId, id],
  )

/** Whether Stripe calls a copy so that was closed, whatever has taken its place. */
export async function wasClosed(sql: Sql, gateway: string, gatewayId: string): Promise<boolean> {
  const found = await sql.query('select from invoice_copy_closed where gateway = $1 and gateway_id = $2', [
    gateway,
    gatewayId,
  ])
  return found.length > 0
}

/** The invoice whose copy Stripe calls so. */
export async function invoiceCopied(sql: Sql, gateway: string, gatewayId: string): Promise<number | undefined> {
  const [row] = await sql.query<{ id: string }>('select id from invoice where gateway = $1 and gateway_id = $2', [
    gateway,
    gatewayId,
  ])
  return row === undefined ? undefined : Number(row.id)
}

/** Invoices whose copies are no longer right, and are not being paid. */
export async function staleCopies(sql: Sql, limit: number): Promise<number[]> {
  const rows = await sql.query<{ id: string }>(
    `select id from invoice
     where gateway_amount is not null and (status in ('void', 'paid') or gateway_amount <> due)
       and not exists (select from invoice_payment where invoice_id = invoice.id
         and status in ('created', 'sent', 'pending', 'unknown'))
     order by id limit $1`,
    [limit],
  )
  return rows.map(({ id }) => Number(id))
}
