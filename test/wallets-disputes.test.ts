import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { platformAccount } from '../src/domain/ledger/platform-accounts.ts'
import type { Asset } from '../src/kit/money.ts'
import { becomes, look, paidAt, purse, refund, withdraw } from './support/wallet-moves.ts'
import { Wallets } from './support/wallets.ts'

let wallets: Wallets

beforeAll(async () => {
  wallets = await Wallets.start()
})
afterAll(() => wallets.stop())

type Status = 'needs_response' | 'under_review' | 'won' | 'lost'

/** A user with a deposit of a hundred at the mock gateway. */
async function depositor() {
  const user = await wallets.verified()
  return { user, deposit: await wallets.deposited(user, { amount: 100, gateway: 'mock' }) }
}

async function heardOfDisputes(): Promise<number> {
  const { rows } = await wallets.bursar.pool.query(
    `select count(*)::int as heard from webhook where type like 'dispute.%' and status <> 'received'`,
  )
  return rows[0].heard
}

/** The mock gateway tells of a dispute; resolves when its webhook was worked on. */
async function disputed(deposit: string, status: Status, amount?: number, currency?: Asset): Promise<void> {
  const before = await heardOfDisputes()
  const { gateway_transaction_id: charge } = await wallets.transaction(deposit)
  const about = { ...(amount === undefined ? {} : { amount }), ...(currency === undefined ? {} : { currency }) }
  expect(await wallets.mock.dispute(charge, status, about)).toMatchObject({ status: 201 })
  await expect.poll(heardOfDisputes, { timeout: 15_000, interval: 30 }).toBe(before + 1)
}

/** How a deposit's disputes stand with us, oldest first. */
async function disputesOf(deposit: string): Promise<{ status: Status; amount: number; taken: number }[]> {
  const { rows } = await wallets.bursar.pool.query(
    `select dispute.status, dispute.amount::int, dispute.taken::int from dispute
     join gateway_attempt on gateway_attempt.payment_id = dispute.payment_id
     where gateway_attempt.id = $1 order by dispute.id`,
    [(await wallets.attempts(deposit))[0]?.id],
  )
  return rows
}

/** What an account of ours has, by everything that was ever posted on it: minor units. */
async function ours(purpose: 'losses' | 'dispute', asset: Asset = 'INR'): Promise<number> {
  const { rows } = await wallets.bursar.pool.query(
    `select coalesce(sum(case when credit_id = $1 then amount else -amount end), 0)::int as total
     from transfer where $1 in (debit_id, credit_id)`,
    [platformAccount(purpose, asset).id],
  )
  return rows[0].total
}

