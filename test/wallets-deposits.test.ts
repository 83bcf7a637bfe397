import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BACKEND, Wallets } from './support/wallets.ts'

const INITIATE = '/api/v1/payments/deposits/initiate'
const CONFIRM = '/api/v1/payments/deposits/confirm'

let wallets: Wallets

beforeAll(async () => {
  wallets = await Wallets.start()
})
afterAll(async () => {
  await wallets.expectAllInOrder()
  await wallets.stop()
})

describe('a deposit', () => {
  test('with a saved method at the mock gateway is credited at once, and listed', async () => {
    const { bursar } = wallets
    const user = wallets.user()
    const added = await bursar.do(
      'POST',
      '/api/v1/payments/methods',
      {
        type: 'CARD',
        gateway: 'mock',
        token: 'mock_card',
        metadata: { last_four: '4242', brand: 'VISA', expiry_month: 12, expiry_year: 2030 },
      },
      { as: user },
    )
    expect(added.status, JSON.stringify(added.body)).toBe(200)
    const answer = await bursar.do(
      'POST',
      INITIATE,
      { amount: 1000.0, payment_method_id: added.body.id, gateway: 'mock', description: 'Wallet top-up' },
      { as: user },
    )
    expect(answer.body).toMatchObject({ success: true, status: 'COMPLETED', amount: '1000.00', currency: 'INR' })
    const { body } = await bursar.get('/api/v1/payments/wallet/balance', { as: user })
    expect(body).toEqual({
      balance: '1000.00',
      locked_balance: '0.00',
      available_balance: '1000.00',
      daily_limit: '10000.00',
      daily_used: '1000.00',
      daily_remaining: '9000.00',
      monthly_limit: '100000.00',
      monthly_used: '1000.00',
      monthly_remaining: '99000.00',
      single_transaction_limit: '5000.00',
      kyc_level: 'BASIC',
      currency: 'INR',
    })
    const list = await bursar.get(
      '/api/v1/payments/wallet/transactions?skip=0&limit=20&type=DEPOSIT&status=COMPLETED',
      {
        as: user,
      },
    )
    expect(list.body).toMatchObject({ total: 1, has_more: false })
    expect(list.body.transactions[0]).toMatchObject({
      id: answer.body.transaction_id,
      amount: '1000.00',
      type: 'DEPOSIT',
      status: 'COMPLETED',
      description: 'Wallet top-up',
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      completed_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    })
  })

  test('with a card that Stripe keeps is charged without its owner, in the currency of the request', async () => {
    const user = wallets.user()
    const method = await wallets.addMethod(user, 'stripe', 'pm_card_visa')
    const { status, body } = await wallets.deposit(user, {
      amount: '25.10',
      currency: 'usd',
      payment_method_id: method,
    })
    expect({ status, body }).toMatchObject({
      status: 200,
      body: { success: true, status: 'COMPLETED', amount: '25.10', currency: 'USD', gateway: 'STRIPE' },
    })
    expect(await wallets.balance(user, 'USD')).toMatchObject({ balance: '25.10', currency: 'USD' })
    const { charges } = await wallets.stripe.done()
    expect(charges).toContainEqual(expect.objectContaining({ id: body.order_id, amount: 2_510, times: 1 }))
  })

  test('through Razorpay’s checkout takes the documented way: order, payment in the browser, confirmation', async () => {
    const { bursar, razorpay } = wallets
    const user = wallets.user()
    const method = await wallets.addMethod(user, 'razorpay', 'token_sandbox_visa')
    const begun = await bursar.do(
      'POST',
      INITIATE,
      { amount: 1000.0, payment_method_id: method, gateway: 'razorpay', description: 'Wallet top-up' },
      { as: user },
    )
    expect(begun.status).toBe(200)
    expect(begun.body).toMatchObject({
      success: true,
      transaction_id: expect.stringMatching(/^txn_/),
      order_id: expect.stringMatching(/^order_/),
      amount: '1000.00',
      currency: 'INR',
      checkout_url: 'https://checkout.razorpay.com/v1/checkout.js',
      key: 'rzp_test_sandbox',
      gateway: 'RAZORPAY',
    })
    expect(await wallets.balance(user)).toMatchObject({ balance: '0.00', daily_used: '1000.00' })

    await razorpay.webhooks({ mode: 'drop' })
    const paid = await razorpay.checkout(begun.body.order_id, { method: 'card', card: '4111111111111111' })
    await razorpay.webhooks({ mode: 'send' })
    const confirmed = await bursar.do(
      'POST',
      CONFIRM,
      {
        transaction_id: begun.body.transaction_id,
        gateway_payment_id: paid.body.razorpay_payment_id,
        gateway_data: {
          razorpay_order_id: paid.body.razorpay_order_id,
          razorpay_signature: paid.body.razorpay_signature,
        },
      },
      { as: user },
    )
    expect(confirmed.body).toEqual({
      success: true,
      transaction_id: begun.body.transaction_id,
      status: 'COMPLETED',
      amount: '1000.00',
      currency: 'INR',
    })
    expect(await wallets.balance(user)).toMatchObject({ balance: '1000.00' })
  })

  test.each([
    ['upi', { vpa: 'success@razorpay' }],
    ['netbanking', { bank: 'HDFC' }],
    ['wallet', { wallet: 'payzapp' }],
    ['bank_transfer', {}],
  ])('by %s goes through Razorpay, and its webhook alone credits it', async (method, by) => {
    const user = wallets.user()
    const { body } = await wallets.deposit(user, { amount: '250', method })
    expect(body).toMatchObject({ status: 'PENDING', gateway: 'RAZORPAY' })
    const paid = await wallets.razorpay.checkout(body.order_id, { method, ...by })
    expect(paid.status).toBe(200)
    await expect.poll(async () => (await wallets.balance(user)).balance).toBe('250.00')
    expect(await wallets.transaction(body.transaction_id)).toMatchObject({
      status: 'COMPLETED',
      method: method.toUpperCase(),
      gateway: 'RAZORPAY',
      gateway_transaction_id: paid.body.razorpay_payment_id,
    })
  })

  test('in naira goes to Paystack: by a saved card at once, without one on its page', async () => {
    const { paystack } = wallets
    const user = wallets.user()
    const method = await wallets.addMethod(user, 'paystack', 'AUTH_visa')
    const email = 'ada@example.com'
    const saved = await wallets.deposit(user, { amount: 5000, currency: 'NGN', payment_method_id: method, email })
    expect(saved.body).toMatchObject({ status: 'COMPLETED', gateway: 'PAYSTACK', amount: '5000.00' })

    const begun = await wallets.deposit(user, { amount: 5000, currency: 'NGN', email, gateway: 'paystack' })
    expect(begun.body).toMatchObject({ status: 'PENDING', gateway: 'PAYSTACK' })
    expect(begun.body.checkout_url).toMatch(/^https?:/)
    await paystack.webhooks({ mode: 'drop' })
    await paystack.customer(begun.body.order_id, 'approve')
    await paystack.webhooks({ mode: 'send' })
    const { body } = await wallets.confirm(user, {
      transaction_id: begun.body.transaction_id,
      gateway_payment_id: begun.body.order_id,
      gateway_data: { reference: begun.body.order_id },
    })
    expect(body).toMatchObject({ status: 'COMPLETED' })
    expect(await wallets.balance(user, 'NGN')).toMatchObject({ balance: '10000.00' })
  })

  test('in yen is asked for without decimals, in dinars with up to three, and answered with two at least', async () => {
    const user = wallets.user()
    const yen = await wallets.deposit(user, { amount: 1500, currency: 'JPY', gateway: 'mock' })
    expect(yen.body).toMatchObject({ status: 'COMPLETED', amount: '1500.00', currency: 'JPY' })
    const dinars = await wallets.deposit(user, { amount: '12.345', currency: 'KWD', gateway: 'mock' })
    expect(dinars.body).toMatchObject({ status: 'COMPLETED', amount: '12.345', currency: 'KWD' })
    expect(await wallets.balance(user, 'JPY')).toMatchObject({ balance: '1500.00' })
    expect(await wallets.balance(user, 'KWD')).toMatchObject({ balance: '12.345' })
  })

  test('of the same key from another address or device is the same request, and of another body is refused', async () => {
    const user = wallets.user()
    const send = (amount: number, device: string) =>
      wallets.deposit(
        user,
        { amount, gateway: 'mock' },
        { headers: { Prefer: 'wait=30', 'Idempotency-Key': `top-up of ${user}`, 'User-Agent': device } },
      )
    const first = await send(100, 'a telephone')
    const again = await send(100, 'a tablet')
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    expect(again.body).toEqual(first.body)
    expect(await send(101, 'a telephone')).toMatchObject({ status: 422, body: { error: 'IdempotencyKeyReused' } })
    expect(await wallets.transactions(user)).toHaveLength(1)
    expect(await wallets.balance(user)).toMatchObject({ balance: '100.00' })
  })

  test('that twenty send at once with one key is made once', async () => {
    const user = wallets.user()
    const key = { Prefer: 'wait=30', 'Idempotency-Key': `storm of ${user}` }
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => wallets.deposit(user, { amount: 70, gateway: 'mock' }, { headers: key })),
    )
    expect(new Set(answers.map(({ body }) => body.transaction_id)).size).toBe(1)
    expect(await wallets.balance(user)).toMatchObject({ balance: '70.00' })
  })
})

