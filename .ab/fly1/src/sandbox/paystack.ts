import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { type Context, Hono } from 'hono'
import { z } from 'zod'
import { Calls } from './calls.ts'
import type { Deliveries } from './deliveries.ts'
import { Elapsed } from './elapsed.ts'
import { type Fate, fateOf } from './fate.ts'
import type { Moods } from './moods.ts'
import { Books } from './paystack/books.ts'
import { page } from './paystack/page.ts'
import type { Dispute, RefundStatus, Transaction, TransactionStatus, TransferStatus } from './paystack/rows.ts'
import {
  approved,
  authorizations,
  CHALLENGED,
  recipients,
  TOO_DEAR,
  UNKNOWN_AUTHORIZATION,
  UNKNOWN_RECIPIENT,
} from './paystack/vocabulary.ts'
import {
  disputeOut,
  recipientOut,
  refundCreatedOut,
  refundOut,
  transactionOut,
  transferCreatedOut,
  transferOut,
} from './paystack/wire.ts'
import type { Store } from './store.ts'

/*
 * A stand-in for Paystack, as its public reference documents it (https://paystack.com/docs/api): amounts in kobo or cents, the
 * envelope {"status", "message", "data", "meta"?}, errors with {"type", "code", "meta": {"nextStep"}}, references unique.
 *
 *   POST /transaction/initialize {"email", "amount", "currency"?, "reference"?, "channels"?, "callback_url"?, "metadata"?}
 *   POST /transaction/charge_authorization {"email", "amount", "currency"?, "authorization_code", "reference"?}
 *        a challenged card answers {"paused": true, "authorization_url"}
 *   GET  /transaction/verify/{reference}, GET /transaction/{id}, GET /transaction?perPage=&page=&from=&to=
 *        `abandoned` until the customer pays, then success or failed; `reversed` once all of it was refunded
 *   POST /refund {"transaction", "amount"?, "customer_note"?, "merchant_note"?}    answers `pending`, then it is processed
 *   GET  /refund/{id}, GET /refund?transaction={id}&perPage=&page=&from=&to=
 *   POST /transferrecipient {"type", "name", "account_number", "bank_code", "currency"?}, GET /transferrecipient/{code}
 *   POST /transfer {"source": "balance", "amount", "recipient", "reference", "reason"?, "currency"?}
 *   GET  /transfer/verify/{reference}, GET /transfer?perPage=&page=&from=&to=, GET /balance
 *
 * Which authorizations and recipients do what is in paystack/vocabulary.ts. Webhooks go to <receiver>/paystack with
 * `x-paystack-signature`, the hex HMAC-SHA512 of the body with the secret key: charge.success, charge.failed, refund.pending,
 * refund.processed, refund.failed, transfer.success, transfer.failed, transfer.reversed, charge.dispute.create|remind|resolve.
 *
 * For whoever tests against it:
 *
 *   GET  /checkout/{access_code}       the page of `authorization_url`; the customer comes back to callback_url?trxref=&reference=
 *   POST /_customer/{reference or access_code} {"does": "approve"|"fail"}
 *   POST /_disputes {"charge_id", "amount"?, "status"?: "needs_response"|"under_review"|"won"|"lost"}
 *   GET  /_done                        {"charges", "refunds", "payouts"}; refunds go by merchant_note, since Paystack has no key
 *                                      for them: `times` shows how often money went back for one
 *   GET  /_calls, POST /_moods, PUT /_webhooks, POST /_time: see calls.ts, moods.ts, deliveries.ts, elapsed.ts
 */

const MAX_PER_PAGE = 100

