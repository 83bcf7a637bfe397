import { z } from '@hono/zod-openapi'
import {
  creditNotesOf,
  type InvoiceView,
  invoiceIdOf,
  invoiceOf,
  invoiceRefusals,
  invoicesOf,
  type LineView,
  linesOf,
  pageUrl,
  statusOnWire,
  wireStatuses,
} from '../../domain/billing/reads.ts'
import { monthCode } from '../../jobs/billing.ts'
import { MAX_ID, plainText } from '../../jobs/text.ts'
import { type Asset, toDecimal } from '../../kit/money.ts'
import { dayOf } from '../../kit/months.ts'
import { holds } from '../access.ts'
import { errorSchema, Invalid } from '../errors.ts'
import { paged, pageQuery } from '../paging.ts'
import { ownerMeant, userMeant } from '../payments/acting.ts'
import { reply } from '../reply.ts'
import type { Asked, Router } from '../route.ts'
import { submission } from '../submission.ts'
import type { BillingRouteParts } from './parts.ts'

const tag = 'Invoices'

/** Invoices on a page, as the seed's clients ask for them. */
const DEFAULT_PAGE = 50

const decimal = z.number().openapi({ example: 25.5 })
const instant = z.iso.datetime().nullable()

const invoiceSchema = z
  .object({
    invoice_id: z.int().openapi({ example: 123 }),
    invoice_number: z.string().nullable().openapi({ example: 'AH-2024-01-000001-20240201' }),
    sequence: z.int().nullable().openapi({ description: 'Without a gap, in the order in which numbers were given.' }),
    type: z.enum(['invoice', 'credit_note']),
    user_id: z.string(),
    month: z.string().nullable().openapi({ description: 'The month that is billed.', example: '2024-01' }),
    description: z.string().nullable(),
    status: z.enum(wireStatuses).openapi({ example: 'sent' }),
    is_paid: z.boolean().openapi({ description: 'Nothing of it is due any more.' }),
    currency: z.string().openapi({ example: 'USD' }),
    amount: decimal.openapi({ description: 'What is asked for: the total, with what earlier ones left.' }),
    subtotal: decimal,
    discount_percent: z.number(),
    discount: decimal,
    tax: decimal,
    tax_name: z.string().nullable(),
    tax_percent: z.number(),
    tax_inclusive: z.boolean().openapi({ description: 'The tax is inside the prices.' }),
    reverse_charge: z.boolean().openapi({ description: 'The customer accounts for the tax: none is charged.' }),
    total: decimal,
    brought_forward: decimal.openapi({ description: 'Of earlier invoices that were too small to be collected.' }),
    carried_forward: decimal.openapi({ description: 'Too little to be collected: the next invoice asks for it.' }),
    amount_paid: decimal,
    amount_credited: decimal.openapi({ description: 'By credit notes.' }),
    amount_refunded: decimal.openapi({ description: 'Of what was credited: into the wallet, because it was paid.' }),
    amount_due: decimal,
    credits_invoice_id: z.int().nullable().openapi({ description: 'Of a credit note: the invoice that it corrects.' }),
    reason: z.string().nullable(),
    payment_url: z.string().nullable(),
    last_failure: z.string().nullable().openapi({ description: 'Why collecting it failed the last time.' }),
    next_collection_at: instant,
    created_at: z.iso.datetime(),
    issued_at: instant,
    due_date: z.string().nullable().openapi({ description: 'In the issuer’s time.', example: '2024-03-02T00:00:00' }),
    sent_at: instant,
    paid_at: instant,
  })
  .openapi('Invoice')

const lineSchema = z
  .object({
    metric: z.string().nullable(),
    month: z.string().nullable().openapi({ description: 'Before the invoice’s own: usage that came late.' }),
    description: z.string(),
    quantity: z.number(),
    unit_price: z.number().nullable().openapi({ description: 'None where tiers make it several.' }),
    amount: decimal,
    discount: decimal.openapi({ description: 'Its share of the invoice’s.' }),
  })
  .openapi('InvoiceLine')

