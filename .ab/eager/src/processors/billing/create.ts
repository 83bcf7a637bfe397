import { type BillingCustomer, lockCustomer } from '../../domain/billing/customer.ts'
import { issue } from '../../domain/billing/issue.ts'
import { invoiceOf } from '../../domain/billing/reads.ts'
import { invoiceRefusals } from '../../domain/billing/refusals.ts'
import { closeMonth } from '../../domain/usage/close.ts'
import { createInvoice } from '../../jobs/billing.ts'
import { Bug } from '../../kit/assert.ts'
import { type Month, monthSpan } from '../../kit/months.ts'
import type { Sql } from '../../kit/sql.ts'
import type { Services } from '../context.ts'
import { Done, staged } from '../shapes/staged.ts'
import { invoiceBody, issuedBody } from './answers.ts'
import { draftMonth } from './month.ts'

/** Closes the month for the customer in one transaction, and adds it up in the next: what comes between is late. */
export const invoiceCreate = staged(createInvoice, {
  async begin({ sql, input, now }, services) {
    const { month } = input
    const customer = await customerOf(sql, input.user_id)
    const { until } = monthSpan(month, services.invoicing.timeZone)
    if (now < until) throw invoiceRefusals.monthNotOver({ month, until })
    const known = await invoiceOfMonth(sql, customer.id, month, services)
    if (known !== undefined) return new Done(known)
    await closeMonth(sql, { month, customerId: customer.id, now })
    return {}
  },

  async call() {
    return {}
  },

  async finish(work, _answered, services) {
    const { sql, input } = work
    const { month } = input
    const customer = await customerOf(sql, input.user_id)
    // Somebody may have billed it while it was being closed.
    const known = await invoiceOfMonth(sql, customer.id, month, services)
    if (known !== undefined) return known
    const { drafts, problems } = await draftMonth(sql, [customer], { month, terms: services.invoicing })
    const [problem] = problems
    if (problem !== undefined) throw new Bug(problem.message)
    const [issued] = await issue(work, services.invoicing, drafts)
    if (issued === undefined) throw invoiceRefusals.nothingToBill({ month })
    return issuedBody(issued, services)
  },
})

async function customerOf(sql: Sql, id: string | undefined): Promise<BillingCustomer> {
  const customer = await lockCustomer(sql, id ?? '')
  if (customer === undefined) throw invoiceRefusals.customerNotFound()
  return customer
}

/** The customer is locked, and so nobody bills the month meanwhile. */
async function invoiceOfMonth(sql: Sql, customerId: string, month: Month, services: Services) {
  const [row] = await sql.query<{ id: string }>(
    `select id from invoice
     where issuer = $1 and customer_id = $2 and month = $3 and origin = 'usage' and status <> 'void'`,
    [services.invoicing.issuer, customerId, month],
  )
  return row && invoiceBody(await invoiceOf(sql, Number(row.id), customerId), services)
}
