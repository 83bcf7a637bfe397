import type { Hono } from 'hono'
import { z } from 'zod'
import { Expand, Int, Metadata, read, Text } from './form.ts'
import { INSTRUMENTS, type Instrument, instrumentOf } from './instruments.ts'
import { Paging, page } from './paging.ts'
import { badParameter, noSuch, refused } from './problem.ts'
import { answer, fieldsOf } from './respond.ts'
import type { Customer, PaymentMethod } from './rows.ts'
import type { World } from './world.ts'

const NewMethod = z.strictObject({
  type: z.enum(['card', 'us_bank_account', 'sepa_debit']),
  card: z
    .strictObject({
      token: z.string().optional(),
      number: z.string().optional(),
      exp_month: Int.optional(),
      exp_year: Int.optional(),
      cvc: z.string().optional(),
    })
    .optional(),
  us_bank_account: z
    .strictObject({
      account_number: z.string(),
      routing_number: z.string(),
      account_holder_type: z.string().optional(),
      account_type: z.string().optional(),
    })
    .optional(),
  sepa_debit: z.strictObject({ iban: z.string() }).optional(),
  billing_details: z.record(z.string(), z.unknown()).default({}),
  metadata: Metadata,
  expand: Expand,
})
const Attach = z.strictObject({ customer: z.string(), expand: Expand })
const NewCustomer = z.strictObject({
  email: Text.optional(),
  name: Text.optional(),
  phone: Text.optional(),
  description: Text.optional(),
  payment_method: Text.optional(),
  invoice_settings: z.strictObject({ default_payment_method: Text.optional() }).default({}),
  metadata: Metadata,
  expand: Expand,
})

/** `/v1/payment_methods` and `/v1/customers`. */
export function methodRoutes(app: Hono, world: World): void {
  app.post('/v1/payment_methods', async (c) => {
    const wanted = read(NewMethod, await fieldsOf(c))
    const { billing_details, metadata } = wanted
    return answer(world, c, remember(world, chosen(wanted), { billing_details, metadata }), wanted.expand)
  })
  app.get('/v1/payment_methods/:id', async (c) => {
    const { expand } = read(z.strictObject({ expand: Expand }), await fieldsOf(c))
    return answer(world, c, methodOf(world, c.req.param('id')), expand)
  })
  app.post('/v1/payment_methods/:id/attach', async (c) => {
    const { customer, expand } = read(Attach, await fieldsOf(c))
    if (world.customers.get(customer) === undefined) throw noSuch('customer', customer, 'customer')
    const method = methodOf(world, c.req.param('id'))
    if (method.customer !== null && method.customer !== customer)
      throw refused('The payment method you provided has already been attached to a customer.')
    const attached = world.methods.put({ ...method, customer })
    world.emit('payment_method.attached', attached)
    return answer(world, c, attached, expand)
  })
  app.post('/v1/payment_methods/:id/detach', async (c) =>
    answer(world, c, world.methods.put({ ...methodOf(world, c.req.param('id')), customer: null })),
  )

  app.post('/v1/customers', async (c) => {
    const { payment_method, invoice_settings, expand, ...wanted } = read(NewCustomer, await fieldsOf(c))
    const id = world.newId('cus')
    const method = payment_method === undefined ? undefined : use(world, payment_method, 'payment_method')
    if (method !== undefined) world.methods.put({ ...method, customer: id })
    const asked = invoice_settings.default_payment_method
    const customer: Customer = world.customers.put({
      id,
      object: 'customer',
      balance: 0,
      created: world.seconds(),
      currency: null,
      default_source: null,
      description: wanted.description ?? null,
      email: wanted.email ?? null,
      invoice_settings: { default_payment_method: asked === payment_method ? (method?.id ?? null) : (asked ?? null) },
      livemode: false,
      metadata: wanted.metadata,
      name: wanted.name ?? null,
      phone: wanted.phone ?? null,
    })
    world.emit('customer.created', customer)
    return answer(world, c, customer, expand)
  })
  app.post('/v1/customers/:id', async (c) => {
    const customer = customerOf(world, c.req.param('id'))
    const { invoice_settings, expand, metadata, payment_method: _, ...rest } = read(NewCustomer, await fieldsOf(c))
    return answer(
      world,
      c,
      world.customers.put({
        ...customer,
        ...rest,
        invoice_settings: { ...customer.invoice_settings, ...invoice_settings },
        metadata: { ...customer.metadata, ...metadata },
      }),
      expand,
    )
  })
  app.get('/v1/customers', async (c) =>
    c.json(
      page(
        world.customers.values(),
        '/v1/customers',
        read(Paging.extend({ email: Text.optional() }), await fieldsOf(c)),
      ),
    ),
  )
  app.get('/v1/customers/:id', (c) => answer(world, c, customerOf(world, c.req.param('id'))))
}

