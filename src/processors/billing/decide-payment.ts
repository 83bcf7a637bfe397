import { resumeDunning } from '../../domain/billing/dunning.ts'
import { receivePayment } from '../../domain/billing/pay.ts'
import { INVOICE_PAYMENT, movePayment, paymentNamed } from '../../domain/billing/payment.ts'
import { invoicePaymentRefusals } from '../../domain/billing/payment-refusals.ts'
import { invoiceOf, statusOnWire } from '../../domain/billing/reads.ts'
import { decideInvoicePayment } from '../../jobs/invoice-payments.ts'
import { fromPublicId } from '../../kit/ids.ts'
import { amount } from '../../kit/money.ts'
import { transact } from '../shapes/transact.ts'
import { decimalNumber } from './answers.ts'
import { holdInvoice } from './hold.ts'

/** What waits in suspense pays the invoice, and what is beyond it is the customer's; or all of it is. */
export const invoiceDecide = transact(decideInvoicePayment, {
  async perform(work) {
    const { sql, input } = work
    const id = fromPublicId(INVOICE_PAYMENT, input.payment_id)
    const asked = id === undefined ? undefined : await paymentNamed(sql, id)
    if (asked === undefined) throw invoicePaymentRefusals.paymentNotFound()
    const held = await holdInvoice(work, asked.invoiceId)
    const payment = (await paymentNamed(sql, asked.id)) ?? asked
    if (payment.status !== 'review') throw invoicePaymentRefusals.notInReview({ status: payment.status })

    const { moved, movedCurrency } = payment
    const { currency } = held.invoice
    const came = moved ?? 0n
    if (came > 0n && movedCurrency !== currency)
      throw invoicePaymentRefusals.otherCurrency({ currency: movedCurrency ?? 'another currency' })
    const { applied, surplus } =
      came === 0n
        ? { applied: 0n, surplus: 0n }
        : await receivePayment(work, held, {
            gateway: payment.gateway,
            amount: amount(came),
            currency,
            waits: input.decision === 'accept' ? 'for_invoice' : 'for_wallet',
          })
    await movePayment(work, payment, { status: 'accepted', code: input.decision, message: input.note })
    const invoice = await invoiceOf(sql, payment.invoiceId, undefined)
    await resumeDunning(work, invoice)
    return {
      success: true as const,
      invoice_id: payment.invoiceId,
      status: statusOnWire(invoice),
      amount_paid: decimalNumber(applied, currency),
      to_wallet: decimalNumber(surplus, currency),
    }
  },
})
