import { isDeepStrictEqual } from 'node:util'
import type pg from 'pg'
import type { Finding } from '../finding.ts'

/** What an invoice says for ever, once it has its number. What is due, paid and credited may change. */
const PRINT = `select invoice.id::int, issuer, customer_id, type, origin, month, run_id, operation_id, description, sequence::int, number,
    currency, subtotal, discount_percent, discount, tax, tax_name, tax_percent, tax_inclusive, reverse_charge, total, brought,
    credits_id, issued_at::text, due_at::text, created_at::text,
    (select json_agg(to_json(line) order by position) from invoice_line line where invoice_id = invoice.id) as lines
  from invoice where sequence is not null`

/** Invoices of one print. */
const PRINTED = 20

/** Invoices as somebody has printed them while they were being worked on. */
export class Prints {
  readonly #prints = new Map<number, object>()

  async take(pool: pg.Pool): Promise<void> {
    const { rows } = await pool.query(`${PRINT} order by random() limit ${PRINTED}`)
    for (const row of rows) if (!this.#prints.has(row.id)) this.#prints.set(row.id, row)
  }

  get count(): number {
    return this.#prints.size
  }

  /** Those that say something else now. */
  async changed(pool: pg.Pool): Promise<Finding[]> {
    const { rows } = await pool.query(PRINT)
    const now = new Map<number, object>(rows.map((row) => [row.id, row]))
    return [...this.#prints].flatMap(([id, before]): Finding[] => {
      const after = now.get(id)
      if (isDeepStrictEqual(before, after)) return []
      const says = after === undefined ? 'it is gone' : `it says ${JSON.stringify(after)} now`
      return [{ sort: 'told', says: `Invoice ${id} was printed as ${JSON.stringify(before)}, and ${says}` }]
    })
  }
}
