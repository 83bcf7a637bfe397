import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Answer, Asking } from './support/deployment.ts'
import { everyColumn, foundIn } from './support/haystacks.ts'
import { moveTo, OPERATOR } from './support/tokens.ts'
import { withdraw } from './support/wallet-moves.ts'
import { BACKEND, Wallets } from './support/wallets.ts'

let wallets: Wallets

beforeAll(async () => {
  wallets = await Wallets.start({ env: { LOG_LEVEL: 'trace' } })
  await wallets.midMonth()
})
afterAll(() => wallets.stop())

const METHODS = '/api/v1/payments/methods'

const add = (user: string, body: Record<string, unknown>, asking: Asking = { as: user }): Promise<Answer> =>
  wallets.bursar.do('POST', METHODS, { type: 'CARD', gateway: 'mock', token: 'mock_card', ...body }, asking)

const remove = (id: string, asking: Asking): Promise<Answer> =>
  wallets.bursar.do('DELETE', `${METHODS}/${id}`, undefined, asking)

async function list(user: string): Promise<Answer['body'][]> {
  const { status, body } = await wallets.bursar.get(METHODS, { as: user })
  expect(status).toBe(200)
  return body.methods
}

describe('a payment method', () => {
  test('is kept with what the gateway says of it, and listed masked, newest first', async () => {
    const user = wallets.user()
    const { status, body } = await add(user, {
      gateway: 'MOCK',
      // The gateway knows better.
      metadata: { last_four: '1234', brand: 'VISA', expiry_month: 12, expiry_year: 2031 },
    })
    expect(status, JSON.stringify(body)).toBe(200)
    expect(body).toEqual({
      success: true,
      id: expect.stringMatching(/^pm_[0-9a-f]{32}$/),
      type: 'CARD',
      gateway: 'MOCK',
    })
    const { body: second } = await add(user, {
      gateway: 'paystack',
      token: 'AUTH_second',
      metadata: { last_four: '1234' },
    })
    const methods = await list(user)
    expect(methods).toEqual([
      {
        id: second.id,
        type: 'CARD',
        gateway: 'PAYSTACK',
        masked: '****-****-****-1234',
        last_four: '1234',
        brand: null,
        expiry_month: null,
        expiry_year: null,
        is_expired: false,
        created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      },
      {
        id: body.id,
        type: 'CARD',
        gateway: 'MOCK',
        masked: '****-****-****-4242',
        last_four: '4242',
        brand: 'Mock',
        expiry_month: 12,
        expiry_year: 2034,
        is_expired: false,
        created_at: expect.any(String),
      },
    ])
  })

  test.each([
    ['stripe', 'pm_card_visa', 'CARD', '4242'],
    ['stripe', 'ba_sandbox', 'BANK_TRANSFER', '6789'],
    ['razorpay', 'token_sandbox_visa', 'CARD', '1007'],
    ['razorpay', 'fa_sandbox_bank', 'BANK_TRANSFER', '6789'],
    ['razorpay', 'fa_sandbox_upi', 'UPI', null],
    ['paystack', 'RCP_account', 'BANK_TRANSFER', expect.any(String)],
  ] as const)('may be one of %s (%s), which is asked what it stands for', async (gateway, token, type, lastFour) => {
    const user = wallets.user()
    expect((await add(user, { gateway, token, type })).status).toBe(200)
    expect(await list(user)).toMatchObject([{ gateway: gateway.toUpperCase(), type, last_four: lastFour }])
  })

  test.each([
    ['mock', 'mock_unknown', 'CARD'],
    ['stripe', 'pm_nobodyknows', 'CARD'],
    ['stripe', 'tok_not_a_method', 'CARD'],
    ['stripe', 'ba_nobodyknows', 'BANK_TRANSFER'],
    ['razorpay', 'token_nobodyknows', 'CARD'],
    ['razorpay', 'token_sandbox_upi', 'CARD'],
    ['razorpay', 'token_sandbox_ended', 'CARD'],
    ['razorpay', 'fa_nobodyknows', 'BANK_TRANSFER'],
    ['paystack', 'RCP_unknown', 'BANK_TRANSFER'],
    ['paystack', 'card_token_from_elsewhere', 'CARD'],
  ])('that %s does not know (%s, %s) is refused by name', async (gateway, token, type) => {
    const user = wallets.user()
    const { status, body } = await add(user, { gateway, token, type })
    expect(status, JSON.stringify(body)).toBe(400)
    expect(body).toMatchObject({ error: 'PaymentMethodUnusable', code: 'PAY_003', refusal: 'payment.methodUnusable' })
    expect(body.message).toContain(gateway.toUpperCase())
    expect(await list(user)).toEqual([])
  })

  test('by which the gateway neither charges nor pays out is refused by name', async () => {
    const { status, body } = await add(wallets.user(), { gateway: 'stripe', type: 'UPI', token: 'pm_card_visa' })
    expect(status).toBe(400)
    expect(body).toMatchObject({ error: 'PaymentMethodUnsupported', code: 'PAY_003' })
  })

  test('that its user has is not kept twice, also when both come at once', async () => {
    const user = wallets.user()
    const token = 'mock_one_of_a_kind'
    const answers = await Promise.all(Array.from({ length: 5 }, () => add(user, { token })))
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409, 409, 409, 409])
    const refused = answers.find(({ status }) => status === 409)
    expect(refused?.body).toMatchObject({ error: 'PaymentMethodExists', code: 'PAY_003' })
    expect(await list(user)).toHaveLength(1)
    // The same card may be in two hands, and be kept at two gateways.
    expect((await add(wallets.user(), { token })).status).toBe(200)
  })

  test('that was removed can be used no more, is listed no more, and may be added anew', async () => {
    const user = wallets.user()
    const { body } = await add(user, {})
    expect((await remove(body.id, { as: user })).body).toEqual({ success: true, id: body.id })
    expect(await list(user)).toEqual([])
    const again = await remove(body.id, { as: user })
    expect(again.status).toBe(404)
    expect(again.body).toMatchObject({ error: 'PaymentMethodNotFound', code: 'PAY_003' })
    const deposit = await wallets.deposit(user, { amount: 1, payment_method_id: body.id })
    expect(deposit.body).toMatchObject({ error: 'PaymentMethodNotFound' })
    const { body: anew } = await add(user, {})
    expect(anew.id).not.toBe(body.id)
    expect((await wallets.deposit(user, { amount: 1, payment_method_id: anew.id })).status).toBe(200)
  })

  test('is good to the end of its month, wherever that is last, and refused from then on', async () => {
    const { clock } = wallets.bursar
    const now = clock.now()
    const firstOfNext = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1)
    const metadata = { expiry_month: now.getUTCMonth() + 1, expiry_year: now.getUTCFullYear() }
    const user = wallets.user()
    const email = 'customer@example.com'
    const { body } = await add(user, { gateway: 'paystack', token: 'AUTH_ending', metadata })
    const pay = () => wallets.deposit(user, { amount: 100, currency: 'NGN', payment_method_id: body.id, email })

    moveTo(clock, new Date(firstOfNext + 11.9 * 3_600_000))
    expect((await pay()).body).toMatchObject({ status: 'COMPLETED' })
    expect(await list(user)).toMatchObject([{ is_expired: false }])
    moveTo(clock, new Date(firstOfNext + 12.1 * 3_600_000))
    const late = await pay()
    expect(late.status).toBe(400)
    expect(late.body).toMatchObject({ error: 'PaymentMethodExpired', code: 'PAY_003' })
    expect(late.body.message).toContain(`${String(metadata.expiry_month).padStart(2, '0')}/${metadata.expiry_year}`)
    expect(await list(user)).toMatchObject([{ is_expired: true }])
    // Neither the caller's word nor the gateway's lets an expired one in.
    const added = await add(user, { gateway: 'paystack', token: 'AUTH_expired_too', metadata })
    expect(added.body).toMatchObject({ error: 'PaymentMethodExpired' })
    const byGateway = await add(user, { token: 'mock_expired' })
    expect(byGateway.body).toMatchObject({ error: 'PaymentMethodExpired' })
  })

  test('is not kept while its gateway cannot be asked', async () => {
    const user = wallets.user()
    await wallets.mock.mood('GET /tokens', 'fail', 100)
    const { status, body } = await add(user, { token: 'mock_patience' })
    expect(status).toBe(502)
    expect(body).toMatchObject({ error: 'GatewayUnavailable', code: 'PAY_004' })
    await wallets.mock.behave()
    expect(await list(user)).toEqual([])
    expect((await add(user, { token: 'mock_patience' })).status).toBe(200)
  })

  test('is a token and never a card’s number', async () => {
    const user = wallets.user()
    for (const body of [
      { token: '4111111111111111' },
      { token: 'mock_card', metadata: { brand: '4111 1111 1111 1111' } },
      { token: 'mock_card', number: '4111-1111-1111-1111' },
    ]) {
      const { status, body: answer } = await add(user, body)
      expect(status).toBe(422)
      expect(answer.error).toBe('RawCardData')
    }
    expect(await list(user)).toEqual([])
  })

  test('is described in words that fit', async () => {
    for (const body of [
      { type: 'CASH' },
      { gateway: 'paypal' },
      { token: '' },
      { token: 'x'.repeat(256) },
      { metadata: { last_four: '12345' } },
      { metadata: { expiry_month: 13 } },
    ])
      expect((await add(wallets.user(), body)).status, JSON.stringify(body)).toBe(422)
  })
})

