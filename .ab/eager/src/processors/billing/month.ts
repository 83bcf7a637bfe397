import type { BillingCustomer } from '../../domain/billing/customer.ts'
import type { InvoicingTerms, Line } from '../../domain/billing/invoice.ts'
import { type Draft, MAX_TOTAL } from '../../domain/billing/issue.ts'
import { plansByCode } from '../../domain/pricing/plans.ts'
import { type PricedLine, rate } from '../../domain/pricing/rate.ts'
import { aggregate } from '../../domain/usage/aggregate.ts'
import { assert } from '../../kit/assert.ts'
import { type Month, monthSpan, nextMonth } from '../../kit/months.ts'
import type { Sql } from '../../kit/sql.ts'

export interface MonthDrafts {
  /** Of customers who have something to pay for, were it nothing in the end. */
  readonly drafts: readonly Draft[]
  /** Customers whose month could not be reckoned. */
  readonly problems: readonly { readonly subject: string; readonly message: string }[]
}

/**
 * What a month costs these customers, who are locked and stand in the order of their ids, and whose month is closed. One
 * pass over their usage.
 */
export async function draftMonth(
  sql: Sql,
  customers: readonly BillingCustomer[],
  about: { readonly month: Month; readonly terms: InvoicingTerms; readonly runId?: string },
): Promise<MonthDrafts> {
  const { month, terms, runId } = about
  const billed = await billedAlready(sql, customers, about)
  const waiting = customers.filter(({ id }) => !billed.has(id))
  if (waiting.length === 0) return { drafts: [], problems: [] }
  const zone = terms.timeZone
  const used = await aggregate(sql, {
    customerIds: waiting.map(({ id }) => id),
    ...monthSpan(month, zone),
    late: { month, zone },
  })
  const plans = await plansByCode(sql)
  const isThere = presentIn(month)

  const drafts: Draft[] = []
  const problems: { subject: string; message: string }[] = []
  for (const customer of waiting) {
    try {
      const plan = plans.get(customer.plan)
      assert(plan, `There is no plan ${customer.plan}`)
      const lines = rate({
        prices: plan.prices,
        aggregates: used.get(customer.id) ?? [],
        month,
        currency: customer.currency,
        fee: { cycle: isThere(customer) ? plan.cycle : 'none', since: customer.startsOn.slice(0, 7) },
      })
      // With taxes of up to its own size, and what is brought: still within what an invoice holds.
      const sum = lines.reduce((total, { amount }) => total + amount, 0n)
      assert(sum <= MAX_TOTAL / 4n && customer.brought <= MAX_TOTAL / 4n, `${sum} is more than an invoice can hold`)
      if (lines.length > 0) drafts.push({ customer, origin: 'usage', month, lines: lines.map(lineOf), runId })
    } catch (error) {
      problems.push({ subject: customer.id, message: error instanceof Error ? error.message : String(error) })
    }
  }
  return { drafts, problems }
}

/** Whoever left before the month pays no fee for it, but for usage that came late. */
const presentIn = (month: Month) => {
  const [first, after] = [`${month}-01`, `${nextMonth(month)}-01`]
  return ({ startsOn, endsOn }: BillingCustomer): boolean => startsOn < after && (endsOn === null || endsOn >= first)
}

const lineOf = ({ metric, month, description, quantity, unitPrice, amount }: PricedLine): Line => ({
  ...{ metric, month, description, amount },
  quantity: quantity.toString(),
  unitPrice: unitPrice?.toString() ?? null,
})

/**
 * Those whose month has an invoice. Whoever makes one holds the customer's lock. Asked for as a span, from the first to the
 * last in the order of their ids: one piece of one index, whatever the planner knows of a table that is just being filled.
 */
async function billedAlready(
  sql: Sql,
  customers: readonly BillingCustomer[],
  { month, terms }: { month: Month; terms: InvoicingTerms },
): Promise<ReadonlySet<string>> {
  const rows = await sql.query<{ customer_id: string }>(
    `select customer_id from invoice
     where issuer = $1 and month = $2 and customer_id between $3 and $4 and origin = 'usage' and status <> 'void'`,
    [terms.issuer, month, customers[0]?.id, customers.at(-1)?.id],
  )
  return new Set(rows.map((row) => row.customer_id))
}
