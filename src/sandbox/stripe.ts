import { type Context, Hono } from 'hono'
import type { Deliveries } from './deliveries.ts'
import type { Moods } from './moods.ts'
import type { Store } from './store.ts'
import { accountRoutes } from './stripe/accounts.ts'
import { customerRoutes } from './stripe/customer-page.ts'
import { desk } from './stripe/desk.ts'
import { disputeRoutes } from './stripe/disputes.ts'
import { eventRoutes } from './stripe/events.ts'
import { idempotency, NOT_BEGUN } from './stripe/idempotency.ts'
import { intentRoutes } from './stripe/intents.ts'
import { invoiceRoutes } from './stripe/invoices.ts'
import { methodRoutes } from './stripe/methods.ts'
import { payoutRoutes } from './stripe/payouts.ts'
import { apiError, ParameterProblem, Problem, rateLimit } from './stripe/problem.ts'
import { refundRoutes } from './stripe/refunds.ts'
import { API_VERSION, world } from './stripe/world.ts'

/*
 * A stand-in for Stripe's API of 2026-10-28 as it is documented, at the root of a listener of its own (the SDK knows only a
 * host and a port). Bodies are forms, keys come as `Authorization: Bearer sk_…`:
 *
 *   POST, GET  /v1/payment_intents, GET /{id}, POST /{id}/confirm, /{id}/capture, /{id}/cancel;  GET /v1/charges(/{id})
 *   POST, GET  /v1/refunds, GET /{id};  GET /v1/disputes(/{id});  GET /v1/events(/{id})
 *   POST, GET  /v1/payment_methods(/{id}), POST /{id}/attach, /{id}/detach;  POST, GET /v1/customers(/{id})
 *   POST, GET  /v1/invoiceitems, /v1/invoices(/{id}), POST /{id}/add_lines, /finalize, /send, /pay, /void
 *   GET        /v1/account, /v1/balance;  POST, GET /v1/accounts(/{id}), /v1/accounts/{id}/external_accounts(/{id})
 *   POST, GET  /v1/transfers(/{id}), POST /{id}/reversals
 *   POST, GET  /v1/payouts(/{id}), POST /{id}/cancel, /{id}/reverse;  `Stripe-Account` says whose
 *
 * Payment methods are the documented test tokens (`pm_card_visa`, see stripe/instruments.ts) or made from test numbers. There
 * are two accounts from the beginning: ours, `acct_sandbox`, with the banks `ba_sandbox` and `ba_sandbox_fails`, and a
 * connected one, `acct_payee`, with `ba_payee` and `ba_payee_fails`. What takes days at Stripe (bank debits, payouts, refunds
 * that fail) takes a second here. Balances are endless until they are set, and never converted.
 *
 * Left out: search, Radar, Connect's onboarding and capabilities, conversion, and every object that is not named above.
 *
 * For whoever tests against it, beside what moods.ts and deliveries.ts document (webhooks go to `<base>/stripe`):
 *
 *   GET  /_customer/{pi}                a page on which the customer approves or fails; what 3-D Secure redirects to
 *   POST /_customer/{pi} {"does": "approve"|"fail", "payment_method"?}
 *   GET, POST /_invoice/{in} {"does"}   the hosted page of an invoice
 *   POST /_disputes {"charge_id", "amount"?, "status"?, "reason"?}   opens a dispute, or moves the one that is open
 *   POST /_time {"advance_seconds"}     what `late_failure` and `stay_pending` wait for; keys are forgotten after 24 hours
 *   PUT  /_balance {"usd": 1000}        how much of a currency our account has from now on
 *   GET  /_done                         {"charges","refunds","payouts","transfers"}: what really moved, and how often
 *   GET  /_calls                        how often each «METHOD /path» was called since the process started
 */

/** Milliseconds after which happens what at Stripe takes days. */
const SETTLE_MS = 1_000

