import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { GatewayName } from '../src/gateways/port.ts'
import type { Misbehaviour } from '../src/sandbox/moods.ts'
import { becomes, funded, look, payees, purse, usedToday, withdraw } from './support/wallet-moves.ts'
import { BACKEND, Wallets } from './support/wallets.ts'

let wallets: Wallets

beforeAll(async () => {
  wallets = await Wallets.start()
})
afterAll(() => wallets.stop())

const bank = (user: string, gateway: GatewayName, token: string): Promise<string> =>
  wallets.addMethod(user, gateway, token, 'BANK_TRANSFER')

/** A user with money in a gateway's currency, and where they want to be paid out to. */
async function payee(gateway: GatewayName, token: string = payees[gateway].token) {
  const { currency } = payees[gateway]
  const user = await funded(wallets, 1000, currency)
  return { user, currency, payment_method_id: await bank(user, gateway, token) }
}

const statusOf = (withdrawal: string, asking = BACKEND) =>
  wallets.bursar.get(`/api/v1/payments/withdrawals/${withdrawal}/status`, asking)

const payoutsFor = async (gateway: GatewayName, transaction: string) => {
  const references = (await wallets.attempts(transaction)).map(({ id }) => id)
  const { payouts } = await wallets[gateway].done()
  return payouts.filter(({ reference, times }) => references.includes(reference) && times > 0)
}

/** How an answer gets lost. Stripe's payouts take a second each, so that there one way must do. */
const LOSSES: Readonly<Record<GatewayName, readonly Misbehaviour[]>> = {
  mock: ['lose_answer', 'fail_after'],
  stripe: ['lose_answer'],
  razorpay: ['lose_answer', 'fail_after'],
  paystack: ['lose_answer', 'fail_after'],
}

/** The four gateways and both of Stripe's ways: our own bank account, and a connected account's. */
const everyPayee: readonly [title: string, gateway: GatewayName, token: string, calls: readonly string[]][] = [
  ['mock', 'mock', payees.mock.token, ['POST /payouts']],
  ['stripe, our own bank account', 'stripe', payees.stripe.token, ['POST /v1/payouts']],
  ['stripe, a connected account', 'stripe', 'acct_payee/ba_payee', ['POST /v1/transfers', 'POST /v1/payouts']],
  ['razorpay', 'razorpay', payees.razorpay.token, ['POST /v1/payouts']],
  ['paystack', 'paystack', payees.paystack.token, ['POST /transfer']],
]

