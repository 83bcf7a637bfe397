import { setTaxRate } from '../../jobs/billing.ts'
import { transact } from '../shapes/transact.ts'

/** The last word for a day wins. */
export const taxRateSet = transact(setTaxRate, {
  async perform({ sql, input }) {
    await sql.query(
      `insert into tax_rate (country, starts_on, name, percent, inclusive, reverse_charge) values ($1, $2, $3, $4, $5, $6)
       on conflict (country, starts_on) do update set name = excluded.name, percent = excluded.percent,
         inclusive = excluded.inclusive, reverse_charge = excluded.reverse_charge`,
      [input.country, input.starts_on, input.name, input.percent, input.inclusive, input.reverse_charge],
    )
    return { success: true as const, country: input.country, starts_on: input.starts_on }
  },
})