const notFound = { says: 'Refused: invoice.notFound', schema: errorSchema }
const userQuery = plainText(MAX_ID).optional().openapi({ description: 'Left out by the user whom it would name.' })

type Sent = Asked<Record<string, unknown>, Record<string, unknown>, Record<string, unknown>>

/** An invoice's id from a path: what never was one is not there. */
const invoiceMeant = (written: string): string => {
  if (invoiceIdOf(written) === undefined) throw invoiceRefusals.notFound()
  return written
}

function monthMeant(written: string): string {
  const parsed = monthCode.safeParse(written)
  if (parsed.success) return parsed.data
  throw new Invalid(
    parsed.error.issues.map(({ message }) => ({ loc: ['path', 'month'], msg: message, type: 'custom' })),
  )
}

/** Bills, corrects and shows invoices. */
export function invoiceRoutes(router: Router, parts: BillingRouteParts): void {
  const { reads } = parts
  const ofCaller = ({ caller, query }: Sent) => ({ user_id: userMeant(caller, query.user_id) })
  const ofAnybody = ({ caller, query }: Sent) => {
    const owner = ownerMeant(caller, query.user_id)
    return owner === undefined ? {} : { user_id: owner }
  }
  const fromPath = { invoice_id: invoiceMeant }

  submission(router, parts, {
    kind: 'invoice.create',
    method: 'post',
    path: '/api/v1/billing/invoice/{month}/create',
    tag,
    summary: 'Bill a month that is over',
    access: 'caller',
    fromPath: { month: monthMeant },
    fromQuery: ['user_id'],
    fill: ofCaller,
  })
  submission(router, parts, {
    kind: 'invoice.compose',
    method: 'post',
    path: '/api/v1/billing/invoices',
    tag,
    summary: 'Make an invoice by hand',
    access: ['service'],
  })
  submission(router, parts, {
    kind: 'invoice.finalize',
    method: 'post',
    path: '/api/v1/billing/invoice/{invoice_id}/finalize',
    tag,
    summary: 'Give a draft its number',
    access: ['service'],
    fromPath,
  })
  submission(router, parts, {
    kind: 'invoice.cancel',
    method: 'post',
    path: '/api/v1/billing/invoice/{invoice_id}/cancel',
    tag,
    summary: 'Cancel an unpaid invoice',
    // Back ends: whoever owes an invoice does not decide that they do not.
    access: ['service'],
    fromPath,
    fromQuery: ['user_id'],
    fill: ofAnybody,
  })
  submission(router, parts, {
    kind: 'invoice.credit',
    method: 'post',
    path: '/api/v1/billing/invoice/{invoice_id}/credit',
    tag,
    summary: 'Take an invoice back, in whole or in part',
    access: ['service'],
    fromPath,
  })
  submission(router, parts, {
    kind: 'invoice.forgive',
    method: 'post',
    path: '/api/v1/billing/invoice/{invoice_id}/write-off',
    tag,
    summary: 'Give an invoice up',
    access: ['admin'],
    fromPath,
  })

  router.route(
    {
      method: 'get',
      path: '/api/v1/billing/invoices',
      tag,
      summary: 'A user’s invoices and credit notes, newest first',
      description: 'For back ends that name nobody: everybody’s.',
      access: 'caller',
      query: pageQuery(/^[1-9]\d{0,14}$/).extend({
        limit: z.coerce.number().int().min(1).max(100).default(DEFAULT_PAGE),
        user_id: userQuery,
        month: monthCode.optional(),
      }),
      answers: {
        200: {
          says: 'One page',
          schema: z.object({ invoices: z.array(invoiceSchema), next_cursor: z.string().nullable() }),
        },
        403: { says: 'Somebody else’s invoices', schema: errorSchema },
      },
    },
    async ({ c, caller, query }) => {
      const rows = await invoicesOf(reads, {
        customerId: holds(caller, 'service') ? query.user_id : userMeant(caller, query.user_id),
        month: query.month,
        before: query.cursor === undefined ? undefined : Number(query.cursor),
        limit: query.limit + 1,
      })
      const { page, next } = paged(rows, query.limit, ({ id }) => String(id))
      return reply(c, { invoices: page.map((view) => invoiceBody(view, parts)), next_cursor: next })
    },
  )

  router.route(
    {
      method: 'get',
      path: '/api/v1/billing/invoice/{invoice_id}',
      tag,
      summary: 'One invoice, with its lines and credit notes',
      access: 'caller',
      params: z.object({ invoice_id: z.string() }),
      query: z.object({ user_id: userQuery }),
      answers: {
        200: {
          says: 'The invoice',
          schema: invoiceSchema
            .extend({ lines: z.array(lineSchema), credit_notes: z.array(invoiceSchema) })
            .openapi('InvoiceDetails'),
        },
        404: notFound,
      },
    },
    async ({ c, caller, params, query }) => {
      const view = await invoiceOf(reads, invoiceIdOf(params.invoice_id), ownerMeant(caller, query.user_id))
      const [lines, notes] = await Promise.all([linesOf(reads, view.id), creditNotesOf(reads, view.id)])
      return reply(c, {
        ...invoiceBody(view, parts),
        lines: lines.map((line) => lineBody(line, view.currency)),
        credit_notes: notes.map((note) => invoiceBody(note, parts)),
      })
    },
  )
}