describe('an amount', () => {
  test.each([
    ['1000.005', 1000.005, 'INR', /2 decimals/],
    ['"1000.005"', '1000.005', 'INR', /2 decimals/],
    ['10.5 yen', 10.5, 'JPY', /0 decimals/],
    ['1.2345 dinars', '1.2345', 'KWD', /3 decimals/],
    ['zero', 0, 'INR', /.+/],
    ['"0.00"', '0.00', 'INR', /greater than 0/],
    ['less than nothing', -5, 'INR', /.+/],
    ['"-5"', '-5', 'INR', /.+/],
    ['more than there is money', '99999999999999999999', 'INR', /.+/],
    ['what JSON cannot hold', '1e400', 'INR', /.+/],
    ['no number', 'ten', 'INR', /.+/],
    ['nothing', null, 'INR', /.+/],
  ])('of %s is refused at the door, and nothing is begun', async (_name, amount, currency, problem) => {
    const user = wallets.user()
    const { status, body } = await wallets.deposit(user, { amount, currency, gateway: 'mock' })
    expect(status).toBe(422)
    const about = body.detail.filter(({ loc }: { loc: string[] }) => loc.includes('amount'))
    expect(about.length).toBeGreaterThan(0)
    expect(about[0].msg).toMatch(problem)
    expect(await wallets.transactions(user)).toEqual([])
  })

  test('that lost digits in JSON is refused instead of guessed', async () => {
    const user = wallets.user()
    const { status } = await wallets.bursar.ask('POST', INITIATE, {
      body: `{"user_id": "${user}", "amount": 9007199254740993.01, "gateway": "mock"}`,
      ...BACKEND,
    })
    expect(status).toBe(422)
  })

  test('as number and as text is the same money', async () => {
    const user = wallets.user()
    for (const amount of [100.1, '100.10', '100.1', ' 100.10 '])
      expect(await wallets.deposit(user, { amount, gateway: 'mock' })).toMatchObject({ body: { amount: '100.10' } })
    expect(await wallets.balance(user)).toMatchObject({ balance: '400.40' })
  })

  test('below what the gateway takes is PAY_001 with the least, and takes nothing from the limits', async () => {
    const user = wallets.user()
    const { status, body } = await wallets.deposit(user, { amount: '0.50', gateway: 'razorpay' })
    expect({ status, code: body.code, refusal: body.refusal }).toEqual({
      status: 400,
      code: 'PAY_001',
      refusal: 'payment.belowMinimum',
    })
    expect(body.message).toContain('1.00 INR')
    expect(await wallets.balance(user)).toMatchObject({ daily_used: '0.00' })
    expect(await wallets.transactions(user)).toEqual([])
  })

  test('over the single, daily or monthly limit of the KYC level is PAY_005', async () => {
    const user = wallets.user()
    expect(await wallets.deposit(user, { amount: '5000.01', gateway: 'mock' })).toMatchObject({
      status: 400,
      body: { code: 'PAY_005', refusal: 'payment.overSingleLimit' },
    })
    await wallets.deposited(user, { amount: 5000, gateway: 'mock' })
    await wallets.deposited(user, { amount: 4000, gateway: 'mock' })
    const { body } = await wallets.deposit(user, { amount: '1000.01', gateway: 'mock' })
    expect(body).toMatchObject({ code: 'PAY_005', refusal: 'payment.overDailyLimit' })
    expect(body.message).toContain('1000.00')
    await wallets.deposited(user, { amount: 1000, gateway: 'mock' })
    expect(await wallets.balance(user)).toMatchObject({ daily_remaining: '0.00' })
  })

  test('that many ask for at once never passes the daily limit together', async () => {
    const user = wallets.user()
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => wallets.deposit(user, { amount: 1500, gateway: 'mock' })),
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(6)
    expect(answers.filter(({ body }) => body.refusal === 'payment.overDailyLimit')).toHaveLength(6)
    expect(await wallets.balance(user)).toMatchObject({ balance: '9000.00', daily_used: '9000.00' })
  })
})

