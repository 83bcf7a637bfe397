import { newId } from '../../src/kit/ids.ts'
import type { Deployment } from './deployment.ts'
import type { Caller } from './matrix.ts'

/** Where fixtures get their data from. */
export interface World {
  readonly bursar: Deployment
  /** The headers of whoever owns the data that is asked for. */
  readonly owner: Readonly<Record<string, string>>
  /** The subject of whoever owns it; nobody's when it was made without credentials. */
  readonly subject: string | undefined
}

type Made<Value> = Value | ((world: World) => Value | Promise<Value>)

/** What a route needs beside its declaration, so that a request is fine but for its caller. */
export interface Fixture {
  /** For each parameter of the path; made anew for each request, because some things can be done only once. */
  readonly params?: Made<Readonly<Record<string, string>>>
  readonly query?: Made<Readonly<Record<string, string>>>
  readonly body?: Made<unknown>
  /** What everybody gets who lacks the credential that the route asks for beside the caller's, such as a signature. */
  readonly otherwise?: number
  /** Who may reach the data of others: whoever may reach their own, or nobody but a few. */
  readonly others?: 'the same' | { readonly refused: 403 | 404; readonly except: readonly Caller[] }
}

const token = async ({ bursar }: World) => ({ token_id: await bursar.issue(5, `voice_${newId()}`) })

/** An operation of the owner's that is done. */
async function operation({ bursar, owner }: World): Promise<{ id: string }> {
  const path = `/token/${await bursar.issue(5, `voice_${newId()}`)}/deduct`
  const { headers } = await bursar.do('POST', path, { amount: 1 }, { headers: owner })
  return { id: headers.get('operation-id') ?? '' }
}

/** Whoever knows a token's id may use it, whoever they are. */
const byToken: Fixture = { params: token, others: 'the same' }

/** Acting for somebody else is for back ends. */
const forOthers = { refused: 403, except: ['service', 'admin'] } as const
/** Somebody else's object is not there, except for back ends. */
const notTheirs = { refused: 404, except: ['service', 'admin'] } as const

const ownQuery: Fixture = { query: ({ subject }) => ({ user_id: subject ?? 'alice' }), others: forOthers }

/** Made by a back end, which is not counted by the limits of users. */
const backEnd = { as: 'matrix', roles: ['service'] } as const

/** The owner's card at the mock gateway. */
async function method({ bursar, subject }: World): Promise<string> {
  const body = { user_id: subject, type: 'card', gateway: 'mock', token: `mock_${newId()}` }
  const added = await bursar.do('POST', '/api/v1/payments/methods', body, backEnd)
  return added.body.id
}

/** A deposit of the owner's that has been paid. */
async function deposit({ bursar, subject }: World): Promise<string> {
  const body = { user_id: subject, amount: 1, gateway: 'mock' }
  const made = await bursar.do('POST', '/api/v1/payments/deposits/initiate', body, backEnd)
  return made.body.transaction_id
}

async function withdrawal(world: World): Promise<string> {
  await deposit(world)
  const body = { user_id: world.subject, amount: 1, payment_method_id: await method(world) }
  const made = await world.bursar.do('POST', '/api/v1/payments/withdrawals/initiate', body, backEnd)
  return made.body.withdrawal_id
}

/** A comparison that has found nothing. */
async function reconciliation({ bursar }: World): Promise<{ id: string }> {
  const id = newId()
  await bursar.pool.query(
    `insert into reconciliation (id, operation_id, gateway, from_at, until_at, status, started_at, finished_at)
     values ($1, $1, 'mock', '2026-01-01', '2026-01-02', 'done', now(), now())`,
    [id],
  )
  return { id }
}

/** The gateway's signature is the credential, and nobody here has it. */
const unsigned: Fixture = { otherwise: 401 }

/** An invoice of the owner's, made by a back end. */
async function invoice({ bursar, subject }: World): Promise<{ invoice_id: string }> {
  const body = { customer_id: subject ?? 'alice', items: [{ description: 'Work', unit_price: 1 }] }
  const made = await bursar.do('POST', '/api/v1/billing/invoices', body, backEnd)
  return { invoice_id: String(made.body.invoice_id) }
}

