import { checkLedger, inSnapshot } from '../../src/domain/ledger/check.ts'
import type { KindName } from '../../src/jobs/catalogue.ts'
import type { OperationView } from '../../src/jobs/operation-reads.ts'
import { newId } from '../../src/kit/ids.ts'
import { monthStart, nextMonth } from '../../src/kit/months.ts'
import { inTransaction } from '../../src/platform/database.ts'
import { moveTo } from './tokens.ts'
import type { Workshop } from './workshop.ts'

/** What a customer is, where a test wants it otherwise. */
export interface CustomerWishes {
  readonly plan?: string
  readonly currency?: string
  readonly country?: string
  readonly taxId?: string
  readonly discount?: string
  readonly startsOn?: string
  readonly endsOn?: string
}

/** An issuer without a door and without a queue: what it is asked for is done at once, and jobs that follow when told. */
export class Issuer {
  readonly shop: Workshop
  #made = 0

  constructor(shop: Workshop) {
    this.shop = shop
  }

  /** As on the first day: a database is much dearer than emptying one. */
  async startOver(): Promise<void> {
    this.#made = 0
    this.shop.queue.sent.length = 0
    await inTransaction(this.shop.pool, async (sql) => {
      // The books refuse to be emptied by anybody who does not say this.
      await sql.query('set local session_replication_role = replica')
      await sql.query(
        `truncate invoice, invoice_line, invoice_payment, invoice_copy_closed, invoice_counter, billing_customer, usage_event, closed_month,
           tax_rate, run, run_chunk, schedule_run, schedule_first_look, operation, idempotency_key, transfer, account_delta, hold
         restart identity`,
      )
      await sql.query('delete from account where floor is not null')
      await sql.query('update account set balance = 0, entries = 0')
    })
  }

  /** A new customer; the ids of one test sort in the order in which they were made. */
  async customer(wishes: CustomerWishes = {}, id = `user_${String(++this.#made).padStart(6, '0')}`): Promise<string> {
    await this.shop.pool.query(
      `insert into billing_customer (id, plan, currency, country, tax_id, discount_percent, starts_on, ends_on, created_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, now())`,
      [
        ...[id, wishes.plan ?? 'pro', wishes.currency ?? 'USD', wishes.country ?? null, wishes.taxId ?? null],
        ...[wishes.discount ?? '0', wishes.startsOn ?? '2024-01-01', wishes.endsOn ?? null],
      ],
    )
    return id
  }

  /** Usage as it stands in the table, on time unless told which month takes it in. */
  async used(customerId: string, at: string, quantity: number | string, late?: string, metric = 'api_calls') {
    await this.shop.pool.query(
      `insert into usage_event (customer_id, at, metric, quantity, event_id, billed_month, received_at)
       values ($1, $2, $3, $4, $5, $6, now())`,
      [customerId, at, metric, quantity, newId(), late ?? null],
    )
  }

  /** Whatever the clock said: the first instant after a month in the issuer's zone, and a little. */
  after(month: string): void {
    const { timeZone } = this.shop.context.services.invoicing
    moveTo(this.shop.clock, new Date(monthStart(nextMonth(month), timeZone).getTime() + 60_000))
  }

  /** Submits it and runs its job. Answers with the operation. */
  async do(kind: KindName, input: Record<string, unknown>): Promise<OperationView> {
    const id = await this.shop.submit(kind, input)
    await this.shop.run(kind, [id])
    return this.shop.operation(id)
  }

  /** The same, where it must succeed: its result. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into results of every shape
  async done(kind: KindName, input: Record<string, unknown>): Promise<any> {
    const { status, result, error } = await this.do(kind, input)
    if (status !== 'succeeded') throw new Error(`${kind} is ${status}: ${JSON.stringify(error)}`)
    return result
  }

  /** Delivers what was sent to the queue, and what follows from it, until nothing is left. */
  async work(): Promise<void> {
    const { sent } = this.shop.queue
    for (;;) {
      const job = sent.shift()
      if (job === undefined) return
      await this.shop.run(job.kind, job.data.operations)
    }
  }

  /** Runs a month for everybody, as its schedule does. */
  async run(month: string): Promise<OperationView> {
    const id = await this.startRun(month)
    await this.work()
    return this.shop.operation(id)
  }

