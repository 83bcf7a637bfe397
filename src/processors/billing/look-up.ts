import { closeCopy, copyOf, copyReference } from '../../domain/billing/copy.ts'
import { collectionFailed } from '../../domain/billing/dunning.ts'
import {
  countLook,
  type InvoicePayment,
  movePayment,
  openPayment,
  type PaymentNews,
  sourcePlace,
} from '../../domain/billing/payment.ts'
import type { InvoiceView } from '../../domain/billing/reads.ts'
import type { InvoiceAnswer, InvoiceState } from '../../gateways/stripe/invoices.ts'
import { collectInvoice, lookUpInvoice } from '../../jobs/invoice-payments.ts'
import type { Services } from '../context.ts'
import { Done, staged } from '../shapes/staged.ts'
import { type Believing, believePaid } from './believe.ts'
import { holdInvoice } from './hold.ts'
import { inDoubt, stillPending } from './pay.ts'

/** What a look-up has to know before it asks. */
export interface InvoiceLookUp {
  readonly invoiceId: number
  readonly reference: string
  readonly customer: string
  readonly id: string
  /** A payment whose answer was lost. */
  readonly lost: { readonly paymentId: string; readonly source: string; readonly askedAt: Date } | undefined
  /** The payment that a bank was at before it was asked: a failure that is told is its own, and of no earlier one. */
  readonly pendingId: string | undefined
}

/**
 * Milliseconds for which a lost question is put again under its own key, which tells how the first one ended, whatever
 * Stripe was doing meanwhile. Stripe keeps keys for a day; after an hour nothing of the first can still be on its way.
 */
const KEY_HOLDS_MS = 3_600_000

/** Milliseconds without an answer after which somebody else is not at it any more. */
const LOST_AFTER_MS = 90_000

/** Reads what concerns an invoice at Stripe; a sentence where there is nothing to look up. */
export async function beginInvoiceLookUp(
  work: Believing,
  invoiceId: number,
  { keyring }: Services,
): Promise<InvoiceLookUp | string> {
  const { sql, now } = work
  const { invoice } = await holdInvoice(work, invoiceId)
  const copy = await copyOf(sql, invoiceId)
  const payment = await openPayment(sql, invoiceId)
  if (payment !== undefined) await countLook(sql, payment.id)
  if (copy.id === null || copy.customer === null) return 'Stripe does not know it'
  const isLost =
    payment?.status === 'unknown' ||
    (payment?.status === 'sent' && now.getTime() - (payment.askedAt?.getTime() ?? 0) > LOST_AFTER_MS)
  const source = payment?.source ?? null
  return {
    invoiceId,
    reference: copyReference(invoice, copy),
    customer: copy.customer,
    id: copy.id,
    lost:
      payment === undefined || !isLost || source === null
        ? undefined
        : {
            paymentId: payment.id,
            source: keyring.open(source, sourcePlace(payment.id)),
            askedAt: payment.askedAt ?? now,
          },
    pendingId: payment?.status === 'pending' ? payment.id : undefined,
  }
}

export type InvoiceLooked = InvoiceState | InvoiceAnswer

/** Reads the invoice; a lost question is put once more under its own key, never under a new one. */
export async function lookUpAtStripe(
  { reference, customer, id, lost }: InvoiceLookUp,
  { stripeInvoices, clock }: Services,
): Promise<InvoiceLooked> {
  if (stripeInvoices === undefined) return { outcome: 'unknown', reason: 'Stripe is not configured any more' }
  const state = await stripeInvoices.lookUp({ reference, customer, id })
  if (state.outcome !== 'open' || lost === undefined) return state
  if (clock.now().getTime() - lost.askedAt.getTime() < KEY_HOLDS_MS)
    return stripeInvoices.pay({ id, customer, source: lost.source, attempt: lost.paymentId })
  return { outcome: 'not_sent', reason: 'Stripe has not done it' }
}

/** Believes what was looked up. Answers with how the invoice stands by that, for operators. */
export async function finishInvoiceLookUp(
  work: Believing,
  asked: InvoiceLookUp,
  state: InvoiceLooked,
): Promise<string> {
  const { sql } = work
  const held = await holdInvoice(work, asked.invoiceId)
  const payment = await openPayment(sql, asked.invoiceId)
  const isSame = payment !== undefined && payment.id === asked.lost?.paymentId
  switch (state.outcome) {
    case 'paid':
      return (await believePaid(work, held, state)).status
    case 'void':
    case 'uncollectible':
      if ((await copyOf(sql, asked.invoiceId)).id === asked.id) await closeCopy(sql, asked.invoiceId, asked)
      if (payment !== undefined && payment.status !== 'created')
        await failed(work, held.invoice, payment, {
          status: 'declined',
          code: state.outcome,
          message: 'Stripe has called it off',
          hard: false,
        })
      return state.outcome
    case 'declined':
      if (isSame) await failed(work, held.invoice, payment, { ...state, status: 'declined' })
      return 'declined'
    case 'not_sent':
      // Only from a question so old that nobody can have heard of it.
      if (isSame)
        await failed(work, held.invoice, payment, {
          status: 'not_sent',
          code: 'not_sent',
          message: state.reason,
          hard: false,
        })
      return 'not_sent'
    case 'open':
      if (state.failure !== undefined && payment?.status === 'pending' && payment.id === asked.pendingId) {
        await failed(work, held.invoice, payment, { ...state.failure, status: 'declined' })
        return 'declined'
      }
      // Lost no more: a bank is at it.
      if (payment?.status === 'pending' || isSame) await stillPending(work, payment)
      return 'open'
    default:
      if (isSame) await inDoubt(work, payment, 'reason' in state ? state.reason : `Stripe says ${state.outcome}`)
      else if (payment?.status === 'pending') await stillPending(work, payment)
      return state.outcome
  }
}

/** Nothing was charged. Where it was dunning that asked, dunning hears of it as if the answer had not been lost. */
async function failed(
  work: Believing,
  invoice: InvoiceView,
  payment: InvoicePayment,
  why: Pick<PaymentNews, 'status'> & { readonly code: string; readonly message: string; readonly hard: boolean },
): Promise<void> {
  const { status, code, message, hard } = why
  await movePayment(work, payment, { status, code, message })
  const collected = await work.sql.query('select from operation where id = $1 and kind = $2', [
    payment.operationId,
    collectInvoice.name,
  ])
  if (collected.length > 0) await collectionFailed(work, invoice, { hard, message: `${code}: ${message}` })
}

export const invoiceLookUp = staged(lookUpInvoice, {
  byKey: true,
  async begin(work, services) {
    const asked = await beginInvoiceLookUp(work, work.input.invoice_id, services)
    return typeof asked === 'string' ? new Done({ status: asked }) : asked
  },
  call: ({ begun }, services) => lookUpAtStripe(begun, services),
  async finish(work, { begun, answer }) {
    return { status: await finishInvoiceLookUp(work, begun, answer) }
  },
})