describe('a withdrawal', () => {
  test('is paid out of the wallet, and answers as documented', async () => {
    const { user, payment_method_id } = await payee('mock')
    const { status, body } = await withdraw(wallets, user, {
      amount: 500.0,
      payment_method_id,
      description: 'Cash withdrawal',
    })
    expect(status, JSON.stringify(body)).toBe(200)
    expect(body).toEqual({
      success: true,
      transaction_id: expect.stringMatching(/^txn_[0-9a-f]{32}$/),
      withdrawal_id: body.transaction_id,
      status: 'COMPLETED',
      amount: '500.00',
      currency: 'INR',
      gateway: 'MOCK',
    })
    expect(await purse(wallets, user)).toEqual({ balance: '500.00', locked: '0.00', available: '500.00' })
    const { body: stands } = await statusOf(body.withdrawal_id)
    expect(stands).toMatchObject({
      withdrawal_id: body.withdrawal_id,
      type: 'WITHDRAWAL',
      status: 'COMPLETED',
      amount: '500.00',
      description: 'Cash withdrawal',
      failure_code: null,
    })
    expect(stands.completed_at).not.toBeNull()
    expect(await payoutsFor('mock', body.transaction_id)).toMatchObject([{ amount: 50_000, times: 1 }])
  })

  test('sets its amount aside at once, so that nobody spends it while it is under way', async () => {
    const { user, payment_method_id } = await payee('mock', 'mock_payout_pending')
    const { status, body } = await withdraw(wallets, user, { amount: '300.50', payment_method_id })
    expect({ status, is: body.status }).toEqual({ status: 200, is: 'PENDING' })
    expect(await purse(wallets, user)).toEqual({ balance: '1000.00', locked: '300.50', available: '699.50' })
    expect(await usedToday(wallets, user)).toBe('1300.50')

    const second = await withdraw(wallets, user, { amount: 699.51, payment_method_id })
    expect(second.status).toBe(400)
    expect(second.body).toMatchObject({ error: 'InsufficientBalance', code: 'PAY_002' })
    expect(second.body.message).toContain('699.50 available')

    await wallets.mock.pass(60)
    await becomes(wallets, body.transaction_id, 'COMPLETED')
    expect(await purse(wallets, user)).toEqual({ balance: '699.50', locked: '0.00', available: '699.50' })
    expect((await statusOf(body.withdrawal_id)).body.status).toBe('COMPLETED')
  })

  test('that the gateway declines sets nothing aside any more, and uses up no limit', async () => {
    const { user, payment_method_id } = await payee('mock', 'mock_payout_fail')
    const { status, body } = await withdraw(wallets, user, { amount: 400, payment_method_id })
    expect(status).toBe(402)
    expect(body).toMatchObject({ error: 'PaymentDeclined', code: 'PAY_004' })
    expect(body.message).toContain('account_closed')
    expect(await purse(wallets, user)).toEqual({ balance: '1000.00', locked: '0.00', available: '1000.00' })
    expect(await usedToday(wallets, user)).toBe('1000.00')
    expect(await wallets.transactions(user, 'WITHDRAWAL')).toMatchObject([
      { status: 'FAILED', failure_code: 'account_closed' },
    ])
  })

  test('that fails after a while is free again once its webhook says so', async () => {
    const { user, payment_method_id } = await payee('mock', 'mock_payout_late_failure')
    const { body } = await withdraw(wallets, user, { amount: 400, payment_method_id })
    expect(body.status).toBe('PENDING')
    await wallets.mock.pass(60)
    await becomes(wallets, body.transaction_id, 'FAILED')
    expect(await purse(wallets, user)).toEqual({ balance: '1000.00', locked: '0.00', available: '1000.00' })
    expect(await usedToday(wallets, user)).toBe('1000.00')
  })

  test('whose webhook never comes is settled by a look-up', async () => {
    const { user, payment_method_id } = await payee('mock', 'mock_payout_pending')
    const { body } = await withdraw(wallets, user, { amount: 400, payment_method_id })
    await wallets.mock.webhooks({ mode: 'drop' })
    await wallets.mock.pass(60)
    await wallets.mock.webhooks({ mode: 'send' })
    await look(wallets, body.transaction_id)
    expect((await wallets.transaction(body.transaction_id)).status).toBe('COMPLETED')
    expect(await purse(wallets, user)).toEqual({ balance: '600.00', locked: '0.00', available: '600.00' })
  })

  test.each(everyPayee)('whose answer is lost is paid once (%s)', async (_title, gateway, token, calls) => {
    for (const call of calls)
      for (const does of LOSSES[gateway]) {
        const { user, currency, payment_method_id } = await payee(gateway, token)
        await wallets[gateway].mood(call, does)
        const { status, body } = await withdraw(wallets, user, { amount: 250, currency, payment_method_id })
        expect(status, JSON.stringify(body)).toBe(200)
        await expect
          .poll(
            async () => {
              await look(wallets, body.transaction_id)
              return (await wallets.transaction(body.transaction_id)).status
            },
            { timeout: 15_000, interval: 100 },
          )
          .toBe('COMPLETED')
        expect(await payoutsFor(gateway, body.transaction_id)).toMatchObject([{ amount: 25_000, times: 1 }])
        expect(await purse(wallets, user, currency)).toEqual({
          balance: '750.00',
          locked: '0.00',
          available: '750.00',
        })
      }
  })

  test.each<[gateway: GatewayName, token: string, mood: string | undefined]>([
    ['mock', 'mock_payout_returned', undefined],
    ['stripe', 'ba_sandbox', 'POST /v1/payouts'],
    ['stripe', 'acct_payee/ba_payee', 'POST /v1/payouts'],
    ['razorpay', 'fa_sandbox_bank', 'POST /v1/payouts'],
    ['paystack', 'RCP_reversed', undefined],
  ])(
    'that the bank sends back days after it was paid returns the money, once (%s, %s)',
    async (gateway, token, mood) => {
      const { user, currency, payment_method_id } = await payee(gateway, token)
      if (mood !== undefined) await wallets[gateway].mood(mood, 'late_failure')
      const { body } = await withdraw(wallets, user, { amount: 600, currency, payment_method_id })
      await becomes(wallets, body.transaction_id, 'COMPLETED')
      expect((await purse(wallets, user, currency)).balance).toBe('400.00')
      expect(await usedToday(wallets, user, currency)).toBe('1600.00')

      await wallets[gateway].webhooks({ copies: 3 })
      await wallets[gateway].pass(60)
      await becomes(wallets, body.transaction_id, 'RETURNED')
      await wallets.bursar.quiet()
      await wallets[gateway].webhooks({ copies: 1 })
      expect(await purse(wallets, user, currency)).toEqual({
        balance: '1000.00',
        locked: '0.00',
        available: '1000.00',
      })
      expect(await usedToday(wallets, user, currency)).toBe('1000.00')
      expect((await statusOf(body.withdrawal_id)).body).toMatchObject({
        status: 'RETURNED',
        failure_code: expect.any(String),
        failure_reason: expect.any(String),
      })
    },
  )

  test('that came back before anybody told that it had been paid has not moved', async () => {
    const { user, payment_method_id } = await payee('mock', 'mock_payout_returned')
    await wallets.mock.webhooks({ mode: 'drop' })
    await wallets.mock.mood('POST /payouts', 'lose_answer')
    const { body } = await withdraw(wallets, user, { amount: 600, payment_method_id })
    expect(body.status).toBe('PENDING')
    await wallets.mock.pass(60)
    await wallets.mock.webhooks({ mode: 'send' })
    await look(wallets, body.transaction_id)
    expect(await wallets.transaction(body.transaction_id)).toMatchObject({
      status: 'FAILED',
      failure_code: 'account_closed',
    })
    expect(await purse(wallets, user)).toEqual({ balance: '1000.00', locked: '0.00', available: '1000.00' })
    expect(await usedToday(wallets, user)).toBe('1000.00')
  })

  test('of which another amount left waits for a person, who can accept it and cannot call it back', async () => {
    const { user, payment_method_id } = await payee('mock', 'mock_payout_wrong_amount')
    const { body } = await withdraw(wallets, user, { amount: 100, payment_method_id })
    expect(body.status).toBe('REVIEW')
    expect(await purse(wallets, user)).toEqual({ balance: '1000.00', locked: '100.00', available: '900.00' })

    const decide = (decision: string) =>
      wallets.bursar.do(
        'POST',
        `/api/v1/payments/transactions/${body.transaction_id}/decision`,
        { decision, note: 'One paisa more left' },
        { as: 'olga', roles: ['operator'] },
      )
    expect((await decide('reject')).body).toMatchObject({ error: 'Undecidable' })
    expect((await decide('accept')).body).toMatchObject({ status: 'COMPLETED' })
    expect((await decide('accept')).body).toMatchObject({ error: 'NotInReview' })
    // The difference is at our cost: the user asked for no more than that.
    expect(await purse(wallets, user)).toEqual({ balance: '900.00', locked: '0.00', available: '900.00' })
  })

  test('of which more left than was asked, and all of it came back later, gives the user what they gave and us the rest', async () => {
    const { user, payment_method_id } = await payee('mock', 'mock_payout_wrong_amount_returned')
    const { body } = await withdraw(wallets, user, { amount: 100, payment_method_id })
    expect(body.status).toBe('REVIEW')
    const path = `/api/v1/payments/transactions/${body.transaction_id}/decision`
    const decision = { decision: 'accept', note: 'One paisa more left' }
    const decided = await wallets.bursar.do('POST', path, decision, { as: 'olga', roles: ['operator'] })
    expect(decided.body).toMatchObject({ status: 'COMPLETED' })
    expect(await wallets.transaction(body.transaction_id)).toMatchObject({ amount: '100.00' })
    await wallets.mock.pass(86_400)
    await becomes(wallets, body.transaction_id, 'RETURNED')
    expect(await purse(wallets, user)).toEqual({ balance: '1000.00', locked: '0.00', available: '1000.00' })
    const { rows } = await wallets.bursar.pool.query(
      `select movement, sum(amount)::int as amount from transfer
       where movement in ('mismatch.cover', 'mismatch.recover') group by 1 order by 1`,
    )
    expect(rows.find(({ movement }) => movement === 'mismatch.recover')).toEqual({
      movement: 'mismatch.recover',
      amount: 1,
    })
  })

  test('repeated with its Idempotency-Key is one withdrawal, and another under its key is refused', async () => {
    const { user, payment_method_id } = await payee('mock')
    const headers = { 'Idempotency-Key': 'withdraw-once' }
    const wanted = { amount: 100, payment_method_id }
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => withdraw(wallets, user, wanted, { as: user, headers })),
    )
    expect(new Set(answers.map(({ body }) => body.transaction_id)).size).toBe(1)
    expect(answers.filter(({ headers }) => headers.get('idempotency-replayed') === 'true')).toHaveLength(4)
    const other = await withdraw(wallets, user, { ...wanted, amount: 101 }, { as: user, headers })
    expect(other.body).toMatchObject({ error: 'IdempotencyKeyReused' })
    expect((await purse(wallets, user)).balance).toBe('900.00')
  })
})