/** Integers, also written as text, as the reference does it. */
const Amount = z.union([
  z.int().min(1),
  z
    .string()
    .regex(/^[1-9]\d{0,14}$/)
    .transform(Number),
])
const Currency = z.enum(['NGN', 'USD', 'GHS', 'ZAR', 'KES']).default('NGN')
const Reference = z.string().regex(/^[A-Za-z0-9.=-]{1,100}$/, 'invalid reference')
const Initialize = z.object({
  email: z.email(),
  amount: Amount,
  currency: Currency,
  reference: Reference.optional(),
  channels: z.array(z.string()).optional(),
  callback_url: z.url().optional(),
  metadata: z.unknown().optional(),
})
const ChargeAuthorization = Initialize.extend({ authorization_code: z.string() })
const RefundBody = z.object({
  transaction: z.union([z.string(), z.int().transform(String)]),
  amount: Amount.optional(),
  currency: z.string().optional(),
  customer_note: z.string().optional(),
  merchant_note: z.string().optional(),
})
const RecipientBody = z.object({
  type: z.string(),
  name: z.string(),
  account_number: z.string(),
  bank_code: z.string(),
  currency: Currency,
})
const TransferBody = z.object({
  source: z.literal('balance'),
  amount: Amount,
  recipient: z.string(),
  reference: z.string().regex(/^[a-z0-9_-]{16,50}$/, 'invalid reference'),
  reason: z.string().optional(),
  currency: Currency,
})
const Customer = z.object({ does: z.enum(['approve', 'fail']) })
const DisputeBody = z.object({
  charge_id: z.string(),
  amount: z.int().min(1).optional(),
  status: z.enum(['needs_response', 'under_review', 'won', 'lost']).default('needs_response'),
})
const Paging = z.object({
  perPage: z.coerce.number().int().min(1).max(MAX_PER_PAGE).default(50),
  page: z.coerce.number().int().min(1).default(1),
  from: z.coerce.date().optional(),
  to: z.coerce.date().optional(),
})

type Status = 400 | 401 | 404 | 422 | 429 | 500

