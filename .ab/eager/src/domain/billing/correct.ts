import { type Amount, amount, smallest } from '../../kit/money.ts'
import { dayOf, monthOf } from '../../kit/months.ts'
import { move } from '../../kit/states.ts'
import type { Account, Books } from '../ledger/books.ts'
import { platformAccount } from '../ledger/platform-accounts.ts'
import { type BillingCustomer, carry } from './customer.ts'
import { type InvoicingTerms, invoiceCycle, statusOnWire } from './invoice.ts'
import { type Desk, insertLines, newInvoiceIds } from './issue.ts'
import { takeNumbers } from './number.ts'
import type { InvoiceView } from './reads.ts'
import { invoiceRefusals } from './refusals.ts'

/** An invoice and whom it is for, both locked in this transaction, the customer first. */
export interface Held {
  readonly invoice: InvoiceView
  readonly customer: BillingCustomer
  /** The customer's wallet in the invoice's currency, locked, with its books; opened where there is none. */
  wallet(): Promise<{ readonly books: Books; readonly account: Account }>
}

/**
 * Nobody has to pay it any more; it keeps its number, and what it had posted is posted back. A draft is deleted: it was never
 * anybody's. What was paid or credited, even in part, is put right by credit notes instead.
 */
export async function cancelInvoice(desk: Desk, { invoice, customer }: Held): Promise<void> {
  const { sql, now, operation } = desk
  const { status, id, currency } = invoice
  if (invoice.type === 'credit_note') throw invoiceRefusals.notCancelable({ status: 'a credit note' })
  if (status === 'draft') {
    await sql.query('delete from invoice_line where invoice_id = $1', [id])
    await sql.query('delete from invoice where id = $1', [id])
    return
  }
  if (status !== 'open' && status !== 'uncollectible')
    throw invoiceRefusals.notCancelable({ status: statusOnWire(invoice) })
  await refuseWhilePaying(desk, invoice)
  if (invoice.paid > 0n || invoice.credited > 0n) throw invoiceRefusals.partlyPaid()

  const books = await desk.books([])
  if (status === 'uncollectible') recover(books, invoice, operation.id)
  const credit = platformAccount('receivable', currency)
  const about = { operationId: operation.id, memo: invoice.number ?? undefined, credit }
  const net = invoice.total - invoice.tax
  if (net > 0n)
    books.post('invoice.void', { ...about, debit: platformAccount('billing_revenue', currency), amount: amount(net) })
  if (invoice.tax > 0n)
    books.post('invoice.void_tax', {
      ...{ ...about, debit: platformAccount('tax_payable', currency), amount: amount(invoice.tax) },
    })
  // What it had asked for besides is still owed, and what it had taken off is still the customer's: the next one has them.
  const [row] = await sql.query<{ credit_change: string }>(
    `update invoice set status = $2, closed_at = $3, dunning_at = null, overdue = false where id = $1 returning credit_change`,
    [id, move(invoiceCycle, status, 'void'), now],
  )
  await carry(sql, [
    {
      id: customer.id,
      brought: customer.brought + invoice.brought,
      credit: customer.credit - BigInt(row?.credit_change ?? 0),
    },
  ])
}

/** A payment whose outcome nobody knows yet may still arrive. */
async function refuseWhilePaying({ sql }: Desk, { id }: InvoiceView): Promise<void> {
  const paying = await sql.query(
    `select from invoice_payment where invoice_id = $1 and status in ('created', 'sent', 'pending', 'unknown', 'review')`,
    [id],
  )
  if (paying.length > 0) throw invoiceRefusals.paymentUnderWay()
}

/** Nobody will pay it: what is due is our loss. It stays what it is, and may still be paid. */
export async function writeOff(desk: Desk, { invoice }: Held, reason: string): Promise<void> {
  const { sql, operation, now } = desk
  if (invoice.status !== 'open' || invoice.type !== 'invoice')
    throw invoiceRefusals.notCollectible({ status: statusOnWire(invoice) })
  await refuseWhilePaying(desk, invoice)
  const books = await desk.books([])
  books.post('invoice.write_off', {
    debit: platformAccount('losses', invoice.currency),
    credit: platformAccount('receivable', invoice.currency),
    amount: amount(invoice.due),
    operationId: operation.id,
    memo: invoice.number ?? undefined,
  })
  await sql.query(
    `update invoice set status = $2, closed_at = $3, reason = $4, dunning_at = null, overdue = false where id = $1`,
    [invoice.id, move(invoiceCycle, invoice.status, 'uncollectible'), now, reason],
  )
}

/** What was given up is owed again. */
export function recover(books: Books, invoice: InvoiceView, operationId: string): void {
  books.post('invoice.recover', {
    debit: platformAccount('receivable', invoice.currency),
    credit: platformAccount('losses', invoice.currency),
    amount: amount(invoice.due),
    operationId,
    memo: invoice.number ?? undefined,
  })
}

/** A correction of an invoice that is issued. */
export interface CreditNote {
  readonly id: number
  readonly number: string
  readonly amount: bigint
  readonly tax: bigint
  /** Of it, into the wallet: it had been paid. */
  readonly refunded: bigint
}

