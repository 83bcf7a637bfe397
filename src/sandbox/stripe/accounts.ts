import type { Context, Hono } from 'hono'
import { z } from 'zod'
import { Expand, Metadata, read, Text } from './form.ts'
import { PAYOUT_FAILURES } from './instruments.ts'
import { Paging, page } from './paging.ts'
import { noSuch, Problem, refused } from './problem.ts'
import { answer, fieldsOf } from './respond.ts'
import type { Account, External } from './rows.ts'
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
const Balances = z.record(z.string().regex(/^[a-z]{3}$/), z.int().nonnegative())

/** `/v1/account(s)`, `/v1/balance`, and `PUT /_balance` by which money runs out. */
export function accountRoutes(app: Hono, world: World): void {
  furnish(world)

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
}

/** Which account a request is for: a connected one by its header, else ours. */
export const callerOf = (c: Context): string => c.req.header('stripe-account') ?? PLATFORM

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

export const banksOf = (world: World, account: string): External[] =>
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

export function accountOf(world: World, id: string): Account {
  const account = world.accounts.get(id)
  if (account === undefined)
    throw new Problem(403, {
      type: 'invalid_request_error',
      code: 'account_invalid',
      message: `The provided key does not have access to account '${id}' (or that account does not exist).`,
    })
  return account
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
export function debit(world: World, account: string, currency: string, amount: number): void {
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

export function credit(world: World, account: string, currency: string, amount: number): void {
  const available = balanceOf(world, account, currency)
  if (available === undefined && account === PLATFORM) return
  setBalance(world, account, currency, (available ?? 0) + amount)
}