describe('a payment method', () => {
  test('that no gateway offers is refused by name as PAY_003', async () => {
    const user = wallets.user()
    const { status, body } = await wallets.deposit(user, { amount: 10, method: 'netbanking', gateway: 'stripe' })
    expect({ status, body }).toMatchObject({
      status: 400,
      body: { error: 'PaymentMethodUnsupported', code: 'PAY_003', refusal: 'payment.methodUnsupported' },
    })
    expect(body.message).toBe('stripe does not offer charges by netbanking in INR.')
    expect(await wallets.balance(user)).toMatchObject({ daily_used: '0.00' })
  })

  test('that is unknown, somebody else’s or removed is not found: PAY_003', async () => {
    const [user, other] = [wallets.user(), wallets.user()]
    const foreign = await wallets.addMethod(other, 'mock', 'mock_card')
    const removed = await wallets.addMethod(user, 'mock', 'mock_card')
    const gone = await wallets.bursar.do('DELETE', `/api/v1/payments/methods/${removed}`, undefined, { as: user })
    expect(gone.body).toMatchObject({ success: true, id: removed })
    for (const id of [foreign, removed, 'pm_0198c9f24d5e7c3aa1b2c3d4e5f60718', 'nothing like it'])
      expect(await wallets.deposit(user, { amount: 10, payment_method_id: id }), id).toMatchObject({
        status: 404,
        body: { code: 'PAY_003', refusal: 'payment.methodNotFound' },
      })
    expect(await wallets.transactions(user)).toEqual([])
  })

  test('that has expired by the gateway’s own word is refused when it is added', async () => {
    const answer = await wallets.bursar.do(
      'POST',
      '/api/v1/payments/methods',
      { type: 'CARD', gateway: 'mock', token: 'mock_expired', metadata: { expiry_month: 12, expiry_year: 2040 } },
      { as: wallets.user() },
    )
    expect(answer).toMatchObject({ status: 400, body: { code: 'PAY_003', refusal: 'payment.methodExpired' } })
  })

  test('that the gateway does not know, or that was added before, is refused', async () => {
    const user = wallets.user()
    const add = (token: string) =>
      wallets.bursar.do('POST', '/api/v1/payments/methods', { type: 'CARD', gateway: 'mock', token }, { as: user })
    expect(await add('mock_unknown')).toMatchObject({ status: 400, body: { refusal: 'payment.methodUnusable' } })
    expect(await add('mock_card')).toMatchObject({ status: 200 })
    expect(await add('mock_card')).toMatchObject({ status: 409, body: { refusal: 'payment.methodKnown' } })
    const { body } = await wallets.bursar.get('/api/v1/payments/methods', { as: user })
    expect(body.methods).toEqual([
      expect.objectContaining({ type: 'CARD', gateway: 'MOCK', masked: '****-****-****-4242', is_expired: false }),
    ])
    expect(JSON.stringify(body)).not.toContain('mock_card')
  })
})