export function paystackSandbox(options: {
  store: Store
  deliveries: Deliveries
  moods: Moods
  keys: { secretKey: string }
  now?: () => Date
}): Hono {
  const { store, deliveries, moods, keys } = options
  const elapsed = new Elapsed(store)
  const calls = new Calls()
  const now = options.now ?? (() => new Date())
  const books = new Books({ store, deliveries, elapsed, secretKey: keys.secretKey, now })

  const app = new Hono()
  app.onError((error, c) => refuse(c, 500, 'internal', error.message))
  for (const routes of [moods.routes(), deliveries.routes(), elapsed.routes(), calls.routes()]) app.route('/', routes)

  app.get('/_done', (c) => c.json(done(books)))
  app.post('/_disputes', async (c) => {
    const body = DisputeBody.safeParse(await jsonOf(c))
    if (!body.success) return invalid(c, body.error)
    const transaction = books.transaction(body.data.charge_id)
    if (transaction === undefined) return refuse(c, 404, 'not_found', 'No such transaction')
    const known = books.disputes.values().find((row) => row.transaction === transaction.id)
    const dispute = books.putDispute({
      id: known?.id ?? String(books.nextNumber()),
      transaction: transaction.id,
      amount: body.data.amount ?? known?.amount ?? transaction.amount,
      ...STANDINGS[body.data.status],
    })
    return c.json(disputeOut(dispute, transaction), 201)
  })

  app.get('/checkout/:code', (c) => {
    const row = books.transaction(c.req.param('code'))
    return row === undefined ? refuse(c, 404, 'not_found', 'No such page') : c.html(page(row))
  })
  app.post('/_customer/:name', async (c) => {
    const row = books.transaction(c.req.param('name'))
    if (row === undefined) return refuse(c, 404, 'not_found', 'No such transaction')
    const fromPage = c.req.header('content-type')?.startsWith('application/x-www-form-urlencoded') ?? false
    const body = Customer.safeParse(fromPage ? await c.req.parseBody() : await jsonOf(c))
    if (!body.success) return invalid(c, body.error)
    if (row.status !== 'abandoned' && row.status !== 'ongoing')
      return refuse(c, 422, 'not_waiting', `It is ${row.status}`)
    const decided = books.charge(row, body.data.does === 'approve' ? row.fate : { status: 'failed', said: 'Declined' })
    if (!fromPage || row.callbackUrl === undefined) return c.json(transactionOut(decided))
    const back = new URL(row.callbackUrl)
    back.searchParams.set('trxref', row.id)
    back.searchParams.set('reference', row.id)
    return c.redirect(back.href, 303)
  })

  app.use(calls.middleware())
  app.use(async (c, next) => {
    const [scheme, key] = (c.req.header('authorization') ?? '').split(' ')
    if (scheme !== 'Bearer' || key === undefined)
      return refuse(c, 401, 'missing_key', 'No Authorization Header was found')
    if (!same(key, keys.secretKey)) return refuse(c, 401, 'invalid_Key', 'Invalid key')
    return next()
  })
  app.use(
    moods.middleware(
      (c) => c.req.path,
      (c, status) => refuse(c, status, status === 429 ? 'rate_limited' : 'internal', 'As you wished'),
    ),
  )

  const chargeFate = (call: string, fate: Fate<TransactionStatus>): Fate<TransactionStatus> =>
    fateOf(moods, call, fate, {
      fails: { status: 'pending', said: '', later: { status: 'failed', said: 'Declined' } },
      waits: { status: 'pending', said: '', later: approved },
    })

  function opened(asked: z.infer<typeof Initialize>, reference: string, fate: Fate<TransactionStatus>): Transaction {
    return {
      id: reference,
      number: books.nextNumber(),
      accessCode: randomBytes(8).toString('hex'),
      amount: asked.amount,
      requestedAmount: asked.amount,
      currency: asked.currency,
      status: 'abandoned',
      said: 'The transaction was not completed',
      channel: asked.channels?.[0] ?? 'card',
      email: asked.email,
      authorization: undefined,
      metadata: asked.metadata,
      callbackUrl: asked.callback_url,
      createdAt: now().toISOString(),
      paidAt: undefined,
      fate,
      later: undefined,
    }
  }
  const entrance = (c: Context, row: Transaction) => ({
    authorization_url: `${new URL(c.req.url).origin}/checkout/${row.accessCode}`,
    access_code: row.accessCode,
    reference: row.id,
  })

  app.post('/transaction/initialize', async (c) => {
    const body = Initialize.safeParse(await jsonOf(c))
    if (!body.success) return invalid(c, body.error)
    const reference = body.data.reference ?? randomBytes(5).toString('hex')
    if (books.transactions.get(reference) !== undefined) return duplicateTransaction(c)
    const row = books.putTransaction(opened(body.data, reference, chargeFate('POST /transaction/initialize', approved)))
    return answer(c, 'Authorization URL created', entrance(c, row))
  })

  app.post('/transaction/charge_authorization', async (c) => {
    const body = ChargeAuthorization.safeParse(await jsonOf(c))
    if (!body.success) return invalid(c, body.error)
    const { authorization_code: code } = body.data
    const reference = body.data.reference ?? randomBytes(5).toString('hex')
    if (books.transactions.get(reference) !== undefined) return duplicateTransaction(c)
    if (!code.startsWith('AUTH_') || code === UNKNOWN_AUTHORIZATION)
      return refuse(c, 400, 'invalid_params', 'Authorization code does not exist or has been deactivated')
    if (code === CHALLENGED) {
      const row = books.putTransaction({ ...opened(body.data, reference, approved), status: 'ongoing' })
      const paused = { ...entrance(c, row), paused: true }
      return answer(c, 'Please, redirect your customer to the authorization url provided', paused)
    }
    const row = { ...opened(body.data, reference, approved), authorization: code }
    const fate = chargeFate('POST /transaction/charge_authorization', authorizations.get(code) ?? approved)
    return answer(c, 'Charge attempted', transactionOut(books.charge(row, fate)))
  })

  app.get('/transaction/verify/:reference', (c) => {
    const row = books.transactions.get(c.req.param('reference'))
    return row === undefined
      ? refuse(c, 400, 'transaction_not_found', 'Transaction reference not found.')
      : answer(c, 'Verification successful', transactionOut(row))
  })
  app.get('/transaction/:id', (c) => {
    const row = books.transactions.values().find(({ number }) => String(number) === c.req.param('id'))
    return row === undefined
      ? refuse(c, 404, 'transaction_not_found', 'Transaction not found')
      : answer(c, 'Transaction retrieved', transactionOut(row))
  })
  app.get('/transaction', (c) => list(c, 'Transactions retrieved', books.transactions.values(), transactionOut))

  app.post('/refund', async (c) => {
    const body = RefundBody.safeParse(await jsonOf(c))
    if (!body.success) return invalid(c, body.error)
    const transaction = books.transaction(body.data.transaction)
    if (transaction === undefined) return refuse(c, 404, 'transaction_not_found', 'Transaction not found')
    if (transaction.status === 'reversed')
      return refuse(c, 400, 'transaction_reversed', 'Transaction has been fully reversed')
    if (transaction.status !== 'success')
      return refuse(c, 400, 'transaction_not_successful', 'Only successful transactions can be refunded')
    const left = transaction.amount - books.refundedOf(transaction.id, ({ status }) => status !== 'failed')
    const amount = body.data.amount ?? left
    if (amount > left || left === 0)
      return refuse(c, 400, 'invalid_amount', 'Refund amount cannot be more than the amount left of the transaction')
    const fate = fateOf<RefundStatus>(
      moods,
      'POST /refund',
      { status: 'processed' },
      {
        fails: { status: 'pending', later: { status: 'failed' } },
        waits: { status: 'pending', later: { status: 'processed' } },
      },
    )
    const pending = books.putRefund({
      id: String(books.nextNumber()),
      transaction: transaction.id,
      amount: fate.wrongAmount ? amount + 1 : amount,
      currency: transaction.currency,
      status: 'pending',
      customerNote: body.data.customer_note,
      merchantNote: body.data.merchant_note,
      createdAt: now().toISOString(),
      later: books.later(fate),
    })
    // The answer says `pending` in any case, as Paystack's does; a moment later it is through.
    if (fate.status === 'processed') books.putRefund({ ...pending, status: 'processed' })
    return answer(c, 'Refund has been queued for processing', refundCreatedOut(pending, transaction))
  })
  app.get('/refund/:id', (c) => {
    const row = books.refunds.get(c.req.param('id'))
    return row === undefined
      ? refuse(c, 404, 'refund_not_found', 'Refund not found')
      : answer(c, 'Refund retrieved', refundOut(row, books.transactionOf(row)))
  })
  app.get('/refund', (c) => {
    const wanted = c.req.query('transaction')
    const transaction = wanted === undefined ? undefined : books.transaction(wanted)
    const rows = books.refunds.values().filter((row) => wanted === undefined || row.transaction === transaction?.id)
    return list(c, 'Refunds retrieved', rows, (row) => refundOut(row, books.transactionOf(row)))
  })

  app.post('/transferrecipient', async (c) => {
    const body = RecipientBody.safeParse(await jsonOf(c))
    if (!body.success) return invalid(c, body.error)
    const { name, type, currency, account_number: accountNumber, bank_code: bankCode } = body.data
    const known = books.recipients
      .values()
      .find((row) => row.accountNumber === accountNumber && row.bankCode === bankCode && row.currency === currency)
    const id = known?.id ?? `RCP_${randomBytes(8).toString('hex')}`
    const row = books.recipients.put({ id, name, type, currency, accountNumber, bankCode })
    return c.json({ status: true, message: 'Transfer recipient created successfully', data: recipientOut(row) }, 201)
  })
  app.get('/transferrecipient/:code', (c) => {
    const code = c.req.param('code')
    return knows(code)
      ? answer(c, 'Recipient retrieved', recipientOut(books.recipient(code)))
      : refuse(c, 404, 'recipient_not_found', 'Recipient not found')
  })

  app.post('/transfer', async (c) => {
    const body = TransferBody.safeParse(await jsonOf(c))
    if (!body.success) return invalid(c, body.error)
    const { reference, recipient, amount, currency, reason } = body.data
    if (books.transfers.get(reference) !== undefined)
      return refuse(
        c,
        400,
        'duplicate_transfer_reference',
        'Please provide a unique reference. Reference already exists on a transfer',
      )
    if (!knows(recipient)) return refuse(c, 400, 'recipient_not_found', 'Recipient specified is invalid')
    if (recipient === TOO_DEAR)
      return refuse(c, 400, 'insufficient_balance', 'Your balance is not enough to fulfil this request')
    const fate = fateOf<TransferStatus>(moods, 'POST /transfer', recipients.get(recipient) ?? { status: 'success' }, {
      fails: { status: 'success', later: { status: 'reversed', said: 'Sent back by the bank' } },
      waits: { status: 'pending', later: { status: 'success' } },
    })
    const row = books.putTransfer({
      id: reference,
      number: books.nextNumber(),
      code: `TRF_${randomBytes(8).toString('hex')}`,
      amount: fate.wrongAmount ? amount + 1 : amount,
      currency,
      recipient,
      reason,
      status: fate.status,
      said: fate.said,
      createdAt: now().toISOString(),
      later: books.later(fate),
    })
    const message = row.status === 'otp' ? 'Transfer requires OTP to continue' : 'Transfer has been queued'
    return answer(c, message, transferCreatedOut(row, books.recipient(recipient, currency)))
  })
  app.get('/transfer/verify/:reference', (c) => {
    const row = books.transfers.get(c.req.param('reference'))
    return row === undefined
      ? refuse(c, 404, 'transfer_not_found', 'Transfer not found')
      : answer(c, 'Transfer retrieved', transferOut(row, books.recipient(row.recipient, row.currency)))
  })
  app.get('/transfer', (c) =>
    list(c, 'Transfers retrieved', books.transfers.values(), (row) =>
      transferOut(row, books.recipient(row.recipient, row.currency)),
    ),
  )
  app.get('/balance', (c) => answer(c, 'Balances retrieved', [{ currency: 'NGN', balance: 1_000_000_000 }]))

  app.all('*', (c) => c.json({ status: false, message: 'Path not found' }, 404))
  return app
}