/**
 * Takes back a part of an invoice, or all of it, by a document of its own with a number of its own. It lowers what is due
 * first; what was paid goes into the customer's wallet. All notes together never take back more than the invoice's total.
 */
export async function creditInvoice(
  desk: Desk,
  terms: InvoicingTerms,
  held: Held,
  asked: { readonly amount: Amount | undefined; readonly reason: string },
): Promise<CreditNote> {
  const { sql, now, operation } = desk
  const { invoice, customer } = held
  const { currency } = invoice
  if (invoice.type !== 'invoice' || (invoice.status !== 'open' && invoice.status !== 'paid'))
    throw invoiceRefusals.notCreditable({
      status: invoice.type === 'invoice' ? statusOnWire(invoice) : 'a credit note',
    })
  await refuseWhilePaying(desk, invoice)
  const left = invoice.total - invoice.credited
  const credited = asked.amount ?? amount(left)
  if (credited > left || credited === 0n) throw invoiceRefusals.overCreditable({ left, currency })

  const tax = taxOfPart(invoice, invoice.credited + credited) - taxOfPart(invoice, invoice.credited)
  const beyondDue = credited > invoice.due ? credited - invoice.due : 0n
  // What waits to be asked for with the next invoice need not be given back: it is not asked for.
  const fromCarried = smallest(beyondDue, invoice.carried, customer.brought)
  const refunded = beyondDue - fromCarried
  const [id = 0] = await newInvoiceIds(sql, 1)
  const [place] = await takeNumbers(sql, terms.issuer, [
    {
      prefix: `${terms.prefix}-CN`,
      month: invoice.month ?? monthOf(now, terms.timeZone),
      customer: customer.number,
      day: dayOf(now, terms.timeZone),
    },
  ])
  const number = place?.number ?? ''
  const subtotal = invoice.taxInclusive && !invoice.reverseCharge ? credited : credited - tax
  await sql.query(
    `insert into invoice (id, operation_id, issuer, customer_id, type, origin, month, status, sequence, number, currency,
       subtotal, tax, tax_name, tax_percent, tax_inclusive, reverse_charge, total, credits_id, reason, created_at, issued_at,
       sent_at, paid_at)
     select $2, $3, issuer, customer_id, 'credit_note', 'credit', month, 'paid', $4, $5, currency,
       $6, $7, tax_name, tax_percent, tax_inclusive, reverse_charge, $8, id, $9, $10, $10, $11, $10
     from invoice where id = $1`,
    [
      ...[invoice.id, id, operation.id, place?.sequence, number, subtotal, tax, credited, asked.reason, now],
      terms.autoSend ? now : null,
    ],
  )
  await insertLines(sql, [
    {
      ...{ id, position: 0, metric: null, month: invoice.month, discount: 0n, quantity: '1', unitPrice: null },
      description: `Credit for ${invoice.number}: ${asked.reason}`,
      amount: subtotal,
    },
  ])
  await postCredit(desk, held, { number, net: credited - tax, tax, refunded })
  const paidOff = invoice.status === 'open' && invoice.due <= credited
  await sql.query(
    `update invoice set credited = credited + $2, refunded = refunded + $3, carried = carried - $4, status = $5,
       paid_at = case when $6 then $7 else paid_at end, dunning_at = case when $6 then null else dunning_at end,
       overdue = overdue and not $6
     where id = $1`,
    [
      ...[invoice.id, credited, refunded, fromCarried],
      ...[paidOff ? move(invoiceCycle, invoice.status, 'paid') : invoice.status, paidOff, now],
    ],
  )
  if (fromCarried > 0n)
    await carry(sql, [{ id: customer.id, brought: customer.brought - fromCarried, credit: customer.credit }])
  return { id, number, amount: credited, tax, refunded }
}

/** The tax in the first so much of an invoice: rounded on the whole, so that all notes together hold all of its tax. */
const taxOfPart = ({ tax, total }: InvoiceView, part: bigint): bigint =>
  total === 0n ? 0n : (2n * tax * part + total) / (2n * total)

async function postCredit(
  desk: Desk,
  held: Held,
  { number, net, tax, refunded }: { number: string; net: bigint; tax: bigint; refunded: bigint },
): Promise<void> {
  const { currency } = held.invoice
  const receivable = platformAccount('receivable', currency)
  const about = { operationId: desk.operation.id, memo: number }
  const { books, account } = refunded > 0n ? await held.wallet() : { books: await desk.books([]), account: undefined }
  if (net > 0n)
    books.post('invoice.credit', {
      ...{ ...about, debit: platformAccount('billing_revenue', currency), credit: receivable, amount: amount(net) },
    })
  if (tax > 0n)
    books.post('invoice.credit_tax', {
      ...{ ...about, debit: platformAccount('tax_payable', currency), credit: receivable, amount: amount(tax) },
    })
  if (account !== undefined)
    books.post('invoice.refund', { ...about, debit: receivable, credit: account, amount: amount(refunded) })
}
