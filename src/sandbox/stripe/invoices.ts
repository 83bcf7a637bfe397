import type { Context, Hono } from 'hono'
import { html } from 'hono/html'
import { z } from 'zod'
import { Bool, Created, Expand, Int, Metadata, Positive, parseForm, read, Text } from './form.ts'
import { fail, pay } from './intent-life.ts'
import { make } from './intents.ts'
import { customerOf, use } from './methods.ts'
import { Paging, page } from './paging.ts'
import { noSuch, Problem, refused } from './problem.ts'
import { answer, fieldsOf } from './respond.ts'
import type { Invoice, InvoiceItem, InvoiceLine, InvoicePayment } from './rows.ts'
import { shown, type World } from './world.ts'

const NewItem = z.strictObject({
  customer: Text,
  amount: Int,
  currency: Text,
  description: Text.optional(),
  invoice: Text.optional(),
  metadata: Metadata,
  expand: Expand,
})
const NewInvoice = z.strictObject({
  customer: Text,
  currency: Text.optional(),
  collection_method: z.enum(['charge_automatically', 'send_invoice']).default('charge_automatically'),
  auto_advance: Bool.default(false),
  days_until_due: Int.optional(),
  due_date: Int.optional(),
  default_payment_method: Text.optional(),
  description: Text.optional(),
  footer: Text.optional(),
  number: Text.optional(),
  pending_invoice_items_behavior: z.enum(['exclude', 'include']).default('exclude'),
  metadata: Metadata,
  expand: Expand,
})
const NewLines = z.strictObject({
  lines: z
    .record(
      z.string(),
      z.strictObject({ amount: Int, description: Text.optional(), quantity: Positive.optional(), metadata: Metadata }),
    )
    .transform((lines) => Object.values(lines)),
  expand: Expand,
})
const Listing = Paging.extend({
  customer: Text.optional(),
  status: Text.optional(),
  collection_method: Text.optional(),
  due_date: Created,
})
const Finalize = z.strictObject({ auto_advance: Bool.optional(), expand: Expand })
const Pay = z.strictObject({
  payment_method: Text.optional(),
  off_session: Bool.default(true),
  paid_out_of_band: Bool.default(false),
  expand: Expand,
})
const Plain = z.strictObject({ expand: Expand })
const Does = z.object({ does: z.enum(['approve', 'fail']), payment_method: z.string().default('pm_card_visa') })

/** Seconds of a day. */
const DAY_S = 86_400

