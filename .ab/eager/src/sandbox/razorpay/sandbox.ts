import { timingSafeEqual } from 'node:crypto'
import { type Context, Hono } from 'hono'
import { sha256 } from '../../kit/digest.ts'
import { Calls } from '../calls.ts'
import type { Deliveries } from '../deliveries.ts'
import { Elapsed } from '../elapsed.ts'
import type { Moods } from '../moods.ts'
import type { Store } from '../store.ts'
import { checkoutRoutes } from './checkout.ts'
import { customerRoutes } from './customers.ts'
import { disputeRoutes } from './disputes.ts'
import { done } from './done.ts'
import { Refused, refusal, trouble } from './errors.ts'
import { settle } from './inhabitants.ts'
import { catchUp } from './later.ts'
import { orderRoutes } from './orders.ts'
import { paymentRoutes } from './payments.ts'
import { payoutRoutes } from './payouts.ts'
import { refundRoutes } from './refunds.ts'
import { createWorld, type RazorpayKeys } from './world.ts'

/*
 * A stand-in for Razorpay and RazorpayX, as their API is documented (razorpay.com/docs/api), at the root of its own listener:
 *
 *   POST, GET  /v1/orders   GET, PATCH /v1/orders/{id}   GET /v1/orders/{id}/payments
 *   GET        /v1/payments, /v1/payments/{id}           POST /v1/payments/{id}/capture
 *   POST       /v1/payments/create/recurring             with a saved token
 *   POST       /v1/payments/{id}/refund                  X-Refund-Idempotency
 *   GET        /v1/payments/{id}/refunds, /v1/payments/{id}/refunds/{id}, /v1/refunds, /v1/refunds/{id}
 *   POST, GET  /v1/customers, /v1/customers/{id}, /v1/customers/{id}/tokens      POST /v1/tokens/fetch
 *   POST       /v1/contacts, /v1/fund_accounts           GET /v1/fund_accounts/{id}
 *   POST, GET  /v1/payouts                               X-Payout-Idempotency    GET /v1/payouts/{id}
 *   GET        /v1/disputes, /v1/disputes/{id}
 *
 * all with HTTP basic, key id and key secret. An order takes any number of attempts and is paid once. Webhooks: payment.authorized,
 * payment.captured, payment.failed, order.paid, refund.created|processed|failed, payout.queued|initiated|processed|failed|
 * reversed, payment.dispute.created|under_review|action_required|won|lost|closed, signed with the webhook secret in
 * X-Razorpay-Signature, each with its x-razorpay-event-id.
 *
 * For whoever plays the customer, the bank or the test:
 *
 *   POST /_checkout {"order_id", "method": "card|upi|netbanking|wallet|bank_transfer", "card"? | "vpa"? | "bank"? | "wallet"?,
 *                    "otp"?, "email"?, "contact"?, "notes"?, "save"?, "customer_id"?, "does"?, "late"?, "again"?}
 *        plays the browser: 200 {razorpay_payment_id, razorpay_order_id, razorpay_signature} as Checkout's handler gets them, or
 *        400 {"error"} as its payment.failed gets it. Cards and UPI ids are those of Razorpay's test pages (`instruments.ts`);
 *        an `otp` of fewer than four digits is wrong. `does`: `approve`, `fail`, or `wait`: 202, and the customer is at their
 *        bank. `late`: authorised too late to be captured by itself. `again`: a second payment of a paid order, as when two were
 *        under way at once. `save` with a `customer_id` keeps the card as a token.
 *   GET, POST /_customer/{payment_id} {"does": "approve"|"fail"}      the bank's page for a payment that waits
 *   POST /_disputes {"charge_id", "amount"?, "status"?}               opens a dispute of a payment, or moves the one that runs
 *   POST /_balance {"amount"}                                         what is on the RazorpayX account; else there is no end
 *   POST /_time {"advance_seconds"}                                   what waits goes on after 60 seconds
 *   GET /_done       {"charges","refunds","payouts"}: what really moved, `times` how often for that reference
 *   GET /_calls      how often each route was asked
 *   /_moods, /_webhooks   see moods.ts and deliveries.ts. `wrong_amount`, `stay_pending` and `late_failure` are understood on
 *        `POST /_checkout`, `POST /v1/payments/create/recurring`, `POST /v1/payments/` (refunds) and `POST /v1/payouts`.
 *
 * There from the start: cust_sandbox with token_sandbox_visa, _upi, _declined, _insufficient, _blocked, _technical, _ask (waits
 * for the customer), _ended; fa_sandbox_bank, fa_sandbox_upi, fa_sandbox_closed.
 */

export type { RazorpayKeys } from './world.ts'

export function razorpaySandbox(options: {
  store: Store
  deliveries: Deliveries
  moods: Moods
  keys: RazorpayKeys
  now?: () => Date
  /** As an account is that asked Razorpay to refuse a receipt that it has seen. */
  uniqueReceipts?: boolean
}): Hono {
  const { store, deliveries, moods, keys, now = () => new Date(), uniqueReceipts = false } = options
  const elapsed = new Elapsed(store)
  const calls = new Calls()
  const world = createWorld({ store, deliveries, moods, keys, elapsed, uniqueReceipts, now })
  elapsed.onPassing = () => catchUp(world, elapsed.seconds)
  settle(world)

  const app = new Hono()
  app.onError((error, c) => {
    if (error instanceof Refused) return refusal(c, error)
    throw error
  })
  app.notFound((c) => refusal(c, new Refused({ description: 'The requested URL was not found on the server.' }, 404)))

  for (const routes of [moods.routes(), deliveries.routes(), elapsed.routes(), calls.routes()]) app.route('/', routes)
  app.get('/_done', (c) => c.json(done(world)))

  app.use('/v1/*', calls.middleware())
  app.use('/v1/*', async (c, next) => {
    authenticate(c, keys)
    await next()
  })
  app.use(
    '/v1/*',
    moods.middleware((c) => c.req.path, trouble),
  )
  for (const routes of [
    orderRoutes,
    paymentRoutes,
    refundRoutes,
    payoutRoutes,
    customerRoutes,
    disputeRoutes,
    checkoutRoutes,
  ])
    app.route('/', routes(world))
  return app
}

function authenticate(c: Context, { keyId, keySecret }: RazorpayKeys): void {
  const header = c.req.header('authorization')
  if (header === undefined)
    throw new Refused({ description: 'Please provide your api key for authentication purposes.' }, 401)
  const [id, ...secret] = Buffer.from(header.replace(/^Basic /, ''), 'base64')
    .toString('utf8')
    .split(':')
  if (id !== keyId) throw new Refused({ description: 'The api key provided is invalid' }, 401)
  if (!timingSafeEqual(sha256(secret.join(':')), sha256(keySecret)))
    throw new Refused({ description: 'Authentication failed' }, 401)
}
