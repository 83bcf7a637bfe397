import { arrayLiteral, textArrayLiteral } from '../../kit/array-literal.ts'
import { assert } from '../../kit/assert.ts'
import { amount } from '../../kit/money.ts'
import { dayOf, dayStart, type Month, nextMonth } from '../../kit/months.ts'
import type { Sql } from '../../kit/sql.ts'
import type { Books } from '../ledger/books.ts'
import { platformAccount } from '../ledger/platform-accounts.ts'
import { type BillingCustomer, carry } from './customer.ts'
import { type Currency, currencies, type InvoicingTerms, type Line } from './invoice.ts'
import { type Place, takeNumbers } from './number.ts'
import { invoiceRefusals } from './refusals.ts'
import { type Settled, settleLines } from './settle.ts'
import { taxOn } from './tax.ts'

/** What issuing needs of the transaction in which it happens. */
export interface Desk {
  readonly sql: Sql
  readonly now: Date
  readonly operation: { readonly id: string }
  books(accountIds: readonly string[]): Promise<Books>
}

/** Lines that want to become an invoice. The customer is locked. */
export interface Draft {
  readonly customer: BillingCustomer
  readonly origin: 'usage' | 'manual'
  /** The month that is billed; made by hand: the month of issue. */
  readonly month: Month
  readonly lines: readonly Line[]
  readonly description?: string | null
  /** The last day on which it is paid in time; so many days after its issue unless told. */
  readonly dueOn?: string | undefined
  readonly runId?: string | undefined
  /** Where it was kept as a draft: its row. */
  readonly id?: number | undefined
}

/** An invoice that has its number. */
export interface Issued {
  readonly id: number
  readonly number: string
  readonly customerId: string
  readonly currency: Currency
  readonly status: 'open' | 'paid'
  readonly total: bigint
  /** What is to be paid: with what was brought from earlier invoices, and nothing where it is carried to the next. */
  readonly due: bigint
  readonly dueAt: Date
  readonly sentAt: Date | null
}

/** The largest total, minor units: fifteen digits are exact as a JSON number, wherever its point is. */
export const MAX_TOTAL = 999_999_999_999_999n

type Taxes = Awaited<ReturnType<typeof taxOn>>

interface Ready {
  readonly draft: Draft
  readonly settled: Settled
  readonly id: number
  readonly dueAt: Date
  readonly place: Place
}

/**
 * Finalises drafts together, in their order: settles what is asked for, writes lines, gives numbers, writes invoices and posts
 * them, one statement each. What is due stands open; an invoice of nothing is paid at once, and no gateway hears of it.
 */
export async function issue(desk: Desk, terms: InvoicingTerms, drafts: readonly Draft[]): Promise<Issued[]> {
  const [first] = drafts
  if (first === undefined) return []
  const { sql, now } = desk
  const today = dayOf(now, terms.timeZone)
  const taxes = new Map<string, Taxes>()
  for (const draft of drafts) {
    const period = taxPeriod(draft)
    if (!taxes.has(period))
      taxes.set(period, await taxOn(sql, draft.origin === 'usage' ? lastDayOf(period) : today, terms))
  }
  const settled = drafts.map((draft): Settled => {
    const tax = taxes.get(taxPeriod(draft))?.(draft.customer)
    assert(tax, `No rates were read for ${draft.month}`)
    const one = settleLines(draft.customer, draft.lines, { tax, terms })
    if (one.subtotal > MAX_TOTAL || one.total + one.brought > MAX_TOTAL) throw invoiceRefusals.tooLarge()
    return one
  })
  const usual = dayStart(plusDays(today, terms.dueDays), terms.timeZone)
  const newIds = await newInvoiceIds(sql, drafts.filter(({ id }) => id === undefined).length)
  const ids = drafts.map(({ id }) => id ?? next(newIds))
  await writeLines(sql, drafts, ids, settled)
  // From here on nobody else finalises until this transaction ends.
  const places = await takeNumbers(
    sql,
    terms.issuer,
    drafts.map(({ customer, month }) => ({
      prefix: terms.prefix,
      month,
      customer: customer.number,
      day: today,
    })),
  )
  const ready = drafts.map(
    (draft, index): Ready => ({
      draft,
      settled: at(settled, index),
      id: at(ids, index),
      dueAt: draft.dueOn === undefined ? usual : dayStart(draft.dueOn, terms.timeZone),
      place: at(places, index),
    }),
  )
  const sentAt = terms.autoSend ? now : null
  await writeInvoices(desk, terms, ready, sentAt)
  await post(desk, ready)
  await carry(
    sql,
    settled
      .map(({ customer }, index) => ({ customer, before: at(drafts, index).customer }))
      .filter(({ customer, before }) => customer.brought !== before.brought || customer.credit !== before.credit)
      .map(({ customer }) => customer),
  )
  return ready.map(({ draft, settled: one, id, dueAt, place }) => ({
    id,
    number: place.number,
    customerId: draft.customer.id,
    currency: draft.customer.currency,
    status: one.due === 0n ? ('paid' as const) : ('open' as const),
    total: one.total,
    due: one.due,
    dueAt,
    sentAt,
  }))
}

