import type Stripe from 'stripe'
import type { Amount, Asset } from '../../kit/money.ts'
import type { Absent, Declined, NotSent, Unknown } from '../port.ts'
import { declineOf, lastFailure } from './declines.ts'
import { type Heard, unknown } from './line.ts'
import { idOf, partsOf, type StripeOptions } from './parts.ts'
import { findInList, stillUnknown } from './reference.ts'
import { fromUnits, toUnits } from './units.ts'

/** What is to be invoiced. Stripe hosts the page on which it is paid. */
export interface InvoiceRequest {
  /** Ours, unique for ever: the keys of the calls, and what look-ups ask for. */
  readonly reference: string
  /** `cus_…` */
  readonly customer: string
  readonly currency: Asset
  readonly lines: readonly { readonly description: string; readonly amount: Amount }[]
  readonly dueAt: Date
  /** Ours; left out, Stripe counts by itself. */
  readonly number?: string | undefined
  readonly description?: string | undefined
}

export interface Issued {
  readonly outcome: 'open' | 'paid' | 'void' | 'uncollectible'
  readonly id: string
  /** What was billed, as Stripe adds it up. */
  readonly amount: Amount
  readonly paid: Amount
  readonly currency: Asset
  readonly number?: string | undefined
  /** Where the customer pays. */
  readonly url?: string | undefined
  readonly pdf?: string | undefined
  /** What paid it, and refunds it: `pi_…`. */
  readonly paymentId?: string | undefined
  /** Of an open one, and only from a look-up by its id: why it was last not paid. Left out while a payment is under way. */
  readonly failure?: Declined | undefined
}

/** Made, and not finished: `issue` with the same request goes on. */
export interface Draft {
  readonly outcome: 'draft'
  readonly id: string
}

export type InvoiceAnswer = Issued | Draft | Declined | NotSent | Unknown
export type InvoiceState = Issued | Draft | Unknown | Absent

/** Invoices that Stripe sends and collects. No method throws for anything that the network or Stripe does. */
export interface StripeInvoices {
  /** The customer of a reference, made where there is none. */
  customer(wanted: {
    reference: string
    email?: string | undefined
    name?: string | undefined
  }): Promise<{ readonly outcome: 'known'; readonly id: string } | Declined | NotSent | Unknown>
  /** Makes, fills and finalises it; the same request again goes on where it stopped. */
  issue(request: InvoiceRequest): Promise<InvoiceAnswer>
  /** By its customer's list, which is consistent; Stripe's search is not. */
  lookUp(wanted: { reference: string; customer: string; id?: string | undefined }): Promise<InvoiceState>
  /** With a saved method, without the customer. `attempt` tells one try from the next, for each is a charge of its own. */
  pay(wanted: {
    id: string
    source: string
    attempt: string
    /** Whose invoice it is: the method becomes theirs first, since Stripe charges no other for it. */
    customer?: string | undefined
  }): Promise<InvoiceAnswer>
  /** Nobody has to pay it any more. One that is paid stays paid, and says so. */
  void(wanted: { reference: string; id: string }): Promise<InvoiceAnswer>
}

/** So that one answer says what paid it. */
const EXPAND = ['payments']

/** So that it also says how its payment stands. Four levels are as deep as Stripe goes: a list of invoices cannot say it. */
const EXPAND_PAYMENT = ['payments.data.payment.payment_intent']