describe('a withdrawal is refused by name', () => {
  test('when there is less in the wallet, with what is available', async () => {
    const { user, payment_method_id } = await payee('mock')
    const { status, body } = await withdraw(wallets, user, { amount: '1000.01', payment_method_id })
    expect(status).toBe(400)
    expect(body).toMatchObject({
      code: 'PAY_002',
      refusal: 'payment.insufficient',
      message: 'Insufficient wallet balance: 1000.01 INR wanted, 1000.00 available.',
    })
    expect(await wallets.transactions(user, 'WITHDRAWAL')).toEqual([])
  })

  test('when the user has no wallet yet, in any currency or in this one', async () => {
    const nobody = wallets.user()
    const method = await bank(nobody, 'mock', 'mock_account')
    const first = await withdraw(wallets, nobody, { amount: 1, payment_method_id: method })
    expect(first.body).toMatchObject({ code: 'PAY_002' })
    expect(first.body.message).toContain('0.00 available')

    const { user, payment_method_id } = await payee('mock')
    const other = await withdraw(wallets, user, { amount: 1, currency: 'USD', payment_method_id })
    expect(other.body).toMatchObject({ code: 'PAY_002' })
    expect(other.body.message).toContain('0.00 available')
  })

  test('when its gateway pays nobody out by this method, or in this currency', async () => {
    const { user } = await payee('razorpay')
    const card = await wallets.addMethod(user, 'razorpay', 'token_sandbox_visa')
    const byCard = await withdraw(wallets, user, { amount: 10, payment_method_id: card })
    expect(byCard.status).toBe(400)
    expect(byCard.body).toMatchObject({ error: 'PaymentMethodUnsupported', code: 'PAY_003' })
    expect(byCard.body.message).toMatch(/razorpay does not offer payouts by card in INR/i)

    const account = await bank(user, 'paystack', 'RCP_account')
    const inRupees = await withdraw(wallets, user, { amount: 10, payment_method_id: account })
    expect(inRupees.body.message).toMatch(/paystack does not offer payouts by bank_transfer in INR/i)
    expect(await purse(wallets, user)).toEqual({ balance: '1000.00', locked: '0.00', available: '1000.00' })
  })

  test('when its method was removed, is somebody else’s, or never was', async () => {
    const { user, payment_method_id } = await payee('mock')
    const other = await payee('mock')
    const removed = await wallets.bursar.do('DELETE', `/api/v1/payments/methods/${payment_method_id}`, undefined, {
      as: user,
    })
    expect(removed.status).toBe(200)
    for (const method of [payment_method_id, other.payment_method_id, 'pm_00000000000000000000000000000000']) {
      const { status, body } = await withdraw(wallets, user, { amount: 10, payment_method_id: method })
      expect(status).toBe(404)
      expect(body).toMatchObject({ error: 'PaymentMethodNotFound', code: 'PAY_003' })
    }
  })

  test('when its amount is none, with every problem said at once', async () => {
    const { user, payment_method_id } = await payee('mock')
    for (const amount of [0, -1, '1.005', 'ten', 1e21, null]) {
      const { status, body } = await withdraw(wallets, user, { amount, payment_method_id })
      expect(status, String(amount)).toBe(422)
      expect(body.detail[0].loc, String(amount)).toEqual(['body', 'amount'])
    }
    const { body } = await withdraw(wallets, user, { amount: 0 })
    expect(body.detail).toHaveLength(2)
  })

  test('when the user asks more than three times in ten minutes, with when to come back', async () => {
    const { user, payment_method_id } = await payee('mock')
    const ask = () => withdraw(wallets, user, { amount: 10, payment_method_id }, { as: user, roles: ['user'] })
    for (let times = 0; times < 3; times++) expect((await ask()).status).toBe(200)
    const fourth = await ask()
    expect(fourth.status).toBe(429)
    expect(Number(fourth.headers.get('retry-after'))).toBeGreaterThan(300)
    expect((await purse(wallets, user)).balance).toBe('970.00')
  })
})

