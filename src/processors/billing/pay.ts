import type { Held } from '../../domain/billing/correct.ts'
import { collectionFailed } from '../../domain/billing/dunning.ts'
import { statusOnWire } from '../../domain/billing/invoice.ts'
import { pageUrl } from '../../domain/billing/link.ts'
import {
  addPayment,
  askFor,
  INVOICE_PAYMENT,
  type InvoicePayment,
  movePayment,
  nextLook,
  openPayment,
  paymentNamed,
  paymentOfOperation,
  reviewedPayment,
  sourcePlace,
} from '../../domain/billing/payment.ts'
import { invoicePaymentRefusals } from '../../domain/billing/payment-refusals.ts'
import type { InvoiceView } from '../../domain/billing/reads.ts'
import { invoiceRefusals } from '../../domain/billing/refusals.ts'
import { paymentRefusals } from '../../domain/payments/refusals.ts'
import type { InvoiceAnswer } from '../../gateways/stripe/invoices.ts'
import { collectInvoice, payInvoice } from '../../jobs/invoice-payments.ts'
import type { Kind, ResultOf, RetryPolicy } from '../../jobs/kind.ts'
import { assert } from '../../kit/assert.ts'
import { newId, publicId } from '../../kit/ids.ts'
import { amount } from '../../kit/money.ts'
import { Refusal } from '../../kit/refusal.ts'
import type { Services } from '../context.ts'
import { ASK_NEXT, Done, staged, TryLater } from '../shapes/staged.ts'
import type { Work } from '../shapes/work.ts'
import { decimalNumber } from './answers.ts'
import { believePaid } from './believe.ts'
import { ask, type CopyAnswer, type CopyStep, keep, nextStep } from './copy.ts'
import { holdInvoice } from './hold.ts'
import { methodNamed, methodOnFile } from './payer-method.ts'

/** A look-up comes this soon after a question whose answer nobody wrote down. */
const LOST_AFTER_MS = 120_000

type Step =
  | CopyStep
  | {
      readonly is: 'pay'
      readonly id: string
      readonly customer: string
      readonly source: string
      /** It may have been asked before, by somebody who was killed before he wrote down the answer. */
      readonly again: boolean
    }

interface Begun {
  readonly paymentId: string
  readonly step: Step
}

interface Answered {
  readonly begun: Begun
  readonly answer: CopyAnswer | InvoiceAnswer
}

type Paid = ResultOf<typeof payInvoice>
type Working = Pick<Work<Kind>, 'em' | 'sql' | 'now' | 'operation' | 'books'>

/** Who wants which invoice paid, and how. */
interface Ways {
  readonly invoiceId: number
  /** Whose it has to be; anybody's, unless told. */
  readonly customerId: string | undefined
  readonly retry: RetryPolicy
  /** Stripe's token of the method. */
  method(customerId: string): Promise<string>
  /** Nothing was charged, and nothing will be. */
  failed(invoice: InvoiceView, why: { hard: boolean; message: string }): Promise<unknown>
}

/** With the method that the caller names. */
export const invoicePay = staged(payInvoice, {
  byKey: true,
  begin: (work, services) => begin(work, services, named(work, services)),
  call: ({ begun }, services) => askStripe(begun, services),
  finish: (work, answered, services) => finish(work, answered, services, named(work, services)),
})

/** With what is on file. When that fails, dunning says when it is tried again. */
export const invoiceCollect = staged(collectInvoice, {
  byKey: true,
  begin: (work, services) => begin(work, services, onFile(work, services)),
  call: ({ begun }, services) => askStripe(begun, services),
  finish: (work, answered, services) => finish(work, answered, services, onFile(work, services)),
})

const named = ({ em, now, input }: Work<typeof payInvoice>, { keyring }: Services): Ways => ({
  invoiceId: input.invoice_id,
  customerId: input.user_id,
  retry: payInvoice.retry,
  method: (customerId) => methodNamed({ em, now, keyring, customerId }, input.payment_method_id),
  failed: async () => {},
})

const onFile = (work: Work<typeof collectInvoice>, { keyring }: Services): Ways => ({
  invoiceId: work.input.invoice_id,
  customerId: undefined,
  retry: collectInvoice.retry,
  method: (customerId) => methodOnFile({ em: work.em, now: work.now, keyring, customerId }),
  failed: (invoice, why) => collectionFailed(work, invoice, why),
})

/**
 * The payment is written before Stripe hears of it, and only one of an invoice is under way at a time. One round asks one
 * question: who the customer is, what the invoice is, and at last whether it can be paid.
 */
