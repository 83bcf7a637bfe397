import {
  cancelInvoice,
  composeInvoice,
  createInvoice,
  creditInvoice,
  finalizeInvoice,
  invoiceChunk,
} from '../../src/jobs/billing.ts'
import { payInvoice } from '../../src/jobs/invoice-payments.ts'
import { startSchedule } from '../../src/jobs/schedules.ts'
import { fromPublicId } from '../../src/kit/ids.ts'
import type { Told } from '../records.ts'
import type { Billed, InvoiceRow, PaymentRow } from './billing-audit.ts'
import { billingEnds } from './billing-ends.ts'
import { halfUp, whole } from './billing-reckoning.ts'
import type { Composed } from './billing-wishes.ts'
import { type BilledIn, scales } from './billing-world.ts'

export interface OperationRow {
  readonly id: string
  readonly kind: string
  readonly status: string
  readonly code: string | null
  readonly result: Readonly<Record<string, unknown>> | null
}

/** Every wish ended as it may, has made one invoice at most, and what was told of that still holds. */
export function auditAsked(billed: Billed, told: readonly Told[]): void {
  const { invoices, payments, operations, finds } = billed
  const of: Found = {
    made: Map.groupBy(invoices, (invoice) => invoice.operation_id),
    invoice: new Map(invoices.map((invoice) => [invoice.id, invoice])),
    payment: new Map(payments.map((payment) => [payment.id, payment])),
    cancelled: new Set(told.filter(({ kind }) => kind === cancelInvoice.name).map(({ path }) => idIn(path))),
  }
  // By period: its run, and whether somebody was told to have started it.
  const started = new Map<string, string>()
  const begins = new Set<string>()
  const asked = new Set<string>()
  for (const one of told) {
    const operation = operations.get(one.operationId ?? '')
    // The general audit has said so already.
    if (operation === undefined || (operation.status !== 'succeeded' && operation.status !== 'failed')) continue
    asked.add(operation.id)
    const wrong: Wrong = (sort, says) => finds(sort, `${one.kind} ${operation.id} ${says}`)
    const end = operation.status === 'succeeded' ? 'succeeded' : (operation.code ?? '')
    if (!(billingEnds[one.kind] ?? []).includes(end)) wrong('told', `ended with ${end}`)
    auditMade(one, operation, of, wrong)
    if (operation.result === null) continue
    if (one.kind === payInvoice.name) auditPaid(operation.result, of, wrong)
    if (one.kind === startSchedule.name) {
      const { period, operation_id: run, started: begun } = operation.result
      const known = started.get(String(period)) ?? run
      if (known !== run) wrong('doubled', `is run by ${run}, and ${period} was by ${known}`)
      started.set(String(period), String(run))
      if (begun === true && begins.has(String(period))) wrong('doubled', `started ${period} once more`)
      if (begun === true) begins.add(String(period))
    }
  }
  for (const { id, number, operation_id: by } of invoices)
    if (!asked.has(by) && operations.get(by)?.kind !== invoiceChunk.name)
      finds('doubled', `Invoice ${id} (${number}) was made beside what was asked for, by ${operations.get(by)?.kind}`)
}

type Wrong = (sort: 'told' | 'lost' | 'doubled', says: string) => void

interface Found {
  readonly made: ReadonlyMap<string, readonly InvoiceRow[]>
  readonly invoice: ReadonlyMap<number, InvoiceRow>
  readonly payment: ReadonlyMap<string, PaymentRow>
  /** Ids of invoices that somebody wanted to cancel: those of drafts are gone. */
  readonly cancelled: ReadonlySet<number>
}

const MAKES: ReadonlySet<string> = new Set([composeInvoice.name, createInvoice.name, creditInvoice.name])
const TELLS: ReadonlySet<string> = new Set([composeInvoice.name, createInvoice.name, finalizeInvoice.name])