export function stripeSandbox(options: {
  store: Store
  deliveries: Deliveries
  moods: Moods
  keys: { secretKey: string; publishableKey: string; webhookSecret: string }
  now?: () => Date
  settleMs?: number
}): Hono {
  const { store, deliveries, moods, keys } = options
  const self = world({
    store,
    deliveries,
    moods,
    webhookSecret: keys.webhookSecret,
    now: options.now ?? (() => new Date()),
    settleMs: options.settleMs ?? SETTLE_MS,
  })

  const app = new Hono()
  app.onError((error, c) => {
    if (!(error instanceof Problem)) return failure(c, 500)
    if (error instanceof ParameterProblem || error.status === 409) c.header(NOT_BEGUN, '1')
    return c.json({ error: error.error }, error.status)
  })
  app.notFound((c) =>
    c.json(
      {
        error: {
          type: 'invalid_request_error',
          message: `Unrecognized request URL (${c.req.method}: ${c.req.path}). Please see https://stripe.com/docs or we can help at https://support.stripe.com/.`,
        },
      },
      404,
    ),
  )
  app.route('/', moods.routes())
  app.route('/', deliveries.routes())

  const counting = desk(app, self)
  app.use('/v1/*', counting)
  app.use('/v1/*', async (c, next) => {
    await next()
    c.header('request-id', self.newId('req'))
    c.header('stripe-version', API_VERSION)
    c.res.headers.delete(NOT_BEGUN)
  })
  app.use(
    '/v1/*',
    moods.middleware((c) => c.req.path, failure),
  )
  app.use('/v1/*', async (c, next) => {
    const refusal = await refuseKey(c, keys, (id) => self.intents.get(id)?.client_secret)
    return refusal ?? next()
  })
  app.use('/v1/*', idempotency(self))

  customerRoutes(app, self)
  intentRoutes(app, self)
  refundRoutes(app, self)
  disputeRoutes(app, self)
  methodRoutes(app, self)
  accountRoutes(app, self)
  payoutRoutes(app, self)
  invoiceRoutes(app, self)
  eventRoutes(app, self)
  return app
}

const failure = (c: Context, status: 429 | 500): Response =>
  c.json({ error: status === 429 ? rateLimit : apiError }, status)

/** A secret key may everything; a publishable one what a browser does, with the client secret of its payment. */
async function refuseKey(
  c: Context,
  keys: { secretKey: string; publishableKey: string },
  clientSecretOf: (intent: string) => string | undefined,
): Promise<Response | undefined> {
  const said = keyOf(c.req.header('authorization'))
  if (said === keys.secretKey) return undefined
  if (said === keys.publishableKey && (await mayBrowse(c, clientSecretOf))) return undefined
  c.header('www-authenticate', 'Bearer realm="Stripe"')
  const message =
    said === undefined
      ? "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
      : said === keys.publishableKey
        ? 'This API call cannot be made with a publishable API key. Please use a secret API key.'
        : `Invalid API Key provided: ${masked(said)}`
  return c.json({ error: { type: 'invalid_request_error', message } }, 401)
}

/** Bearer, or HTTP basic with the key as the name. */
function keyOf(authorization: string | undefined): string | undefined {
  const [scheme, value] = (authorization ?? '').split(' ')
  if (scheme === 'Bearer') return value
  if (scheme === 'Basic')
    return Buffer.from(value ?? '', 'base64')
      .toString('utf8')
      .split(':')[0]
  return undefined
}

const BROWSABLE = /^\/v1\/payment_intents\/(pi_[^/]+)(\/confirm)?$/

async function mayBrowse(c: Context, clientSecretOf: (intent: string) => string | undefined): Promise<boolean> {
  const [, intent] = BROWSABLE.exec(c.req.path) ?? []
  if (intent === undefined) return false
  const said = new URLSearchParams(c.req.method === 'GET' ? c.req.url.split('?')[1] : await c.req.text())
  return said.get('client_secret') !== null && said.get('client_secret') === clientSecretOf(intent)
}

const masked = (key: string): string => `${key.slice(0, 8)}${'*'.repeat(8)}${key.slice(-4)}`