const knows = (recipient: string): boolean => recipient.startsWith('RCP_') && recipient !== UNKNOWN_RECIPIENT

/** Paystack's own words for where a dispute stands. */
const STANDINGS: Readonly<Record<z.infer<typeof DisputeBody>['status'], Pick<Dispute, 'status' | 'resolution'>>> = {
  needs_response: { status: 'awaiting-merchant-feedback', resolution: null },
  under_review: { status: 'awaiting-bank-feedback', resolution: null },
  won: { status: 'resolved', resolution: 'declined' },
  lost: { status: 'resolved', resolution: 'merchant-accepted' },
}

function done(books: Books) {
  const moved = (
    rows: { reference: string; id: string; amount: number; currency: string; status: string; took: boolean }[],
  ) =>
    [...Map.groupBy(rows, ({ reference }) => reference).values()].flatMap((same) => {
      const times = same.filter(({ took }) => took).length
      const row = same.find(({ took }) => took) ?? same[0]
      if (row === undefined) return []
      const { took: _, ...line } = row
      return [{ ...line, times }]
    })
  return {
    charges: moved(
      books.transactions.values().map((row) => ({
        reference: row.id,
        id: row.id,
        amount: row.amount,
        currency: row.currency,
        status: row.status,
        took: row.paidAt !== undefined,
      })),
    ),
    refunds: moved(
      books.refunds.values().map((row) => ({
        reference: row.merchantNote ?? row.id,
        id: row.id,
        amount: row.amount,
        currency: row.currency,
        status: row.status,
        took: row.status === 'processed',
      })),
    ),
    payouts: moved(
      books.transfers.values().map((row) => ({
        reference: row.id,
        id: row.code,
        amount: row.amount,
        currency: row.currency,
        status: row.status,
        took: row.status === 'success' || row.status === 'reversed',
      })),
    ),
  }
}