function auditMade(one: Told, { id, kind, result, status }: OperationRow, found: Found, wrong: Wrong): void {
  const made = found.made.get(id) ?? []
  if (made.length > (MAKES.has(kind) && status === 'succeeded' ? 1 : 0))
    wrong('doubled', `made ${made.length} invoices`)
  if (result === null) return
  const about = found.invoice.get(Number(result.invoice_id))
  if (kind === cancelInvoice.name) {
    const is = about?.status ?? 'deleted'
    if (is !== (result.status === 'cancelled' ? 'void' : 'deleted'))
      wrong('told', `was told ${result.status}: it is ${is}`)
  } else if (kind === creditInvoice.name) {
    const note = found.invoice.get(Number(result.credit_note_id))
    const isIt = note !== undefined && note.operation_id === id && note.credits_id === result.invoice_id
    if (!isIt) wrong('lost', `names the credit note ${result.credit_note_id}`)
    else if (
      note.number !== result.credit_note_number ||
      !is(note.total, result.amount, note) ||
      !is(note.tax, result.tax, note)
    )
      wrong('told', `was told ${JSON.stringify(result)}, and is ${note.number} of ${note.total}`)
  } else if (TELLS.has(kind)) {
    const isDraft = result.status === 'draft'
    if (about === undefined) {
      if (!isDraft || !found.cancelled.has(Number(result.invoice_id)))
        wrong('lost', `names invoice ${result.invoice_id}`)
      return
    }
    if (!isDraft) auditTold(about, result, wrong)
    if (kind === composeInvoice.name) auditItems(about, one.body as Composed, wrong)
    if (kind === createInvoice.name && one.path.split('/')[5] !== about.month) wrong('told', `billed ${about.month}`)
  }
}

/** What is asked for, and its name, never changes. What was told of its status may have been over by then. */
function auditTold(row: InvoiceRow, result: Readonly<Record<string, unknown>>, wrong: Wrong): void {
  if (row.number !== result.invoice_number) wrong('told', `was told ${result.invoice_number}, and it is ${row.number}`)
  const asked = BigInt(row.total) + BigInt(row.brought)
  // What is carried to the next invoice is not asked for; a credit note may have lowered it since.
  const carries = BigInt(row.carried) > 0n || BigInt(row.credited) > 0n
  if (!is(asked, result.amount, row) && !(carries && result.amount === 0))
    wrong('told', `was told ${result.amount}, and ${asked} is asked for`)
  if (result.due_date !== `${row.due_on}T00:00:00`)
    wrong('told', `was told ${result.due_date}, and it is ${row.due_on}`)
}

/** Its lines are what was asked for, each rounded once. */
function auditItems(row: InvoiceRow, { customer_id: customer, items, due_date: due }: Composed, wrong: Wrong): void {
  if (row.customer_id !== customer) wrong('told', `is for ${row.customer_id}`)
  if (due !== undefined && row.due_on !== due) wrong('told', `is due on ${row.due_on}, not ${due}`)
  const digits = 3 + 2 - scales[row.currency as BilledIn]
  for (const [index, { description, quantity = '1', unit_price }] of items.entries()) {
    const line = row.lines[index]
    const due = halfUp(whole(quantity, 2) * whole(unit_price, 3), 10n ** BigInt(digits))
    if (line?.description !== description || BigInt(line.amount) !== due)
      wrong('told', `has the line ${JSON.stringify(line)} for ${description} of ${due}`)
  }
}

function auditPaid(result: Readonly<Record<string, unknown>>, found: Found, wrong: Wrong): void {
  const payment = found.payment.get(fromPublicId('inp', String(result.payment_id)) ?? '')
  const invoice = found.invoice.get(Number(result.invoice_id))
  if (payment === undefined || invoice === undefined || payment.invoice_id !== invoice.id) {
    wrong('lost', `names the payment ${result.payment_id}`)
    return
  }
  if (result.status !== 'paid') return
  if (payment.status !== 'succeeded') wrong('told', `was told it is paid, and the payment is ${payment.status}`)
  if (!is(payment.moved ?? '0', result.amount_paid, invoice))
    wrong('told', `was told ${result.amount_paid}, and ${payment.moved} moved`)
}

/** Are these minor units the number that was told? */
const is = (minor: bigint | string, told: unknown, { currency }: InvoiceRow): boolean =>
  typeof told === 'number' && Number(minor) === Math.round(told * 10 ** scales[currency as BilledIn])

const idIn = (path: string): number => Number(path.split('/')[5])