async function begin(work: Working, services: Services, ways: Ways): Promise<Begun | Done<Paid> | Refusal> {
  const { sql, now, operation } = work
  const { invoice } = await holdInvoice(work, ways.invoiceId, ways.customerId)
  const known = await paymentOfOperation(sql, operation.id)
  if (known !== undefined && known.status !== 'created' && known.status !== 'sent') return ended(known, invoice)

  const refusal = refusalOf(invoice)
  // Settled or canceled before anybody was asked for money.
  if (refusal !== undefined && known?.status === 'created')
    await movePayment(work, known, { status: 'not_sent', code: 'not_payable' })
  if (refusal !== undefined && known?.status !== 'sent') return refusal
  const payment = known ?? (await writeDown(work, services, ways, invoice))
  if (payment instanceof Refusal) return payment

  const { step, copy } = await nextStep(sql, invoice, now)
  // What was asked for money stays with the question that it was: only its answer can change anything.
  if (payment.status === 'created' && step !== undefined) return { paymentId: payment.id, step }
  assert(copy.id !== null && copy.customer !== null, `Payment ${payment.id} was asked for nothing`)
  const ready = payment.status === 'created' ? await askFor(sql, payment, amount(invoice.due)) : payment
  await movePayment(work, ready, { status: 'sent', lookAt: new Date(now.getTime() + LOST_AFTER_MS) })
  const source = services.keyring.open(payment.source ?? '', sourcePlace(payment.id))
  const again = payment.status === 'sent'
  return { paymentId: payment.id, step: { is: 'pay', id: copy.id, customer: copy.customer, source, again } }
}

/** Writes down who is about to be asked, and with what, where nobody else is at it. */
async function writeDown(
  work: Working,
  { keyring, stripeInvoices }: Services,
  ways: Ways,
  invoice: InvoiceView,
): Promise<InvoicePayment | Refusal> {
  const { sql } = work
  if (stripeInvoices === undefined) return invoicePaymentRefusals.noGateway()
  if ((await openPayment(sql, invoice.id)) !== undefined) return invoiceRefusals.paymentUnderWay()
  if ((await reviewedPayment(sql, invoice.id)) !== undefined) return invoicePaymentRefusals.inReview()
  let token: string
  try {
    token = await ways.method(invoice.customerId)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    await ways.failed(invoice, { hard: false, message: error.code })
    return error
  }
  const id = newId()
  const source = keyring.seal(token, sourcePlace(id))
  return addPayment(work, { id, invoiceId: invoice.id, gateway: 'stripe', amount: amount(invoice.due), source })
}

async function askStripe(
  { step, paymentId }: Begun,
  { stripeInvoices }: Services,
): Promise<CopyAnswer | InvoiceAnswer> {
  if (stripeInvoices === undefined) return { outcome: 'not_sent', reason: 'Stripe is not configured any more' }
  if (step.is !== 'pay') return ask(step, stripeInvoices)
  const { id, customer, source } = step
  return stripeInvoices.pay({ id, customer, source, attempt: paymentId })
}

async function finish(work: Working, { begun, answer }: Answered, services: Services, ways: Ways) {
  const { sql } = work
  const held = await holdInvoice(work, ways.invoiceId)
  const payment = await paymentNamed(sql, begun.paymentId)
  assert(payment, `Payment ${begun.paymentId} is gone`)
  // A webhook or look-up was here between the question and now.
  if (payment.status !== 'created' && payment.status !== 'sent') return resultOf(ended(payment, held.invoice))
  const at: Desk = { work, services, ways, held, payment }
  return begun.step.is === 'pay' ? finishPay(at, begun.step, answer) : finishStep(at, begun.step, answer)
}

/** One payment, and whoever works on it. */
interface Desk {
  readonly work: Working
  readonly services: Services
  readonly ways: Ways
  readonly held: Held
  readonly payment: InvoicePayment
}

async function finishStep(at: Desk, step: CopyStep, answer: Answered['answer']) {
  const { work, held } = at
  const kept = await keep(work, held.invoice, step, answer)
  switch (kept.is) {
    case 'on':
      return ASK_NEXT
    case 'later':
      return later(at, kept.reason)
    case 'declined':
      return declined(at, { ...kept, hard: false })
    case 'differs': {
      const why = { code: 'amount_differs', message: 'Stripe asks for another amount', hard: true }
      return declined(at, why, invoicePaymentRefusals.amountDiffers())
    }
    case 'settled':
      assert(answer.outcome === 'paid', 'Stripe settled what is not paid')
      return resultOf(ended(await believePaid(work, held, answer), held.invoice))
  }
}

