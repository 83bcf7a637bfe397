import { z } from '@hono/zod-openapi'
import { type BilledView, billedOf, taxRates } from '../../domain/billing/reads.ts'
import { MAX_ID, plainText } from '../../jobs/text.ts'
import { toDecimal } from '../../kit/money.ts'
import { errorSchema } from '../errors.ts'
import { userMeant } from '../payments/acting.ts'
import { reply } from '../reply.ts'
import type { Router } from '../route.ts'
import { AS_IN_KIND, submission } from '../submission.ts'
import type { BillingRouteParts } from './parts.ts'

const tag = 'Customers and tax'

const customerSchema = z
  .object({
    user_id: z.string(),
    customer_number: z.int().openapi({ description: 'Their part of invoice numbers.' }),
    plan: z.string().openapi({ example: 'pro' }),
    currency: z.string(),
    name: z.string().nullable(),
    email: z.string().nullable(),
    address: z.string().nullable(),
    country: z.string().nullable(),
    tax_id: z.string().nullable(),
    discount_percent: z.number(),
    starts_on: z.string(),
    ends_on: z.string().nullable(),
    carried_forward: z.number().openapi({ description: 'Owed, too little to be collected by itself.' }),
    credit: z.number().openapi({ description: 'Of adjustments, before tax: the next invoice takes it off.' }),
  })
  .openapi('BillingCustomer')

const rateSchema = z
  .object({
    country: z.string(),
    starts_on: z.string(),
    name: z.string(),
    percent: z.number(),
    inclusive: z.boolean(),
    reverse_charge: z.boolean(),
  })
  .openapi('TaxRate')

/** Who is billed, and by which taxes. */
export function customerRoutes(router: Router, parts: BillingRouteParts): void {
  const { reads, keyring } = parts
  router.route(
    {
      method: 'get',
      path: '/api/v1/billing/customers/{user_id}',
      tag,
      summary: 'By what a customer is billed',
      access: 'caller',
      params: z.object({ user_id: plainText(MAX_ID) }),
      answers: {
        200: { says: 'The customer', schema: customerSchema },
        403: { says: 'Somebody else', schema: errorSchema },
        404: { says: 'Refused: invoice.customerNotFound', schema: errorSchema },
      },
    },
    async ({ c, caller, params }) =>
      reply(c, customerBody(await billedOf(reads, keyring, userMeant(caller, params.user_id)))),
  )
  submission(router, parts, {
    kind: 'customer.set',
    method: 'put',
    path: '/api/v1/billing/customers/{user_id}',
    tag,
    summary: 'Set by what a customer is billed',
    access: ['service'],
    fromPath: { user_id: AS_IN_KIND },
  })

  router.route(
    {
      method: 'get',
      path: '/api/v1/billing/tax-rates',
      tag,
      summary: 'Every country’s taxes, with the days from which they hold',
      access: 'caller',
      answers: { 200: { says: 'All of them', schema: z.object({ tax_rates: z.array(rateSchema) }) } },
    },
    async ({ c }) => {
      const rows = await taxRates(reads)
      return reply(c, { tax_rates: rows.map((row) => ({ ...row, percent: Number(row.percent) })) })
    },
  )
  submission(router, parts, {
    kind: 'taxrate.set',
    method: 'put',
    path: '/api/v1/billing/tax-rates',
    tag,
    summary: 'Set a country’s tax from a day on',
    access: ['admin'],
  })
}

const customerBody = (view: BilledView): z.input<typeof customerSchema> => ({
  user_id: view.id,
  customer_number: view.number,
  plan: view.plan,
  currency: view.currency,
  name: view.name,
  email: view.email,
  address: view.address,
  country: view.country,
  tax_id: view.taxId,
  discount_percent: Number(view.discountPercent),
  starts_on: view.startsOn,
  ends_on: view.endsOn,
  carried_forward: Number(toDecimal(view.brought, view.currency)),
  credit: Number(toDecimal(view.credit, view.currency)),
})