describe('a dispute', () => {
  test('takes the money out of the wallet while the bank argues, and gives it back when it is won', async () => {
    const { user, deposit } = await depositor()
    await disputed(deposit, 'needs_response')
    expect(await purse(wallets, user)).toEqual({ balance: '0.00', locked: '0.00', available: '0.00' })
    expect(await ours('dispute')).toBe(10_000)
    expect((await refund(wallets, deposit)).body).toMatchObject({ error: 'NotRefundable' })

    await disputed(deposit, 'under_review')
    await disputed(deposit, 'won')
    expect(await purse(wallets, user)).toEqual({ balance: '100.00', locked: '0.00', available: '100.00' })
    expect(await disputesOf(deposit)).toEqual([{ status: 'won', amount: 10_000, taken: 10_000 }])
    expect((await refund(wallets, deposit)).body).toMatchObject({ status: 'COMPLETED', amount: '100.00' })
    expect(await ours('dispute')).toBe(0)
  })

  test('that is lost leaves the money with the customer, who can no longer be refunded', async () => {
    const { user, deposit } = await depositor()
    const losses = await ours('losses')
    await disputed(deposit, 'needs_response')
    await disputed(deposit, 'lost')
    expect((await purse(wallets, user)).balance).toBe('0.00')
    expect((await refund(wallets, deposit, { amount: 1 })).body.message).toBe(
      '0.00 INR of this deposit can still be refunded.',
    )
    expect({ losses: (await ours('losses')) - losses, argued: await ours('dispute') }).toEqual({ losses: 0, argued: 0 })
  })

  test('of which the first that is heard is its end is opened and ended at once', async () => {
    for (const [status, balance] of [
      ['lost', '0.00'],
      ['won', '100.00'],
    ] as const) {
      const { user, deposit } = await depositor()
      await disputed(deposit, status)
      expect((await purse(wallets, user)).balance).toBe(balance)
      expect(await disputesOf(deposit)).toMatchObject([{ status, taken: 10_000 }])
    }
  })

  test('that has been decided is not taken back by alerts that come late, or twice', async () => {
    for (const [end, balance] of [
      ['won', '100.00'],
      ['lost', '0.00'],
    ] as const) {
      const { user, deposit } = await depositor()
      await disputed(deposit, 'under_review')
      await disputed(deposit, end)
      for (const late of ['needs_response', 'under_review', end, end === 'won' ? 'lost' : 'won'] as const)
        await disputed(deposit, late)
      expect(await disputesOf(deposit)).toMatchObject([{ status: end }])
      expect((await purse(wallets, user)).balance).toBe(balance)
    }
  })

  test('whose alerts come several times and in any order is one dispute', async () => {
    const { user, deposit } = await depositor()
    const { gateway_transaction_id: charge } = await wallets.transaction(deposit)
    await wallets.mock.webhooks({ mode: 'hold', copies: 3 })
    for (const status of ['needs_response', 'under_review', 'lost'] as const) await wallets.mock.dispute(charge, status)
    await wallets.mock.release('reversed')
    await wallets.mock.webhooks({ mode: 'send', copies: 1 })
    await wallets.bursar.quiet()
    expect(await disputesOf(deposit)).toEqual([{ status: 'lost', amount: 10_000, taken: 10_000 }])
    expect((await purse(wallets, user)).balance).toBe('0.00')
  })

  test('about more than was paid takes no more than was paid; the rest is our loss until it is won', async () => {
    const { user, deposit } = await depositor()
    await wallets.deposited(user, { amount: 500, gateway: 'mock' })
    const losses = await ours('losses')
    await disputed(deposit, 'needs_response', 12_500)
    expect((await purse(wallets, user)).balance).toBe('500.00')
    expect((await ours('losses')) - losses).toBe(-2_500)
    await disputed(deposit, 'won')
    expect((await purse(wallets, user)).balance).toBe('600.00')
    expect((await ours('losses')) - losses).toBe(0)
  })

  test('about a part takes that part, and the rest can be refunded', async () => {
    const { user, deposit } = await depositor()
    await disputed(deposit, 'needs_response', 3_000)
    expect((await purse(wallets, user)).balance).toBe('70.00')
    expect((await refund(wallets, deposit, { amount: 71 })).body.message).toContain('70.00 INR')
    expect((await refund(wallets, deposit)).body).toMatchObject({ status: 'COMPLETED', amount: '70.00' })
    await disputed(deposit, 'won')
    expect((await purse(wallets, user)).balance).toBe('30.00')
    expect((await refund(wallets, deposit)).body).toMatchObject({ amount: '30.00' })
  })

  test('about money that was spent takes what is there, never more, and books the rest as a loss', async () => {
    const { user, deposit } = await depositor()
    const account = await wallets.addMethod(user, 'mock', 'mock_payout_pending', 'BANK_TRANSFER')
    const { body: withdrawal } = await withdraw(wallets, user, { amount: 70, payment_method_id: account })
    const losses = await ours('losses')
    await disputed(deposit, 'needs_response')
    // The seventy are set aside for the withdrawal, and stay so.
    expect(await purse(wallets, user)).toEqual({ balance: '70.00', locked: '70.00', available: '0.00' })
    expect(await disputesOf(deposit)).toEqual([{ status: 'needs_response', amount: 10_000, taken: 3_000 }])
    expect((await ours('losses')) - losses).toBe(-7_000)
    await disputed(deposit, 'lost')
    await wallets.mock.pass(60)
    await becomes(wallets, withdrawal.transaction_id, 'COMPLETED')
    expect(await purse(wallets, user)).toEqual({ balance: '0.00', locked: '0.00', available: '0.00' })
    expect((await ours('losses')) - losses).toBe(-7_000)
  })

  test('in another currency takes nothing from the wallet and is our loss; nothing is refunded while it is open', async () => {
    const { user, deposit } = await depositor()
    const losses = await ours('losses', 'USD')
    await disputed(deposit, 'needs_response', 150, 'USD')
    expect((await purse(wallets, user)).balance).toBe('100.00')
    expect((await ours('losses', 'USD')) - losses).toBe(-150)
    expect((await refund(wallets, deposit, { amount: 1 })).status).toBeGreaterThanOrEqual(400)
    await disputed(deposit, 'won')
    expect((await ours('losses', 'USD')) - losses).toBe(0)
    expect((await refund(wallets, deposit)).body).toMatchObject({ amount: '100.00' })

    const { deposit: second } = await depositor()
    await disputed(second, 'lost', 150, 'USD')
    expect((await ours('losses', 'USD')) - losses).toBe(-150)
    expect(await ours('dispute', 'USD')).toBe(0)
    expect((await refund(wallets, second, { amount: 1 })).status).toBeGreaterThanOrEqual(400)
  })

  test('about nothing at all is opened and ended, and moves nothing', async () => {
    for (const end of ['won', 'lost'] as const) {
      const { user, deposit } = await depositor()
      await disputed(deposit, 'needs_response', 0)
      await disputed(deposit, end)
      expect((await purse(wallets, user)).balance).toBe('100.00')
      expect(await disputesOf(deposit)).toEqual([{ status: end, amount: 0, taken: 0 }])
    }
  })

  test('at each other gateway is heard of by its own webhooks', async () => {
    for (const gateway of ['stripe', 'razorpay', 'paystack'] as const) {
      const user = await wallets.verified()
      const { id, currency } = await paidAt(wallets, gateway, user)
      const { gateway_transaction_id: charge } = await wallets.transaction(id)
      const left = async () => (await wallets.balance(user, currency)).balance
      await wallets[gateway].ask('POST', '/_disputes', { charge_id: charge })
      await expect.poll(left, { timeout: 15_000 }).toBe('0.00')
      await wallets[gateway].dispute(charge, 'won')
      await expect.poll(left, { timeout: 15_000 }).toBe('100.00')
      await wallets.bursar.quiet()
      expect(await disputesOf(id)).toMatchObject([{ status: 'won' }])
    }
  })

  test('about something that we do not know is kept, and changes nothing', async () => {
    const { user } = await depositor()
    const behind = await fetch(`${wallets.mock.url}/charges`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${wallets.bursar.foundation.sandbox?.gateways.mock.key.reveal()}`,
        'content-type': 'application/json',
        'idempotency-key': 'the till of somebody else',
      },
      body: JSON.stringify({ amount: 10_000, currency: 'INR', method: 'card' }),
    })
    const { payment_id } = (await behind.json()) as { payment_id: string }
    const before = await heardOfDisputes()
    await wallets.mock.dispute(payment_id, 'lost')
    await expect.poll(heardOfDisputes, { timeout: 15_000 }).toBe(before + 1)
    expect((await purse(wallets, user)).balance).toBe('100.00')
  })

  test('that outruns the news that its deposit was paid waits for that', async () => {
    const user = await wallets.verified()
    const method = await wallets.addMethod(user, 'mock', 'mock_pending')
    await wallets.mock.webhooks({ mode: 'drop' })
    const { body } = await wallets.deposit(user, { amount: 100, payment_method_id: method })
    expect(body.status).toBe('PENDING')
    await wallets.mock.pass(60)
    await wallets.mock.webhooks({ mode: 'send' })
    const before = await heardOfDisputes()
    await wallets.mock.dispute(body.order_id, 'needs_response')
    await expect.poll(heardOfDisputes, { timeout: 15_000 }).toBe(before + 1)
    // Hearing of it was reason enough to ask.
    await becomes(wallets, body.transaction_id, 'COMPLETED')
    expect((await purse(wallets, user)).balance).toBe('100.00')
    wallets.bursar.clock.advance({ seconds: 61 })
    expect(await wallets.unpark()).toBeGreaterThan(0)
    expect((await purse(wallets, user)).balance).toBe('0.00')
    expect(await disputesOf(body.transaction_id)).toEqual([{ status: 'needs_response', amount: 10_000, taken: 10_000 }])
  })
})

/** What happens to one deposit of 100.00, in order; each word is one thing that a customer, a bank or a gateway does. */
type Event =
  | 'refund' // is asked for and given at once
  | 'refund refused' // is asked for, and we say no
  | 'refund begins' // is asked for, and its gateway takes its time
  | 'refund given' // the one that took its time
  | 'refund fails' // the one that took its time
  | 'refund sent back' // by the bank, days after it was given
  | 'dispute'
  | 'dispute won'
  | 'dispute lost'

describe('a refund and a dispute of one payment never give the money back twice', () => {
  /** In the end: in the wallet, and lost by us because it had left before the bank said anything. */
  const orders: readonly (readonly [events: readonly Event[], wallet: string, loss: number])[] = [
    [['refund', 'dispute', 'dispute won'], '0.00', 0],
    [['refund', 'dispute', 'dispute lost'], '0.00', 10_000],
    [['dispute', 'refund refused', 'dispute lost', 'refund refused'], '0.00', 0],
    [['dispute', 'refund refused', 'dispute won', 'refund'], '0.00', 0],
    [['refund begins', 'dispute', 'refund given', 'dispute won'], '0.00', 0],
    [['refund begins', 'dispute', 'refund given', 'dispute lost'], '0.00', 10_000],
    [['refund begins', 'dispute', 'dispute lost', 'refund given'], '0.00', 10_000],
    [['refund begins', 'dispute', 'dispute won', 'refund given'], '0.00', 0],
    // What did not go back after all is the bank's, which has given it to the customer or will.
    [['refund begins', 'dispute', 'refund fails', 'dispute lost'], '0.00', 0],
    [['refund begins', 'dispute', 'refund fails', 'dispute won'], '100.00', 0],
    [['refund begins', 'dispute', 'dispute lost', 'refund fails'], '0.00', 0],
    [['refund begins', 'dispute', 'dispute won', 'refund fails'], '100.00', 0],
    [['refund begins', 'refund fails', 'dispute', 'dispute lost'], '0.00', 0],
    [['refund', 'dispute', 'refund sent back', 'dispute lost'], '0.00', 0],
    [['refund', 'dispute', 'refund sent back', 'dispute won', 'refund'], '0.00', 0],
    [['refund', 'dispute', 'dispute lost', 'refund sent back'], '0.00', 0],
    [['refund', 'refund sent back', 'dispute', 'refund refused', 'dispute lost'], '0.00', 0],
  ]

  test.each(orders.map(([events, wallet, loss]) => ({ order: events.join(', '), events, wallet, loss })))(
    '$order',
    async ({ events, wallet, loss }) => {
      const { user, deposit } = await depositor()
      const lossesBefore = await ours('losses')
      let refundId = ''
      const play: Record<Event, () => Promise<unknown>> = {
        async refund() {
          if (events.includes('refund sent back') && refundId === '')
            await wallets.mock.mood('POST /refunds', 'late_failure')
          const { body } = await refund(wallets, deposit)
          expect(body).toMatchObject({ status: 'COMPLETED' })
          refundId = body.refund_id
        },
        async 'refund refused'() {
          expect((await refund(wallets, deposit)).body).toMatchObject({ error: 'NotRefundable' })
        },
        async 'refund begins'() {
          // In doubt, so that a test says what becomes of it: done and not heard of, or never there.
          await wallets.mock.mood('POST /refunds', events.includes('refund fails') ? 'hang_up' : 'stay_pending')
          const { body } = await refund(wallets, deposit)
          expect(body).toMatchObject({ status: 'PENDING' })
          refundId = body.refund_id
        },
        async 'refund given'() {
          await wallets.mock.pass(60)
          await becomes(wallets, refundId, 'COMPLETED')
        },
        async 'refund fails'() {
          // As long ago as it takes for a gateway's «never heard of it» to be believed.
          await wallets.bursar.pool.query(
            `update gateway_attempt set asked_at = asked_at - interval '1 hour' where id = $1`,
            [(await wallets.attempts(refundId))[0].id],
          )
          await look(wallets, refundId)
          expect((await wallets.transaction(refundId)).status).toBe('FAILED')
        },
        async 'refund sent back'() {
          await wallets.mock.pass(60)
          await becomes(wallets, refundId, 'RETURNED')
        },
        dispute: () => disputed(deposit, 'needs_response'),
        'dispute won': () => disputed(deposit, 'won'),
        'dispute lost': () => disputed(deposit, 'lost'),
      }
      for (const event of events) await play[event]()
      await wallets.bursar.quiet()
      expect(await purse(wallets, user)).toEqual({ balance: wallet, locked: '0.00', available: wallet })
      expect(lossesBefore - (await ours('losses'))).toBe(loss)
      expect((await wallets.transaction(deposit)).refunded_amount).toBe(
        (await wallets.transactions(user, 'REFUND')).some(({ status }) => status === 'COMPLETED') ? '100.00' : '0.00',
      )
    },
  )

  test('what was spent in between stays our loss when the refund comes to nothing', async () => {
    const { user, deposit } = await depositor()
    const before = await ours('losses')
    await wallets.mock.mood('POST /refunds', 'late_failure')
    const { body } = await refund(wallets, deposit, { amount: 60 })
    const account = await wallets.addMethod(user, 'mock', 'mock_account', 'BANK_TRANSFER')
    await withdraw(wallets, user, { amount: 30, payment_method_id: account })
    await disputed(deposit, 'needs_response')
    expect(await disputesOf(deposit)).toMatchObject([{ taken: 1_000 }])
    await wallets.mock.pass(60)
    await becomes(wallets, body.refund_id, 'RETURNED')
    expect(await disputesOf(deposit)).toMatchObject([{ taken: 7_000 }])
    expect((await purse(wallets, user)).balance).toBe('0.00')
    await disputed(deposit, 'lost')
    expect(before - (await ours('losses'))).toBe(3_000)
  })

  test('also when both come at once', async () => {
    const losses = await ours('losses')
    const all = await Promise.all(Array.from({ length: 12 }, depositor))
    const { answers } = await (async () => {
      const heard = await heardOfDisputes()
      const charges = await Promise.all(all.map(({ deposit }) => wallets.transaction(deposit)))
      const [answers] = await Promise.all([
        Promise.all(all.map(({ deposit }) => refund(wallets, deposit))),
        ...charges.map(({ gateway_transaction_id: charge }) => wallets.mock.dispute(charge, 'lost')),
      ])
      await expect.poll(heardOfDisputes, { timeout: 15_000 }).toBe(heard + all.length)
      return { answers }
    })()
    await wallets.bursar.quiet()
    const refunded = answers.filter(({ status }) => status === 200).length
    for (const { user, deposit } of all) {
      expect(await purse(wallets, user)).toEqual({ balance: '0.00', locked: '0.00', available: '0.00' })
      expect(await disputesOf(deposit)).toMatchObject([{ status: 'lost' }])
    }
    // Whoever had been refunded before the bank spoke had the money already, and the bank gives it once more: that is our loss.
    expect(losses - (await ours('losses'))).toBe(refunded * 10_000)
  })
})

test('after all of this the books are in order, and nothing is argued about but what is open', async () => {
  await wallets.bursar.quiet()
  expect(await wallets.unfinished()).toEqual([])
  await wallets.bursar.expectCleanBooks()
  const { rows } = await wallets.bursar.pool.query(
    `select coalesce(sum(amount), 0)::int as open from dispute where closed_at is null and currency = 'INR'`,
  )
  expect(await ours('dispute')).toBe(rows[0].open)
})
