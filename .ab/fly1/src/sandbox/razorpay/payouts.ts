import { type Context, Hono } from 'hono'
import { z } from 'zod'
import { Amount, bodyOf, collection, invalid, listed, NotesBody, noSuchId, Refused } from './errors.ts'
import { once } from './kept.ts'
import type { FundAccountRow, PayoutRow } from './rows.ts'
import { newId, type World } from './world.ts'

const Payout = z.object({
  account_number: z.string(),
  fund_account_id: z.string(),
  amount: Amount.min(100, 'The amount must be at least 100.'),
  currency: z.literal('INR'),
  mode: z.enum(['UPI', 'IMPS', 'NEFT', 'RTGS']),
  purpose: z.string().min(1),
  queue_if_low_balance: z.boolean().default(false),
  reference_id: z.string().max(40).nullish(),
  narration: z
    .string()
    .max(30)
    .regex(/^[0-9A-Za-z ]*$/)
    .nullish(),
  notes: NotesBody,
})

const Contact = z.object({
  name: z.string().min(3).max(50),
  email: z.email().nullish(),
  contact: z.coerce.string().nullish(),
  type: z.string().nullish(),
  reference_id: z.string().max(40).nullish(),
  notes: NotesBody,
})

const FundAccount = z.union([
  z.object({
    contact_id: z.string(),
    account_type: z.literal('bank_account'),
    bank_account: z.object({
      name: z.string().min(3),
      ifsc: z.string().regex(/^[A-Z]{4}0[A-Z0-9]{6}$/),
      account_number: z.string().regex(/^[0-9A-Za-z]{5,35}$/),
    }),
  }),
  z.object({
    contact_id: z.string(),
    account_type: z.literal('vpa'),
    vpa: z.object({ address: z.string().regex(/^[\w.-]{2,}@[\w.]{2,}$/) }),
  }),
])

const KEY = /^[\w -]{4,36}$/
const KEY_HEADER = 'X-Payout-Idempotency'

export function payoutRoutes(world: World): Hono {
  const app = new Hono()

  app.post('/v1/contacts', async (c) => {
    const wanted = await bodyOf(c, Contact)
    const contact = world.contacts.put({
      id: newId('cont'),
      entity: 'contact',
      name: wanted.name,
      contact: wanted.contact ?? null,
      email: wanted.email ?? null,
      type: wanted.type ?? null,
      reference_id: wanted.reference_id ?? null,
      batch_id: null,
      active: true,
      notes: wanted.notes,
      created_at: world.now(),
    })
    return c.json(contact, 201)
  })

  app.post('/v1/fund_accounts', async (c) => {
    const wanted = await bodyOf(c, FundAccount)
    if (world.contacts.get(wanted.contact_id) === undefined) throw noSuchId()
    const account = world.fundAccounts.put({
      id: newId('fa'),
      entity: 'fund_account',
      contact_id: wanted.contact_id,
      account_type: wanted.account_type,
      ...(wanted.account_type === 'vpa'
        ? { vpa: vpaOf(wanted.vpa.address) }
        : { bank_account: { ...wanted.bank_account, bank_name: 'Razorpay Sandbox Bank', notes: [] } }),
      batch_id: null,
      active: true,
      created_at: world.now(),
    })
    return c.json(account, 201)
  })
  app.get('/v1/fund_accounts/:id', (c) => c.json(fundAccountOf(world, c.req.param('id'))))

  app.post('/v1/payouts', async (c) => {
    const key = c.req.header(KEY_HEADER)
    if (key === undefined)
      throw new Refused({
        description: 'Idempotency key is missing. Include idempotency header and key in the request.',
        source: 'business',
        field: KEY_HEADER,
      })
    if (!KEY.test(key)) throw invalid('The idempotency key is invalid.', KEY_HEADER)
    const wanted = await bodyOf(c, Payout)
    return c.json(once(world, { key: `payout:${key}`, request: wanted }, () => pay(world, wanted)))
  })

  app.get('/v1/payouts', (c) => {
    checkAccount(world, c)
    const reference = c.req.query('reference_id')
    const payouts = world.payouts
      .values()
      .filter(({ reference_id }) => reference === undefined || reference_id === reference)
    return c.json(collection(listed(c, payouts).items))
  })
  app.get('/v1/payouts/:id', (c) => c.json(payoutOf(world, c.req.param('id'))))

  app.post('/_balance', async (c) => {
    const { amount } = await bodyOf(c, z.object({ amount: z.int().min(0) }))
    return c.json(world.balances.put({ id: 'payouts', amount }))
  })
  return app
}

