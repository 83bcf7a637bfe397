import { smallest } from '../../kit/money.ts'
import type { BillingCustomer } from './customer.ts'
import type { InvoicingTerms, Line } from './invoice.ts'
import type { Tax } from './tax.ts'
import { type Totals, totals } from './totals.ts'

/** Everything of an invoice but its number: what is asked for, and what is carried from and to other invoices. */
export interface Settled extends Totals {
  readonly lines: readonly Line[]
  readonly tax: bigint
  readonly taxed: Tax
  /** From earlier invoices that were too small. */
  readonly brought: bigint
  /** Of this one, too small: the next asks for it. */
  readonly carried: bigint
  readonly due: bigint
  readonly creditChange: bigint
  /** The customer as they stand after this. */
  readonly customer: BillingCustomer
}

/**
 * What a customer pays for these lines. Where adjustments come to less than nothing, the rest is kept for the next invoice
 * and taken off there. What is due but below what gateways take is asked for by the next invoice, and not collected here.
 */
export function settleLines(
  customer: BillingCustomer,
  given: readonly Line[],
  about: { readonly tax: Tax; readonly terms: Pick<InvoicingTerms, 'minimums'> },
): Settled {
  const raw = given.reduce((sum, { amount }) => sum + amount, 0n)
  const creditChange = raw < 0n ? -raw : -smallest(raw, customer.credit)
  const lines = creditChange === 0n ? given : [...given, creditLine(creditChange)]
  const sums = totals(
    lines.map(({ amount }) => amount),
    { discountPercent: customer.discountPercent, tax: about.tax },
  )
  const owed = sums.total + customer.brought
  const tooSmall = owed > 0n && owed < (about.terms.minimums[customer.currency] ?? 0n)
  return {
    ...sums,
    lines,
    taxed: about.tax,
    creditChange,
    brought: tooSmall ? 0n : customer.brought,
    carried: tooSmall ? sums.total : 0n,
    due: tooSmall ? 0n : owed,
    customer: {
      ...customer,
      credit: customer.credit + creditChange,
      brought: tooSmall ? owed : 0n,
    },
  }
}

const creditLine = (change: bigint): Line => ({
  metric: null,
  month: null,
  description:
    change > 0n ? 'Adjustments beyond this invoice, kept for the next' : 'Adjustments kept from earlier invoices',
  quantity: '1',
  unitPrice: null,
  amount: change,
})
