import type { Currency, PdfFonts, Seller } from '../../domain/billing/reads.ts'
import type { Sql } from '../../kit/sql.ts'
import type { SubmissionParts } from '../submission.ts'

export interface BillingRouteParts extends SubmissionParts {
  readonly reads: Sql
  /** Who sends invoices, as they say it. */
  readonly seller: Seller
  /** What PDFs are printed in; Helvetica unless told. */
  readonly pdfFonts: PdfFonts | undefined
  /** Whether Stripe is configured: the page has a button. */
  readonly payable: boolean
  readonly invoicing: {
    /** The issuer's: months begin at midnight there. */
    readonly timeZone: string
    /** Of customers that name none. */
    readonly currency: Currency
    /** Under which customers reach us. */
    readonly publicUrl: string
  }
}
