import { type BillingCustomer, lockCustomer, openCustomer } from '../../domain/billing/customer.ts'
import type { Line } from '../../domain/billing/invoice.ts'
import { statusOnWire } from '../../domain/billing/invoice.ts'
import { issue, keepDraft } from '../../domain/billing/issue.ts'
import { invoiceOf, linesOf } from '../../domain/billing/reads.ts'
import { invoiceRefusals } from '../../domain/billing/refusals.ts'
import { FIRST_PLAN } from '../../domain/pricing/plans.ts'
import { composeInvoice, finalizeInvoice } from '../../jobs/billing.ts'
import type { InputOf } from '../../jobs/kind.ts'
import { assert } from '../../kit/assert.ts'
import { Decimal } from '../../kit/decimal.ts'
import { assets } from '../../kit/money.ts'
import { dayOf, monthOf } from '../../kit/months.ts'
import type { Sql } from '../../kit/sql.ts'
import type { Services } from '../context.ts'
import { transact } from '../shapes/transact.ts'
import { invoiceBody, issuedBody } from './answers.ts'
import { holdInvoice } from './hold.ts'

export const invoiceCompose = transact(composeInvoice, {
  async perform(work, services) {
    const { sql, input, now } = work
    const { invoicing } = services
    const known = await someCustomer(sql, input.customer_id, now, services)
    const customer = { ...known, discountPercent: input.discount_percent ?? known.discountPercent }
    const draft = {
      customer,
      origin: 'manual' as const,
      month: monthOf(now, invoicing.timeZone),
      lines: input.items.map((item) => lineOf(item, customer)),
      description: input.description ?? null,
      dueOn: input.due_date,
    }
    if (input.draft === true)
      return invoiceBody(await invoiceOf(sql, await keepDraft(work, invoicing, draft), customer.id), services)
    const [issued] = await issue(work, invoicing, [draft])
    assert(issued, 'One draft gave no invoice')
    return issuedBody(issued, services)
  },
})

/** Whoever is billed for the first time becomes a customer by that. */
async function someCustomer(sql: Sql, id: string, now: Date, { invoicing }: Services): Promise<BillingCustomer> {
  const known = await lockCustomer(sql, id)
  if (known !== undefined) return known
  await openCustomer(sql, {
    ...{ id, plan: FIRST_PLAN, currency: invoicing.currency, now },
    startsOn: dayOf(now, invoicing.timeZone),
  })
  const opened = await lockCustomer(sql, id)
  assert(opened, `Customer ${id} was not opened`)
  return opened
}

type Item = InputOf<typeof composeInvoice>['items'][number]

function lineOf({ description, quantity = Decimal.one, unit_price }: Item, { currency }: BillingCustomer): Line {
  return {
    metric: null,
    month: null,
    description,
    quantity: quantity.toString(),
    unitPrice: unit_price.toString(),
    amount: quantity.times(unit_price).rounded(assets[currency].scale),
  }
}

/** Of two that finalise one draft the second finds it finalised. */
export const invoiceFinalize = transact(finalizeInvoice, {
  async perform(work, services) {
    const { invoice, customer } = await holdInvoice(work, work.input.invoice_id)
    if (invoice.status !== 'draft') throw invoiceRefusals.notDraft({ status: statusOnWire(invoice) })
    const { invoicing } = services
    const [issued] = await issue(work, invoicing, [
      {
        customer: { ...customer, discountPercent: invoice.discountPercent },
        origin: 'manual',
        month: monthOf(work.now, invoicing.timeZone),
        lines: await linesOf(work.sql, invoice.id),
        description: invoice.description,
        dueOn: invoice.dueAt === null ? undefined : dayOf(invoice.dueAt, invoicing.timeZone),
        id: invoice.id,
      },
    ])
    assert(issued, 'One draft gave no invoice')
    return issuedBody(issued, services)
  },
})
