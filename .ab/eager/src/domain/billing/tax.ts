import type { Sql } from '../../kit/sql.ts'
import type { BillingCustomer } from './customer.ts'
import type { InvoicingTerms } from './invoice.ts'

/** The tax that one invoice carries. */
export interface Tax {
  /** VAT, GST; null where none is tabled for the customer's country. */
  readonly name: string | null
  readonly percent: string
  /** Prices hold it already. */
  readonly inclusive: boolean
  /** The customer accounts for it: none is charged. */
  readonly reverseCharge: boolean
}

export const NO_TAX: Tax = { name: null, percent: '0', inclusive: false, reverseCharge: false }

interface Rate {
  readonly country: string
  readonly percent: string
  readonly name: string
  readonly inclusive: boolean
  readonly reverse_charge: boolean
}

/** The rates of every country as they hold on a day: a change has a day from which it holds. */
export async function taxOn(
  sql: Sql,
  day: string,
  { country }: Pick<InvoicingTerms, 'country'>,
): Promise<(customer: Pick<BillingCustomer, 'country' | 'taxId'>) => Tax> {
  const rows = await sql.query<Rate>(
    `select distinct on (country) country, trim_scale(percent)::text as percent, name, inclusive, reverse_charge
     from tax_rate where starts_on <= $1::date order by country, starts_on desc`,
    [day],
  )
  const rates = new Map(rows.map((row) => [row.country, row]))
  return (customer) => {
    const rate = customer.country === null ? undefined : rates.get(customer.country)
    if (rate === undefined) return NO_TAX
    const abroad = country !== undefined && customer.country !== country
    return {
      name: rate.name,
      percent: rate.percent,
      inclusive: rate.inclusive,
      reverseCharge: rate.reverse_charge && abroad && customer.taxId !== null,
    }
  }
}
