import { timingSafeEqual } from 'node:crypto'
import type Stripe from 'stripe'
import { sha256 } from '../../kit/digest.ts'
import type { Amount, Asset } from '../../kit/money.ts'
import type {
  ChargeAnswer,
  Charged,
  ChargePending,
  ChargeRequest,
  ChargeState,
  Confirmation,
  CustomerAction,
  Declined,
  NotSent,
  PaymentMethod,
  Unknown,
} from '../port.ts'
import { decline, declineOf, lastFailure } from './declines.ts'
import { type Heard, type Refused, unknown } from './line.ts'
import { idOf, type Parts } from './parts.ts'
import { redirectOf } from './redirect.ts'
import { findMade, mayBeForgotten, stillUnknown } from './reference.ts'
import { fromUnits, toUnits } from './units.ts'

/*
 * A charge is a PaymentIntent. With a saved method it is confirmed in the same call, so that there is no time in which it is
 * known and not decided; without one it waits for the customer's browser, which gets its client secret.
 */

/** Stripe.js, with which a browser shows Stripe's form. */
const STRIPE_JS = 'https://js.stripe.com/v3/'

/** So that one answer holds the fee and what was refunded. */
const EXPAND = ['latest_charge.balance_transaction']

/** Why we called off what its customer had failed at. Who hears of the end first, by a webhook, learns of the failure from it. */
const AFTER_FAILURE = 'abandoned'

type Intent = Stripe.PaymentIntent

export function charges({ line, publishableKey, now }: Parts) {
  async function charge(request: ChargeRequest): Promise<ChargeAnswer> {
    const { reference, source } = request
    const units = toUnits(request.amount, request.currency)
    if (typeof units !== 'number') return units
    if (mayBeForgotten(reference, now())) {
      const earlier = await byReference(reference)
      if (earlier.outcome !== 'absent') return earlier
    }

    const heard = await line.ask((stripe) =>
      stripe.paymentIntents.create(
        {
          amount: units,
          currency: request.currency.toLowerCase(),
          allowed_payment_method_types: typesFor(request.method, request.currency),
          capture_method: request.capture === 'manual' ? 'manual' : 'automatic',
          metadata: { reference },
          expand: EXPAND,
          ...(request.description === undefined ? {} : { description: request.description }),
          ...(source === undefined ? {} : confirmedWith(request, source)),
        },
        { idempotencyKey: reference },
      ),
    )
    if (heard.outcome === 'heard') return stateOf(heard.value)
    return heard.outcome === 'refused' ? refusal(heard) : heard
  }

  async function confirm(confirmation: Confirmation): Promise<ChargeState | { readonly outcome: 'forged' }> {
    const { reference, chargeId, paymentId, proof } = confirmation
    if (!/^pi_\w+$/.test(paymentId) || (chargeId !== undefined && chargeId !== paymentId)) return { outcome: 'forged' }
    const heard = await read(paymentId)
    if (heard.outcome !== 'heard') return isMissing(heard) ? { outcome: 'forged' } : stillUnknown(heard)
    const intent = heard.value
    if (intent.metadata?.reference !== reference) return { outcome: 'forged' }
    // Sent along by Stripe when it redirects back. Whoever leaves it out has only named the payment, which is read anyway.
    const secret = proof.payment_intent_client_secret ?? proof.client_secret
    if (secret !== undefined && !isSame(secret, intent.client_secret)) return { outcome: 'forged' }
    return stateOf(intent)
  }

  async function capture(wanted: {
    reference: string
    chargeId: string
    amount: Amount
    currency: Asset
  }): Promise<ChargeAnswer> {
    const units = toUnits(wanted.amount, wanted.currency)
    if (typeof units !== 'number') return units
    const heard = await line.ask((stripe) =>
      stripe.paymentIntents.capture(
        wanted.chargeId,
        { amount_to_capture: units, expand: EXPAND },
        { idempotencyKey: `${wanted.reference}:capture:${units}` },
      ),
    )
    return settled(wanted.chargeId, heard)
  }

  async function cancel(wanted: { reference: string; chargeId: string; failed?: boolean }): Promise<ChargeState> {
    const heard = await line.ask((stripe) =>
      stripe.paymentIntents.cancel(
        wanted.chargeId,
        { expand: EXPAND, ...(wanted.failed ? { cancellation_reason: AFTER_FAILURE } : {}) },
        { idempotencyKey: `${wanted.reference}:cancel${wanted.failed ? `:${AFTER_FAILURE}` : ''}` },
      ),
    )
    return settled(wanted.chargeId, heard)
  }

  async function lookUpCharge(wanted: { reference: string; chargeId?: string | undefined }): Promise<ChargeState> {
    if (wanted.chargeId === undefined) return byReference(wanted.reference)
    const heard = await read(wanted.chargeId)
    if (heard.outcome === 'heard') return stateOf(heard.value)
    return isMissing(heard) ? { outcome: 'absent' } : stillUnknown(heard)
  }

  async function byReference(
    reference: string,
  ): Promise<Charged | ChargePending | Declined | Unknown | { outcome: 'absent' }> {
    const found = await findMade(line, reference, now(), (stripe, params) =>
      stripe.paymentIntents.list({ ...params, expand: ['data.latest_charge.balance_transaction'] }),
    )
    if (found.outcome !== 'heard') return stillUnknown(found)
    return found.value === undefined ? { outcome: 'absent' } : stateOf(found.value)
  }

  const read = (id: string) => line.ask((stripe) => stripe.paymentIntents.retrieve(id, { expand: EXPAND }))

  /** After «capture» or «cancel»: a payment that has moved on meanwhile refuses both, and its state is the answer. */
  async function settled(id: string, heard: Heard<Intent>): Promise<ChargeAnswer> {
    if (heard.outcome === 'heard') return stateOf(heard.value)
    if (heard.outcome !== 'refused') return heard
    if (heard.code !== 'payment_intent_unexpected_state') return declineOf(heard)
    const state = await read(id)
    return state.outcome === 'heard' ? stateOf(state.value) : stillUnknown(state)
  }

  function refusal(refused: Refused): ChargeAnswer {
    const intent = refused.payment
    return refused.code === 'authentication_required' && intent !== undefined
      ? { ...pending(intent, 'customer'), action: actionOf(intent) }
      : declineOf(refused)
  }

  function stateOf(intent: Intent): Charged | ChargePending | Declined | Unknown {
    switch (intent.status) {
      case 'succeeded':
        return succeeded(intent)
      case 'processing':
        return pending(intent, 'gateway')
      case 'requires_capture':
        return pending(intent, 'capture')
      case 'requires_action':
      case 'requires_confirmation':
        return { ...pending(intent, 'customer'), action: actionOf(intent) }
      case 'requires_payment_method':
        return failureOf(intent) ?? { ...pending(intent, 'customer'), action: actionOf(intent) }
      case 'canceled':
        return (
          (intent.cancellation_reason === AFTER_FAILURE ? failureOf(intent) : undefined) ??
          decline({
            code: intent.cancellation_reason ?? 'canceled',
            message: 'The payment was canceled.',
            id: intent.id,
          })
        )
      default:
        // A state that Stripe has invented since: certainly no success, perhaps no failure.
        return pending(intent, 'gateway')
    }
  }

  /** What the browser needs to go on; undefined where Stripe says nothing that could be handed out. */
  function actionOf(intent: Intent): CustomerAction | undefined {
    if (intent.client_secret === null) return undefined
    const fields = {
      payment_intent: intent.id,
      client_secret: intent.client_secret,
      ...(publishableKey === undefined ? {} : { publishable_key: publishableKey }),
      ...(idOf(intent.payment_method ?? intent.last_payment_error?.payment_method) === undefined
        ? {}
        : { payment_method: idOf(intent.payment_method ?? intent.last_payment_error?.payment_method) ?? '' }),
    }
    const url = redirectOf(intent)
    return url === undefined ? { type: 'checkout', url: STRIPE_JS, fields } : { type: 'redirect', url, fields }
  }

  return { charge, confirm, capture, cancel, lookUpCharge }
}

