import type { Context, Hono } from 'hono'
import { z } from 'zod'
import { Bool, Expand, Metadata, Positive, read, Text, Texts } from './form.ts'
import { capture, check, end, fail, pay, succeed } from './intent-life.ts'
import { customerOf, use } from './methods.ts'
import { Paging, page } from './paging.ts'
import { badParameter, noSuch, Problem, refused } from './problem.ts'
import { answer, fieldsOf } from './respond.ts'
import type { Intent } from './rows.ts'
import { shown, type World } from './world.ts'

/** Least and most of one charge in minor units, by https://docs.stripe.com/currencies. */
const MINIMUM: Readonly<Record<string, number>> = { usd: 50, eur: 50, inr: 50, jpy: 50, ngn: 50_000, kwd: 150 }
const MAXIMUM = 99_999_999
const THREE_DECIMALS: ReadonlySet<string> = new Set(['bhd', 'iqd', 'jod', 'kwd', 'lyd', 'omr', 'tnd'])

const Confirming = {
  payment_method: Text.optional(),
  off_session: Bool.optional(),
  return_url: Text.optional(),
  use_stripe_sdk: Bool.optional(),
  error_on_requires_action: Bool.optional(),
  mandate: Text.optional(),
  receipt_email: Text.optional(),
  client_secret: Text.optional(),
  expand: Expand,
}
const NewIntent = z.strictObject({
  ...Confirming,
  amount: Positive,
  currency: Text,
  allowed_payment_method_types: Texts.optional(),
  automatic_payment_methods: z
    .strictObject({ enabled: Bool, allow_redirects: z.enum(['always', 'never']).optional() })
    .optional(),
  capture_method: z.enum(['automatic', 'automatic_async', 'manual']).default('automatic_async'),
  confirm: Bool.default(false),
  customer: Text.optional(),
  description: Text.optional(),
  metadata: Metadata,
  setup_future_usage: Text.optional(),
  statement_descriptor_suffix: Text.optional(),
  transfer_group: Text.optional(),
})
const Confirm = z.strictObject(Confirming)
const Capture = z.strictObject({
  amount_to_capture: Positive.optional(),
  final_capture: Bool.optional(),
  expand: Expand,
})
const Cancel = z.strictObject({
  cancellation_reason: z.enum(['abandoned', 'duplicate', 'fraudulent', 'requested_by_customer']).optional(),
  expand: Expand,
})
const Reading = z.strictObject({ client_secret: Text.optional(), expand: Expand })

/** Milliseconds after which what was authorised and not captured is given back: seven days. */
const AUTHORISED_MS = 7 * 86_400_000

/** `/v1/payment_intents` and `/v1/charges`. */
export function intentRoutes(app: Hono, world: World): void {
  world.when('intent_succeeds', (id) => {
    const intent = world.intents.get(id)
    if (intent?.status === 'processing') succeed(world, intent, Number(intent.amount_received) || intent.amount)
  })
  world.when('intent_fails', (id, why) => {
    const intent = world.intents.get(id)
    if (intent?.status === 'processing')
      fail(world, intent, { code: why ?? 'card_declined', declineCode: why ?? 'generic_decline' })
  })
  world.when('authorisation_expires', (id) => {
    const intent = world.intents.get(id)
    const made = (intent?.created ?? 0) * 1_000
    if (intent?.status === 'requires_capture' && world.now() - made >= AUTHORISED_MS) end(world, intent, 'automatic')
  })

  app.post('/v1/payment_intents', async (c) => {
    const wanted = read(NewIntent, await fieldsOf(c))
    if (wanted.off_session !== undefined && !wanted.confirm)
      throw refused('off_session can only be used with confirm=true.', undefined, 'off_session')
    const intent = make(world, wanted)
    return answer(world, c, wanted.confirm ? confirm(world, c, intent, wanted) : intent, wanted.expand)
  })
  app.get('/v1/payment_intents', async (c) => {
    const wanted = read(Paging.extend({ customer: Text.optional() }), await fieldsOf(c))
    const rows = world.intents.values().filter(({ customer }) => customer === (wanted.customer ?? customer))
    return answer(world, c, page(rows, '/v1/payment_intents', wanted), wanted.expand)
  })
  app.get('/v1/payment_intents/:id', async (c) => {
    const { expand } = read(Reading, await fieldsOf(c))
    return answer(world, c, intentOf(world, c.req.param('id')), expand)
  })
  app.post('/v1/payment_intents/:id/confirm', async (c) => {
    const wanted = read(Confirm, await fieldsOf(c))
    return answer(world, c, confirm(world, c, intentOf(world, c.req.param('id')), wanted), wanted.expand)
  })
  app.post('/v1/payment_intents/:id/capture', async (c) => {
    const { amount_to_capture, expand } = read(Capture, await fieldsOf(c))
    const intent = intentOf(world, c.req.param('id'))
    if (intent.status !== 'requires_capture') throw unexpected(intent, 'captured', 'requires_capture')
    const amount = amount_to_capture ?? intent.amount_capturable
    if (amount > intent.amount_capturable)
      throw refused(
        `The requested capture amount is greater than the amount you can capture for this charge.`,
        'amount_too_large',
        'amount_to_capture',
      )
    return answer(world, c, capture(world, intent, amount), expand)
  })
  app.post('/v1/payment_intents/:id/cancel', async (c) => {
    const { cancellation_reason, expand } = read(Cancel, await fieldsOf(c))
    const intent = intentOf(world, c.req.param('id'))
    if (intent.status === 'succeeded' || intent.status === 'canceled' || intent.status === 'processing')
      throw unexpected(
        intent,
        'canceled',
        'requires_payment_method, requires_capture, requires_confirmation, requires_action',
      )
    return answer(world, c, end(world, intent, cancellation_reason ?? null), expand)
  })

  app.get('/v1/charges', async (c) => {
    const wanted = read(Paging.extend({ payment_intent: Text.optional() }), await fieldsOf(c))
    const rows = world.charges
      .values()
      .filter(({ payment_intent }) => payment_intent === (wanted.payment_intent ?? payment_intent))
    return answer(world, c, page(rows, '/v1/charges', wanted), wanted.expand)
  })
  app.get('/v1/charges/:id', async (c) => {
    const { expand } = read(Reading, await fieldsOf(c))
    const charge = world.charges.get(c.req.param('id'))
    if (charge === undefined) throw noSuch('charge', c.req.param('id'))
    return answer(world, c, charge, expand)
  })
}

