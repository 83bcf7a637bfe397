import { createHash, timingSafeEqual } from 'node:crypto'
import { type Context, Hono } from 'hono'
import { z } from 'zod'
import { canonicalJson } from '../kit/digest.ts'
import { Calls } from './calls.ts'
import type { Deliveries } from './deliveries.ts'
import { Elapsed } from './elapsed.ts'
import { fateOf } from './fate.ts'
import { Bank } from './mock/bank.ts'
import { page } from './mock/page.ts'
import type { Charge, ChargeStatus, Payout, Refund } from './mock/rows.ts'
import { returnSignature } from './mock/signature.ts'
import { currencies, destinations, methods, tokens, UNKNOWN } from './mock/vocabulary.ts'
import { chargeOut, disputeOut, payoutOut, refundOut } from './mock/wire.ts'
import type { Moods } from './moods.ts'
import type { Store } from './store.ts'

/*
 * The mock gateway: one that exists only here, takes every method in every currency, and does what it is told. Amounts are
 * integers of minor units. Requests carry `Authorization: Bearer <key>`; those that move money carry `Idempotency-Key`, which is
 * the caller's reference for ever: the same key with the same body answers what became of it, with another body 422.
 *
 *   POST /charges {"amount", "currency", "method", "token"?, "capture"?: "automatic"|"manual", "description"?, "return_url"?}
 *     → 201 {"success": true, "payment_id": "mock_payment_123", "status": "captured", "reference", "amount", …}
 *     status: captured, authorized, requires_action (with action_url), processing, declined (with code), failed, canceled
 *     without a token it is captured at once; the tokens that do something else are in mock/vocabulary.ts
 *   GET  /charges/{payment_id}, GET /charges?reference=       {"items": [the charge]} or {"items": []}
 *   POST /charges/{payment_id}/capture {"amount"}, POST /charges/{payment_id}/cancel
 *   POST /refunds {"payment_id", "amount", "currency"}        status: succeeded, pending, failed
 *   GET  /refunds/{refund_id}, GET /refunds?reference=
 *   POST /payouts {"amount", "currency", "method", "destination"}    status: paid, pending, failed, returned
 *   GET  /payouts/{payout_id}, GET /payouts?reference=
 *   GET  /tokens/{token}?method=                              {"token", "brand", "last_four", "expiry_month", "expiry_year"}
 *   GET  /movements?from=&until=&after=&limit=                {"items", "next"}: all three, oldest first, `next` is the next `after`
 *   GET  /health                                              {"status": "ok"}, without a key
 *
 * Errors are {"error": {"code", "message"}}. Webhooks go to <receiver>/mock as {"id", "type", "created_at", "data": the thing},
 * with `x-mock-signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`: charge.<status>, refund.<status>, payout.<status>,
 * dispute.opened, dispute.updated.
 *
 * For whoever tests against it:
 *
 *   GET  /pay/{payment_id}             the page on which the customer approves or fails, then returned to `return_url` with
 *                                      payment_id, reference and mock_signature = hex HMAC-SHA256(key, "reference|payment_id")
 *   POST /_customer/{payment_id} {"does": "approve"|"fail"}
 *   POST /_disputes {"charge_id", "amount"?, "currency"?, "status"?: "needs_response"|"under_review"|"won"|"lost"}
 *   GET  /_done                        {"charges", "refunds", "payouts"} by reference; `times` is how often money moved for it
 *   GET  /_calls, POST /_moods, PUT /_webhooks, POST /_time: see calls.ts, moods.ts, deliveries.ts, elapsed.ts
 */

/** Movements on a page. */
const MAX_PAGE = 100

const Amount = z.int().min(1)
const Currency = z.enum(currencies)
const Method = z.enum(methods)
const ChargeBody = z.object({
  amount: Amount,
  currency: Currency,
  method: Method,
  token: z.string().min(1).optional(),
  capture: z.enum(['automatic', 'manual']).default('automatic'),
  description: z.string().optional(),
  return_url: z.url().optional(),
})
const RefundBody = z.object({
  payment_id: z.string(),
  amount: Amount,
  currency: Currency,
  reason: z.string().optional(),
})
const PayoutBody = z.object({
  amount: Amount,
  currency: Currency,
  method: Method,
  destination: z.string().min(1),
  description: z.string().optional(),
})
const Customer = z.object({ does: z.enum(['approve', 'fail']) })
const DisputeBody = z.object({
  charge_id: z.string(),
  amount: z.int().min(0).optional(),
  currency: Currency.optional(),
  status: z.enum(['needs_response', 'under_review', 'won', 'lost']).default('needs_response'),
})
const Period = z.object({
  from: z.iso.datetime(),
  until: z.iso.datetime(),
  after: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(MAX_PAGE),
})

