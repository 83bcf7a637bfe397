import { z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import {
  faceOf,
  fileNameOf,
  type InvoiceView,
  invoiceOf,
  invoiceOfToken,
  invoicePdf,
  invoiceRefusals,
  pageToken,
  payingOf,
} from '../../domain/billing/reads.ts'
import type { OperationView } from '../../jobs/operation-reads.ts'
import { errorSchema } from '../errors.ts'
import { headerOf } from '../reply.ts'
import type { Env, Router } from '../route.ts'
import { invoicePage, isPageSays, missingPage, PAGE_HEADERS, type PageSays } from './page.ts'
import type { BillingRouteParts } from './parts.ts'

const tag = 'Invoice page'

/** A link that we made; what else is written there is found nowhere. */
const params = z.object({ token: z.string().max(64) })

/** Seconds for which whoever pressed the button waits for Stripe's page. Longer, and they press again. */
const PATIENCE_S = 10

/** A person reads a page; a program that guesses links is slowed down, were it not hopeless anyway. */
const READS = [{ name: 'invoice.page', points: 120, seconds: 60 }]
const PAYS = [{ name: 'invoice.page.pay', points: 20, seconds: 60 }]

/** An invoice as a page that anybody may open who has its link: read it, print it, pay it. Works without JavaScript. */
export function hostedRoutes(router: Router, parts: BillingRouteParts): void {
  const { reads, keyring, seller, invoicing, pdfFonts } = parts
  const opened = (token: string): Promise<InvoiceView> => invoiceOf(reads, invoiceOfToken(keyring, token), undefined)
  const face = (invoice: InvoiceView) => faceOf(reads, invoice, { keyring, seller, timeZone: invoicing.timeZone })
  const pathOf = (invoice: InvoiceView) => `/invoices/${pageToken(keyring, invoice.id)}`

  router.route(
    {
      method: 'get',
      path: '/invoices/{token}',
      tag,
      summary: 'An invoice’s own page',
      description: 'The link is the credential: it stands in letters and in payment_url.',
      access: 'anyone',
      limits: READS,
      params,
      query: z.object({ says: z.string().max(32).optional() }),
      answers: {
        200: { says: 'A page', schema: z.string(), type: 'text/html' },
        404: { says: 'Refused: invoice.notFound', schema: errorSchema },
      },
    },
    async ({ c, params: { token }, query }) => {
      const invoice = await opened(token).catch((error: unknown) => {
        if (!wantsPage(c)) throw error
        return undefined
      })
      if (invoice === undefined) return c.html(missingPage(), 404, { ...PAGE_HEADERS })
      const path = pathOf(invoice)
      const says = (await payingOf(reads, invoice.id)) ?? (isPageSays(query.says) ? query.says : undefined)
      const page = invoicePage(await face(invoice), {
        payPath: parts.payable ? `${path}/pay` : undefined,
        pdfPath: `${path}/pdf`,
        says,
      })
      return c.html(page, 200, { ...PAGE_HEADERS })
    },
  )

  router.route(
    {
      method: 'post',
      path: '/invoices/{token}/pay',
      tag,
      summary: 'What the page’s button does: leads to where the invoice is paid',
      access: 'anyone',
      limits: PAYS,
      params,
      answers: {
        303: { says: 'To Stripe’s page, or back to ours with a word on why not' },
        404: { says: 'Refused: invoice.notFound', schema: errorSchema },
      },
    },
    async ({ c, params: { token }, requestId }) => {
      const invoice = await opened(token)
      const accepted = await parts.intake.submit({
        kind: 'invoice.publish',
        input: { invoice_id: invoice.id },
        submittedBy: undefined,
        requestId,
        idempotency: undefined,
      })
      c.set('operation', { id: accepted.id, kind: accepted.kind })
      const outcome = await parts.waiting.until(accepted.id, PATIENCE_S * 1_000)
      const url = outcome?.status === 'succeeded' ? paymentUrl.safeParse(outcome.result).data?.payment_url : undefined
      return c.redirect(url ?? `${pathOf(invoice)}?says=${saysOf(outcome)}`, 303)
    },
  )

  router.route(
    {
      method: 'get',
      path: '/invoices/{token}/pdf',
      tag,
      summary: 'An invoice as a PDF, by its link',
      access: 'anyone',
      limits: READS,
      params,
      answers: {
        200: { says: 'A PDF', schema: pdfSchema, type: 'application/pdf' },
        404: { says: 'Refused: invoice.notFound', schema: errorSchema },
      },
    },
    async ({ c, params: { token } }) => pdfAnswer(c, await face(await opened(token)), pdfFonts),
  )
}

const wantsPage = (c: Context<Env>): boolean => headerOf(c, 'accept')?.includes('text/html') === true

const paymentUrl = z.object({ payment_url: z.url() })

export const pdfSchema = z.string().openapi({ format: 'binary' })

/** Shown by browsers, and kept under the invoice's number. */
export async function pdfAnswer(
  c: Context<Env>,
  face: Parameters<typeof invoicePdf>[0],
  fonts: Parameters<typeof invoicePdf>[1],
): Promise<Response> {
  const pdf = await invoicePdf(face, fonts)
  return c.body(new Uint8Array(pdf), 200, {
    'Content-Type': 'application/pdf',
    'Content-Disposition': `inline; filename="${fileNameOf(face)}"`,
    'Cache-Control': 'private, no-store',
    'Referrer-Policy': 'no-referrer',
    'X-Robots-Tag': 'noindex',
  })
}

/** Why the button led back, in the page's words. */
function saysOf(outcome: OperationView | undefined): PageSays {
  if (outcome === undefined || outcome.status !== 'failed') return 'working'
  switch (outcome.error?.code) {
    case invoiceRefusals.paymentUnderWay().code:
      return 'underway'
    case 'invoice.alreadyPaid':
    case 'invoice.notPayable':
      return 'settled'
    case 'invoice.inReview':
    case 'invoice.amountDiffers':
      return 'review'
    default:
      return 'unavailable'
  }
}