export function customerOf(world: World, id: string, param?: string): Customer {
  const customer = world.customers.get(id)
  if (customer === undefined) throw noSuch('customer', id, param)
  return customer
}

/** A saved method, or a new one of a test token such as `pm_card_visa`. */
export function use(world: World, id: string, param: string): PaymentMethod {
  const saved = world.methods.get(id)
  if (saved !== undefined) return saved
  const instrument = INSTRUMENTS.get(id)
  if (instrument === undefined) throw noSuch('PaymentMethod', id, param)
  return remember(world, instrument)
}

/** To be read, a test token stands for what it would become. */
function methodOf(world: World, id: string): PaymentMethod {
  const saved = world.methods.get(id)
  if (saved !== undefined) return saved
  const instrument = INSTRUMENTS.get(id)
  if (instrument === undefined) throw noSuch('PaymentMethod', id)
  return remember(world, instrument)
}

function chosen(wanted: z.infer<typeof NewMethod>): Instrument {
  const { type, card, us_bank_account, sepa_debit } = wanted
  if (type === 'us_bank_account' && us_bank_account !== undefined)
    return instrumentOf(type, us_bank_account.account_number)
  if (type === 'sepa_debit' && sepa_debit !== undefined) return instrumentOf(type, sepa_debit.iban.replaceAll(' ', ''))
  if (type === 'card' && card?.number !== undefined) return instrumentOf(type, card.number.replaceAll(' ', ''))
  if (type === 'card' && card?.token !== undefined) {
    const instrument = INSTRUMENTS.get(card.token.replace(/^tok_/, 'pm_card_'))
    if (instrument === undefined) throw noSuch('token', card.token, 'card[token]')
    return instrument
  }
  throw badParameter('parameter_missing', `Missing required param: ${type}.`, type)
}

function remember(
  world: World,
  { type, brand, number, behaviour }: Instrument,
  more: { billing_details?: Record<string, unknown>; metadata?: Record<string, string> } = {},
): PaymentMethod {
  const last4 = number.slice(-4)
  return world.methods.put({
    id: world.newId('pm'),
    object: 'payment_method',
    billing_details: { address: null, email: null, name: null, phone: null, ...more.billing_details },
    created: world.seconds(),
    customer: null,
    livemode: false,
    metadata: more.metadata ?? {},
    type,
    ...(type === 'card'
      ? {
          card: {
            brand,
            country: 'US',
            display_brand: brand,
            exp_month: 12,
            exp_year: new Date(world.now()).getUTCFullYear() + 4,
            fingerprint: `fp${number}`.slice(0, 6) + last4,
            funding: 'credit',
            last4,
            wallet: null,
          },
        }
      : {}),
    ...(type === 'us_bank_account'
      ? {
          us_bank_account: {
            account_holder_type: 'individual',
            account_type: 'checking',
            bank_name: brand,
            fingerprint: `fp${last4}`,
            last4,
            routing_number: '110000000',
          },
        }
      : {}),
    ...(type === 'sepa_debit'
      ? { sepa_debit: { bank_code: brand, branch_code: '', country: 'DE', fingerprint: `fp${last4}`, last4 } }
      : {}),
    _behaviour: behaviour,
  })
}
