import type { Context, Hono } from 'hono'
import { z } from 'zod'
import { Expand, Int, Metadata, Positive, read, Text } from './form.ts'
import { PAYOUT_FAILURES } from './instruments.ts'
import { booked } from './intents.ts'
import { Paging, page } from './paging.ts'
import { noSuch, Problem, refused } from './problem.ts'
import { answer, fieldsOf } from './respond.ts'
import type { Account, External, Payout, Transfer } from './rows.ts'
import { PLATFORM, type World } from './world.ts'

const BankAccount = z.strictObject({
  object: z.literal('bank_account'),
  country: Text.default('US'),
  currency: Text.default('usd'),
  account_number: Text,
  routing_number: Text.optional(),
  account_holder_name: Text.optional(),
  account_holder_type: Text.optional(),
})
const NewAccount = z.strictObject({
  type: z.enum(['custom', 'express', 'standard']).default('custom'),
  country: Text.default('US'),
  email: Text.optional(),
  business_type: Text.optional(),
  capabilities: z.record(z.string(), z.unknown()).optional(),
  external_account: BankAccount.optional(),
  metadata: Metadata,
  expand: Expand,
})
const NewExternal = z.strictObject({ external_account: BankAccount, expand: Expand })
const NewTransfer = z.strictObject({
  amount: Positive,
  currency: Text,
  destination: Text,
  description: Text.optional(),
  transfer_group: Text.optional(),
  metadata: Metadata,
  expand: Expand,
})
const NewReversal = z.strictObject({ amount: Positive.optional(), metadata: Metadata, expand: Expand })
const NewPayout = z.strictObject({
  amount: Positive,
  currency: Text,
  destination: Text.optional(),
  description: Text.optional(),
  method: z.enum(['standard', 'instant']).default('standard'),
  statement_descriptor: Text.optional(),
  metadata: Metadata,
  expand: Expand,
})
const Balances = z.record(z.string().regex(/^[a-z]{3}$/), z.int().nonnegative())

/** Seconds until a payout arrives, as it is announced: two days. */
const ARRIVAL_S = 2 * 86_400

const FAILURES: Readonly<Record<string, string>> = {
  account_closed: 'The bank account has been closed.',
  no_account: 'The bank account could not be located.',
  insufficient_funds: 'The bank account has insufficient funds.',
  debit_not_authorized: 'Debit transactions are not approved on your bank account.',
  invalid_currency: 'The bank was unable to process this payout because of its currency.',
  could_not_process: 'The bank could not process this payout.',
}

