import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type GatewayName, gatewayNames } from '../src/gateways/port.ts'
import { Wallets } from './support/wallets.ts'

const DAY = 86_400

let wallets: Wallets

beforeAll(async () => {
  wallets = await Wallets.start()
  // It signs by the real clock, which is days behind here.
  await wallets.mock.webhooks({ mode: 'drop' })
})
afterAll(() => wallets.stop())

const email = 'ada@example.com'
const waiting = {
  mock: { token: 'mock_3ds', currency: 'INR', amount: 200 },
  stripe: { token: 'pm_card_threeDSecure2Required', currency: 'USD', amount: 20 },
  paystack: { token: 'AUTH_3ds', currency: 'NGN', amount: 2_000 },
  razorpay: { token: 'token_sandbox_visa', currency: 'INR', amount: 200 },
} as const satisfies Record<GatewayName, { token: string; currency: string; amount: number }>

/** A deposit that waits for its customer. */
async function waitsAt(gateway: GatewayName) {
  const user = wallets.user()
  const { token, currency, amount } = waiting[gateway]
  const payment_method_id = await wallets.addMethod(user, gateway, token)
  const { body } = await wallets.deposit(user, {
    ...{ amount, currency, payment_method_id, gateway, email },
    return_url: 'https://example.com/back',
  })
  expect(body, JSON.stringify(body)).toMatchObject({ status: 'PENDING' })
  const [attempt] = await wallets.attempts(body.transaction_id)
  return { user, currency, amount, transaction: body.transaction_id as string, charge: attempt.gateway_id as string }
}

/** A day goes by, and the minutes in which it is noticed. */
async function dayGoesBy(transaction: string): Promise<void> {
  await wallets.pass(DAY)
  await expect
    .poll(async () => {
      await wallets.pass(60)
      await wallets.follow()
      return (await wallets.transaction(transaction)).status
    })
    .toBe('EXPIRED')
}

const takenFromLimits = async (user: string): Promise<number> => {
  const { rows } = await wallets.bursar.pool.query(
    'select coalesce(sum(used), 0)::float as used from limit_use where user_id = $1',
    [user],
  )
  return rows[0].used
}

describe('a deposit whose customer never comes back', () => {
  test.each(gatewayNames)('expires at %s after a day: what it took of the limits is free again', async (gateway) => {
    const { user, transaction, currency } = await waitsAt(gateway)
    await wallets.pass(DAY - 60)
    await wallets.follow()
    expect(await wallets.transaction(transaction)).toMatchObject({ status: 'PENDING' })
    expect(await takenFromLimits(user)).toBeGreaterThan(0)
    await wallets.pass(120)
    await wallets.follow()
    expect(await wallets.transaction(transaction)).toMatchObject({
      status: 'EXPIRED',
      completed_at: expect.any(String),
    })
    expect(await takenFromLimits(user)).toBe(0)
    expect(await wallets.balance(user, currency)).toMatchObject({ balance: '0.00' })
    expect(await wallets.follow()).toBe(0)
  })

  test.each(['mock', 'stripe'] as const)('is called off at %s, so that nobody can pay it any more', async (gateway) => {
    const { user, transaction, charge, currency } = await waitsAt(gateway)
    await dayGoesBy(transaction)
    await wallets[gateway].customer(charge, 'approve')
    await wallets.bursar.quiet()
    const { charges } = await wallets[gateway].done()
    expect(charges.filter(({ id, times }) => id === charge && times > 0)).toEqual([])
    expect(await wallets.balance(user, currency)).toMatchObject({ balance: '0.00' })
    expect(await wallets.transaction(transaction)).toMatchObject({ status: 'EXPIRED' })
  })

  test.each(['razorpay', 'paystack'] as const)(
    'and who pays late all the same at %s gets it back by itself, through suspense',
    async (gateway) => {
      const { user, transaction, charge, currency, amount } = await waitsAt(gateway)
      await wallets.pass(DAY + 60)
      await wallets.follow()
      expect(await wallets.transaction(transaction)).toMatchObject({ status: 'EXPIRED' })

      const received = await wallets.bursar.transfers('suspense.receive')
      if (gateway === 'razorpay') await wallets.razorpay.checkout(charge, { method: 'upi', vpa: 'success@razorpay' })
      else await wallets.paystack.customer(charge, 'approve')
      await expect.poll(async () => (await wallets.transactions(user, 'RETURN')).length).toBe(1)
      await wallets.bursar.quiet()
      expect(await wallets.bursar.transfers('suspense.receive')).toBe(received + 1)
      expect(await wallets.transaction(transaction)).toMatchObject({ status: 'EXPIRED' })
      expect(await wallets.balance(user, currency)).toMatchObject({ balance: '0.00' })
      for (let minute = 0; minute < 5; minute++) {
        await wallets.pass(120)
        await wallets.follow()
      }
      expect(await wallets.transactions(user, 'RETURN')).toEqual([
        expect.objectContaining({ status: 'COMPLETED', amount: `${amount}.00`, reference_id: transaction }),
      ])
      expect(await suspense(currency)).toBe('0')
    },
  )

  test('who pays in the last moment, while it cannot be called off, is credited', async () => {
    const { user, transaction, charge, currency } = await waitsAt('stripe')
    await wallets.pass(DAY + 60)
    await wallets.stripe.mood('POST /v1/payment_intents/', 'fail', 4)
    await wallets.follow()
    await wallets.stripe.behave()
    expect(await wallets.transaction(transaction)).toMatchObject({ status: 'PENDING' })
    await wallets.stripe.customer(charge, 'approve')
    await expect.poll(async () => (await wallets.transaction(transaction)).status).toBe('COMPLETED')
    expect(await wallets.balance(user, currency)).toMatchObject({ balance: '20.00' })
  })
})

