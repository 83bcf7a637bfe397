import {
  type Copy,
  closeCopy,
  copyOf,
  copyReference,
  customerReference,
  keepCopy,
  keepCustomer,
} from '../../domain/billing/copy.ts'
import { titleOf } from '../../domain/billing/face.ts'
import type { InvoiceView } from '../../domain/billing/reads.ts'
import type { InvoiceAnswer, InvoiceRequest, StripeInvoices } from '../../gateways/stripe/invoices.ts'
import { amount } from '../../kit/money.ts'
import type { Sql } from '../../kit/sql.ts'

/** What Stripe is asked next so that an invoice can be paid there. Nobody is charged by any of it. */
export type CopyStep =
  | { readonly is: 'customer'; readonly customerId: string; readonly reference: string }
  | { readonly is: 'withdraw'; readonly reference: string; readonly id: string }
  | { readonly is: 'issue'; readonly request: InvoiceRequest }

export type CopyAnswer = Awaited<ReturnType<StripeInvoices['customer']>> | InvoiceAnswer

/** A last day that has passed counts from now: Stripe takes none in the past. */
const LEAST_DAYS_MS = 86_400_000

/** The next step towards a copy that asks for what is due; undefined when it is there. */
export async function nextStep(
  sql: Sql,
  invoice: InvoiceView,
  now: Date,
): Promise<{ readonly step: CopyStep | undefined; readonly copy: Copy }> {
  const copy = await copyOf(sql, invoice.id)
  const { customer, id } = copy
  if (customer === null)
    return {
      copy,
      step: { is: 'customer', customerId: invoice.customerId, reference: customerReference(invoice.customerId) },
    }
  if (copy.amount === invoice.due) return { copy, step: undefined }
  if (copy.amount !== null && id !== null) return { copy, step: { is: 'withdraw', reference: id, id } }
  const dueAt = new Date(Math.max(invoice.dueAt?.getTime() ?? 0, now.getTime() + LEAST_DAYS_MS))
  const request: InvoiceRequest = {
    reference: copyReference(invoice, copy),
    customer,
    currency: invoice.currency,
    // One line: discounts, taxes and what was brought are on ours, and would be reckoned a second time there.
    lines: [{ description: titleOf(invoice), amount: amount(invoice.due) }],
    dueAt,
    description: titleOf(invoice),
  }
  return { copy, step: { is: 'issue', request } }
}

export function ask(step: CopyStep, stripe: StripeInvoices): Promise<CopyAnswer> {
  switch (step.is) {
    case 'customer':
      return stripe.customer({ reference: step.reference })
    case 'withdraw':
      return stripe.void({ reference: step.reference, id: step.id })
    case 'issue':
      return stripe.issue(step.request)
  }
}

/** What follows from an answer. `paid`: somebody has paid on Stripe's page before it could be taken back. */
export type Kept =
  | { readonly is: 'on' }
  | { readonly is: 'later'; readonly reason: string }
  | { readonly is: 'declined'; readonly code: string; readonly message: string }
  | { readonly is: 'differs' }
  | { readonly is: 'settled' }

/** Writes down what Stripe answered. The invoice is locked. */
export async function keep(
  { sql, now }: { readonly sql: Sql; readonly now: Date },
  invoice: InvoiceView,
  step: CopyStep,
  answer: CopyAnswer,
): Promise<Kept> {
  switch (answer.outcome) {
    case 'not_sent':
    case 'unknown':
      return { is: 'later', reason: answer.reason }
    case 'draft':
      return { is: 'later', reason: 'Stripe has begun the invoice and not finished it' }
    case 'declined':
      return { is: 'declined', code: answer.code, message: answer.message }
    case 'known':
      await keepCustomer(sql, invoice.customerId, answer.id)
      return { is: 'on' }
    case 'void':
    case 'uncollectible':
      await closeCopy(sql, invoice.id, answer)
      return { is: 'on' }
    case 'paid':
      return { is: 'settled' }
    case 'open': {
      if (step.is !== 'issue') return { is: 'later', reason: 'Stripe keeps the invoice open' }
      const { amount: wanted } = step.request.lines[0] ?? {}
      await keepCopy({ sql, now }, invoice.id, { id: answer.id, amount: answer.amount, url: answer.url })
      return answer.amount === wanted && answer.currency === step.request.currency ? { is: 'on' } : { is: 'differs' }
    }
  }
}
