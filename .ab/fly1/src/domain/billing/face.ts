import { type Asset, assets, toDecimal } from '../../kit/money.ts'
import type { Line } from './invoice.ts'
import type { InvoiceView } from './reads.ts'

/** What of an invoice stands on its face. */
type Shown =
  | 'type'
  | 'number'
  | 'status'
  | 'overdue'
  | 'currency'
  | 'month'
  | 'description'
  | 'issuedAt'
  | 'dueAt'
  | 'paidAt'
  | 'subtotal'
  | 'discount'
  | 'tax'
  | 'taxName'
  | 'taxPercent'
  | 'taxInclusive'
  | 'reverseCharge'
  | 'total'
  | 'brought'
  | 'carried'
  | 'paid'
  | 'credited'
  | 'refunded'
  | 'due'

/** An invoice as somebody sees it: all that its page, its PDF and its letter say, and nothing that they do not. */
export interface InvoiceFace extends Pick<InvoiceView, Shown> {
  readonly lines: readonly Pick<Line, 'description' | 'quantity' | 'unitPrice' | 'amount'>[]
  /** Of a credit note: the number of the invoice that it corrects. */
  readonly credits: string | null
  readonly customer: {
    readonly name: string
    readonly address: string | null
    readonly taxId: string | null
  }
  readonly seller: Seller
  /** The issuer's: days are days there. */
  readonly timeZone: string
}

/** Who sends invoices. */
export interface Seller {
  readonly name: string
  readonly address: string | null
  readonly email: string | null
  readonly phone: string | null
}

/** `USD 1,234.50`: a code and no symbol, since several countries share a symbol. */
export function moneyText(value: bigint, currency: Asset): string {
  const decimal = toDecimal(value < 0n ? -value : value, currency)
  const written = assets[currency].scale === 0 ? decimal.replace(/\.0+$/, '') : decimal
  return `${value < 0n ? '−' : ''}${currency} ${grouped(written)}`
}

/** Without zeros that say nothing, with thousands set apart: `1,500`, `0.0025`. */
export function decimalText(written: string): string {
  const [whole = '', decimals = ''] = written.split('.')
  const significant = decimals.replace(/0+$/, '')
  return grouped(significant === '' ? whole : `${whole}.${significant}`).replace('-', '−')
}

function grouped(decimal: string): string {
  const [whole = '', ...decimals] = decimal.split('.')
  return [whole.replaceAll(/\B(?=(\d{3})+$)/g, ','), ...decimals].join('.')
}

/** `21 November 2026` */
export const dayText = (at: Date, timeZone: string): string =>
  new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeZone }).format(at)

/** `October 2026` of `2026-10`. */
export const monthText = (month: string): string =>
  new Intl.DateTimeFormat('en-GB', { month: 'long', year: 'numeric', timeZone: 'UTC' }).format(new Date(`${month}-01`))

export const titleOf = (face: Pick<InvoiceFace, 'type' | 'number'>): string =>
  `${face.type === 'invoice' ? 'Invoice' : 'Credit note'} ${face.number ?? '(draft)'}`

/** Under which its PDF is kept. */
export const fileNameOf = (face: Pick<InvoiceFace, 'type' | 'number'>): string =>
  `${titleOf(face).replaceAll(/[^\w.-]+/g, '-')}.pdf`

/** How it stands, in words for whoever has to pay it. */
export function standingOf(face: InvoiceFace): string {
  if (face.type === 'credit_note') return face.status === 'void' ? 'Canceled' : 'Issued'
  switch (face.status) {
    case 'draft':
    case 'finalizing':
      return 'Draft: not due yet'
    case 'open':
      return face.overdue ? 'Overdue' : 'To be paid'
    case 'paid':
      return face.paidAt === null ? 'Paid' : `Paid on ${dayText(face.paidAt, face.timeZone)}`
    case 'uncollectible':
      return 'Overdue'
    case 'void':
      return 'Canceled: nothing is to be paid'
  }
}

/** What stands beside the number: name and value. */
export function factsOf(face: InvoiceFace): [name: string, value: string][] {
  const facts: [string, string | null][] = [
    ['Number', face.number],
    ['Corrects invoice', face.credits],
    ['Issued', face.issuedAt === null ? null : dayText(face.issuedAt, face.timeZone)],
    ['Due', face.dueAt === null || face.type === 'credit_note' ? null : dayText(face.dueAt, face.timeZone)],
    ['Period', face.month === null ? null : monthText(face.month)],
    ['Status', standingOf(face)],
  ]
  return facts.filter((fact): fact is [string, string] => fact[1] !== null)
}

export interface TotalView {
  readonly name: string
  readonly amount: string
  /** The last word: set in bold. */
  readonly strong?: true
}

/** The sums under the lines, from top to bottom. */
export function totalsOf(face: InvoiceFace): TotalView[] {
  const money = (value: bigint) => moneyText(value, face.currency)
  const tax = `${face.taxName ?? 'Tax'} ${decimalText(face.taxPercent)} %`
  return [
    { name: 'Subtotal', amount: money(face.subtotal) },
    ...(face.discount === 0n ? [] : [{ name: 'Discount', amount: money(-face.discount) }]),
    ...(face.tax === 0n || face.taxInclusive ? [] : [{ name: tax, amount: money(face.tax) }]),
    { name: 'Total', amount: money(face.total), strong: true },
    ...(face.tax === 0n || !face.taxInclusive ? [] : [{ name: `of which ${tax}`, amount: money(face.tax) }]),
    ...(face.brought === 0n ? [] : [{ name: 'Brought from earlier invoices', amount: money(face.brought) }]),
    ...(face.carried === 0n ? [] : [{ name: 'Carried to the next invoice', amount: money(-face.carried) }]),
    ...(face.paid === 0n ? [] : [{ name: 'Paid', amount: money(face.paid) }]),
    ...(face.credited === 0n ? [] : [{ name: 'Credited', amount: money(face.credited) }]),
    ...(face.refunded === 0n ? [] : [{ name: 'of which given back', amount: money(face.refunded) }]),
    ...(face.type === 'credit_note' || face.status === 'draft' || face.status === 'finalizing'
      ? []
      : [{ name: 'Amount due', amount: money(face.due), strong: true as const }]),
  ]
}

/** What tax law wants to be said. */
export const notesOf = (face: InvoiceFace): string[] => [
  ...(face.reverseCharge ? ['Reverse charge: the recipient accounts for the tax.'] : []),
  ...(face.taxInclusive && face.tax > 0n ? ['Prices include tax.'] : []),
]

/** Lines of the blocks that say who sends it to whom. */
export const sellerLines = ({ address, email, phone }: Seller): string[] => [
  ...linesOf(address),
  ...[email, phone].filter((one) => one !== null),
]
export const customerLines = ({ address, taxId }: InvoiceFace['customer']): string[] => [
  ...linesOf(address),
  ...(taxId === null ? [] : [`Tax id ${taxId}`]),
]

const linesOf = (address: string | null): string[] =>
  (address ?? '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
