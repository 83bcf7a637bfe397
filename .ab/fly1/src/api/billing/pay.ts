import { z } from '@hono/zod-openapi'
import {
  faceOf,
  INVOICE_PAYMENT,
  invoiceIdOf,
  invoiceOf,
  invoicePaymentRefusals,
  invoiceRefusals,
} from '../../domain/billing/reads.ts'
import { fromPublicId, publicId } from '../../kit/ids.ts'
import { errorSchema } from '../errors.ts'
import { ownerMeant } from '../payments/acting.ts'
import type { Router } from '../route.ts'
import { submission } from '../submission.ts'
import { pdfAnswer, pdfSchema } from './hosted.ts'
import type { BillingRouteParts } from './parts.ts'

const tag = 'Invoices'

/** Paying an invoice, and its PDF. */
export function invoicePaymentRoutes(router: Router, parts: BillingRouteParts): void {
  const { reads, keyring, seller, invoicing, pdfFonts } = parts

  submission(router, parts, {
    kind: 'invoice.pay',
    method: 'post',
    path: '/api/v1/billing/invoice/{invoice_id}/pay',
    tag,
    summary: 'Pay an invoice with a saved method',
    access: 'caller',
    fromPath: { invoice_id: invoiceMeant },
    fill: ({ caller, sent }) => {
      const owner = ownerMeant(caller, sent.user_id)
      return owner === undefined ? {} : { user_id: owner }
    },
  })

  submission(router, parts, {
    kind: 'invoice.decide',
    method: 'post',
    path: '/api/v1/billing/payments/{payment_id}/decision',
    tag: 'Review',
    summary: 'Decide on a payment of an invoice whose gateway moved another amount than was asked',
    access: ['operator'],
    fromPath: { payment_id: paymentMeant },
  })

  router.route(
    {
      method: 'get',
      path: '/api/v1/billing/invoice/{invoice_id}/pdf',
      tag,
      summary: 'An invoice as a PDF',
      access: 'caller',
      params: z.object({ invoice_id: z.string() }),
      query: z.object({ user_id: z.string().min(1).max(255).optional() }),
      answers: {
        200: { says: 'A PDF', schema: pdfSchema, type: 'application/pdf' },
        403: { says: 'Somebody else’s invoices', schema: errorSchema },
        404: { says: 'Refused: invoice.notFound', schema: errorSchema },
      },
    },
    async ({ c, caller, params, query }) => {
      const invoice = await invoiceOf(reads, invoiceIdOf(params.invoice_id), ownerMeant(caller, query.user_id))
      return pdfAnswer(c, await faceOf(reads, invoice, { keyring, seller, timeZone: invoicing.timeZone }), pdfFonts)
    },
  )
}

/** What never was an invoice's id is not found, without asking the database. */
function invoiceMeant(written: string): string {
  if (invoiceIdOf(written) === undefined) throw invoiceRefusals.notFound()
  return written
}

/** The same for a payment of one. */
function paymentMeant(written: string): string {
  const id = fromPublicId(INVOICE_PAYMENT, written)
  if (id === undefined) throw invoicePaymentRefusals.paymentNotFound()
  return publicId(INVOICE_PAYMENT, id)
}
