import type pg from 'pg'
import type { Finding } from '../finding.ts'
import { auditInvoiceBooks } from './billing-books.ts'
import { billingEnds } from './billing-ends.ts'
import { auditStripe } from './billing-outside.ts'
import type { Prints } from './billing-prints.ts'
import { reckon, sumUp, type Used } from './billing-reckoning.ts'
import { auditAsked, type OperationRow } from './billing-told.ts'
import { auditUsage, type UsageRow } from './billing-usage.ts'
import { type Customer, type Months, minimums } from './billing-world.ts'
import type { Audited, Evidence } from './load.ts'

export interface InvoiceRow {
  readonly id: number
  readonly operation_id: string
  readonly customer_id: string
  readonly type: 'invoice' | 'credit_note'
  readonly origin: 'usage' | 'manual' | 'credit'
  readonly month: string | null
  readonly run_id: string | null
  readonly status: string
  readonly sequence: string | null
  readonly number: string | null
  readonly currency: string
  readonly subtotal: string
  readonly discount: string
  readonly tax: string
  readonly total: string
  readonly brought: string
  readonly carried: string
  readonly amount_paid: string
  readonly credited: string
  readonly refunded: string
  readonly due: string
  readonly credit_change: string
  readonly credits_id: number | null
  readonly gateway_id: string | null
  readonly gateway_amount: string | null
  /** The day of issue, and the last on which it is paid in time. */
  readonly issued_on: string | null
  readonly due_on: string | null
  readonly lines: readonly LineRow[]
}

interface LineRow {
  readonly metric: string | null
  readonly month: string | null
  readonly description: string
  readonly amount: number
  readonly discount: number
}

export interface PaymentRow {
  readonly id: string
  readonly invoice_id: number
  readonly operation_id: string
  readonly gateway_id: string | null
  readonly status: string
  readonly moved: string | null
  readonly moved_currency: string | null
}

/** Everything that billing has written, and where findings go. */
export interface Billed {
  readonly months: Months
  readonly customers: ReadonlyMap<string, Customer>
  readonly invoices: readonly InvoiceRow[]
  readonly payments: readonly PaymentRow[]
  readonly usage: readonly UsageRow[]
  readonly operations: ReadonlyMap<string, OperationRow>
  read<Row>(sql: string): Promise<Row[]>
  finds(sort: Finding['sort'], says: string): void
}

/** Holds every event, invoice and payment against what its caller was told, the books, Stripe, and a reckoning of its own. */
export async function auditBilling(
  { pool, told, sandbox }: Evidence,
  about: { readonly months: Months; readonly customers: readonly Customer[]; readonly prints: Prints },
): Promise<Audited> {
  const findings: Finding[] = []
  const billed = await readAll(pool, about, (sort, says) => void findings.push({ sort, says }))
  const ours = told.filter(({ kind }) => Object.hasOwn(billingEnds, kind))

  auditUsage(billed, ours)
  auditAsked(billed, ours)
  auditNumbers(billed)
  auditTotals(billed)
  auditMonths(billed)
  await auditCounter(billed)
  await auditRuns(billed)
  await auditInvoiceBooks(billed)
  await auditStripe(billed, sandbox)
  findings.push(...(await about.prints.changed(pool)))

  const count = (test: (invoice: InvoiceRow) => boolean) => billed.invoices.filter(test).length
  return {
    findings,
    figures: {
      usageEvents: billed.usage.length,
      lateEvents: billed.usage.filter(({ takenIn }) => takenIn !== null).length,
      monthsBilled: count(({ origin }) => origin === 'usage'),
      billedByRuns: count(({ run_id: run }) => run !== null),
      invoicesByHand: count(({ origin }) => origin === 'manual'),
      invoicesPaid: billed.payments.filter(({ status }) => status === 'succeeded').length,
      invoicesCollected: [...billed.operations.values()].filter(({ kind }) => kind === 'invoice.collect').length,
      invoicesLookedUp: [...billed.operations.values()].filter(({ kind }) => kind === 'invoice.lookup').length,
      invoicesVoid: count(({ status }) => status === 'void'),
      creditNotes: count(({ type }) => type === 'credit_note'),
      invoicesPrinted: about.prints.count,
    },
  }
}