describe('money that came late', () => {
  test('goes back even if the gateway cannot be reached at first', async () => {
    const { user, transaction, charge } = await waitsAt('razorpay')
    await dayGoesBy(transaction)
    await wallets.razorpay.mood('POST /v1/payments/', 'limit', 3)
    await wallets.razorpay.checkout(charge, { method: 'upi', vpa: 'success@razorpay' })
    await expect.poll(async () => (await wallets.transactions(user, 'RETURN')).length).toBe(1)
    await wallets.bursar.quiet()
    for (let minute = 0; minute < 5; minute++) {
      await wallets.pass(120)
      await wallets.follow()
    }
    expect(await wallets.transactions(user, 'RETURN')).toEqual([expect.objectContaining({ status: 'COMPLETED' })])
    await wallets.razorpay.behave()
  })

  test('is given back once, even if the answer to that is lost', async () => {
    const { user, transaction, charge } = await waitsAt('razorpay')
    await dayGoesBy(transaction)
    await wallets.razorpay.mood('POST /v1/payments/', 'lose_answer', 1)
    await wallets.razorpay.checkout(charge, { method: 'upi', vpa: 'success@razorpay' })
    await expect.poll(async () => (await wallets.transactions(user, 'RETURN')).length).toBe(1)
    await wallets.bursar.quiet()
    for (let minute = 0; minute < 5; minute++) {
      await wallets.pass(120)
      await wallets.follow()
    }
    const [back] = await wallets.transactions(user, 'RETURN')
    expect(back).toMatchObject({ status: 'COMPLETED' })
    const [attempt] = await wallets.attempts(back.id)
    const { refunds } = await wallets.razorpay.done()
    expect(refunds.filter(({ reference }) => reference === attempt.id)).toEqual([expect.objectContaining({ times: 1 })])
  })
})