/** `/v1/invoiceitems`, `/v1/invoices`, and `/_invoice/{id}`, the hosted page. */
export function invoiceRoutes(app: Hono, world: World): void {
  const items = world.store.collection<InvoiceItem>('invoice_items')
  const invoices = world.store.collection<Invoice>('invoices')

  world.when('intent_paid', (id) => {
    const invoice = invoices.values().find((one) => one._intent === id)
    if (invoice !== undefined && invoice.status !== 'paid') paid(invoice, id)
  })
  world.when('intent_declined', (id) => {
    const invoice = invoices.values().find((one) => one._intent === id)
    if (invoice === undefined) return
    const tried = invoices.put({ ...invoice, attempted: true, attempt_count: invoice.attempt_count + 1 })
    world.emit('invoice.payment_failed', tried)
  })

  app.post('/v1/invoiceitems', async (c) => {
    const wanted = read(NewItem, await fieldsOf(c))
    customerOf(world, wanted.customer, 'customer')
    const invoice = wanted.invoice === undefined ? undefined : draftOf(wanted.invoice)
    const item = items.put({
      id: world.newId('ii'),
      object: 'invoiceitem',
      amount: wanted.amount,
      created: world.seconds(),
      currency: wanted.currency.toLowerCase(),
      customer: wanted.customer,
      date: world.seconds(),
      description: wanted.description ?? null,
      discountable: true,
      invoice: wanted.invoice ?? null,
      livemode: false,
      metadata: wanted.metadata,
    })
    if (invoice !== undefined) withLines(invoice, [lineOf(item, invoice)])
    return answer(world, c, item, wanted.expand)
  })
  app.get('/v1/invoiceitems', async (c) => {
    const wanted = read(
      Paging.extend({ customer: Text.optional(), invoice: Text.optional(), pending: Bool.optional() }),
      await fieldsOf(c),
    )
    const rows = items
      .values()
      .filter(({ customer }) => customer === (wanted.customer ?? customer))
      .filter(({ invoice }) => invoice === (wanted.invoice ?? invoice))
      .filter(({ invoice }) => wanted.pending === undefined || (invoice === null) === wanted.pending)
    return answer(world, c, page(rows, '/v1/invoiceitems', wanted), wanted.expand)
  })

  app.post('/v1/invoices', async (c) => {
    const wanted = read(NewInvoice, await fieldsOf(c))
    const customer = customerOf(world, wanted.customer, 'customer')
    const sent = wanted.collection_method === 'send_invoice'
    if (sent && wanted.days_until_due === undefined && wanted.due_date === undefined)
      throw refused('You must specify days_until_due or due_date with collection_method=send_invoice.')
    if (!sent && (wanted.days_until_due !== undefined || wanted.due_date !== undefined))
      throw refused('due_date and days_until_due need collection_method=send_invoice.', undefined, 'due_date')
    if (wanted.number !== undefined && invoices.values().some(({ number }) => number === wanted.number))
      throw refused(`The invoice number ${wanted.number} is already in use.`, undefined, 'number')
    const id = world.newId('in')
    const invoice = invoices.put({
      id,
      object: 'invoice',
      account_country: 'US',
      account_name: 'Sandbox',
      amount_due: 0,
      amount_overpaid: 0,
      amount_paid: 0,
      amount_remaining: 0,
      attempt_count: 0,
      attempted: false,
      auto_advance: wanted.auto_advance,
      billing_reason: 'manual',
      collection_method: wanted.collection_method,
      created: world.seconds(),
      currency: (wanted.currency ?? 'usd').toLowerCase(),
      customer: customer.id,
      customer_email: customer.email,
      customer_name: customer.name,
      default_payment_method: wanted.default_payment_method ?? null,
      description: wanted.description ?? null,
      due_date: wanted.due_date ?? (sent ? world.seconds() + (wanted.days_until_due ?? 0) * DAY_S : null),
      footer: wanted.footer ?? null,
      hosted_invoice_url: null,
      invoice_pdf: null,
      lines: { object: 'list', data: [], has_more: false, total_count: 0, url: `/v1/invoices/${id}/lines` },
      livemode: false,
      metadata: wanted.metadata,
      number: wanted.number ?? null,
      payments: { object: 'list', data: [], has_more: false, url: '/v1/invoice_payments' },
      period_end: world.seconds(),
      period_start: world.seconds(),
      status: 'draft',
      status_transitions: { finalized_at: null, marked_uncollectible_at: null, paid_at: null, voided_at: null },
      subtotal: 0,
      total: 0,
      _intent: null,
    })
    world.emit('invoice.created', invoice)
    const pending =
      wanted.pending_invoice_items_behavior === 'include'
        ? items.values().filter((one) => one.customer === customer.id && one.invoice === null)
        : []
    for (const item of pending) items.put({ ...item, invoice: id })
    return respond(
      c,
      withLines(
        invoice,
        pending.map((item) => lineOf(item, invoice)),
      ),
      wanted.expand,
    )
  })
  app.get('/v1/invoices', async (c) => {
    const wanted = read(Listing, await fieldsOf(c))
    const rows = invoices
      .values()
      .filter(({ customer }) => customer === (wanted.customer ?? customer))
      .filter(({ status }) => status === (wanted.status ?? status))
    const list = page(rows, '/v1/invoices', wanted)
    const isWhole = wanted.expand?.includes('data.payments') ?? false
    const data = (list.data as Record<string, unknown>[]).map((one) => (isWhole ? one : without(one)))
    return c.json({ ...list, data })
  })
  app.get('/v1/invoices/:id', async (c) => respond(c, invoiceOf(c), read(Plain, await fieldsOf(c)).expand))
  app.delete('/v1/invoices/:id', (c) => {
    const invoice = draftOf(c.req.param('id'))
    invoices.put({ ...invoice, status: 'deleted' })
    return c.json({ id: invoice.id, object: 'invoice', deleted: true })
  })

  app.post('/v1/invoices/:id/add_lines', async (c) => {
    const { lines, expand } = read(NewLines, await fieldsOf(c))
    const invoice = draftOf(c.req.param('id'))
    return respond(
      c,
      withLines(
        invoice,
        lines.map((line) => ({
          id: world.newId('il'),
          object: 'line_item',
          amount: line.amount,
          currency: invoice.currency,
          description: line.description ?? null,
          invoice: invoice.id,
          livemode: false,
          metadata: line.metadata,
          quantity: line.quantity ?? 1,
        })),
      ),
      expand,
    )
  })
  app.post('/v1/invoices/:id/finalize', async (c) => {
    const { expand } = read(Finalize, await fieldsOf(c))
    return respond(c, finalize(draftOf(c.req.param('id')), new URL(c.req.url).origin), expand)
  })
  app.post('/v1/invoices/:id/send', async (c) => {
    const { expand } = read(Plain, await fieldsOf(c))
    const before = invoiceOf(c)
    const invoice = before.status === 'draft' ? finalize(before, new URL(c.req.url).origin) : before
    if (invoice.status !== 'open') throw refused(`You can only send open invoices, and this one is ${invoice.status}.`)
    world.emit('invoice.sent', invoice)
    return respond(c, invoice, expand)
  })
  app.post('/v1/invoices/:id/pay', async (c) => {
    const wanted = read(Pay, await fieldsOf(c))
    const before = invoiceOf(c)
    const invoice = before.status === 'draft' ? finalize(before, new URL(c.req.url).origin) : before
    if (invoice.status === 'paid') throw refused('Invoice is already paid')
    if (invoice.status !== 'open') throw refused(`You can only pay open invoices, and this one is ${invoice.status}.`)
    if (wanted.paid_out_of_band) return respond(c, paid(invoice, null), wanted.expand)
    const { default_payment_method } = customerOf(world, invoice.customer).invoice_settings
    const method = wanted.payment_method ?? invoice.default_payment_method ?? default_payment_method
    if (method === null) throw refused('There is no default_payment_method set on this Customer or Invoice.', 'missing')
    const intent = charge(invoice, method, new URL(c.req.url).origin, wanted.off_session)
    const error = intent.last_payment_error
    if (error !== null)
      throw new Problem(402, {
        ...error,
        type: 'card_error',
        ...(error.code === 'authentication_required' ? { code: 'invoice_payment_intent_requires_action' } : {}),
        message: String(error.message),
        payment_intent: shown(intent),
      })
    return respond(c, invoiceOf(c), wanted.expand)
  })
  app.post('/v1/invoices/:id/void', async (c) => {
    const { expand } = read(Plain, await fieldsOf(c))
    const invoice = invoiceOf(c)
    if (invoice.status !== 'open' && invoice.status !== 'uncollectible')
      throw refused(`You can only pass in open invoices. This invoice isn't open, it is ${invoice.status}.`)
    const voided = invoices.put({
      ...invoice,
      amount_remaining: 0,
      payments: {
        ...invoice.payments,
        data: invoice.payments.data.map((payment) => ({ ...payment, status: 'canceled' })),
      },
      status: 'void',
      status_transitions: { ...invoice.status_transitions, voided_at: world.seconds() },
    })
    world.emit('invoice.voided', voided)
    return respond(c, voided, expand)
  })

  app.get('/_invoice/:id', (c) => {
    const invoice = invoiceOf(c)
    return c.html(html`<!doctype html>
      <html lang="en">
        <head><meta charset="utf-8" /><title>Invoice ${invoice.number}</title></head>
        <body style="font-family: sans-serif; max-width: 30rem; margin: 4rem auto">
          <h1>Invoice ${invoice.number}</h1>
          <ul>${invoice.lines.data.map((line) => html`<li>${line.description}: ${line.amount}</li>`)}</ul>
          <p>${invoice.total} ${invoice.currency.toUpperCase()} in minor units, ${invoice.status}. A stand-in: no money moves.</p>
          <form method="post">
            <button name="does" value="approve">Pay</button> <button name="does" value="fail">Fail</button>
          </form>
        </body>
      </html>`)
  })
  app.post('/_invoice/:id', async (c) => {
    const isForm = c.req.header('content-type')?.includes('form-urlencoded') ?? false
    const said = isForm ? { ...parseForm(await c.req.text()) } : await c.req.json().catch(() => undefined)
    const wanted = Does.safeParse(said)
    if (!wanted.success) return c.json({ error: z.prettifyError(wanted.error) }, 422)
    const invoice = invoiceOf(c)
    if (invoice.status !== 'open') throw refused(`The invoice is ${invoice.status}: there is nothing to do.`)
    const { does, payment_method } = wanted.data
    charge(invoice, payment_method, new URL(c.req.url).origin, false, does)
    return isForm ? c.redirect(c.req.path, 303) : c.json(shown(invoiceOf(c)))
  })

  function invoiceOf(c: Context): Invoice {
    const id = c.req.param('id') ?? ''
    const invoice = invoices.get(id)
    if (invoice === undefined || invoice.status === 'deleted') throw noSuch('invoice', id)
    return invoice
  }

  function draftOf(id: string): Invoice {
    const invoice = invoices.get(id)
    if (invoice === undefined || invoice.status === 'deleted') throw noSuch('invoice', id, 'invoice')
    if (invoice.status !== 'draft')
      throw refused('This invoice is already finalized, and cannot be changed.', 'invoice_not_editable')
    return invoice
  }

  const lineOf = (item: InvoiceItem, invoice: Invoice): InvoiceLine => ({
    id: world.newId('il'),
    object: 'line_item',
    amount: item.amount,
    currency: item.currency,
    description: item.description,
    invoice: invoice.id,
    livemode: false,
    metadata: item.metadata,
    quantity: 1,
  })

  function withLines(invoice: Invoice, more: readonly InvoiceLine[]): Invoice {
    const data = [...invoice.lines.data, ...more]
    const total = data.reduce((sum, { amount }) => sum + amount, 0)
    return invoices.put({
      ...invoice,
      lines: { ...invoice.lines, data, total_count: data.length },
      subtotal: total,
      total,
      amount_due: Math.max(0, total),
      amount_remaining: Math.max(0, total),
    })
  }

  function finalize(invoice: Invoice, origin: string): Invoice {
    const numbered = invoices.values().filter(({ number }) => number !== null).length
    const open = invoices.put({
      ...invoice,
      hosted_invoice_url: `${origin}/_invoice/${invoice.id}`,
      invoice_pdf: `${origin}/_invoice/${invoice.id}`,
      number: invoice.number ?? `SANDBOX-${String(numbered + 1).padStart(4, '0')}`,
      status: 'open',
      status_transitions: { ...invoice.status_transitions, finalized_at: world.seconds() },
    })
    world.emit('invoice.finalized', open)
    // Nothing to pay is paid.
    return open.amount_due === 0 ? paid(open, null) : open
  }

  /** An intent of the invoice's own, which is tried again with every method. */
  function charge(invoice: Invoice, token: string, origin: string, offSession: boolean, does = 'approve') {
    const method = use(world, token, 'payment_method')
    const known = world.intents.get(invoice._intent ?? '')
    const intent =
      known ??
      make(world, {
        amount: invoice.amount_remaining,
        currency: invoice.currency,
        customer: invoice.customer,
        capture_method: 'automatic',
        confirm: false,
        description: `Payment for Invoice ${invoice.number}`,
        metadata: {},
        allowed_payment_method_types: ['card', 'us_bank_account', 'sepa_debit'],
      })
    invoices.put({
      ...invoice,
      payments: { ...invoice.payments, data: [paymentOf(invoice, intent.id)] },
      _intent: intent.id,
    })
    if (does === 'fail')
      return fail(
        world,
        { ...intent, payment_method: method.id },
        { code: 'card_declined', declineCode: 'generic_decline' },
      )
    return pay(world, intent, method, { present: !offSession, origin, authenticated: !offSession })
  }

  /** The one that the invoice has, or its first. */
  const paymentOf = (invoice: Invoice, intent: string): InvoicePayment =>
    invoice.payments.data.find(({ payment }) => payment.payment_intent === intent) ?? {
      id: world.newId('inpay'),
      object: 'invoice_payment',
      amount_paid: null,
      amount_requested: invoice.amount_remaining,
      created: world.seconds(),
      currency: invoice.currency,
      invoice: invoice.id,
      is_default: true,
      livemode: false,
      payment: { type: 'payment_intent', payment_intent: intent },
      status: 'open',
    }

  function paid(invoice: Invoice, intent: string | null): Invoice {
    const payments: InvoicePayment[] =
      intent === null ? [] : [{ ...paymentOf(invoice, intent), amount_paid: invoice.amount_remaining, status: 'paid' }]
    const done = invoices.put({
      ...invoice,
      // What was really taken: a mood may have taken another amount.
      amount_paid: world.intents.get(intent ?? '')?.amount_received ?? invoice.amount_due,
      amount_remaining: 0,
      attempted: true,
      attempt_count: invoice.attempt_count + (intent === null ? 0 : 1),
      payments: { ...invoice.payments, data: payments },
      status: 'paid',
      status_transitions: { ...invoice.status_transitions, paid_at: world.seconds() },
    })
    world.emit('invoice.paid', done)
    world.emit('invoice.payment_succeeded', done)
    return done
  }

  function respond(c: Context, invoice: Invoice, expand: readonly string[] = []): Response {
    const isWhole = expand.some((path) => path.split('.')[0] === 'payments')
    // A copy, since what is expanded stands in it.
    return answer(world, c, isWhole ? structuredClone(invoice) : without(invoice), expand)
  }
}

/** `payments` is shown to whoever asks to have it expanded. */
function without(invoice: object): Record<string, unknown> {
  const { payments: _, ...rest } = invoice as Record<string, unknown>
  return rest
}
