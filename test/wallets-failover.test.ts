import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Wallets } from './support/wallets.ts'

let wallets: Wallets

beforeAll(async () => {
  wallets = await Wallets.start()
})
afterAll(async () => {
  await wallets.expectAllInOrder()
  await wallets.stop()
})
beforeEach(async () => {
  for (const gateway of [wallets.stripe, wallets.razorpay, wallets.paystack, wallets.mock]) await gateway.behave()
  // Circuits that the test before has opened have closed again by then.
  await wallets.pass(120)
})

const asked = async (transaction: string) =>
  (await wallets.attempts(transaction)).map(({ gateway, status }) => `${gateway} ${status}`)

const charges = async () => ({
  stripe: (await wallets.stripe.calls())['POST /v1/payment_intents'] ?? 0,
  razorpay: (await wallets.razorpay.calls())['POST /v1/orders'] ?? 0,
  mock: (await wallets.mock.calls())['POST /charges'] ?? 0,
})

describe('a gateway that cannot be asked', () => {
  test('is passed over for the next, and the customer is charged once', async () => {
    const user = wallets.user()
    await wallets.razorpay.mood('*', 'limit', 1_000)
    await wallets.stripe.mood('*', 'limit', 1_000)
    const { body } = await wallets.deposit(user, { amount: 120 })
    expect(body).toMatchObject({ status: 'COMPLETED', gateway: 'MOCK' })
    expect(await asked(body.transaction_id)).toEqual(['razorpay not_sent', 'stripe not_sent', 'mock succeeded'])
    expect(await wallets.balance(user)).toMatchObject({ balance: '120.00' })
    expect(await wallets.transaction(body.transaction_id)).toMatchObject({ gateway: 'MOCK' })
  })

  test('is asked again when all are away, until one of them can be', async () => {
    const user = wallets.user()
    for (const name of ['razorpay', 'stripe', 'mock'] as const) await wallets[name].mood('*', 'limit', 2)
    const { status, body } = await wallets.deposit(user, { amount: 120 })
    expect(status, JSON.stringify(body)).toBe(200)
    const { rows } = await wallets.bursar.pool.query(
      `select attempts from operation where kind = 'deposit.initiate' order by id desc limit 1`,
    )
    expect(rows[0].attempts).toBeGreaterThanOrEqual(1)
    expect(await wallets.transactions(user)).toHaveLength(1)
  })

  test('leaves nothing reserved when all stay away, and is told once as PAY_004', async () => {
    const user = wallets.user()
    for (const name of ['razorpay', 'stripe', 'mock'] as const) await wallets[name].mood('*', 'limit', 1_000)
    const { status, body } = await wallets.deposit(user, { amount: 120 })
    expect({ status, body }).toMatchObject({
      status: 502,
      body: { error: 'GatewayUnavailable', code: 'PAY_004', refusal: 'payment.gatewayUnavailable' },
    })
    const transactions = await wallets.transactions(user)
    expect(transactions).toEqual([expect.objectContaining({ status: 'FAILED' })])
    expect(await wallets.balance(user)).toMatchObject({ balance: '0.00', daily_used: '0.00', monthly_used: '0.00' })
    expect(await wallets.unfinished()).toEqual([])
  })

  test('that the caller has named is the only one that is asked', async () => {
    const user = wallets.user()
    const before = await charges()
    await wallets.razorpay.mood('*', 'limit', 1_000)
    const { status, body } = await wallets.deposit(user, { amount: 120, gateway: 'razorpay' })
    expect({ status, code: body.code }).toEqual({ status: 502, code: 'PAY_004' })
    const after = await charges()
    expect({ stripe: after.stripe, mock: after.mock }).toEqual({ stripe: before.stripe, mock: before.mock })
    expect(await wallets.balance(user)).toMatchObject({ daily_used: '0.00' })
  })

  test('by its own word about itself is passed over, too; by its word about the card it is not', async () => {
    const user = wallets.user()
    const processing = await wallets.addMethod(user, 'stripe', 'pm_card_chargeDeclinedProcessingError')
    const { body } = await wallets.deposit(user, { amount: 20, currency: 'USD', payment_method_id: processing })
    expect(body).toMatchObject({ status: 'PENDING', gateway: 'RAZORPAY' })
    expect((await asked(body.transaction_id)).slice(0, 2)).toEqual(['stripe declined', 'razorpay pending'])

    const poor = await wallets.addMethod(user, 'stripe', 'pm_card_chargeDeclinedInsufficientFunds')
    const answer = await wallets.deposit(user, { amount: 20, currency: 'USD', payment_method_id: poor })
    expect(answer).toMatchObject({ status: 402, body: { refusal: 'payment.declined' } })
    const [last] = await wallets.transactions(user)
    expect((await asked(last.id))[1]).toBe('razorpay created')
  })
})

