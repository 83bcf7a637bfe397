import type { LineFile } from '../domain/audit/file.ts'
import type { Seller } from '../domain/billing/face.ts'
import type { InvoicingTerms } from '../domain/billing/invoice.ts'
import type { PdfFonts } from '../domain/billing/pdf.ts'
import type { SignedForm } from '../domain/tokens/signed-form.ts'
import type { Mail } from '../gateways/mail.ts'
import type { Gateway, GatewayName } from '../gateways/port.ts'
import type { StripeInvoices } from '../gateways/stripe/invoices.ts'
import type { Vault } from '../gateways/vault.ts'
import type { VoiceService } from '../gateways/voice.ts'
import type { Messenger } from '../jobs/dispatch.ts'
import type { Envelope } from '../jobs/envelope.ts'
import type { Clock } from '../kit/clock.ts'
import type { Keyring } from '../kit/keyring.ts'
import type { Sql } from '../kit/sql.ts'
import type { Database } from '../platform/database.ts'
import type { Log } from '../platform/log.ts'

/** What the world outside our database offers to processors. */
export interface Services {
  readonly voice: VoiceService
  /** Those that are configured. */
  readonly gateways: ReadonlyMap<GatewayName, Gateway>
  /** Where invoices are paid; absent where Stripe is not configured. */
  readonly stripeInvoices: StripeInvoices | undefined
  /** Absent where no mail server is configured. */
  readonly mail: Mail | undefined
  /** Who sends invoices, as they say it. */
  readonly seller: Seller
  /** What invoices are printed in; Helvetica unless told. */
  readonly pdfFonts: PdfFonts | undefined
  /** Absent unless a vault is configured. */
  readonly vault: Vault | undefined
  readonly signedForm: SignedForm
  readonly keyring: Keyring
  readonly clock: Clock
  /** Statements over whole tables: without the time limit of ordinary ones, on a connection of their own. */
  readonly longReads: <Result>(work: (sql: Sql) => Promise<Result>) => Promise<Result>
  /** Whether suspicious requests are stopped, or only noted. */
  readonly fraudRules: 'on' | 'observe'
  /** Where sealed audit events are appended; absent unless a file is configured. */
  readonly auditFile: LineFile | undefined
  /** What we bill by. */
  readonly invoicing: InvoicingTerms
  /** Days that finished operations are kept. */
  readonly retentionDays: number
  /** What the queue means to do with jobs. */
  readonly fates: Messenger['fates']
  /** The names of schedules whose period has begun a while ago, and nobody has started it. */
  readonly overdueSchedules: (sql: Sql, now: Date) => Promise<readonly string[]>
}

/** What processors tell about what they did; counted only after the commit. */
export interface Measures {
  tokenIssued(voiceDigest: string): void
  budgetConsumed(amount: number): void
  operationFinished(kind: string, status: string, code: string | undefined, seconds: number): void
}

/** What a shape works with. */
export interface WorkContext {
  readonly database: Database
  readonly services: Services
  readonly measures: Measures
  readonly log: Log
  /** Sends jobs of follow-up operations, after the commit that made them. */
  readonly dispatch: (envelopes: readonly Envelope[]) => void
}
