import type { Keyring } from '../../kit/keyring.ts'
import type { Sql } from '../../kit/sql.ts'
import type { Currency } from './invoice.ts'

/** Somebody who is billed: what their invoices are made by. */
export interface BillingCustomer {
  readonly id: string
  /** Their part of invoice numbers. */
  readonly number: number
  readonly plan: string
  readonly currency: Currency
  readonly country: string | null
  readonly taxId: string | null
  readonly discountPercent: string
  readonly startsOn: string
  readonly endsOn: string | null
  /** Owed from invoices that were too small to be collected, minor units. */
  readonly brought: bigint
  /** Of adjustments, before tax, minor units: the next invoice takes it off. */
  readonly credit: bigint
}

interface CustomerRow {
  id: string
  number: string
  plan: string
  currency: Currency
  country: string | null
  tax_id: string | null
  discount_percent: string
  starts_on: string
  ends_on: string | null
  brought: string
  credit: string
}

const COLUMNS = `id, number, plan, currency, country, tax_id, discount_percent, starts_on::text, ends_on::text, brought, credit`

const customer = (row: CustomerRow): BillingCustomer => ({
  id: row.id,
  number: Number(row.number),
  plan: row.plan,
  currency: row.currency,
  country: row.country,
  taxId: row.tax_id,
  discountPercent: row.discount_percent,
  startsOn: row.starts_on,
  endsOn: row.ends_on,
  brought: BigInt(row.brought),
  credit: BigInt(row.credit),
})

/**
 * Locks a customer until the transaction ends. Whoever issues, voids or credits an invoice takes this lock before any
 * other but the wallet's, so that what is carried between a customer's invoices is carried once.
 */
export async function lockCustomer(sql: Sql, id: string): Promise<BillingCustomer | undefined> {
  const [row] = await sql.query<CustomerRow>(
    `select ${COLUMNS} from billing_customer where id = $1 for no key update`,
    [id],
  )
  return row && customer(row)
}

/** The same for all customers of a span of ids, in their order: `after` is not in it, `through` is. */
export async function lockCustomers(
  sql: Sql,
  span: { after: string | null; through: string; from: string; until: string },
): Promise<BillingCustomer[]> {
  const rows = await sql.query<CustomerRow>(
    `select ${COLUMNS} from billing_customer
     where ($1::text is null or id > $1) and id <= $2 and ${BILLED} order by id for no key update`,
    [span.after, span.through, span.from, span.until],
  )
  return rows.map(customer)
}

/** Those who may have something to pay for days from $3 to $4: who left a while ago may have usage that came late. */
const BILLED = `starts_on <= $4::date and (ends_on is null or ends_on >= $3::date - 62)`

/** Cuts the customers of a month into spans of so many, in the order of their ids. The table is read once. */
export async function customerSpans(
  sql: Sql,
  wanted: { from: string; until: string; size: number },
): Promise<{ after: string | null; through: string; items: number }[]> {
  return sql.query<{ after: string | null; through: string; items: number }>(
    `select lag(through) over (order by through) as after, through, items
     from (
       select max(id) as through, count(*)::int as items
       from (select id, (row_number() over (order by id) - 1) / $1 as span from billing_customer
             where starts_on <= $3::date and (ends_on is null or ends_on >= $2::date - 62)) numbered
       group by span
     ) spans order by through`,
    [wanted.size, wanted.from, wanted.until],
  )
}

/** What carrying between invoices has changed. */
export async function carry(
  sql: Sql,
  changed: readonly { readonly id: string; readonly brought: bigint; readonly credit: bigint }[],
): Promise<void> {
  if (changed.length === 0) return
  await sql.query(
    `update billing_customer set brought = changed.brought, credit = changed.credit
     from unnest($1::text[], $2::bigint[], $3::bigint[]) as changed (id, brought, credit)
     where billing_customer.id = any($1::text[]) and billing_customer.id = changed.id`,
    [changed.map(({ id }) => id), changed.map(({ brought }) => brought), changed.map(({ credit }) => credit)],
  )
}

/** A sealed column opens only in its own row. */
export const customerPlace = (id: string, column: 'email' | 'address') => `billing_customer:${id}:${column}`

export const sealOf = (keyring: Keyring, id: string, column: 'email' | 'address', plain: string | null) =>
  plain === null ? null : keyring.seal(plain, customerPlace(id, column))

export const openOf = (keyring: Keyring, id: string, column: 'email' | 'address', sealed: string | null) =>
  sealed === null ? null : keyring.open(sealed, customerPlace(id, column))

/** Makes somebody a customer who is none yet. */
export async function openCustomer(
  sql: Sql,
  first: { id: string; plan: string; currency: Currency; startsOn: string; now: Date },
): Promise<void> {
  await sql.query(
    `insert into billing_customer (id, plan, currency, starts_on, created_at) values ($1, $2, $3, $4, $5)
     on conflict do nothing`,
    [first.id, first.plan, first.currency, first.startsOn, first.now],
  )
}
