import { openPayment, reviewedPayment } from '../../domain/billing/payment.ts'
import { invoicePaymentRefusals } from '../../domain/billing/payment-refusals.ts'
import { invoiceRefusals } from '../../domain/billing/refusals.ts'
import { paymentRefusals } from '../../domain/payments/refusals.ts'
import { publishInvoice, withdrawInvoice } from '../../jobs/invoice-payments.ts'
import { ASK_NEXT, Done, staged, TryLater } from '../shapes/staged.ts'
import { believePaid } from './believe.ts'
import { ask, type CopyAnswer, keep, nextStep } from './copy.ts'
import { holdInvoice } from './hold.ts'
import { refusalOf } from './pay.ts'

/** The customer is about to pay by hand: Stripe gets a copy of what is due, and answers with its page. */
export const invoicePublish = staged(publishInvoice, {
  async begin(work, { stripeInvoices }) {
    const { sql, now, input } = work
    const { invoice } = await holdInvoice(work, input.invoice_id)
    const refusal = refusalOf(invoice)
    if (refusal !== undefined) return refusal
    if (stripeInvoices === undefined) return invoicePaymentRefusals.noGateway()
    // Two pages to pay on are two chances to pay twice.
    if ((await openPayment(sql, invoice.id)) !== undefined) return invoiceRefusals.paymentUnderWay()
    if ((await reviewedPayment(sql, invoice.id)) !== undefined) return invoicePaymentRefusals.inReview()
    const { step, copy } = await nextStep(sql, invoice, now)
    if (step !== undefined) return step
    return copy.url === null ? invoicePaymentRefusals.noGateway() : new Done({ payment_url: copy.url })
  },

  async call({ begun: step }, { stripeInvoices }): Promise<CopyAnswer> {
    if (stripeInvoices === undefined) return { outcome: 'not_sent', reason: 'Stripe is not configured any more' }
    return ask(step, stripeInvoices)
  },

  async finish(work, { begun: step, answer }) {
    const held = await holdInvoice(work, work.input.invoice_id)
    const kept = await keep(work, held.invoice, step, answer)
    switch (kept.is) {
      case 'on':
        return ASK_NEXT
      case 'later':
        return work.operation.attempts + 1 < publishInvoice.retry.attempts
          ? new TryLater(kept.reason)
          : paymentRefusals.gatewayUnavailable()
      case 'declined':
        return invoicePaymentRefusals.declined(kept)
      case 'differs':
        return invoicePaymentRefusals.amountDiffers()
      case 'settled':
        if (answer.outcome === 'paid') await believePaid(work, held, answer)
        return invoicePaymentRefusals.alreadyPaid()
    }
  },
})

/** Asked for anew by the next round where it could not be done: an outage makes no pile of them. */
export const invoiceWithdraw = staged(withdrawInvoice, {
  async begin(work) {
    const { sql, now, input } = work
    const { invoice } = await holdInvoice(work, input.invoice_id)
    if ((await openPayment(sql, invoice.id)) !== undefined) return new Done({ status: 'being paid' })
    const { step, copy } = await nextStep(
      sql,
      { ...invoice, due: refusalOf(invoice) === undefined ? invoice.due : 0n },
      now,
    )
    if (copy.amount === null || step?.is !== 'withdraw') return new Done({ status: 'nothing to withdraw' })
    return step
  },

  async call({ begun: step }, { stripeInvoices }): Promise<CopyAnswer> {
    if (stripeInvoices === undefined) return { outcome: 'not_sent', reason: 'Stripe is not configured any more' }
    return ask(step, stripeInvoices)
  },

  async finish(work, { begun: step, answer }) {
    const held = await holdInvoice(work, work.input.invoice_id)
    const kept = await keep(work, held.invoice, step, answer)
    if (kept.is === 'settled' && answer.outcome === 'paid')
      return { status: (await believePaid(work, held, answer)).status }
    return { status: kept.is === 'on' ? 'withdrawn' : kept.is }
  },
})