async function readAll(
  pool: pg.Pool,
  { months, customers }: { months: Months; customers: readonly Customer[] },
  finds: Billed['finds'],
): Promise<Billed> {
  const read = async <Row>(sql: string): Promise<Row[]> => (await pool.query(sql)).rows as Row[]
  const operations = await read<OperationRow>(
    `select id, kind, status, coalesce(error->>'refusal', error->>'code') as code, result from operation
     where kind ~ '^(usage|invoice|customer|schedule)[.]'`,
  )
  return {
    ...{ months, read, finds, customers: new Map(customers.map((customer) => [customer.id, customer])) },
    operations: new Map(operations.map((row) => [row.id, row])),
    invoices: await read<InvoiceRow>(
      `select *, id::int, credits_id::int, (issued_at at time zone 'UTC')::date::text as issued_on,
         (due_at at time zone 'UTC')::date::text as due_on,
         coalesce((select json_agg(to_json(line) order by position) from invoice_line line where invoice_id = invoice.id), '[]') as lines
       from invoice order by invoice.id`,
    ),
    payments: await read<PaymentRow>('select *, invoice_id::int from invoice_payment order by id'),
    usage: await read<UsageRow>(
      `select customer_id as customer, at, metric, trim_scale(quantity)::text as quantity, value, event_id as id,
         billed_month as "takenIn" from usage_event`,
    ),
  }
}

/** Sequences have no gap, and nothing is numbered twice. */
function auditNumbers({ invoices, finds }: Billed): void {
  const numbered = invoices.filter(({ sequence }) => sequence !== null)
  const sequences = numbered.map(({ sequence }) => Number(sequence)).toSorted((a, b) => a - b)
  const wrong = sequences.findIndex((sequence, index) => sequence !== index + 1)
  if (wrong >= 0) {
    const found = sequences[wrong] ?? 0
    finds(found <= wrong ? 'doubled' : 'lost', `Of the numbers of invoices the ${wrong + 1}. is ${found}`)
  }
  for (const [number, all] of Map.groupBy(numbered, (invoice) => invoice.number))
    if (all.length > 1) finds('doubled', `Number ${number} is on ${all.length} invoices`)
}

async function auditCounter({ invoices, read, finds }: Billed): Promise<void> {
  const numbered = invoices.filter(({ sequence }) => sequence !== null).length
  const [counter] = await read<{ last: string }>('select last from invoice_counter')
  if (Number(counter?.last ?? 0) !== numbered)
    finds('books', `The counter of invoices is at ${counter?.last}, and ${numbered} are numbered`)
}

/** Each invoice is the sum of its lines with its customer's discount and taxes; nothing is taken back twice. */
function auditTotals({ invoices, customers, months, finds }: Billed): void {
  const notesOf = Map.groupBy(invoices, ({ credits_id: corrected }) => corrected)
  for (const invoice of invoices) {
    const { id, number, customer_id: owner, status, type } = invoice
    const name = `${type} ${id} (${number})`
    const lines = invoice.lines.reduce((all, { amount }) => all + BigInt(amount), 0n)
    if (lines !== BigInt(invoice.subtotal))
      finds('books', `The lines of ${name} come to ${lines}, and it says ${invoice.subtotal}`)
    const [credited, total] = [BigInt(invoice.credited), BigInt(invoice.total)]
    const notes = (notesOf.get(id) ?? []).reduce((all, note) => all + BigInt(note.total), 0n)
    if (notes !== credited) finds('books', `The credit notes of ${name} come to ${notes}, and it says ${credited}`)
    if (notes > total) finds('doubled', `The credit notes of ${name} come to ${notes} of ${total}`)
    if (type !== 'invoice' || status === 'draft') continue
    if (status === 'finalizing') finds('open', `${name} is ${status}`)

    const customer = customers.get(owner)
    if (customer === undefined) {
      finds('doubled', `${name} is for ${owner}, whom nobody has billed`)
      continue
    }
    const day = invoice.origin === 'usage' ? lastDayOf(invoice.month ?? '') : (invoice.issued_on ?? '')
    const due = sumUp(lines, customer.discount, { months, country: customer.country, day })
    const said = `${invoice.discount} off, ${invoice.tax} tax, ${invoice.total} in all`
    const reckoned = `${due.discount} off, ${due.tax} tax, ${due.total} in all`
    if (said !== reckoned) finds('books', `${name} of ${lines} says ${said}; reckoned again it is ${reckoned}`)
    const discounts = invoice.lines.reduce((all, { discount }) => all + BigInt(discount), 0n)
    if (discounts !== BigInt(invoice.discount)) finds('books', `The lines of ${name} are discounted by ${discounts}`)
    const small = minimums[invoice.currency] ?? 0n
    const owed = total + BigInt(invoice.brought)
    if (owed > 0n && owed < small && BigInt(invoice.due) > 0n)
      finds('books', `${name} asks for ${invoice.due}, which Stripe does not take`)
  }
}