/**
 * Stripe's names for our methods. Apple Pay and Google Pay are cards to Stripe: its form offers them where the browser has
 * them. A bank transfer is one that Stripe draws (ACH, SEPA): the kind that a customer pushes needs a Stripe customer with
 * a cash balance, and fits no single charge.
 */
function typesFor(method: PaymentMethod, currency: Asset): string[] {
  if (method !== 'bank_transfer') return ['card']
  return currency === 'EUR' ? ['sepa_debit'] : ['us_bank_account']
}

/** With an address to come back to the customer is there and can be asked by their bank; without one they are not. */
function confirmedWith(
  request: ChargeRequest,
  source: { readonly token: string; readonly customer?: string | undefined },
): Partial<Stripe.PaymentIntentCreateParams> {
  const present = request.returnUrl !== undefined && request.method !== 'bank_transfer'
  return {
    confirm: true,
    payment_method: source.token,
    ...(source.customer === undefined ? {} : { customer: source.customer }),
    ...(present
      ? { return_url: request.returnUrl }
      : { off_session: true, automatic_payment_methods: { enabled: true, allow_redirects: 'never' } }),
  }
}

function succeeded(intent: Intent): Charged | Unknown {
  const money = fromUnits(intent.amount_received, intent.currency)
  if (money === undefined) return unknown(`Stripe says ${intent.id} succeeded, in money that is not known here`)
  const charge = typeof intent.latest_charge === 'object' ? intent.latest_charge : null
  const booked = typeof charge?.balance_transaction === 'object' ? charge.balance_transaction : null
  // A fee is in the currency of our balance, which need not be the customer's.
  const fee = booked?.currency === intent.currency ? fromUnits(booked.fee, booked.currency) : undefined
  const refunded = charge === null ? undefined : fromUnits(charge.amount_refunded, charge.currency)
  return {
    outcome: 'succeeded',
    id: intent.id,
    ...money,
    ...(fee === undefined ? {} : { fee: fee.amount }),
    ...(refunded === undefined ? {} : { refunded: refunded.amount }),
  }
}

function pending(intent: Intent, waitsFor: ChargePending['waitsFor']): ChargePending {
  return { outcome: 'pending', id: intent.id, ...fromUnits(intent.amount, intent.currency), waitsFor }
}

/** Why the last try failed, if one did. A bank that only wants to see the customer has not said no. */
function failureOf(intent: Intent): Declined | undefined {
  const error = intent.last_payment_error
  return error?.code === 'authentication_required' || error?.decline_code === 'authentication_required'
    ? undefined
    : lastFailure(intent)
}

const isMissing = (heard: Refused | NotSent | Unknown): boolean =>
  heard.outcome === 'refused' && heard.code === 'resource_missing'

/** Digests have one length, so that the comparison says nothing about how much is right. */
const isSame = (said: string, known: string | null): boolean =>
  known !== null && timingSafeEqual(sha256(said), sha256(known))