export function stripeInvoices(options: StripeOptions): StripeInvoices {
  const { line } = partsOf(options)

  const read = (id: string) => line.ask((stripe) => stripe.invoices.retrieve(id, { expand: EXPAND_PAYMENT }))

  const find = (reference: string, customer: string): Promise<Heard<Stripe.Invoice | undefined>> =>
    findInList(line, reference, (stripe, params) =>
      stripe.invoices.list({ ...params, customer, expand: ['data.payments'] }),
    )

  async function issue(request: InvoiceRequest): Promise<InvoiceAnswer> {
    const { reference, customer, currency } = request
    const lines: { amount: number; description: string }[] = []
    for (const { amount, description } of request.lines) {
      const units = toUnits(amount, currency)
      if (typeof units !== 'number') return units
      lines.push({ amount: units, description })
    }

    // Looked for first: a key that Stripe has forgotten would make a second one.
    const found = await find(reference, customer)
    if (found.outcome !== 'heard') return found.outcome === 'refused' ? declineOf(found) : found
    if (found.value !== undefined && found.value.status !== 'draft') return stateOf(found.value)
    const draft = found.value === undefined ? await make(request) : found
    if (draft.outcome !== 'heard') return draft.outcome === 'refused' ? declineOf(draft) : draft
    if (draft.value === undefined) return unknown('Stripe made no invoice')
    const { id } = draft.value
    if (draft.value.lines.data.length === 0) {
      const filled = await line.ask((stripe) =>
        stripe.invoices.addLines(id, { lines }, { idempotencyKey: `${reference}:lines` }),
      )
      if (filled.outcome !== 'heard') return begun(id, filled)
    }
    const final = await line.ask((stripe) =>
      stripe.invoices.finalizeInvoice(
        id,
        { auto_advance: false, expand: EXPAND },
        { idempotencyKey: `${reference}:finalize` },
      ),
    )
    return final.outcome === 'heard' ? stateOf(final.value) : begun(id, final)
  }

  const make = ({ reference, customer, currency, dueAt, number, description }: InvoiceRequest) =>
    line.ask<Stripe.Invoice>((stripe) =>
      stripe.invoices.create(
        {
          customer,
          currency: currency.toLowerCase(),
          collection_method: 'send_invoice',
          due_date: Math.floor(dueAt.getTime() / 1_000),
          auto_advance: false,
          // Items that wait for the customer's next invoice are not ours to bill.
          pending_invoice_items_behavior: 'exclude',
          metadata: { reference },
          ...(number === undefined ? {} : { number }),
          ...(description === undefined ? {} : { description }),
        },
        { idempotencyKey: reference },
      ),
    )

  /** Stripe's name for the method once it is the customer's; a test token becomes another by that. Nothing is charged. */
  async function attached(source: string, customer: string, attempt: string): Promise<string | Declined | NotSent> {
    const heard = await line.ask((stripe) =>
      stripe.paymentMethods.attach(source, { customer }, { idempotencyKey: `${attempt}:attach` }),
    )
    if (heard.outcome === 'heard') return heard.value.id
    return heard.outcome === 'refused' ? declineOf(heard) : { outcome: 'not_sent', reason: heard.reason }
  }

  /** After a refusal: what has moved on meanwhile refuses, and its state is the answer. */
  async function settled(id: string, heard: Heard<Stripe.Invoice>, done: Issued['outcome']): Promise<InvoiceAnswer> {
    if (heard.outcome === 'heard') return stateOf(heard.value)
    if (heard.outcome !== 'refused') return heard
    const state = await read(id)
    if (state.outcome !== 'heard') return stillUnknown(state)
    return state.value.status === 'paid' || state.value.status === done ? stateOf(state.value) : declineOf(heard)
  }

  return {
    async customer({ reference, email, name }) {
      const heard = await line.ask((stripe) =>
        stripe.customers.create(
          {
            metadata: { reference },
            ...(email === undefined ? {} : { email }),
            ...(name === undefined ? {} : { name }),
          },
          { idempotencyKey: `${reference}:customer` },
        ),
      )
      if (heard.outcome === 'heard') return { outcome: 'known', id: heard.value.id }
      return heard.outcome === 'refused' ? declineOf(heard) : heard
    },

    issue,

    async lookUp({ reference, customer, id }) {
      const heard = id === undefined ? await find(reference, customer) : await read(id)
      if (heard.outcome === 'heard') return heard.value === undefined ? { outcome: 'absent' } : stateOf(heard.value)
      return heard.outcome === 'refused' && heard.code === 'resource_missing'
        ? { outcome: 'absent' }
        : stillUnknown(heard)
    },

    async pay({ id, source, attempt, customer }) {
      const method = customer === undefined ? source : await attached(source, customer, attempt)
      if (typeof method !== 'string') return method
      const heard = await line.ask((stripe) =>
        stripe.invoices.pay(
          id,
          { payment_method: method, off_session: true, expand: EXPAND },
          { idempotencyKey: `${attempt}:pay` },
        ),
      )
      return settled(id, heard, 'paid')
    },

    async void({ reference, id }) {
      const heard = await line.ask((stripe) =>
        stripe.invoices.voidInvoice(id, { expand: EXPAND }, { idempotencyKey: `${reference}:void` }),
      )
      return settled(id, heard, 'void')
    },
  }
}

/** The draft is there, so that «not sent» would be less than half of the truth. */
function begun(id: string, heard: Exclude<Heard<unknown>, { outcome: 'heard' }>): InvoiceAnswer {
  if (heard.outcome === 'refused') return { ...declineOf(heard), id }
  return unknown(heard.reason)
}

const OUTCOMES: readonly Issued['outcome'][] = ['open', 'paid', 'void', 'uncollectible']

function stateOf(invoice: Stripe.Invoice): Issued | Draft | Unknown {
  const { id, status } = invoice
  if (status === 'draft') return { outcome: 'draft', id }
  const billed = fromUnits(invoice.total, invoice.currency)
  const paid = fromUnits(invoice.amount_paid, invoice.currency)
  if (billed === undefined || paid === undefined) return unknown(`Stripe says ${id} is in money that is not known here`)
  const outcome = OUTCOMES.find((one) => one === status)
  if (outcome === undefined) return unknown(`Stripe says ${id} is ${status}, which is not known here`)
  const payments = invoice.payments?.data ?? []
  const payment = payments.find((one) => one.status === 'paid')?.payment
  return {
    outcome,
    id,
    amount: billed.amount,
    paid: paid.amount,
    currency: billed.currency,
    number: invoice.number ?? undefined,
    url: invoice.hosted_invoice_url ?? undefined,
    pdf: invoice.invoice_pdf ?? undefined,
    paymentId: idOf(payment?.payment_intent),
    failure: outcome === 'open' ? failureAmong(payments) : undefined,
  }
}

/** An invoice has one payment intent for all of its tries: it waits for another method only when the last one failed. */
function failureAmong(payments: readonly Stripe.InvoicePayment[]): Declined | undefined {
  const intent = payments.find((one) => one.status === 'open')?.payment.payment_intent
  if (typeof intent !== 'object' || intent.status !== 'requires_payment_method') return undefined
  return lastFailure(intent)
}