describe('somebody else’s withdrawal', () => {
  test('is not found by its id, and nobody withdraws for another user', async () => {
    const { user, payment_method_id } = await payee('mock')
    const { body } = await withdraw(wallets, user, { amount: 10, payment_method_id })
    const own = await wallets.bursar.get(`/api/v1/payments/withdrawals/${body.withdrawal_id}/status`, { as: user })
    expect(own.body.status).toBe('COMPLETED')
    const foreign = await wallets.bursar.get(`/api/v1/payments/withdrawals/${body.withdrawal_id}/status`, {
      as: wallets.user(),
    })
    expect(foreign.status).toBe(404)
    const meddling = await withdraw(
      wallets,
      user,
      { amount: 10, payment_method_id },
      { as: wallets.user(), roles: ['user'] },
    )
    expect(meddling.status).toBe(403)
    expect((await purse(wallets, user)).balance).toBe('990.00')
  })

  test('no other transaction is a withdrawal, and no text that is no id is one', async () => {
    const { user } = await payee('mock')
    const [deposit] = await wallets.transactions(user, 'DEPOSIT')
    for (const id of [deposit.id, 'txn_00000000000000000000000000000000', 'nonsense', '%00'])
      expect((await statusOf(id)).status, id).toBe(404)
  })
})

