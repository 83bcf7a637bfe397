import { assert } from '../../kit/assert.ts'
import type { Month } from '../../kit/months.ts'
import type { Sql } from '../../kit/sql.ts'

/** What a number is made of. */
export interface Numbered {
  readonly prefix: string
  readonly month: Month
  /** The customer's own. */
  readonly customer: number
  /** Of issue, where the issuer is: `2024-01-01`. */
  readonly day: string
}

/** `AH-2024-01-000001-20240101`: the month that is billed, the customer, the day of issue. */
const baseOf = ({ prefix, month, customer, day }: Numbered): string =>
  `${prefix}-${month}-${String(customer).padStart(6, '0')}-${day.replaceAll('-', '')}`

export interface Place {
  /** Gapless, in the order of finalisation. */
  readonly sequence: bigint
  readonly number: string
}

/**
 * Takes the next places in the issuer's book, as many as are asked for, in their order. The counter stays locked until the
 * transaction ends: whoever rolls back leaves no gap, and nobody else finalises meanwhile. So this comes as late as it can.
 */
export async function takeNumbers(sql: Sql, issuer: string, wanted: readonly Numbered[]): Promise<Place[]> {
  if (wanted.length === 0) return []
  const [counter] = await sql.query<{ last: string }>(
    `insert into invoice_counter (issuer, last) values ($1, $2)
     on conflict (issuer) do update set last = invoice_counter.last + excluded.last returning last`,
    [issuer, wanted.length],
  )
  assert(counter, `The counter of ${issuer} did not count`)
  const first = BigInt(counter.last) - BigInt(wanted.length) + 1n
  const bases = wanted.map(baseOf)
  const used = await countsOf(sql, bases)
  return bases.map((base, index) => {
    const before = used.get(base) ?? 0
    used.set(base, before + 1)
    return {
      sequence: first + BigInt(index),
      number: before === 0 ? base : `${base}-${before + 1}`,
    }
  })
}

/** How many numbers have begun so. Hardly any: one customer's second invoice of a month on one day. */
async function countsOf(sql: Sql, bases: readonly string[]): Promise<Map<string, number>> {
  const taken = await sql.query<{ number: string }>(`select number from invoice where number = any($1::text[])`, [
    bases,
  ])
  const counts = new Map<string, number>()
  for (const { number } of taken) {
    const [row] = await sql.query<{ count: number }>(
      `select count(*)::int as count from invoice
       where customer_id = (select customer_id from invoice where number = $1) and starts_with(number, $1)`,
      [number],
    )
    counts.set(number, row?.count ?? 1)
  }
  return counts
}
