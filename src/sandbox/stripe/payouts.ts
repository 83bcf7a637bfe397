import type { Context, Hono } from 'hono'
import { z } from 'zod'
import { accountOf, banksOf, callerOf, credit, debit } from './accounts.ts'
import { booked } from './bookings.ts'
import { Expand, Int, Metadata, Positive, read, Text } from './form.ts'
import { Paging, page } from './paging.ts'
import { noSuch, refused } from './problem.ts'
import { answer, fieldsOf } from './respond.ts'
import type { Payout, Transfer } from './rows.ts'
import { PLATFORM, type World } from './world.ts'

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

/** `/v1/transfers` and `/v1/payouts`. */
export function payoutRoutes(app: Hono, world: World): void {
  world.when('payout_paid', (id) => {
    const payout = world.payouts.get(id)
    if (payout?.status === 'pending' || payout?.status === 'in_transit')
      change(world, { ...payout, status: 'paid' }, 'payout.paid')
  })
  world.when('payout_fails', (id, why) => {
    const payout = world.payouts.get(id)
    if (payout !== undefined && payout.status !== 'failed' && payout.status !== 'canceled') fail(world, payout, why)
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
