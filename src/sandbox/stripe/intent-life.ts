import { booked } from './bookings.ts'
import { noSuch, refused } from './problem.ts'
import type { Behaviour, Charge, Intent, PaymentMethod } from './rows.ts'
import { shown, type World } from './world.ts'

/** Charges the method. A decline is in `last_payment_error`, as webhooks and reads show it. */
export function pay(
  world: World,
  intent: Intent,
  method: PaymentMethod,
  how: { present: boolean; origin: string; authenticated?: boolean },
): Intent {
  check(method, intent)
  const chosen = { ...intent, payment_method: method.id, next_action: null, last_payment_error: null }
  const behaviour = method._behaviour
  const request = 'POST /v1/payment_intents'

  if (behaviour.does === 'authenticate' && how.authenticated !== true) {
    if (!how.present)
      return fail(world, chosen, {
        code: 'authentication_required',
        declineCode: 'authentication_required',
        message: 'Your card was declined. This transaction requires authentication.',
      })
    return mustAuthenticate(world, chosen, how.origin)
  }
  if (behaviour.does === 'decline' || (behaviour.does === 'authenticate' && behaviour.code !== undefined))
    return fail(world, chosen, behaviour)
  if (world.moods.take(request, 'late_failure') !== undefined) {
    const processing = toProcessing(world, chosen)
    world.later({ what: 'intent_fails', on: intent.id, why: 'insufficient_funds', waits: 'for_time' })
    return processing
  }
  if (world.moods.take(request, 'stay_pending') !== undefined) {
    const processing = toProcessing(world, chosen)
    world.later({ what: 'intent_succeeds', on: intent.id, waits: 'for_time' })
    return processing
  }
  if (behaviour.does === 'debit' || behaviour.does === 'debit_fails') {
    const processing = toProcessing(world, chosen)
    world.later({
      what: behaviour.does === 'debit' ? 'intent_succeeds' : 'intent_fails',
      on: intent.id,
      ...(behaviour.code === undefined ? {} : { why: behaviour.code }),
      waits: 'a_while',
    })
    return processing
  }
  const amount = intent.amount + (world.moods.take(request, 'wrong_amount') === undefined ? 0 : 1)
  if (intent.capture_method === 'manual') return authorise(world, chosen, amount)
  return succeed(world, chosen, amount)
}

/** May this method pay that payment at all? */
export function check(
  method: PaymentMethod,
  intent: { customer: string | null; payment_method_types: readonly string[] },
): void {
  if (method.customer !== null && method.customer !== intent.customer)
    throw refused(
      'The provided PaymentMethod is attached to a Customer: pass that customer with the request.',
      'payment_method_customer_missing',
      'payment_method',
    )
  if (!intent.payment_method_types.includes(method.type))
    throw refused(
      `The PaymentMethod provided (${method.type}) is not allowed for this PaymentIntent.`,
      'payment_intent_incompatible_payment_method',
      'payment_method',
    )
}

function mustAuthenticate(world: World, intent: Intent, origin: string): Intent {
  const url = `${origin}/_customer/${intent.id}`
  const waiting = world.intents.put({
    ...intent,
    status: 'requires_action',
    next_action:
      intent._returnUrl === null
        ? { type: 'use_stripe_sdk', use_stripe_sdk: { type: 'three_d_secure_redirect', stripe_js: url } }
        : { type: 'redirect_to_url', redirect_to_url: { return_url: intent._returnUrl, url } },
  })
  world.emit('payment_intent.requires_action', waiting)
  return waiting
}

function toProcessing(world: World, intent: Intent): Intent {
  const charge = charged(world, intent, { status: 'pending', captured: true, amount: intent.amount })
  const processing = world.intents.put({ ...intent, status: 'processing', latest_charge: charge.id })
  world.emit('payment_intent.processing', processing)
  return processing
}

function authorise(world: World, intent: Intent, amount: number): Intent {
  const charge = charged(world, intent, { status: 'succeeded', captured: false, amount })
  const authorised = world.intents.put({
    ...intent,
    status: 'requires_capture',
    amount_capturable: amount,
    latest_charge: charge.id,
  })
  world.later({ what: 'authorisation_expires', on: intent.id, waits: 'for_time' })
  world.emit('payment_intent.amount_capturable_updated', authorised)
  return authorised
}

export function capture(world: World, intent: Intent, amount: number): Intent {
  const charge = world.charges.get(intent.latest_charge ?? '')
  if (charge === undefined) throw noSuch('charge', intent.latest_charge ?? '')
  const captured = world.charges.put({
    ...charge,
    amount_captured: amount,
    // What was not captured is released, which Stripe shows as refunded.
    amount_refunded: charge.amount - amount,
    captured: true,
    balance_transaction: booked(world, 'charge', charge.id, amount, intent.currency),
  })
  world.emit('charge.captured', captured)
  const done = world.intents.put({ ...intent, status: 'succeeded', amount_capturable: 0, amount_received: amount })
  world.emit('payment_intent.succeeded', done)
  return done
}