/** Newest first, by page, as Paystack does it. */
function list<Row extends { readonly createdAt: string }>(
  c: Context,
  message: string,
  rows: readonly Row[],
  out: (row: Row) => unknown,
): Response {
  const paging = Paging.safeParse(c.req.query())
  if (!paging.success) return invalid(c, paging.error)
  const { perPage, page: wanted, from, to } = paging.data
  const within = rows
    .filter(({ createdAt }) => from === undefined || createdAt >= from.toISOString())
    .filter(({ createdAt }) => to === undefined || createdAt <= to.toISOString())
    .toReversed()
  const skipped = (wanted - 1) * perPage
  const meta = { total: within.length, skipped, perPage, page: wanted, pageCount: Math.ceil(within.length / perPage) }
  return c.json({ status: true, message, data: within.slice(skipped, skipped + perPage).map(out), meta })
}

const jsonOf = (c: Context): Promise<unknown> => c.req.json().catch(() => undefined)

const same = (a: string, b: string): boolean => timingSafeEqual(sha(a), sha(b))
const sha = (text: string): Buffer => createHash('sha256').update(text).digest()

const answer = (c: Context, message: string, data: unknown): Response => c.json({ status: true, message, data })

const invalid = (c: Context, error: z.ZodError): Response =>
  refuse(c, 400, 'invalid_params', error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join(', '))

const duplicateTransaction = (c: Context): Response =>
  refuse(c, 400, 'duplicate_reference', 'Duplicate Transaction Reference')

const refuse = (c: Context, status: Status, code: string, message: string): Response =>
  c.json({ status: false, message, meta: { nextStep: 'See the reference' }, type: 'validation_error', code }, status)
