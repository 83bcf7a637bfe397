import type { LifeCycle } from '../../kit/states.ts'
import { MONEY } from '../ledger/movements.ts'

/** Currencies in which somebody can be billed. */
export const currencies = MONEY
export type Currency = (typeof currencies)[number]

export const invoiceStatuses = ['draft', 'finalizing', 'open', 'paid', 'uncollectible', 'void'] as const
export type InvoiceStatus = (typeof invoiceStatuses)[number]

/**
 * A draft may change and may be deleted. Finalising settles its tax, its terms and its number, which it keeps for ever: what
 * is wrong after that is put right by a void or by credit notes. Paid: nothing of it is due any more. One that was given up is
 * open again when a part of it comes.
 */
export const invoiceCycle: LifeCycle<InvoiceStatus> = {
  draft: ['finalizing'],
  finalizing: ['open', 'paid'],
  open: ['paid', 'uncollectible', 'void'],
  uncollectible: ['open', 'paid', 'void'],
  paid: [],
  void: [],
}

/** How an invoice's status is written for callers: an open one is sent once it was handed over, and overdue after its day. */
export function statusOnWire(invoice: {
  readonly status: InvoiceStatus
  readonly overdue: boolean
  readonly sentAt: Date | null
}): WireStatus {
  if (invoice.status === 'open') return invoice.overdue ? 'overdue' : invoice.sentAt === null ? 'open' : 'sent'
  return invoice.status === 'void' ? 'cancelled' : invoice.status
}

export const wireStatuses = [
  'draft',
  'finalizing',
  'open',
  'sent',
  'overdue',
  'paid',
  'uncollectible',
  'cancelled',
] as const
export type WireStatus = (typeof wireStatuses)[number]

/** One line, as it was settled. Quantity and price are decimals; the amount is rounded once, half up, in minor units. */
export interface Line {
  /** Null on fees and on lines made by hand. */
  readonly metric: string | null
  /** Of the usage; before the invoice's own on adjustments for usage that came late. */
  readonly month: string | null
  readonly description: string
  readonly quantity: string
  /** Null where tiers make it several. */
  readonly unitPrice: string | null
  readonly amount: bigint
}

/** Who bills; one, until somebody needs a second. */
export const ISSUER = 'default'

/** What an issuer bills by. */
export interface InvoicingTerms {
  readonly issuer: string
  /** Months and days begin at midnight there. */
  readonly timeZone: string
  /** Of customers that name none. */
  readonly currency: Currency
  readonly dueDays: number
  readonly prefix: string
  /** Issued invoices are handed over to be e-mailed at once. */
  readonly autoSend: boolean
  /** The issuer's own country, where it is told: customers elsewhere may account for their tax themselves. */
  readonly country: string | undefined
  /** What is due but below it is asked for with the next invoice: the least that a configured gateway takes, minor units. */
  readonly minimums: Readonly<Partial<Record<Currency, bigint>>>
  /** Where customers reach us: links in answers and mails begin with it. */
  readonly publicUrl: string
}