/** Invoices hold no more digits than a JSON number does. */
const numberOf = (value: bigint, currency: Asset): number => Number(toDecimal(value, currency))

function invoiceBody(
  view: InvoiceView,
  { keyring, invoicing }: Pick<BillingRouteParts, 'keyring' | 'invoicing'>,
): z.input<typeof invoiceSchema> {
  const money = (value: bigint) => numberOf(value, view.currency)
  const hasPage = view.type === 'invoice' && view.number !== null
  return {
    invoice_id: view.id,
    invoice_number: view.number,
    sequence: view.sequence,
    type: view.type,
    user_id: view.customerId,
    month: view.month,
    description: view.description,
    status: statusOnWire(view),
    is_paid: view.status === 'paid',
    currency: view.currency,
    amount: money(view.total + view.brought - view.carried),
    subtotal: money(view.subtotal),
    discount_percent: Number(view.discountPercent),
    discount: money(view.discount),
    tax: money(view.tax),
    tax_name: view.taxName,
    tax_percent: Number(view.taxPercent),
    tax_inclusive: view.taxInclusive,
    reverse_charge: view.reverseCharge,
    total: money(view.total),
    brought_forward: money(view.brought),
    carried_forward: money(view.carried),
    amount_paid: money(view.paid),
    amount_credited: money(view.credited),
    amount_refunded: money(view.refunded),
    amount_due: money(view.due),
    credits_invoice_id: view.creditsId,
    reason: view.reason,
    payment_url: view.paymentUrl ?? (hasPage ? pageUrl(invoicing.publicUrl, keyring, view.id) : null),
    last_failure: view.lastFailure,
    next_collection_at: view.dunningAt?.toISOString() ?? null,
    created_at: view.createdAt.toISOString(),
    issued_at: view.issuedAt?.toISOString() ?? null,
    due_date: view.dueAt === null ? null : `${dayOf(view.dueAt, invoicing.timeZone)}T00:00:00`,
    sent_at: view.sentAt?.toISOString() ?? null,
    paid_at: view.paidAt?.toISOString() ?? null,
  }
}

const lineBody = (line: LineView, currency: Asset): z.input<typeof lineSchema> => ({
  metric: line.metric,
  month: line.month,
  description: line.description,
  quantity: Number(line.quantity),
  unit_price: line.unitPrice === null ? null : Number(line.unitPrice),
  amount: numberOf(line.amount, currency),
  discount: numberOf(line.discount, currency),
})