export function intentOf(world: World, id: string, param?: string): Intent {
  const intent = world.intents.get(id)
  if (intent === undefined) throw noSuch('payment_intent', id, param ?? 'intent')
  return intent
}

export function make(world: World, wanted: z.infer<typeof NewIntent>): Intent {
  const currency = wanted.currency.toLowerCase()
  const minimum = MINIMUM[currency]
  if (minimum === undefined)
    throw refused(`Invalid currency: ${currency}. Stripe currently supports these currencies: …`, undefined, 'currency')
  if (THREE_DECIMALS.has(currency) && wanted.amount % 10 !== 0)
    throw badParameter(
      'parameter_invalid_integer',
      `Invalid amount: the last digit of a ${currency} amount must be 0`,
      'amount',
    )
  if (wanted.amount < minimum)
    throw refused(`Amount must be at least ${minimum} ${currency}`, 'amount_too_small', 'amount')
  if (wanted.amount > MAXIMUM)
    throw refused(`Amount must be no more than ${MAXIMUM} ${currency}`, 'amount_too_large', 'amount')
  if (wanted.customer !== undefined) customerOf(world, wanted.customer, 'customer')
  if (wanted.confirm && wanted.payment_method === undefined)
    throw refused(
      'You cannot confirm this PaymentIntent because it is missing a payment method.',
      'payment_intent_unexpected_state',
    )

  // Known before anything of the intent is remembered: a wrong token leaves nothing behind.
  const method = wanted.payment_method === undefined ? undefined : use(world, wanted.payment_method, 'payment_method')
  const payment_method_types = wanted.allowed_payment_method_types ?? ['card']
  if (method !== undefined) check(method, { customer: wanted.customer ?? null, payment_method_types })
  const id = world.newId('pi')
  const intent = world.intents.put({
    id,
    object: 'payment_intent',
    allowed_payment_method_types: wanted.allowed_payment_method_types ?? null,
    amount: wanted.amount,
    amount_capturable: 0,
    amount_received: 0,
    automatic_payment_methods: {
      allow_redirects: wanted.automatic_payment_methods?.allow_redirects ?? 'always',
      enabled: wanted.automatic_payment_methods?.enabled ?? true,
    },
    canceled_at: null,
    cancellation_reason: null,
    capture_method: wanted.capture_method,
    client_secret: `${id}_secret_${world.newId('x').slice(2)}`,
    confirmation_method: 'automatic',
    created: world.seconds(),
    currency,
    customer: wanted.customer ?? null,
    description: wanted.description ?? null,
    last_payment_error: null,
    latest_charge: null,
    livemode: false,
    metadata: wanted.metadata,
    next_action: null,
    payment_method: method?.id ?? null,
    payment_method_types,
    processing: null,
    receipt_email: wanted.receipt_email ?? null,
    setup_future_usage: wanted.setup_future_usage ?? null,
    status: method === undefined ? 'requires_payment_method' : 'requires_confirmation',
    transfer_group: wanted.transfer_group ?? null,
    _returnUrl: wanted.return_url ?? null,
  })
  world.emit('payment_intent.created', intent)
  return intent
}

/** What a request to confirm says beside the intent. */
interface Confirming {
  readonly payment_method?: string | undefined
  readonly off_session?: boolean | undefined
  readonly return_url?: string | undefined
}

const CONFIRMABLE: ReadonlySet<string> = new Set([
  'requires_payment_method',
  'requires_confirmation',
  'requires_action',
])

function confirm(world: World, c: Context, intent: Intent, wanted: Confirming): Intent {
  if (!CONFIRMABLE.has(intent.status)) throw unexpected(intent, 'confirmed', [...CONFIRMABLE].join(', '))
  const id = wanted.payment_method ?? intent.payment_method
  if (id === null)
    throw refused(
      'You cannot confirm this PaymentIntent because it is missing a payment method.',
      'payment_intent_unexpected_state',
    )
  const confirmed = world.intents.put({ ...intent, _returnUrl: wanted.return_url ?? intent._returnUrl })
  const result = pay(world, confirmed, use(world, id, 'payment_method'), {
    present: wanted.off_session !== true,
    origin: new URL(c.req.url).origin,
  })
  const error = result.last_payment_error
  if (error === null || result.status !== 'requires_payment_method') return result
  throw new Problem(402, {
    ...error,
    type: 'card_error',
    message: String(error.message),
    payment_intent: shown(result),
  })
}

const unexpected = (intent: Intent, verb: string, wanted: string): Problem =>
  new Problem(400, {
    type: 'invalid_request_error',
    code: 'payment_intent_unexpected_state',
    doc_url: 'https://stripe.com/docs/error-codes/payment-intent-unexpected-state',
    message: `This PaymentIntent could not be ${verb} because it has a status of ${intent.status}. Only a PaymentIntent with one of the following statuses may be ${verb}: ${wanted}.`,
    payment_intent: shown(intent),
  })