const lastDayOf = (month: string): string => {
  const date = new Date(`${month}-01T00:00:00Z`)
  date.setUTCMonth(date.getUTCMonth() + 1, 0)
  return date.toISOString().slice(0, 10)
}

/** A customer's month is on one invoice, and costs what its usage does; usage that came late is on a later one. */
function auditMonths({ invoices, customers, usage, finds }: Billed): void {
  const months = invoices.filter(({ origin }) => origin === 'usage')
  const standing = Map.groupBy(
    months.filter(({ status }) => status !== 'void'),
    ({ customer_id: owner, month }) => `${owner} ${month}`,
  )
  for (const [month, all] of standing)
    if (all.length > 1) finds('doubled', `${month} is on invoices ${all.map(({ id }) => id).join(', ')}`)

  const used: ReadonlyMap<string, readonly Used[]> = Map.groupBy(usage, (event) => event.customer)
  for (const { id, number, customer_id: owner, month, lines } of months) {
    const customer = customers.get(owner)
    if (customer === undefined || month === null) continue
    const billed = new Map<string, bigint>()
    for (const line of lines) {
      // What was kept from other invoices has no month.
      if (line.month === null || line.amount === 0) continue
      const name = `${line.metric ?? 'fee'} ${line.month}`
      billed.set(name, (billed.get(name) ?? 0n) + BigInt(line.amount))
    }
    const reckoned = reckon(customer, used.get(owner) ?? [], month)
    for (const name of new Set([...billed.keys(), ...reckoned.keys()])) {
      const [is, due] = [billed.get(name) ?? 0n, reckoned.get(name) ?? 0n]
      if (is !== due)
        finds(
          is < due ? 'lost' : 'doubled',
          `Invoice ${id} (${number}) asks ${is} for ${name}; by what was used it is ${due}`,
        )
    }
  }
}

interface RunRow {
  readonly id: string
  readonly period: string
  readonly status: string
  readonly total: number
  readonly done: number
  readonly failed: number
  readonly made: number
  readonly chunks: number
  readonly undone: number
  readonly items: number
  readonly of_chunks: number
}

/** Runs are whole: everybody was looked at once, and whoever had something to pay for has an invoice. */
async function auditRuns({ invoices, customers, usage, read, finds }: Billed): Promise<void> {
  const runs = await read<RunRow>(
    `select run.id, period, status, total::int, done::int, failed::int, run.made::int, count(position)::int as chunks,
       (count(position) filter (where done_at is null))::int as undone, coalesce(sum(items), 0)::int as items,
       coalesce(sum(run_chunk.made), 0)::int as of_chunks
     from run left join run_chunk on run_id = run.id group by run.id order by period`,
  )
  const used = Map.groupBy(usage, (event) => event.customer)
  for (const run of runs) {
    const name = `The run of ${run.period}`
    if (run.status !== 'closed') finds('open', `${name} is ${run.status}, at ${run.done} of ${run.total}`)
    if (run.done + run.failed !== run.total || run.items !== run.total || run.undone > 0)
      finds('lost', `${name} has done ${run.done} of ${run.total}, ${run.undone} of ${run.chunks} chunks are left`)
    if (run.failed > 0) finds('lost', `${name} could not bill ${run.failed} customers`)
    const made = invoices.filter(({ run_id: of }) => of === run.id).length
    if (made !== run.made || made !== run.of_chunks)
      finds(made < run.made ? 'lost' : 'doubled', `${name} says it made ${run.made} invoices, and there are ${made}`)
    if (run.status !== 'closed') continue
    const has = new Set(invoices.filter(({ month }) => month === run.period).map(({ customer_id: owner }) => owner))
    for (const customer of customers.values())
      if (!has.has(customer.id) && reckon(customer, used.get(customer.id) ?? [], run.period).size > 0)
        finds('lost', `${name} has not billed ${customer.id}`)
  }
  for (const [period, all] of Map.groupBy(runs, (run) => run.period))
    if (all.length > 1) finds('doubled', `${period} was run ${all.length} times`)
}