describe('a deposit that the gateway is still working on', () => {
  test('does not expire: it is credited whenever the bank says yes', async () => {
    const user = wallets.user()
    const payment_method_id = await wallets.addMethod(user, 'mock', 'mock_pending')
    await wallets.mock.mood('POST /charges', 'stay_pending')
    const { body } = await wallets.deposit(user, { amount: 100, payment_method_id, gateway: 'mock' })
    expect(body).toMatchObject({ status: 'PENDING' })
    wallets.bursar.clock.advance({ seconds: 3 * DAY })
    await wallets.follow()
    expect(await wallets.transaction(body.transaction_id)).toMatchObject({ status: 'PENDING' })
    await wallets.pass(DAY)
    await wallets.follow()
    expect(await wallets.transaction(body.transaction_id)).toMatchObject({ status: 'COMPLETED' })
    expect(await wallets.balance(user)).toMatchObject({ balance: '100.00' })
  })

  test.each([
    ['mock_late_failure', 'FAILED'],
    ['mock_unheard_of', 'COMPLETED'],
  ])('with %s is %s in the end, and a status that nobody knows is never a success', async (token, end) => {
    const user = wallets.user()
    const payment_method_id = await wallets.addMethod(user, 'mock', token)
    const { body } = await wallets.deposit(user, { amount: 100, payment_method_id, gateway: 'mock' })
    expect(body).toMatchObject({ status: 'PENDING' })
    expect(await wallets.balance(user)).toMatchObject({ balance: '0.00' })
    await wallets.pass(120)
    await wallets.follow()
    expect(await wallets.transaction(body.transaction_id)).toMatchObject({ status: end })
    expect(await takenFromLimits(user)).toBe(end === 'FAILED' ? 0 : 20_000)
  })
})

describe('a saved method', () => {
  test('can be used through the last day of its month, and then is PAY_003', async () => {
    const user = wallets.user()
    const now = wallets.bursar.clock.now()
    const month = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1))
    const added = await wallets.bursar.do(
      'POST',
      '/api/v1/payments/methods',
      {
        ...{ type: 'WALLET', gateway: 'mock', token: 'mock_wallet' },
        metadata: { expiry_month: month.getUTCMonth() + 1, expiry_year: month.getUTCFullYear() },
      },
      { as: user },
    )
    expect(added.status, JSON.stringify(added.body)).toBe(200)
    const pay = () => wallets.deposit(user, { amount: 10, payment_method_id: added.body.id, gateway: 'mock' })
    expect(await pay()).toMatchObject({ body: { status: 'COMPLETED' } })
    const over = Date.UTC(month.getUTCFullYear(), month.getUTCMonth() + 1, 1, 13)
    wallets.bursar.clock.advance({ seconds: (over - wallets.bursar.clock.now().getTime()) / 1_000 })
    expect(await pay()).toMatchObject({ status: 400, body: { code: 'PAY_003', refusal: 'payment.methodExpired' } })
  })
})

test('all of this leaves the books in order, and nothing in suspense', async () => {
  await wallets.expectAllInOrder()
  for (const currency of ['INR', 'USD', 'NGN']) expect(await suspense(currency)).toBe('0')
})

describe('money that was given back', () => {
  test('that its bank sends back again waits in suspense for a person, and the ledger check names it when it stays', async () => {
    const { user, transaction, charge } = await waitsAt('paystack')
    await dayGoesBy(transaction)
    await wallets.paystack.mood('POST /refund', 'late_failure', 1)
    await wallets.paystack.customer(charge, 'approve')
    await expect.poll(async () => (await wallets.transactions(user, 'RETURN')).length).toBe(1)
    await wallets.bursar.quiet()
    for (let minute = 0; minute < 5; minute++) {
      await wallets.pass(120)
      await wallets.follow()
    }
    const [back] = await wallets.transactions(user, 'RETURN')
    expect(['FAILED', 'RETURNED']).toContain(back.status)
    expect(await suspense('NGN')).toBe('200000')
    expect(await wallets.balance(user, 'NGN')).toMatchObject({ balance: '0.00' })
    await wallets.bursar.expectCleanBooks()
    wallets.bursar.clock.advance({ seconds: 30 * DAY })
    await expect(wallets.bursar.expectCleanBooks()).rejects.toThrow()
  })
})

/** Minor units that came and belong to nobody yet. */
async function suspense(currency: string): Promise<string> {
  await wallets.ours('ledger.tidy', { period: wallets.bursar.clock.now().toISOString() })
  const { rows } = await wallets.bursar.pool.query(
    `select coalesce(sum(case when credit_id = account.id then amount else -amount end), 0)::text as left
     from account join transfer on account.id in (credit_id, debit_id)
     where purpose = 'suspense' and account.asset = $1`,
    [currency],
  )
  return rows[0].left
}