/** Usage has the rates of its month's last day, when it was supplied; what is made by hand has those of its issue. */
const taxPeriod = ({ origin, month }: Draft): Month => (origin === 'usage' ? month : '')

export const lastDayOf = (month: Month): string => plusDays(`${nextMonth(month)}-01`, -1)

/** Days of the calendar, whatever clocks do meanwhile. */
export function plusDays(day: string, days: number): string {
  const date = new Date(`${day}T00:00:00Z`)
  date.setUTCDate(date.getUTCDate() + days)
  return date.toISOString().slice(0, 10)
}

function at<Item>(items: readonly Item[], index: number): Item {
  const item = items[index]
  assert(item !== undefined, `There is no item ${index}`)
  return item
}

function next(ids: number[]): number {
  const id = ids.shift()
  assert(id !== undefined, 'There are fewer ids than invoices')
  return id
}

/** Ids are taken before the number is: they may have gaps. */
export async function newInvoiceIds(sql: Sql, count: number): Promise<number[]> {
  if (count === 0) return []
  const rows = await sql.query<{ id: string }>(
    `select nextval('invoice_id_seq') as id from generate_series(1, $1::int)`,
    [count],
  )
  return rows.map(({ id }) => Number(id))
}

async function writeInvoices(desk: Desk, terms: InvoicingTerms, all: readonly Ready[], sentAt: Date | null) {
  const { sql, now, operation } = desk
  const kept = all.filter(({ draft }) => draft.id !== undefined)
  const made = all.filter(({ draft }) => draft.id === undefined)
  if (made.length > 0)
    await sql.query(
      `insert into invoice (operation_id, issuer, run_id, created_at, issued_at, sent_at, type, ${NAMES})
       select $1, $2, $3, $4, $4, $5, 'invoice', ${NAMES} from ${unnested(6)} as new (${NAMES})`,
      [operation.id, terms.issuer, made[0]?.draft.runId ?? null, now, sentAt, ...arrays(made, now)],
    )
  if (kept.length > 0)
    await sql.query(
      `update invoice set issued_at = $1, sent_at = $2, ${columns.map(([name]) => `${name} = new.${name}`).join(', ')}
       from ${unnested(3)} as new (${NAMES}) where invoice.id = new.id`,
      [now, sentAt, ...arrays(kept, now)],
    )
}

/** A column of invoices: its name, its type, and an invoice's value. */
const columns: readonly (readonly [name: string, type: string, value: (one: Ready, now: Date) => unknown])[] = [
  ['id', 'bigint', ({ id }) => id],
  ['customer_id', 'text', ({ draft }) => draft.customer.id],
  ['origin', 'text', ({ draft }) => draft.origin],
  ['month', 'text', ({ draft }) => (draft.origin === 'usage' ? draft.month : null)],
  ['description', 'text', ({ draft }) => draft.description ?? null],
  ['status', 'text', ({ settled }) => (settled.due === 0n ? 'paid' : 'open')],
  ['sequence', 'bigint', ({ place }) => place.sequence],
  ['number', 'text', ({ place }) => place.number],
  ['currency', 'text', ({ draft }) => draft.customer.currency],
  ['subtotal', 'bigint', ({ settled }) => settled.subtotal],
  ['discount_percent', 'numeric', ({ draft }) => draft.customer.discountPercent],
  ['discount', 'bigint', ({ settled }) => settled.discount],
  ['tax', 'bigint', ({ settled }) => settled.tax],
  ['tax_name', 'text', ({ settled }) => settled.taxed.name],
  ['tax_percent', 'numeric', ({ settled }) => settled.taxed.percent],
  ['tax_inclusive', 'boolean', ({ settled }) => settled.taxed.inclusive],
  ['reverse_charge', 'boolean', ({ settled }) => settled.taxed.reverseCharge],
  ['total', 'bigint', ({ settled }) => settled.total],
  ['brought', 'bigint', ({ settled }) => settled.brought],
  ['carried', 'bigint', ({ settled }) => settled.carried],
  ['credit_change', 'bigint', ({ settled }) => settled.creditChange],
  ['due_at', 'timestamptz', ({ dueAt }) => dueAt.toISOString()],
  ['paid_at', 'timestamptz', ({ settled }, now) => (settled.due === 0n ? now.toISOString() : null)],
]