/** `/v1/account(s)`, `/v1/transfers`, `/v1/payouts`, `/v1/balance`, and `PUT /_balance` by which money runs out. */
export function payoutRoutes(app: Hono, world: World): void {
  furnish(world)
  world.when('payout_paid', (id) => {
    const payout = world.payouts.get(id)
    if (payout?.status === 'pending' || payout?.status === 'in_transit')
      change(world, { ...payout, status: 'paid' }, 'payout.paid')
  })
  world.when('payout_fails', (id, why) => {
    const payout = world.payouts.get(id)
    if (payout !== undefined && payout.status !== 'failed' && payout.status !== 'canceled') fail(world, payout, why)
  })

  app.get('/v1/account', (c) => answer(world, c, accountOf(world, callerOf(c))))
  app.post('/v1/accounts', async (c) => {
    const wanted = read(NewAccount, await fieldsOf(c))
    const account = open(world, {
      country: wanted.country,
      email: wanted.email,
      type: wanted.type,
      metadata: wanted.metadata,
    })
    if (wanted.external_account !== undefined) addBank(world, account.id, wanted.external_account)
    return answer(world, c, account, wanted.expand)
  })
  app.get('/v1/accounts/:id', (c) => answer(world, c, accountOf(world, c.req.param('id'))))
  app.post('/v1/accounts/:id/external_accounts', async (c) => {
    const { external_account, expand } = read(NewExternal, await fieldsOf(c))
    return answer(world, c, addBank(world, accountOf(world, c.req.param('id')).id, external_account), expand)
  })
  app.get('/v1/accounts/:id/external_accounts', async (c) => {
    const wanted = read(Paging.extend({ object: Text.optional() }), await fieldsOf(c))
    const { id } = accountOf(world, c.req.param('id'))
    const rows = banksOf(world, id).filter(({ object }) => object === (wanted.object ?? object))
    return c.json(page(rows, `/v1/accounts/${id}/external_accounts`, wanted))
  })
  app.get('/v1/accounts/:id/external_accounts/:bank', (c) => {
    const bank = world.externals.get(c.req.param('bank'))
    if (bank?.account !== accountOf(world, c.req.param('id')).id) throw noSuch('external account', c.req.param('bank'))
    return answer(world, c, bank)
  })

  app.get('/v1/balance', (c) => {
    const account = callerOf(c)
    const available = world.store
      .collection<Balance>('balances')
      .values()
      .filter((one) => one.account === account)
      .map(({ amount, currency }) => ({ amount, currency, source_types: { card: amount } }))
    return c.json({ object: 'balance', available, livemode: false, pending: [] })
  })
  app.put('/_balance', async (c) => {
    const wanted = Balances.safeParse(await c.req.json().catch(() => undefined))
    if (!wanted.success) return c.json({ error: z.prettifyError(wanted.error) }, 422)
    for (const [currency, amount] of Object.entries(wanted.data)) setBalance(world, PLATFORM, currency, amount)
    return c.json(wanted.data)
  })

  app.post('/v1/transfers', async (c) => {
    const wanted = read(NewTransfer, await fieldsOf(c))
    return answer(world, c, transfer(world, wanted), wanted.expand)
  })
  app.get('/v1/transfers', async (c) => {
    const wanted = read(
      Paging.extend({ transfer_group: Text.optional(), destination: Text.optional() }),
      await fieldsOf(c),
    )
    const rows = world.transfers
      .values()
      .filter(({ transfer_group }) => transfer_group === (wanted.transfer_group ?? transfer_group))
      .filter(({ destination }) => destination === (wanted.destination ?? destination))
    return answer(world, c, page(rows, '/v1/transfers', wanted), wanted.expand)
  })
  app.get('/v1/transfers/:id', (c) => answer(world, c, transferOf(world, c.req.param('id'))))
  app.post('/v1/transfers/:id/reversals', async (c) => {
    const { amount, metadata } = read(NewReversal, await fieldsOf(c))
    return c.json(reverseTransfer(world, transferOf(world, c.req.param('id')), amount, metadata))
  })

  app.post('/v1/payouts', async (c) => {
    const wanted = read(NewPayout, await fieldsOf(c))
    return answer(world, c, payOut(world, accountOf(world, callerOf(c)).id, wanted), wanted.expand)
  })
  app.get('/v1/payouts', async (c) => {
    const account = callerOf(c)
    const wanted = read(
      Paging.extend({ status: Text.optional(), destination: Text.optional(), arrival_date: Int.optional() }),
      await fieldsOf(c),
    )
    const rows = world.payouts
      .values()
      .filter((one) => one._account === account)
      .filter(({ status }) => status === (wanted.status ?? status))
      .filter(({ destination }) => destination === (wanted.destination ?? destination))
    return answer(world, c, page(rows, '/v1/payouts', wanted), wanted.expand)
  })
  app.get('/v1/payouts/:id', (c) => answer(world, c, payoutOf(world, c)))
  app.post('/v1/payouts/:id/cancel', (c) => {
    const payout = payoutOf(world, c)
    if (payout.status !== 'pending')
      throw refused(`Payouts that are ${payout.status} cannot be canceled.`, 'payout_not_cancelable')
    credit(world, payout._account, payout.currency, payout.amount)
    return answer(world, c, change(world, { ...payout, status: 'canceled' }, 'payout.canceled'))
  })
  app.post('/v1/payouts/:id/reverse', async (c) => {
    const { metadata } = read(z.strictObject({ metadata: Metadata, expand: Expand }), await fieldsOf(c))
    const payout = payoutOf(world, c)
    if (payout.status !== 'paid' || payout.reversed_by !== null) throw refused('This payout cannot be reversed.')
    const reversal = world.payouts.put({
      ...payout,
      id: world.newId('po'),
      amount: -payout.amount,
      created: world.seconds(),
      metadata,
      original_payout: payout.id,
      status: 'pending',
    })
    credit(world, payout._account, payout.currency, payout.amount)
    change(world, { ...payout, reversed_by: reversal.id }, 'payout.updated')
    world.emit('payout.created', reversal, payout._account)
    return answer(world, c, reversal)
  })
}

/** Which account a request is for: a connected one by its header, else ours. */
const callerOf = (c: Context): string => c.req.header('stripe-account') ?? PLATFORM