describe('a gateway that may have charged', () => {
  test('is not passed over: nobody else is asked until it is known, and it is charged once', async () => {
    const user = wallets.user()
    const method = await wallets.addMethod(user, 'stripe', 'pm_card_visa')
    await wallets.stripe.webhooks({ mode: 'drop' })
    // Both of the tries that the client makes under one key.
    await wallets.stripe.mood('POST /v1/payment_intents', 'lose_answer', 2)
    const before = await charges()
    const { body } = await wallets.deposit(user, { amount: 20, currency: 'USD', payment_method_id: method })
    expect(body).toMatchObject({ status: 'PENDING', gateway: 'STRIPE' })
    expect(await asked(body.transaction_id)).toEqual([
      'stripe unknown',
      'razorpay created',
      ...(await asked(body.transaction_id)).slice(2),
    ])
    const after = await charges()
    expect({ razorpay: after.razorpay, mock: after.mock }).toEqual({ razorpay: before.razorpay, mock: before.mock })

    await wallets.stripe.behave()
    await wallets.pass(60)
    await wallets.follow()
    expect(await wallets.transaction(body.transaction_id)).toMatchObject({ status: 'COMPLETED', gateway: 'STRIPE' })
    expect(await wallets.balance(user, 'USD')).toMatchObject({ balance: '20.00' })
    await wallets.stripe.webhooks({ mode: 'send' })
  })

  test('is asked for nothing but the charge: no list is read before it, however long it has become', async () => {
    const user = wallets.user()
    const method = await wallets.addMethod(user, 'stripe', 'pm_card_visa')
    const before = await wallets.stripe.calls()
    await wallets.deposited(user, { amount: 20, currency: 'USD', payment_method_id: method })
    const after = await wallets.stripe.calls()
    expect(after['POST /v1/payment_intents']).toBe((before['POST /v1/payment_intents'] ?? 0) + 1)
    expect(after['GET /v1/payment_intents']).toBe(before['GET /v1/payment_intents'])
  })

  test('and has not, as it turns out, frees the limits once that is certain', async () => {
    const user = wallets.user()
    await wallets.mock.mood('POST /charges', 'hang_up')
    const { body } = await wallets.deposit(user, { amount: 50, gateway: 'mock' })
    expect(body).toMatchObject({ status: 'PENDING' })
    await wallets.pass(10)
    await wallets.follow()
    expect(await wallets.transaction(body.transaction_id)).toMatchObject({ status: 'PENDING' })
    expect(await wallets.balance(user)).toMatchObject({ daily_used: '50.00' })
    for (let minute = 0; minute < 30; minute++) {
      await wallets.pass(60)
      await wallets.follow()
    }
    expect(await wallets.transaction(body.transaction_id)).toMatchObject({
      status: 'FAILED',
      failure_code: 'never_received',
    })
    expect(await wallets.balance(user)).toMatchObject({ balance: '0.00', daily_used: '0.00' })
  })
})

describe('the circuit of a gateway', () => {
  test('opens after five answers in a row that say nothing: then it is not asked at all, and tried anew after a rest', async () => {
    const user = wallets.user()
    await wallets.deposited(user, { amount: 10, gateway: 'mock' })
    await wallets.mock.mood('POST /charges', 'fail', 5)
    for (let n = 0; n < 5; n++)
      expect((await wallets.deposit(user, { amount: 10, gateway: 'mock' })).body).toMatchObject({ status: 'PENDING' })
    const before = (await charges()).mock
    expect(await wallets.deposit(user, { amount: 10, gateway: 'mock' })).toMatchObject({
      status: 502,
      body: { code: 'PAY_004' },
    })
    expect((await charges()).mock).toBe(before)
    expect(wallets.bursar.foundation.gateways.get('mock')?.circuit.state).toBe('open')

    await wallets.pass(31)
    expect(await wallets.deposit(user, { amount: 10, gateway: 'mock' })).toMatchObject({
      status: 200,
      body: { status: 'COMPLETED' },
    })
    expect(wallets.bursar.foundation.gateways.get('mock')?.circuit.state).toBe('closed')
  })

  test('that is open sends the next customers to another gateway', async () => {
    await wallets.razorpay.mood('*', 'limit', 1_000)
    for (let n = 0; n < 2; n++)
      expect(await wallets.deposit(wallets.user(), { amount: 10, gateway: 'razorpay' })).toMatchObject({ status: 502 })
    await wallets.razorpay.behave()
    const { body } = await wallets.deposit(wallets.user(), { amount: 10 })
    expect(body).toMatchObject({ gateway: 'STRIPE' })
  })
})