const NAMES = columns.map(([name]) => name).join(', ')

/** The columns' arrays, as parameters from `first` on. */
const unnested = (first: number): string =>
  `unnest(${columns.map(([, type], index) => `$${first + index}::${type}[]`).join(', ')})`

const arrays = (all: readonly Ready[], now: Date): unknown[] =>
  columns.map(([, type, value]) => {
    const values = all.map((one) => value(one, now))
    return type === 'text' ? textArrayLiteral(values as (string | null)[]) : arrayLiteral(values)
  })

async function writeLines(
  sql: Sql,
  drafts: readonly Draft[],
  ids: readonly number[],
  settled: readonly Settled[],
): Promise<void> {
  const kept = drafts.flatMap(({ id }) => id ?? [])
  if (kept.length > 0) await sql.query('delete from invoice_line where invoice_id = any($1::bigint[])', [kept])
  await insertLines(
    sql,
    settled.flatMap(({ lines, shares }, index) =>
      lines.map((line, position) => ({ ...line, id: at(ids, index), position, discount: shares[position] ?? 0n })),
    ),
  )
}

/** Lines of any number of invoices. */
export async function insertLines(
  sql: Sql,
  lines: readonly (Line & { readonly id: number; readonly position: number; readonly discount: bigint })[],
): Promise<void> {
  if (lines.length === 0) return
  await sql.query(
    `insert into invoice_line (invoice_id, position, metric, month, description, quantity, unit_price, amount, discount)
     select * from unnest($1::bigint[], $2::int[], $3::text[], $4::text[], $5::text[], $6::numeric[], $7::numeric[],
       $8::bigint[], $9::bigint[])`,
    [
      arrayLiteral(lines.map(({ id }) => id)),
      arrayLiteral(lines.map(({ position }) => position)),
      textArrayLiteral(lines.map(({ metric }) => metric)),
      textArrayLiteral(lines.map(({ month }) => month)),
      textArrayLiteral(lines.map(({ description }) => description)),
      arrayLiteral(lines.map(({ quantity }) => quantity)),
      arrayLiteral(lines.map(({ unitPrice }) => unitPrice)),
      arrayLiteral(lines.map(({ amount: of }) => of)),
      arrayLiteral(lines.map(({ discount }) => discount)),
    ],
  )
}

/** Each invoice is owed to us: what we earn with it, and the tax that is not ours. */
async function post({ books: open, operation }: Desk, all: readonly Ready[]): Promise<void> {
  const books = await open([])
  const accounts = new Map(
    currencies.map((currency) => [
      currency,
      {
        receivable: platformAccount('receivable', currency),
        revenue: platformAccount('billing_revenue', currency),
        tax: platformAccount('tax_payable', currency),
      },
    ]),
  )
  for (const { draft, settled, place } of all) {
    const ours = accounts.get(draft.customer.currency)
    assert(ours, `Nobody is billed in ${draft.customer.currency}`)
    const debit = ours.receivable
    const about = { operationId: operation.id, memo: place.number }
    const net = settled.total - settled.tax
    if (net > 0n)
      books.post('invoice.issue', {
        ...{ ...about, debit, credit: ours.revenue, amount: amount(net) },
      })
    if (settled.tax > 0n)
      books.post('invoice.tax', {
        ...{ ...about, debit, credit: ours.tax, amount: amount(settled.tax) },
      })
  }
}

/** Keeps lines as a draft: no number, no tax, nothing posted. It may be deleted. */
export async function keepDraft(
  { sql, now, operation }: Desk,
  { issuer, timeZone }: Pick<InvoicingTerms, 'issuer' | 'timeZone'>,
  draft: Omit<Draft, 'id'>,
): Promise<number> {
  const [id] = await newInvoiceIds(sql, 1)
  assert(id !== undefined, 'A draft got no id')
  const subtotal = draft.lines.reduce((sum, line) => sum + line.amount, 0n)
  if (subtotal > MAX_TOTAL) throw invoiceRefusals.tooLarge()
  await sql.query(
    `insert into invoice (id, operation_id, issuer, customer_id, origin, status, description, currency, subtotal, total,
       due_at, created_at, discount_percent)
     values ($1, $2, $3, $4, $5, 'draft', $6, $7, $8, $8, $9, $10, $11)`,
    [
      ...[id, operation.id, issuer, draft.customer.id, draft.origin, draft.description ?? null],
      ...[draft.customer.currency, subtotal, draft.dueOn === undefined ? null : dayStart(draft.dueOn, timeZone), now],
      draft.customer.discountPercent,
    ],
  )
  await insertLines(
    sql,
    draft.lines.map((line, position) => ({ ...line, id, position, discount: 0n })),
  )
  return id
}
