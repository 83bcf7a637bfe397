import { type InvoicingTerms, statusOnWire } from '../../domain/billing/invoice.ts'
import type { Issued } from '../../domain/billing/issue.ts'
import { pageUrl } from '../../domain/billing/link.ts'
import type { InvoiceView } from '../../domain/billing/reads.ts'
import type { createInvoice } from '../../jobs/billing.ts'
import type { ResultOf } from '../../jobs/kind.ts'
import { type Asset, toDecimal } from '../../kit/money.ts'
import { dayOf } from '../../kit/months.ts'
import type { Services } from '../context.ts'

/** A decimal number in the currency's own unit. Invoices hold no more digits than a JSON number does. */
export const decimalNumber = (value: bigint, currency: Asset): number => Number(toDecimal(value, currency))

/** A day as the seed's clients read it: the issuer's midnight, without an offset. */
export const localMidnight = (at: Date, { timeZone }: Pick<InvoicingTerms, 'timeZone'>): string =>
  `${dayOf(at, timeZone)}T00:00:00`

type Made = ResultOf<typeof createInvoice>

/** How an invoice that was just issued is answered. */
export const issuedBody = (issued: Issued, { keyring, invoicing }: Services): Made => ({
  success: true,
  invoice_id: issued.id,
  invoice_number: issued.number,
  amount: decimalNumber(issued.due, issued.currency),
  payment_url: pageUrl(invoicing.publicUrl, keyring, issued.id),
  status: statusOnWire({ ...issued, overdue: false }),
  due_date: localMidnight(issued.dueAt, invoicing),
})

/** How one is answered that was there. */
export const invoiceBody = (view: InvoiceView, { keyring, invoicing }: Services): Made => ({
  success: true,
  invoice_id: view.id,
  invoice_number: view.number,
  amount: decimalNumber(view.total + view.brought - view.carried, view.currency),
  payment_url: view.paymentUrl ?? (view.number === null ? null : pageUrl(invoicing.publicUrl, keyring, view.id)),
  status: statusOnWire(view),
  due_date: view.dueAt === null ? null : localMidnight(view.dueAt, invoicing),
})