/** Answers as Razorpay does, that it is being processed; what the bank says is there to be read a moment later. */
function pay(world: World, wanted: z.infer<typeof Payout>): PayoutRow {
  if (wanted.account_number !== world.keys.accountNumber)
    throw invalid('The account number is invalid.', 'account_number')
  const account = fundAccountOf(world, wanted.fund_account_id)
  if (!account.active) throw invalid('The fund account is not active.', 'fund_account_id')
  if ((wanted.mode === 'UPI') !== (account.account_type === 'vpa'))
    throw invalid(`${wanted.mode} is not a valid mode for this fund account.`, 'mode')

  const off = world.moods.take('POST /v1/payouts', 'wrong_amount') !== undefined
  const amount = off ? wanted.amount + 1 : wanted.amount
  const balance = world.balances.get('payouts')?.amount ?? Number.POSITIVE_INFINITY
  const low = amount > balance
  if (low && !wanted.queue_if_low_balance)
    throw new Refused({
      description: 'Your account does not have enough balance to carry out the payout operation.',
      source: 'business',
    })
  if (!low && Number.isFinite(balance)) world.balances.put({ id: 'payouts', amount: balance - amount })

  const payout = world.payouts.put({
    id: newId('pout'),
    entity: 'payout',
    fund_account_id: account.id,
    amount,
    currency: wanted.currency,
    notes: wanted.notes,
    fees: 590,
    tax: 90,
    status: low ? 'queued' : 'processing',
    purpose: wanted.purpose,
    utr: null,
    mode: wanted.mode,
    reference_id: wanted.reference_id ?? null,
    narration: wanted.narration ?? null,
    batch_id: null,
    failure_reason: null,
    status_details: low
      ? { reason: 'low_balance', description: 'Payout is queued as there is insufficient balance', source: 'business' }
      : { reason: 'payout_bank_processing', description: 'Payout is being processed by the bank', source: 'gateway' },
    created_at: world.now(),
  })
  world.emit(low ? 'payout.queued' : 'payout.initiated', { payout })
  if (!low) settle(world, payout, account)
  return payout
}

function settle(world: World, payout: PayoutRow, account: FundAccountRow): void {
  if (world.moods.take('POST /v1/payouts', 'stay_pending') !== undefined) {
    world.postpone('payout.process', payout.id)
    return
  }
  if (isClosed(account)) {
    failPayout(world, payout.id)
    return
  }
  processPayout(world, payout.id)
  if (world.moods.take('POST /v1/payouts', 'late_failure') !== undefined) world.postpone('payout.reverse', payout.id)
}

/** The bank account with this number is closed, and Razorpay's own failing UPI id takes no money. */
export const CLOSED_ACCOUNT = '000000000404'
const isClosed = ({ bank_account, vpa }: FundAccountRow): boolean =>
  bank_account?.account_number === CLOSED_ACCOUNT || vpa?.address === 'failure@razorpay'

export function processPayout(world: World, id: string): void {
  const processed = world.payouts.put({
    ...payoutOf(world, id),
    status: 'processed',
    utr: id.slice(-12),
    status_details: {
      reason: 'payout_processed',
      description: 'Payout is processed and the money has been credited into the beneficiary account.',
      source: 'beneficiary_bank',
    },
  })
  world.emit('payout.processed', { payout: processed })
}

function failPayout(world: World, id: string): void {
  const description = 'Payout failed as the beneficiary account is closed. Please contact the beneficiary bank.'
  const failed = world.payouts.put({
    ...payoutOf(world, id),
    status: 'failed',
    failure_reason: description,
    status_details: { reason: 'bank_account_closed', description, source: 'beneficiary_bank' },
  })
  world.emit('payout.failed', { payout: failed })
}

export function reversePayout(world: World, id: string): void {
  const description = 'Payout rejected by the beneficiary bank. Please contact the beneficiary bank.'
  const reversed = world.payouts.put({
    ...payoutOf(world, id),
    status: 'reversed',
    failure_reason: description,
    status_details: { reason: 'beneficiary_bank_rejected', description, source: 'beneficiary_bank' },
  })
  world.emit('payout.reversed', { payout: reversed })
}

export function vpaOf(address: string) {
  const [username = '', handle = ''] = address.split('@')
  return { username, handle, address }
}

function checkAccount(world: World, c: Context): void {
  const number = c.req.query('account_number')
  if (number === undefined) throw invalid('The account number field is required.', 'account_number')
  if (number !== world.keys.accountNumber) throw invalid('The account number is invalid.', 'account_number')
}

function payoutOf(world: World, id: string): PayoutRow {
  const payout = world.payouts.get(id)
  if (payout === undefined) throw noSuchId()
  return payout
}

function fundAccountOf(world: World, id: string): FundAccountRow {
  const account = world.fundAccounts.get(id)
  if (account === undefined) throw noSuchId()
  return account
}