/** What opens an invoice's own page. */
async function link({ bursar, subject }: World): Promise<{ token: string }> {
  const body = { customer_id: subject ?? 'alice', items: [{ description: 'Work', unit_price: 1 }] }
  const made = await bursar.do('POST', '/api/v1/billing/invoices', body, backEnd)
  return { token: new URL(made.body.payment_url).pathname.split('/').at(-1) ?? '' }
}

/** Whoever has an invoice's link may see and pay it, whoever they are. */
const byLink: Fixture = { params: link, others: 'the same' }

/** By route: those that need something. One without parameters and body needs no line here. */
export const fixtures: { readonly [route: string]: Fixture } = {
  'POST /token': { body: { budget: 1, voice_id: 'voice_access' } },
  'POST /token/{token_id}/deduct': { ...byToken, body: { amount: 1 } },
  'DELETE /token/{token_id}': byToken,
  'GET /balance/{token_id}': byToken,
  'GET /token/{token_id}/report': byToken,
  'GET /token/{token_id}/transactions': byToken,
  'POST /webhooks/stripe': unsigned,
  'POST /webhooks/razorpay': unsigned,
  'POST /webhooks/paystack': unsigned,
  'POST /webhooks/mock': unsigned,
  'POST /api/v1/webhooks/stripe': unsigned,
  'GET /api/v1/payments/wallet/balance': ownQuery,
  'GET /api/v1/payments/wallet/transactions': ownQuery,
  'GET /api/v1/payments/wallet/transactions/{transaction_id}': {
    params: async (world) => ({ transaction_id: await deposit(world) }),
    others: notTheirs,
  },
  'POST /api/v1/payments/deposits/initiate': {
    body: ({ subject }: World) => ({ user_id: subject, amount: 1, gateway: 'mock' }),
    others: forOthers,
  },
  'POST /api/v1/payments/deposits/confirm': {
    body: async (world: World) => ({
      user_id: world.subject,
      transaction_id: await deposit(world),
      gateway_payment_id: 'mock_payment_1',
    }),
    others: forOthers,
  },
  'POST /api/v1/payments/deposits/{transaction_id}/refund': {
    params: async (world) => ({ transaction_id: await deposit(world) }),
    body: ({ subject }: World) => ({ user_id: subject }),
    others: forOthers,
  },
  'POST /api/v1/payments/withdrawals/initiate': {
    body: async (world: World) => ({ user_id: world.subject, amount: 1, payment_method_id: await method(world) }),
    others: forOthers,
  },
  'GET /api/v1/payments/withdrawals/{withdrawal_id}/status': {
    params: async (world) => ({ withdrawal_id: await withdrawal(world) }),
    others: notTheirs,
  },
  'POST /api/v1/payments/methods': {
    body: ({ subject }: World) => ({ user_id: subject, type: 'card', gateway: 'mock', token: `mock_${newId()}` }),
    others: forOthers,
  },
  'DELETE /api/v1/payments/methods/{payment_method_id}': {
    params: async (world) => ({ payment_method_id: await method(world) }),
    others: 'the same',
  },
  'GET /api/v1/payments/methods': ownQuery,
  'GET /api/v1/users/{user_id}/kyc': { params: ({ subject }) => ({ user_id: subject ?? 'alice' }), others: forOthers },
  'PUT /api/v1/users/{user_id}/kyc': {
    params: ({ subject }) => ({ user_id: subject ?? 'alice' }),
    body: { level: 'BASIC' },
    others: 'the same',
  },
  'POST /api/v1/payments/transactions/{transaction_id}/decision': {
    params: async (world) => ({ transaction_id: await deposit(world) }),
    body: { decision: 'accept', note: 'It is fine' },
    others: 'the same',
  },
  'POST /api/v1/payments/reconciliations': {
    body: { gateway: 'mock', from: '2026-01-01T00:00:00Z', until: '2026-01-02T00:00:00Z' },
    others: 'the same',
  },
  'GET /api/v1/payments/reconciliations': { others: 'the same' },
  'GET /api/v1/payments/reconciliations/{id}': { params: reconciliation, others: 'the same' },
  'GET /api/v1/payments/clearing': { others: 'the same' },
  'GET /api/v1/payments/reviews': { others: 'the same' },
  'POST /api/v1/payments/reviews/{review_id}': {
    params: () => ({ review_id: newId() }),
    body: { decision: 'reject', note: 'Not them' },
    others: 'the same',
  },
  'POST /api/v1/billing/usage': {
    body: ({ subject }: World) => ({ user_id: subject, metric: 'api_calls', quantity: 1 }),
    others: forOthers,
  },
  'GET /api/v1/billing/usage': ownQuery,
  'GET /api/v1/billing/usage/daily': {
    ...ownQuery,
    others: { refused: 403, except: ['service', 'operator', 'admin'] },
  },
  'PUT /api/v1/billing/plans/{plan}': {
    params: () => ({ plan: 'matrix' }),
    body: { name: 'Matrix', cycle: 'none', features: 'Nothing' },
    others: 'the same',
  },
  'POST /api/v1/billing/plans/{plan}/prices': {
    params: () => ({ plan: 'pro' }),
    body: {
      metric: 'agent_runs',
      currency: 'USD',
      starts_on: '2099-01-01',
      model: 'per_unit',
      terms: { unit_amount: 1 },
    },
    others: 'the same',
  },
  'PUT /api/v1/billing/metrics/{metric}': {
    params: () => ({ metric: 'matrix' }),
    body: { aggregation: 'sum', unit: 'cell', description: 'Cells' },
    others: 'the same',
  },
  'POST /api/v1/billing/invoice/{month}/create': { ...ownQuery, params: () => ({ month: '2024-01' }) },
  'GET /api/v1/billing/invoices': ownQuery,
  'POST /api/v1/billing/invoices': {
    body: ({ subject }: World) => ({ customer_id: subject, items: [{ description: 'Work', unit_price: 1 }] }),
    others: 'the same',
  },
  'GET /api/v1/billing/invoice/{invoice_id}': { params: invoice, others: notTheirs },
  'GET /api/v1/billing/invoice/{invoice_id}/pdf': { params: invoice, others: notTheirs },
  'POST /api/v1/billing/invoice/{invoice_id}/pay': {
    params: invoice,
    body: { payment_method_id: 'pm_card_visa' },
    others: 'the same',
  },
  'POST /api/v1/billing/payments/{payment_id}/decision': {
    params: () => ({ payment_id: newId() }),
    body: { decision: 'accept', note: 'It is fine' },
    others: 'the same',
  },
  'GET /invoices/{token}': byLink,
  'GET /invoices/{token}/pdf': byLink,
  // Who has the link is led away, whoever they are; the page's own tests follow.
  'POST /invoices/{token}/pay': { params: () => ({ token: 'nothing' }), otherwise: 404, others: 'the same' },
  'POST /api/v1/billing/invoice/{invoice_id}/finalize': { params: invoice, others: 'the same' },
  'POST /api/v1/billing/invoice/{invoice_id}/cancel': { params: invoice, others: 'the same' },
  'POST /api/v1/billing/invoice/{invoice_id}/credit': {
    params: invoice,
    body: { reason: 'Twice' },
    others: 'the same',
  },
  'POST /api/v1/billing/invoice/{invoice_id}/write-off': {
    params: invoice,
    body: { reason: 'Gone' },
    others: 'the same',
  },
  'GET /api/v1/billing/customers/{user_id}': {
    params: async (world) => {
      await invoice(world)
      return { user_id: world.subject ?? 'alice' }
    },
    others: forOthers,
  },
  'PUT /api/v1/billing/customers/{user_id}': {
    params: ({ subject }) => ({ user_id: subject ?? 'alice' }),
    body: { name: 'Somebody' },
    others: 'the same',
  },
  'PUT /api/v1/billing/tax-rates': {
    body: { country: 'DE', starts_on: '2099-01-01', name: 'VAT', percent: 19 },
    others: 'the same',
  },
  'POST /api/v1/schedules/{schedule}/start': {
    params: () => ({ schedule: 'seal-ledger' }),
    body: { period: '2026-01-01T00:00:00Z' },
    others: 'the same',
  },
  'GET /api/v1/audit': { others: 'the same' },
  'GET /api/v1/security-events': { others: 'the same' },
  'GET /api/v1/operations/{id}': { params: operation, others: { refused: 404, except: ['operator', 'admin'] } },
  'POST /api/v1/operations/{id}/retry': { params: operation, others: 'the same' },
}