describe('a declined deposit', () => {
  test.each([
    ['mock', 'mock_insufficient', 'insufficient_funds', 'INR'],
    ['mock', 'mock_stolen', 'stolen_card', 'INR'],
    ['stripe', 'pm_card_visa_chargeDeclinedInsufficientFunds', 'insufficient_funds', 'USD'],
    ['stripe', 'pm_card_visa_chargeDeclinedStolenCard', 'stolen_card', 'USD'],
    ['paystack', 'AUTH_insufficient', 'insufficient_funds', 'NGN'],
    ['paystack', 'AUTH_stolen', 'stolen_card', 'NGN'],
  ] as const)(
    'at %s with %s is PAY_004 with the gateway’s reason, asks nobody else, and frees the limits',
    async (gateway, token, code, currency) => {
      const user = wallets.user()
      const method = await wallets.addMethod(user, gateway, token)
      const amount = currency === 'USD' ? 5 : 500
      const { status, body } = await wallets.deposit(user, {
        ...{ amount, currency, payment_method_id: method, email: 'ada@example.com' },
      })
      expect({ status, body }, JSON.stringify(body)).toMatchObject({
        status: 402,
        body: { error: 'PaymentDeclined', code: 'PAY_004', refusal: 'payment.declined' },
      })
      expect(await wallets.balance(user, currency)).toMatchObject({
        balance: /^0/.exec('0') && '0.00',
        daily_used: '0.00',
      })
      const [transaction] = await wallets.transactions(user)
      expect(transaction).toMatchObject({ status: 'FAILED', failure_code: code })
      const attempts = await wallets.attempts(transaction.id)
      expect(attempts.map((one) => one.status)).toEqual(['declined', ...attempts.slice(1).map(() => 'created')])
    },
  )

  test('on Razorpay’s page may be tried again there until it is paid', async () => {
    const { razorpay } = wallets
    const user = wallets.user()
    const { body } = await wallets.deposit(user, { amount: 300 })
    const failed = await razorpay.checkout(body.order_id, { method: 'card', card: '4100280000080001' })
    expect(failed.status).toBe(400)
    await wallets.bursar.quiet()
    expect(await wallets.transaction(body.transaction_id)).toMatchObject({ status: 'PENDING' })
    await razorpay.checkout(body.order_id, { method: 'card', card: '4111111111111111' })
    await expect.poll(async () => (await wallets.balance(user)).balance).toBe('300.00')
  })
})

