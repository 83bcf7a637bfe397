import type { Keyring } from '../../kit/keyring.ts'
import type { Sql } from '../../kit/sql.ts'
import type { InvoiceFace, Seller } from './face.ts'
import { billedOf, type InvoiceView, invoiceOf, linesOf } from './reads.ts'

export {
  customerLines,
  decimalText,
  factsOf,
  fileNameOf,
  type InvoiceFace,
  moneyText,
  notesOf,
  type Seller,
  sellerLines,
  titleOf,
  totalsOf,
} from './face.ts'
export { INVOICE_PAYMENT } from './payment.ts'
export { invoicePaymentRefusals } from './payment-refusals.ts'
export { invoicePdf, type PdfFonts } from './pdf.ts'

/** What makes a face of an invoice beside what is in the database. */
export interface FaceParts {
  readonly keyring: Keyring
  readonly seller: Seller
  readonly timeZone: string
}

/** An invoice as its reader sees it. */
export async function faceOf(
  sql: Sql,
  invoice: InvoiceView,
  { keyring, seller, timeZone }: FaceParts,
): Promise<InvoiceFace> {
  const lines = await linesOf(sql, invoice.id)
  const customer = await billedOf(sql, keyring, invoice.customerId)
  const credits = invoice.creditsId === null ? null : (await invoiceOf(sql, invoice.creditsId, undefined)).number
  return {
    ...invoice,
    lines,
    credits,
    customer: { name: customer.name ?? customer.id, address: customer.address, taxId: customer.taxId },
    seller,
    timeZone,
  }
}

/** How the payment stands that somebody is about to make, for whoever looks at the page. */
export async function payingOf(sql: Sql, invoiceId: number): Promise<'underway' | 'review' | undefined> {
  const [row] = await sql.query<{ status: string }>(
    `select status from invoice_payment
     where invoice_id = $1 and status in ('created', 'sent', 'pending', 'unknown', 'review') limit 1`,
    [invoiceId],
  )
  if (row === undefined) return undefined
  return row.status === 'review' ? 'review' : 'underway'
}