  startRun(month: string): Promise<string> {
    const { timeZone } = this.shop.context.services.invoicing
    return this.shop.submit('invoice.run', { period: monthStart(nextMonth(month), timeZone).toISOString() })
  }

  // biome-ignore lint/suspicious/noExplicitAny: tests look into rows of every shape
  async rows(text: string, ...parameters: unknown[]): Promise<any[]> {
    return (await this.shop.pool.query(text, parameters)).rows
  }

  invoices(customerId?: string) {
    return this.rows(
      `select *, id::int, sequence::int, subtotal::int, discount::int, tax::int, total::int, due::int, brought::int,
         carried::int, amount_paid::int, credited::int, refunded::int
       from invoice where $1::text is null or customer_id = $1 order by invoice.id`,
      customerId ?? null,
    )
  }

  lines(invoiceId: number) {
    return this.rows(
      `select metric, month, description, trim_scale(quantity)::text as quantity, trim_scale(unit_price)::text as price,
         amount::int, discount::int
       from invoice_line where invoice_id = $1 order by position`,
      invoiceId,
    )
  }

  /** Balances of our own accounts with what they have gathered. */
  async balance(purpose: string, asset = 'USD', owner = 'platform'): Promise<number> {
    const [row] = await this.rows(
      `select (balance + coalesce((select sum(amount) from account_delta where account_id = account.id), 0))::int as balance
       from account where purpose = $1 and asset = $2 and owner = $3`,
      ...[purpose, asset, owner],
    )
    return row?.balance ?? 0
  }

  /**
   * Everything that must hold at any time: the ledger's own check, what customers owe by their invoices is what the ledger
   * says, sequences have no gap, numbers follow them, lines add up, and no month is billed twice.
   */
  async findings(): Promise<string[]> {
    const { pool, clock } = this.shop
    const ledger = await inTransaction(pool, (sql) => inSnapshot(sql, () => checkLedger(sql, clock.now())))
    const found = ledger.map(({ check, message }) => `${check}: ${message}`)
    const owed = await this.rows(
      `select asset, owed::text, booked::text from (
         select asset, -balance - coalesce((select sum(amount) from account_delta where account_id = account.id), 0) as booked,
           coalesce((select sum(due) from invoice where currency = asset and status = 'open'), 0)
             + coalesce((select sum(brought) from billing_customer where currency = asset), 0) as owed
         from account where purpose = 'receivable') compared where owed <> booked`,
    )
    for (const row of owed) found.push(`${row.owed} ${row.asset} is due, ${row.booked} is booked`)
    const [gap] = await this.rows(
      `select count(*)::int, coalesce(max(sequence), 0)::int as last, coalesce((select last from invoice_counter), 0)::int as counter,
         count(distinct number)::int as numbers
       from invoice where sequence is not null`,
    )
    if (gap.count !== gap.last || gap.last !== gap.counter || gap.numbers !== gap.count)
      found.push(`numbers: ${JSON.stringify(gap)}`)
    for (const row of await this.rows(
      `select invoice.id from invoice join invoice_line on invoice_id = invoice.id
       group by invoice.id having sum(invoice_line.amount) <> subtotal or sum(invoice_line.discount) <> invoice.discount`,
    ))
      found.push(`lines of ${row.id} do not add up`)
    for (const row of await this.rows(
      `select id from invoice where type = 'invoice' and status not in ('draft')
         and total <> subtotal - discount + case when tax_inclusive then 0 else tax end and not (tax_inclusive and reverse_charge)`,
    ))
      found.push(`total of ${row.id} is not its parts`)
    for (const row of await this.rows(
      `select invoice_id as id from invoice_line where not exists (select from invoice where id = invoice_id)
       union all
       select id from invoice where not exists (select from billing_customer where billing_customer.id = customer_id)`,
    ))
      found.push(`${row.id} belongs to nobody`)
    for (const row of await this.rows(
      `select one.id from invoice one where type = 'invoice'
         and credited <> coalesce((select sum(total) from invoice note where note.credits_id = one.id), 0)`,
    ))
      found.push(`credit notes of ${row.id} do not add up`)
    return found
  }
}