type Status = 400 | 401 | 404 | 409 | 422 | 429 | 500

export function mockSandbox(options: {
  store: Store
  deliveries: Deliveries
  moods: Moods
  keys: { key: string; webhookSecret: string }
  now?: () => Date
}): Hono {
  const { store, deliveries, moods, keys } = options
  const elapsed = new Elapsed(store)
  const calls = new Calls()
  const now = options.now ?? (() => new Date())
  const bank = new Bank({ store, deliveries, elapsed, webhookSecret: keys.webhookSecret, now })

  const app = new Hono()
  app.onError((error, c) => refuse(c, 500, 'internal', error.message))
  app.get('/health', (c) => c.json({ status: 'ok' }))
  for (const routes of [moods.routes(), deliveries.routes(), elapsed.routes(), calls.routes()]) app.route('/', routes)

  app.get('/_done', (c) => c.json(done(bank)))
  app.post('/_disputes', async (c) => {
    const body = DisputeBody.safeParse(await jsonOf(c))
    if (!body.success) return refuse(c, 422, 'invalid', z.prettifyError(body.error))
    const charge = bank.charges.get(body.data.charge_id)
    if (charge === undefined) return refuse(c, 404, 'not_found', 'No such charge')
    const known = bank.disputes.values().find(({ chargeId }) => chargeId === charge.id)
    const dispute = {
      id: known?.id ?? bank.nextDisputeId(),
      chargeId: charge.id,
      amount: body.data.amount ?? known?.amount ?? charge.amount,
      currency: body.data.currency ?? known?.currency ?? charge.currency,
      status: body.data.status,
    }
    return c.json(disputeOut(bank.putDispute(dispute)), 201)
  })

  app.get('/pay/:id', (c) => {
    const charge = bank.charges.get(c.req.param('id'))
    return charge === undefined ? refuse(c, 404, 'not_found', 'No such charge') : c.html(page(charge))
  })
  app.post('/_customer/:id', async (c) => {
    const charge = bank.charges.get(c.req.param('id'))
    if (charge === undefined) return refuse(c, 404, 'not_found', 'No such charge')
    const fromPage = c.req.header('content-type')?.startsWith('application/x-www-form-urlencoded') ?? false
    const body = Customer.safeParse(fromPage ? await c.req.parseBody() : await jsonOf(c))
    if (!body.success) return refuse(c, 422, 'invalid', z.prettifyError(body.error))
    if (charge.status !== 'requires_action') return refuse(c, 409, 'not_waiting', `It is ${charge.status}`)
    const failed = { status: 'declined', code: 'authentication_failed' } as const
    const approved = bank.putCharge({ ...charge, ...(body.data.does === 'approve' ? taken(charge.capture) : failed) })
    if (!fromPage || charge.returnUrl === undefined) return c.json(chargeOut(approved, baseOf(c)))
    const back = new URL(charge.returnUrl)
    back.searchParams.set('payment_id', charge.id)
    back.searchParams.set('reference', charge.reference)
    back.searchParams.set('mock_signature', returnSignature(keys.key, charge.reference, charge.id))
    return c.redirect(back.href, 303)
  })

  app.use(calls.middleware())
  app.use(async (c, next) => {
    const [scheme, key] = (c.req.header('authorization') ?? '').split(' ')
    if (scheme !== 'Bearer' || !same(key ?? '', keys.key)) return refuse(c, 401, 'unauthorized', 'This key is not ours')
    return next()
  })
  app.use(
    moods.middleware(
      (c) => c.req.path,
      (c, status) => refuse(c, status, status === 429 ? 'rate_limited' : 'internal', 'As you wished'),
    ),
  )

  app.post('/charges', async (c) => {
    const body = ChargeBody.safeParse(await jsonOf(c))
    const reference = c.req.header('idempotency-key')
    if (!body.success) return refuse(c, 422, 'invalid', z.prettifyError(body.error))
    if (reference === undefined) return refuse(c, 400, 'key_missing', 'Idempotency-Key is missing')
    const asked = digest(body.data)
    const known = bank.charges.of(reference)
    if (known !== undefined) return known.asked === asked ? c.json(chargeOut(known, baseOf(c))) : otherBody(c)

    const { amount, currency, method, token, capture, return_url } = body.data
    if (token === UNKNOWN) return refuse(c, 404, 'unknown_token', 'No such token')
    const fate = fateOf<ChargeStatus>(moods, 'POST /charges', tokens.get(token ?? '') ?? taken(capture), {
      fails: { status: 'processing', later: { status: 'failed', said: 'bank_declined' } },
      waits: { status: 'processing', later: taken(capture) },
    })
    const charge = bank.putCharge({
      ...bank.fresh(amount, fate),
      id: bank.nextChargeId(),
      reference,
      asked,
      currency,
      method,
      refunded: 0,
      capture,
      returnUrl: return_url,
    })
    return c.json(chargeOut(charge, baseOf(c)), 201)
  })

  app.post('/charges/:id/capture', async (c) => {
    const charge = bank.charges.get(c.req.param('id'))
    const body = z.object({ amount: Amount }).safeParse(await jsonOf(c))
    if (charge === undefined) return refuse(c, 404, 'not_found', 'No such charge')
    if (!body.success) return refuse(c, 422, 'invalid', z.prettifyError(body.error))
    const { amount } = body.data
    if (charge.status === 'captured' && charge.amount === amount) return c.json(chargeOut(charge, baseOf(c)))
    if (charge.status !== 'authorized') return refuse(c, 409, 'not_authorized', `It is ${charge.status}`)
    if (amount > charge.amount) return refuse(c, 422, 'too_much', `${charge.amount} is authorised`)
    return c.json(chargeOut(bank.putCharge({ ...charge, amount, status: 'captured' }), baseOf(c)))
  })

  app.post('/charges/:id/cancel', (c) => {
    const charge = bank.charges.get(c.req.param('id'))
    if (charge === undefined) return refuse(c, 404, 'not_found', 'No such charge')
    if (charge.status === 'canceled') return c.json(chargeOut(charge, baseOf(c)))
    if (charge.status !== 'authorized' && charge.status !== 'requires_action')
      return refuse(c, 409, 'not_cancelable', `It is ${charge.status}`)
    return c.json(chargeOut(bank.putCharge({ ...charge, status: 'canceled', code: undefined }), baseOf(c)))
  })

  app.post('/refunds', async (c) => {
    const body = RefundBody.safeParse(await jsonOf(c))
    const reference = c.req.header('idempotency-key')
    if (!body.success) return refuse(c, 422, 'invalid', z.prettifyError(body.error))
    if (reference === undefined) return refuse(c, 400, 'key_missing', 'Idempotency-Key is missing')
    const asked = digest(body.data)
    const known = bank.refunds.of(reference)
    if (known !== undefined) return known.asked === asked ? c.json(refundOut(known)) : otherBody(c)

    const { payment_id, amount, currency } = body.data
    const charge = bank.charges.get(payment_id)
    if (charge === undefined) return refuse(c, 404, 'not_found', 'No such charge')
    if (charge.status !== 'captured') return refuse(c, 409, 'not_captured', `It is ${charge.status}`)
    if (charge.currency !== currency) return refuse(c, 422, 'other_currency', `It was taken in ${charge.currency}`)
    const left = charge.amount - bank.refundedOf(charge.id)
    if (amount > left) return refuse(c, 409, 'refund_exceeds_charge', `${left} is left of it`)
    const fate = fateOf<Refund['status']>(
      moods,
      'POST /refunds',
      { status: 'succeeded' },
      {
        fails: { status: 'succeeded', later: { status: 'failed', said: 'refund_failed' } },
        waits: { status: 'pending', later: { status: 'succeeded' } },
      },
    )
    const id = bank.nextRefundId()
    const refund = { ...bank.fresh(amount, fate), id, reference, asked, currency, chargeId: charge.id }
    return c.json(refundOut(bank.putRefund(refund)), 201)
  })

  app.post('/payouts', async (c) => {
    const body = PayoutBody.safeParse(await jsonOf(c))
    const reference = c.req.header('idempotency-key')
    if (!body.success) return refuse(c, 422, 'invalid', z.prettifyError(body.error))
    if (reference === undefined) return refuse(c, 400, 'key_missing', 'Idempotency-Key is missing')
    const asked = digest(body.data)
    const known = bank.payouts.of(reference)
    if (known !== undefined) return known.asked === asked ? c.json(payoutOut(known)) : otherBody(c)

    const { amount, currency, method, destination } = body.data
    if (destination === UNKNOWN) return refuse(c, 404, 'unknown_destination', 'No such destination')
    const fate = fateOf<Payout['status']>(moods, 'POST /payouts', destinations.get(destination) ?? { status: 'paid' }, {
      fails: { status: 'paid', later: { status: 'returned', said: 'account_closed' } },
      waits: { status: 'pending', later: { status: 'paid' } },
    })
    const id = bank.nextPayoutId()
    const payout = { ...bank.fresh(amount, fate), id, reference, asked, currency, method, destination }
    return c.json(payoutOut(bank.putPayout(payout)), 201)
  })

  const items = <Row, Out>(row: Row | undefined, out: (row: Row) => Out) => ({
    items: row === undefined ? [] : [out(row)],
  })
  app.get('/charges', (c) =>
    c.json(items(bank.charges.of(c.req.query('reference') ?? ''), (row) => chargeOut(row, baseOf(c)))),
  )
  app.get('/refunds', (c) => c.json(items(bank.refunds.of(c.req.query('reference') ?? ''), refundOut)))
  app.get('/payouts', (c) => c.json(items(bank.payouts.of(c.req.query('reference') ?? ''), payoutOut)))
  app.get('/charges/:id', (c) => {
    const charge = bank.charges.get(c.req.param('id'))
    return charge === undefined ? refuse(c, 404, 'not_found', 'No such charge') : c.json(chargeOut(charge, baseOf(c)))
  })
  app.get('/refunds/:id', (c) => {
    const refund = bank.refunds.get(c.req.param('id'))
    return refund === undefined ? refuse(c, 404, 'not_found', 'No such refund') : c.json(refundOut(refund))
  })
  app.get('/payouts/:id', (c) => {
    const payout = bank.payouts.get(c.req.param('id'))
    return payout === undefined ? refuse(c, 404, 'not_found', 'No such payout') : c.json(payoutOut(payout))
  })

  app.get('/tokens/:token', (c) => {
    const token = c.req.param('token')
    if (token === UNKNOWN) return refuse(c, 404, 'unknown_token', 'No such token')
    const card = { brand: 'Mock', expiry_month: 12, expiry_year: token === 'mock_expired' ? 2020 : 2034 }
    return c.json({ token, last_four: '4242', ...(c.req.query('method') === 'card' ? card : {}) })
  })

  app.get('/movements', (c) => {
    const period = Period.safeParse(c.req.query())
    if (!period.success) return refuse(c, 422, 'invalid', z.prettifyError(period.error))
    const { from, until, after, limit } = period.data
    const rows = [
      ...bank.charges.values().map((row) => ({ row, out: chargeOut(row, baseOf(c)) })),
      ...bank.refunds.values().map((row) => ({ row, out: refundOut(row) })),
      ...bank.payouts.values().map((row) => ({ row, out: payoutOut(row) })),
    ]
      .filter(({ row }) => row.sequence > after && row.createdAt >= iso(from) && row.createdAt < iso(until))
      .toSorted((a, b) => a.row.sequence - b.row.sequence)
    const shown = rows.slice(0, limit)
    return c.json({ items: shown.map(({ out }) => out), next: rows.length > limit ? shown.at(-1)?.row.sequence : null })
  })

  app.all('*', (c) => refuse(c, 404, 'no_route', 'There is no such route'))
  return app
}