/** What is there from the beginning, so that payouts can be tried without opening accounts first. */
function furnish(world: World): void {
  if (world.accounts.get(PLATFORM) !== undefined) return
  const bank = (account_number: string) =>
    ({ object: 'bank_account', country: 'US', currency: 'usd', account_number }) as const
  open(world, { id: PLATFORM, country: 'US', email: 'owner@example.com', type: 'standard', metadata: {} })
  addBank(world, PLATFORM, bank('000123456789'), 'ba_sandbox')
  addBank(world, PLATFORM, bank('000111111116'), 'ba_sandbox_fails')
  open(world, { id: 'acct_payee', country: 'US', email: 'payee@example.com', type: 'custom', metadata: {} })
  addBank(world, 'acct_payee', bank('000123456789'), 'ba_payee')
  addBank(world, 'acct_payee', bank('000111111116'), 'ba_payee_fails')
}

function open(
  world: World,
  made: { id?: string; country: string; email?: string | undefined; type: string; metadata: Record<string, string> },
): Account {
  return world.accounts.put({
    id: made.id ?? world.newId('acct'),
    object: 'account',
    charges_enabled: true,
    country: made.country,
    created: world.seconds(),
    default_currency: 'usd',
    details_submitted: true,
    email: made.email ?? null,
    metadata: made.metadata,
    payouts_enabled: true,
    type: made.type,
  })
}

const banksOf = (world: World, account: string): External[] =>
  world.externals.values().filter((one) => one.account === account)

function addBank(world: World, account: string, bank: z.infer<typeof BankAccount>, id?: string): External {
  const currency = bank.currency.toLowerCase()
  const failure = PAYOUT_FAILURES.get(bank.account_number)
  return world.externals.put({
    id: id ?? world.newId('ba'),
    object: 'bank_account',
    account,
    bank_name: 'STRIPE TEST BANK',
    country: bank.country,
    created: world.seconds(),
    currency,
    default_for_currency: !banksOf(world, account).some((one) => one.currency === currency),
    last4: bank.account_number.slice(-4),
    metadata: {},
    routing_number: bank.routing_number ?? '110000000',
    status: 'new',
    ...(failure === undefined ? {} : { _failure: failure }),
  })
}

function accountOf(world: World, id: string): Account {
  const account = world.accounts.get(id)
  if (account === undefined)
    throw new Problem(403, {
      type: 'invalid_request_error',
      code: 'account_invalid',
      message: `The provided key does not have access to account '${id}' (or that account does not exist).`,
    })
  return account
}

function transferOf(world: World, id: string): Transfer {
  const transfer = world.transfers.get(id)
  if (transfer === undefined) throw noSuch('transfer', id)
  return transfer
}

function payoutOf(world: World, c: Context): Payout {
  const id = c.req.param('id') ?? ''
  const payout = world.payouts.get(id)
  if (payout?._account !== callerOf(c)) throw noSuch('payout', id)
  return payout
}

interface Balance {
  readonly id: string
  readonly account: string
  readonly currency: string
  readonly amount: number
}

const setBalance = (world: World, account: string, currency: string, amount: number): void => {
  world.store.collection<Balance>('balances').put({ id: `${account} ${currency}`, account, currency, amount })
}

const balanceOf = (world: World, account: string, currency: string): number | undefined =>
  world.store.collection<Balance>('balances').get(`${account} ${currency}`)?.amount

/** Ours is as deep as can be until `PUT /_balance` says how deep; a connected account has what it was given. */
function debit(world: World, account: string, currency: string, amount: number): void {
  const available = balanceOf(world, account, currency)
  if (available === undefined && account === PLATFORM) return
  if ((available ?? 0) < amount)
    throw refused(
      'You have insufficient funds in your Stripe account. One likely reason you have insufficient funds is that your funds are automatically being paid out; try enabling manual payouts.',
      'balance_insufficient',
      'amount',
    )
  setBalance(world, account, currency, (available ?? 0) - amount)
}

function credit(world: World, account: string, currency: string, amount: number): void {
  const available = balanceOf(world, account, currency)
  if (available === undefined && account === PLATFORM) return
  setBalance(world, account, currency, (available ?? 0) + amount)
}

function transfer(world: World, wanted: z.infer<typeof NewTransfer>): Transfer {
  const currency = wanted.currency.toLowerCase()
  if (world.accounts.get(wanted.destination) === undefined || wanted.destination === PLATFORM)
    throw noSuch('destination', wanted.destination, 'destination')
  debit(world, PLATFORM, currency, wanted.amount)
  credit(world, wanted.destination, currency, wanted.amount)
  const id = world.newId('tr')
  const made = world.transfers.put({
    id,
    object: 'transfer',
    amount: wanted.amount,
    amount_reversed: 0,
    balance_transaction: booked(world, 'transfer', id, -wanted.amount, currency),
    created: world.seconds(),
    currency,
    description: wanted.description ?? null,
    destination: wanted.destination,
    livemode: false,
    metadata: wanted.metadata,
    reversals: { object: 'list', data: [], has_more: false, url: `/v1/transfers/${id}/reversals` },
    reversed: false,
    source_transaction: null,
    source_type: 'card',
    transfer_group: wanted.transfer_group ?? `group_${id}`,
  })
  world.emit('transfer.created', made)
  return made
}

