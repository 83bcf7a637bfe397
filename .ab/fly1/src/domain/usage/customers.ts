import type { Asset } from '../../kit/money.ts'
import type { Sql } from '../../kit/sql.ts'
import { type Counted, MAX_AGE_DAYS } from './event.ts'

/** How a user who was never set up as a customer becomes one, by what they use. */
export interface FirstTerms {
  readonly plan: string
  readonly currency: string
}

/** From when to when the usage of each is counted; who is not a customer yet is not in it. */
export async function countedCustomers(sql: Sql, ids: readonly string[]): Promise<ReadonlyMap<string, Counted>> {
  const rows = await sql.query<{ id: string; starts_on: string; ends_on: string | null }>(
    'select id, starts_on::text, ends_on::text from billing_customer where id = any($1::text[])',
    [ids],
  )
  return new Map(rows.map((row) => [row.id, { startsOn: row.starts_on, endsOn: row.ends_on }]))
}

/**
 * How somebody is counted who becomes a customer by what they use: from the day of the oldest event that could still come,
 * so that the order in which events arrive refuses none of them.
 */
export const newcomer = (now: Date): Counted => ({
  startsOn: new Date(now.getTime() - (MAX_AGE_DAYS + 1) * 86_400_000).toISOString().slice(0, 10),
  endsOn: null,
})

/** Makes these users customers, as far as nobody has done so meanwhile. */
export async function beginCustomers(
  sql: Sql,
  ids: readonly string[],
  first: FirstTerms & { readonly now: Date },
): Promise<void> {
  if (ids.length === 0) return
  await sql.query(
    `insert into billing_customer (id, plan, currency, starts_on, created_at)
     select id, $2, $3, $4, $5 from unnest($1::text[]) as stranger (id) on conflict do nothing`,
    [ids.toSorted(), first.plan, first.currency, newcomer(first.now).startsOn, first.now],
  )
}

/** By what a customer pays; nothing where nobody is one yet. */
export async function customerTerms(
  sql: Sql,
  id: string,
): Promise<{ plan: string; currency: Asset; startsOn: string } | undefined> {
  const [row] = await sql.query<{ plan: string; currency: Asset; starts_on: string }>(
    'select plan, currency, starts_on::text from billing_customer where id = $1',
    [id],
  )
  return row && { plan: row.plan, currency: row.currency, startsOn: row.starts_on }
}