const taken = (capture: Charge['capture']): { status: 'captured' | 'authorized' } => ({
  status: capture === 'manual' ? 'authorized' : 'captured',
})

function done(bank: Bank) {
  const line = (row: Charge | Refund | Payout, moved: boolean) => ({
    reference: row.reference,
    id: row.id,
    amount: row.amount,
    currency: row.currency,
    status: row.status,
    times: moved ? 1 : 0,
  })
  return {
    charges: bank.charges.values().map((row) => line(row, row.status === 'captured')),
    refunds: bank.refunds.values().map((row) => line(row, row.status === 'succeeded')),
    payouts: bank.payouts.values().map((row) => line(row, row.status === 'paid' || row.status === 'returned')),
  }
}

const jsonOf = (c: Context): Promise<unknown> => c.req.json().catch(() => undefined)

const digest = (body: unknown): string => createHash('sha256').update(canonicalJson(body)).digest('hex')

const iso = (time: string): string => new Date(time).toISOString()

const baseOf = (c: Context): string => new URL(c.req.url).origin

const same = (a: string, b: string): boolean => timingSafeEqual(sha(a), sha(b))
const sha = (text: string): Buffer => createHash('sha256').update(text).digest()

const otherBody = (c: Context): Response => refuse(c, 422, 'key_reused', 'This Idempotency-Key came with another body')

const refuse = (c: Context, status: Status, code: string, message: string): Response =>
  c.json({ error: { code, message } }, status)