function reverseTransfer(
  world: World,
  transfer: Transfer,
  wanted: number | undefined,
  metadata: Record<string, string>,
): Record<string, unknown> {
  const left = transfer.amount - transfer.amount_reversed
  const amount = wanted ?? left
  if (amount > left || left === 0)
    throw refused(`Reversal amount (${amount}) is greater than unreversed amount (${left})`, undefined, 'amount')
  debit(world, transfer.destination, transfer.currency, amount)
  credit(world, PLATFORM, transfer.currency, amount)
  const reversal = {
    id: world.newId('trr'),
    object: 'transfer_reversal',
    amount,
    balance_transaction: booked(world, 'transfer', transfer.id, amount, transfer.currency),
    created: world.seconds(),
    currency: transfer.currency,
    metadata,
    transfer: transfer.id,
  }
  const amount_reversed = transfer.amount_reversed + amount
  const after = world.transfers.put({
    ...transfer,
    amount_reversed,
    reversed: amount_reversed === transfer.amount,
    reversals: { ...transfer.reversals, data: [reversal, ...transfer.reversals.data] },
  })
  world.emit('transfer.reversed', after)
  return reversal
}

function payOut(world: World, account: string, wanted: z.infer<typeof NewPayout>): Payout {
  const currency = wanted.currency.toLowerCase()
  const banks = banksOf(world, account)
  const bank =
    wanted.destination === undefined
      ? banks.find((one) => one.default_for_currency && one.currency === currency)
      : banks.find(({ id }) => id === wanted.destination)
  if (bank === undefined && wanted.destination !== undefined)
    throw noSuch('external account', wanted.destination, 'destination')
  if (bank === undefined || bank.currency !== currency)
    throw refused(
      `Sorry, you don't have any external accounts in that currency (${currency}).`,
      'payouts_not_allowed',
      'currency',
    )
  const request = 'POST /v1/payouts'
  const amount = wanted.amount + (world.moods.take(request, 'wrong_amount') === undefined ? 0 : 1)
  const stays = world.moods.take(request, 'stay_pending') !== undefined
  const failsLate = world.moods.take(request, 'late_failure') !== undefined
  debit(world, account, currency, wanted.amount)
  const id = world.newId('po')
  const made = world.payouts.put({
    id,
    object: 'payout',
    amount,
    arrival_date: world.seconds() + ARRIVAL_S,
    automatic: false,
    balance_transaction: booked(world, 'payout', id, -amount, currency),
    created: world.seconds(),
    currency,
    description: wanted.description ?? null,
    destination: bank.id,
    failure_balance_transaction: null,
    failure_code: null,
    failure_message: null,
    livemode: false,
    metadata: wanted.metadata,
    method: wanted.method,
    original_payout: null,
    reversed_by: null,
    source_type: 'card',
    statement_descriptor: wanted.statement_descriptor ?? null,
    status: 'pending',
    type: 'bank_account',
    _account: account,
  })
  world.emit('payout.created', made, account)
  if (failsLate) {
    // Paid first: the bank sends it back some days later.
    world.later({ what: 'payout_paid', on: id, waits: 'a_while' })
    world.later({ what: 'payout_fails', on: id, why: 'could_not_process', waits: 'for_time' })
  } else if (bank._failure !== undefined)
    world.later({ what: 'payout_fails', on: id, why: bank._failure, waits: stays ? 'for_time' : 'a_while' })
  else world.later({ what: 'payout_paid', on: id, waits: stays ? 'for_time' : 'a_while' })
  return made
}

/** The money comes back to the balance that it was taken from. */
function fail(world: World, payout: Payout, why: string | undefined): void {
  const code = why ?? 'could_not_process'
  credit(world, payout._account, payout.currency, payout.amount)
  change(
    world,
    {
      ...payout,
      status: 'failed',
      failure_balance_transaction: booked(world, 'payout', payout.id, payout.amount, payout.currency),
      failure_code: code,
      failure_message: FAILURES[code] ?? code,
    },
    'payout.failed',
  )
}

function change(world: World, payout: Payout, event: string): Payout {
  const changed = world.payouts.put(payout)
  world.emit(event, changed, payout._account)
  return changed
}