export function succeed(world: World, intent: Intent, amount: number): Intent {
  const pending = intent.status === 'processing' ? world.charges.get(intent.latest_charge ?? '') : undefined
  const charge = pending ?? charged(world, intent, { status: 'succeeded', captured: true, amount })
  const done = world.charges.put({
    ...charge,
    status: 'succeeded',
    paid: true,
    amount_captured: amount,
    balance_transaction: booked(world, 'charge', charge.id, amount, intent.currency),
  })
  const paid = world.intents.put({
    ...intent,
    amount: Math.max(intent.amount, amount),
    amount_received: amount,
    latest_charge: done.id,
    next_action: null,
    status: 'succeeded',
  })
  world.emit('charge.succeeded', done)
  world.emit('payment_intent.succeeded', paid)
  world.happen('intent_paid', paid.id)
  const method = world.methods.get(paid.payment_method ?? '')
  if (method?._behaviour.disputed === true) world.later({ what: 'dispute', on: done.id, waits: 'a_while' })
  return paid
}

/** A decline: the intent may be tried again with another method. */
export function fail(world: World, intent: Intent, why: Omit<Behaviour, 'does'>): Intent {
  const message = why.message ?? 'Your card was declined.'
  const pending = intent.status === 'processing' ? world.charges.get(intent.latest_charge ?? '') : undefined
  const charge = world.charges.put({
    ...(pending ?? charged(world, intent, { status: 'failed', captured: false, amount: intent.amount })),
    status: 'failed',
    paid: false,
    captured: false,
    failure_code: why.code ?? 'card_declined',
    failure_message: message,
    outcome: { network_status: 'declined_by_network', reason: why.declineCode ?? null, type: 'issuer_declined' },
  })
  const method = world.methods.get(intent.payment_method ?? '')
  const failed = world.intents.put({
    ...intent,
    latest_charge: charge.id,
    last_payment_error: {
      type: 'card_error',
      code: why.code ?? 'card_declined',
      ...(why.declineCode === undefined ? {} : { decline_code: why.declineCode }),
      charge: charge.id,
      doc_url: `https://stripe.com/docs/error-codes/${(why.code ?? 'card_declined').replaceAll('_', '-')}`,
      message,
      ...(method === undefined ? {} : { payment_method: shown(method) }),
    },
    next_action: null,
    payment_method: null,
    status: 'requires_payment_method',
  })
  world.emit('charge.failed', charge)
  world.emit('payment_intent.payment_failed', failed)
  world.happen('intent_declined', failed.id)
  return failed
}

/** Three-D Secure that the customer did not pass: no charge was tried. */
export function failAuthentication(world: World, intent: Intent): Intent {
  const method = world.methods.get(intent.payment_method ?? '')
  const failed = world.intents.put({
    ...intent,
    last_payment_error: {
      type: 'invalid_request_error',
      code: 'payment_intent_authentication_failure',
      doc_url: 'https://stripe.com/docs/error-codes/payment-intent-authentication-failure',
      message:
        'The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new PaymentMethod to attempt to fulfill this PaymentIntent again.',
      ...(method === undefined ? {} : { payment_method: shown(method) }),
    },
    next_action: null,
    payment_method: null,
    status: 'requires_payment_method',
  })
  world.emit('payment_intent.payment_failed', failed)
  return failed
}

export function end(world: World, intent: Intent, reason: string | null): Intent {
  const charge = world.charges.get(intent.latest_charge ?? '')
  if (intent.status === 'requires_capture' && charge !== undefined)
    world.charges.put({ ...charge, amount_refunded: charge.amount, refunded: true })
  const canceled = world.intents.put({
    ...intent,
    amount_capturable: 0,
    canceled_at: world.seconds(),
    cancellation_reason: reason,
    next_action: null,
    status: 'canceled',
  })
  world.emit('payment_intent.canceled', canceled)
  return canceled
}

function charged(
  world: World,
  intent: Intent,
  { status, captured, amount }: { status: Charge['status']; captured: boolean; amount: number },
): Charge {
  const method = world.methods.get(intent.payment_method ?? '')
  return world.charges.put({
    id: world.newId(method?.type === 'card' ? 'ch' : 'py'),
    object: 'charge',
    amount,
    amount_captured: 0,
    amount_refunded: 0,
    balance_transaction: null,
    captured,
    created: world.seconds(),
    currency: intent.currency,
    customer: intent.customer,
    description: intent.description,
    disputed: false,
    failure_code: null,
    failure_message: null,
    livemode: false,
    metadata: intent.metadata,
    outcome: { network_status: 'approved_by_network', reason: null, type: 'authorized' },
    paid: status === 'succeeded',
    payment_intent: intent.id,
    payment_method: intent.payment_method ?? '',
    payment_method_details: { type: method?.type ?? 'card', [method?.type ?? 'card']: method?.card ?? {} },
    receipt_email: intent.receipt_email,
    refunded: false,
    status,
  })
}