async function finishPay(at: Desk, { again }: { again: boolean }, answer: Answered['answer']) {
  const { work, held, payment, services } = at
  const { invoice } = held
  switch (answer.outcome) {
    case 'paid':
      return resultOf(ended(await believePaid(work, held, answer), invoice))
    case 'open':
      // A bank takes its days.
      return resultOf(ended(await stillPending(work, payment), invoice))
    case 'declined': {
      const url = invoice.paymentUrl ?? pageUrl(services.invoicing.publicUrl, services.keyring, invoice.id)
      return declined(
        at,
        answer,
        WANTS_CUSTOMER.has(answer.code) ? invoicePaymentRefusals.actionRequired({ url }) : undefined,
      )
    }
    case 'void':
    case 'uncollectible':
      return declined(at, { code: answer.outcome, message: 'Stripe has called it off', hard: false })
    case 'not_sent':
      if (!again) return later(at, answer.reason)
      return resultOf(ended(await inDoubt(work, payment, `Asked again, and not sent: ${answer.reason}`), invoice))
    default: {
      const reason = 'reason' in answer ? answer.reason : `Stripe says ${answer.outcome}`
      return resultOf(ended(await inDoubt(work, payment, reason), invoice))
    }
  }
}

/** A bank that wants to see its customer has not said no. */
const WANTS_CUSTOMER: ReadonlySet<string> = new Set([
  'authentication_required',
  'invoice_payment_intent_requires_action',
])

async function declined(
  { work, ways, held, payment }: Desk,
  why: { readonly code: string; readonly message: string; readonly hard: boolean },
  refusal = invoicePaymentRefusals.declined({ code: why.code, message: why.message }),
): Promise<Refusal> {
  await movePayment(work, payment, { status: 'declined', code: why.code, message: why.message })
  await ways.failed(held.invoice, { hard: why.hard, message: `${why.code}: ${why.message}` })
  return refusal
}

/** Nobody was charged for certain: tried again, and given up with the last try. */
async function later({ work, ways, held, payment }: Desk, reason: string): Promise<TryLater | Refusal> {
  if (work.operation.attempts + 1 < ways.retry.attempts) {
    if (payment.status === 'sent') await movePayment(work, payment, { status: 'created' })
    return new TryLater(reason)
  }
  await movePayment(work, payment, { status: 'not_sent', code: 'not_sent', message: reason })
  await ways.failed(held.invoice, { hard: false, message: 'Stripe could not be reached' })
  return paymentRefusals.gatewayUnavailable()
}

type Moving = Parameters<typeof movePayment>[0]

export const inDoubt = (work: Moving, payment: InvoicePayment, message: string) =>
  movePayment(work, payment, { status: 'unknown', message, lookAt: nextLook('unknown', payment.looks, work.now) })

export const stillPending = (work: Moving, payment: InvoicePayment) =>
  movePayment(work, payment, { status: 'pending', lookAt: nextLook('pending', payment.looks, work.now) })

/** Why nobody can pay it now. */
export function refusalOf(invoice: InvoiceView): Refusal | undefined {
  if (invoice.type === 'credit_note') return invoicePaymentRefusals.notPayable({ status: 'a credit note' })
  if (invoice.status === 'paid') return invoicePaymentRefusals.alreadyPaid()
  if (invoice.status !== 'open' && invoice.status !== 'uncollectible')
    return invoicePaymentRefusals.notPayable({ status: statusOnWire(invoice) })
  return undefined
}

/** A payment as it stands, for whoever asked for it. */
function ended(payment: InvoicePayment, invoice: InvoiceView): Done<Paid> | Refusal {
  const body = (status: Paid['status']): Done<Paid> =>
    new Done({
      success: true,
      invoice_id: invoice.id,
      invoice_number: invoice.number ?? '',
      status,
      amount_paid: status === 'paid' ? decimalNumber(payment.moved ?? 0n, invoice.currency) : 0,
      currency: invoice.currency,
      payment_id: publicId(INVOICE_PAYMENT, payment.id),
    })
  switch (payment.status) {
    case 'succeeded':
    case 'accepted':
      return body('paid')
    case 'review':
      return body('review')
    case 'declined':
      return invoicePaymentRefusals.declined({ code: payment.code ?? 'declined', message: payment.message ?? '' })
    case 'not_sent':
      return paymentRefusals.gatewayUnavailable()
    default:
      return body('pending')
  }
}

const resultOf = (outcome: Done<Paid> | Refusal): Paid | Refusal =>
  outcome instanceof Refusal ? outcome : outcome.result