test('after all of this the gateways, the books and we agree', () => wallets.expectAllInOrder())

describe('while a gateway is away', () => {
  test('that hangs up on everybody, what may have been sent is kept aside until it is known never to have come', async () => {
    const { user, payment_method_id } = await payee('mock')
    await wallets.mock.mood('POST /payouts', 'hang_up')
    const { body } = await withdraw(wallets, user, { amount: 700, payment_method_id })
    expect(body.status).toBe('PENDING')
    await look(wallets, body.transaction_id)
    // Not there now: it may still be on its way.
    expect((await purse(wallets, user)).locked).toBe('700.00')
    wallets.bursar.clock.advance({ seconds: 15 * 60 })
    expect(await wallets.follow()).toBeGreaterThan(0)
    expect(await wallets.transaction(body.transaction_id)).toMatchObject({
      status: 'FAILED',
      failure_code: 'never_received',
    })
    expect(await purse(wallets, user)).toEqual({ balance: '1000.00', locked: '0.00', available: '1000.00' })
    expect(await usedToday(wallets, user)).toBe('1000.00')
  })

  test('and nothing can be sent, the user is told so, and everything is free again', async () => {
    const { user, payment_method_id } = await payee('mock')
    await wallets.mock.mood('POST /payouts', 'limit', 100)
    const { status, body } = await withdraw(wallets, user, { amount: 700, payment_method_id })
    expect(status).toBe(502)
    expect(body).toMatchObject({ error: 'GatewayUnavailable', code: 'PAY_004', refusal: 'payment.gatewayUnavailable' })
    expect(await purse(wallets, user)).toEqual({ balance: '1000.00', locked: '0.00', available: '1000.00' })
    expect(await usedToday(wallets, user)).toBe('1000.00')
    expect(await wallets.transactions(user, 'WITHDRAWAL')).toMatchObject([{ status: 'FAILED' }])
    await wallets.mock.behave()
    // Its circuit stays open for half a minute, so that whoever asks meanwhile is told at once.
    wallets.bursar.clock.advance({ seconds: 31 })
    const again = await withdraw(wallets, user, { amount: 700, payment_method_id })
    expect(again.body).toMatchObject({ status: 'COMPLETED' })
    await wallets.expectAllInOrder()
  })
})