describe('somebody else’s payment method', () => {
  test('is neither listed, removed nor used', async () => {
    const owner = wallets.user()
    const stranger = wallets.user()
    const { body } = await add(owner, {})
    expect((await wallets.bursar.get(`${METHODS}?user_id=${owner}`, { as: stranger })).status).toBe(403)
    expect((await add(stranger, { user_id: owner })).status).toBe(403)
    expect((await remove(body.id, { as: stranger })).status).toBe(404)
    const deposit = await wallets.deposit(stranger, { amount: 1, payment_method_id: body.id })
    expect(deposit.body).toMatchObject({ error: 'PaymentMethodNotFound', code: 'PAY_003' })
    expect((await wallets.bursar.get(METHODS)).status).toBe(401)
    expect(await list(owner)).toHaveLength(1)
    // Back ends act for anybody.
    expect((await remove(body.id, BACKEND)).status).toBe(200)
  })
})

test('a gateway’s token is read by nobody: not in the database, not in an answer, not in a log', async () => {
  const user = await wallets.verified()
  const tokens = {
    card: 'mock_Nobody_Reads_Me_0815',
    account: 'mock_Nor_Me_As_An_Account_4711',
    refused: 'pm_NotEvenRefusedOnesAreQuoted99',
  }
  const answers: unknown[] = []
  const remember = ({ body }: Answer): Answer['body'] => {
    answers.push(body)
    return body
  }
  const card = remember(await add(user, { token: tokens.card }, { as: user, headers: { 'Idempotency-Key': 'keep' } }))
  remember(await add(user, { token: tokens.card }))
  const account = remember(await add(user, { token: tokens.account, type: 'BANK_TRANSFER' }))
  remember(await add(user, { gateway: 'stripe', token: tokens.refused }))
  await wallets.mock.mood('GET /tokens', 'hang_up', 100)
  remember(await add(user, { token: `${tokens.card}_again` }))
  await wallets.mock.behave()
  remember(await wallets.deposit(user, { amount: 100, payment_method_id: card.id }))
  const paid = remember(await withdraw(wallets, user, { amount: 10, payment_method_id: account.id }))
  expect(paid.status).toBe('COMPLETED')
  remember(await wallets.bursar.get(METHODS, { as: user }))
  remember(await wallets.bursar.get('/api/v1/payments/wallet/transactions', { as: user }))
  remember(await wallets.bursar.get('/api/v1/operations?limit=100', OPERATOR))
  const { rows } = await wallets.bursar.pool.query(`select id from operation where kind = 'method.add'`)
  for (const { id } of rows) remember(await wallets.bursar.get(`/api/v1/operations/${id}`, OPERATOR))

  const places = {
    ...(await everyColumn(wallets.bursar.pool)),
    answers: JSON.stringify(answers),
    log: wallets.bursar.logged.join('\n'),
  }
  expect(places.log).toContain('method.add')
  expect(foundIn(places, tokens)).toEqual([])
  // What is sought would be found: the user's own name is everywhere.
  expect(foundIn(places, { user })).toContain('user in public.payment_method')
})