describe('somebody else’s', () => {
  test('wallet is 403, and somebody else’s transaction 404', async () => {
    const { bursar } = wallets
    const [owner, other] = [wallets.user(), wallets.user()]
    const id = await wallets.deposited(owner, { amount: 10, gateway: 'mock' })
    const as = { as: other }
    expect(await bursar.do('POST', INITIATE, { user_id: owner, amount: 10, gateway: 'mock' }, as)).toMatchObject({
      status: 403,
    })
    expect(await bursar.get(`/api/v1/payments/wallet/balance?user_id=${owner}`, as)).toMatchObject({ status: 403 })
    expect(await bursar.get(`/api/v1/payments/wallet/transactions?user_id=${owner}`, as)).toMatchObject({ status: 403 })
    expect(await bursar.get(`/api/v1/payments/wallet/transactions/${id}`, as)).toMatchObject({ status: 404 })
    const confirm = { transaction_id: id, gateway_payment_id: 'mock_payment_1' }
    expect(await bursar.do('POST', CONFIRM, confirm, as)).toMatchObject({ status: 404 })
    expect(await bursar.do('POST', CONFIRM, { ...confirm, user_id: owner }, as)).toMatchObject({ status: 403 })
    expect(await wallets.transactions(other)).toEqual([])
  })

  test('deposits are limited to five in five minutes for each user, and back ends are not', async () => {
    const user = wallets.user()
    const statuses: number[] = []
    for (let n = 0; n < 6; n++)
      statuses.push((await wallets.bursar.do('POST', INITIATE, { amount: 1, gateway: 'mock' }, { as: user })).status)
    expect(statuses).toEqual([200, 200, 200, 200, 200, 429])
    expect((await wallets.deposit(user, { amount: 1, gateway: 'mock' })).status).toBe(200)
  })
})
