import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { OPERATOR } from './support/tokens.ts'
import { Wallets } from './support/wallets.ts'

let wallets: Wallets

beforeAll(async () => {
  wallets = await Wallets.start()
})
afterAll(async () => {
  await wallets.expectAllInOrder()
  await wallets.stop()
})

/** A deposit that was paid at Razorpay, whose webhooks are held; `proof` is what the browser got. */
async function paidAtRazorpay(user: string, amount = 400) {
  const { body } = await wallets.deposit(user, { amount, gateway: 'razorpay' })
  expect(body.status).toBe('PENDING')
  const paid = await wallets.razorpay.checkout(body.order_id, { method: 'card', card: '4111111111111111' })
  expect(paid.status).toBe(200)
  return {
    transaction: body.transaction_id as string,
    order: body.order_id as string,
    payment: paid.body.razorpay_payment_id as string,
    proof: {
      transaction_id: body.transaction_id,
      gateway_payment_id: paid.body.razorpay_payment_id,
      gateway_data: {
        razorpay_order_id: paid.body.razorpay_order_id,
        razorpay_signature: paid.body.razorpay_signature,
      },
    },
  }
}

/** Webhooks of every gateway held, until the work is done. */
async function holding(work: () => Promise<void>): Promise<void> {
  await wallets.razorpay.webhooks({ mode: 'hold' })
  try {
    await work()
  } finally {
    await wallets.razorpay.webhooks({ mode: 'send' })
    await wallets.razorpay.release()
    await wallets.bursar.quiet()
  }
}

describe('a confirmation', () => {
  test('and the webhook credit once, whichever comes first', () =>
    holding(async () => {
      const [early, late] = [wallets.user(), wallets.user()]
      const first = await paidAtRazorpay(early)
      expect(await wallets.confirm(early, first.proof)).toMatchObject({ status: 200, body: { status: 'COMPLETED' } })
      const second = await paidAtRazorpay(late)
      await wallets.razorpay.release()
      await wallets.bursar.quiet()
      expect(await wallets.balance(late)).toMatchObject({ balance: '400.00' })
      expect(await wallets.confirm(late, second.proof)).toMatchObject({ status: 200, body: { status: 'COMPLETED' } })
      for (const user of [early, late]) expect(await wallets.balance(user)).toMatchObject({ balance: '400.00' })
    }))

  test('and the webhooks that come together, many times, credit each deposit once', () =>
    holding(async () => {
      const paid = await Promise.all(
        Array.from({ length: 12 }, async () => {
          const user = wallets.user()
          return { user, ...(await paidAtRazorpay(user, 100)) }
        }),
      )
      await wallets.razorpay.webhooks({ copies: 3 })
      const [, answers] = await Promise.all([
        wallets.razorpay.release('shuffled'),
        Promise.all(paid.flatMap(({ user, proof }) => [1, 2, 3].map(() => wallets.confirm(user, proof)))),
      ])
      await wallets.razorpay.webhooks({ copies: 1 })
      await wallets.bursar.quiet()
      expect(answers.map(({ status, body }) => [status, body.status])).toEqual(answers.map(() => [200, 'COMPLETED']))
      for (const { user } of paid) expect(await wallets.balance(user)).toMatchObject({ balance: '100.00' })
    }))

  test('that is sent ten times at once credits once, and every answer says so', () =>
    holding(async () => {
      const user = wallets.user()
      const { proof } = await paidAtRazorpay(user)
      const answers = await Promise.all(Array.from({ length: 10 }, () => wallets.confirm(user, proof)))
      expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1)
      expect(answers[0]).toMatchObject({ status: 200, body: { status: 'COMPLETED', amount: '400.00' } })
      expect(await wallets.balance(user)).toMatchObject({ balance: '400.00' })
    }))

  test('with a forged signature credits nothing, and the true one still does', () =>
    holding(async () => {
      const user = wallets.user()
      const { proof } = await paidAtRazorpay(user)
      const forged = { ...proof.gateway_data, razorpay_signature: 'f'.repeat(64) }
      for (const gateway_data of [forged, {}, { razorpay_order_id: proof.gateway_data.razorpay_order_id }])
        expect(await wallets.confirm(user, { ...proof, gateway_data })).toMatchObject({
          status: 400,
          body: { error: 'InvalidSignature', code: 'PAY_004', refusal: 'payment.forged' },
        })
      expect(await wallets.balance(user)).toMatchObject({ balance: '0.00' })
      expect(await wallets.confirm(user, proof)).toMatchObject({ status: 200 })
      expect(await wallets.balance(user)).toMatchObject({ balance: '400.00' })
    }))

  test('with the genuine proof of another deposit credits nothing', () =>
    holding(async () => {
      const user = wallets.user()
      const paid = await paidAtRazorpay(user)
      const unpaid = await wallets.deposit(user, { amount: 400, gateway: 'razorpay' })
      expect(await wallets.confirm(user, { ...paid.proof, transaction_id: unpaid.body.transaction_id })).toMatchObject({
        status: 400,
        body: { code: 'PAY_004' },
      })
      expect(await wallets.balance(user)).toMatchObject({ balance: '0.00' })
      expect(await wallets.transaction(unpaid.body.transaction_id)).toMatchObject({ status: 'PENDING' })
    }))

  test.each([
    ['stripe', 'pm_card_threeDSecure2Required', 'USD', 20],
    ['mock', 'mock_3ds', 'INR', 200],
  ] as const)(
    'at %s with the payment of another transaction credits nothing',
    async (gateway, token, currency, amount) => {
      const user = wallets.user()
      const payment_method_id = await wallets.addMethod(user, gateway, token)
      const begin = () =>
        wallets.deposit(user, { amount, currency, payment_method_id, gateway, return_url: 'https://example.com/back' })
      const [one, other] = [await begin(), await begin()]
      const [attempt] = await wallets.attempts(one.body.transaction_id)
      await wallets[gateway].webhooks({ mode: 'drop' })
      await wallets[gateway].customer(attempt.gateway_id, 'approve')
      await wallets[gateway].webhooks({ mode: 'send' })
      const paid = { gateway_payment_id: attempt.gateway_id, gateway_data: {} }
      expect(await wallets.confirm(user, { transaction_id: other.body.transaction_id, ...paid })).toMatchObject({
        status: 400,
        body: { code: 'PAY_004' },
      })
      expect((await wallets.balance(user, currency)).balance).toBe('0.00')
      expect(await wallets.confirm(user, { transaction_id: one.body.transaction_id, ...paid })).toMatchObject({
        status: 200,
        body: { status: 'COMPLETED' },
      })
      expect(await wallets.balance(user, currency)).toMatchObject({ balance: `${amount}.00` })
    },
  )

  test('before the customer has paid leaves the deposit open', async () => {
    const user = wallets.user()
    const payment_method_id = await wallets.addMethod(user, 'mock', 'mock_3ds')
    const { body } = await wallets.deposit(user, { amount: 10, payment_method_id, gateway: 'mock' })
    const [attempt] = await wallets.attempts(body.transaction_id)
    const confirm = { transaction_id: body.transaction_id, gateway_payment_id: attempt.gateway_id }
    expect(await wallets.confirm(user, confirm)).toMatchObject({ status: 200, body: { status: 'PENDING' } })
    expect(await wallets.balance(user)).toMatchObject({ balance: '0.00', daily_used: '10.00' })
  })

  test('of what never was, of a withdrawal or of a failed deposit is refused', async () => {
    const user = wallets.user()
    const gateway_payment_id = 'pay_1'
    for (const transaction_id of ['txn_0198c9f24d5e7c3aa1b2c3d4e5f60718', 'nonsense'])
      expect(await wallets.confirm(user, { transaction_id, gateway_payment_id })).toMatchObject({ status: 404 })
    const payment_method_id = await wallets.addMethod(user, 'mock', 'mock_decline')
    await wallets.deposit(user, { amount: 10, payment_method_id, gateway: 'mock' })
    const [failed] = await wallets.transactions(user)
    const [attempt] = await wallets.attempts(failed.id)
    expect(
      await wallets.confirm(user, {
        transaction_id: failed.id,
        gateway_payment_id: attempt.gateway_id ?? 'mock_payment_123',
      }),
    ).toMatchObject({ status: expect.toSatisfy((status: number) => status === 400 || status === 409) })
    expect(await wallets.balance(user)).toMatchObject({ balance: '0.00', daily_used: '0.00' })
  })
})

describe('3-D Secure', () => {
  test.each([
    ['stripe', 'pm_card_threeDSecure2Required', 'USD', 20],
    ['mock', 'mock_3ds', 'INR', 200],
    ['paystack', 'AUTH_3ds', 'NGN', 2_000],
  ] as const)(
    'at %s sends the customer to their bank: approved is credited, failed is given up',
    async (gateway, token, currency, amount) => {
      for (const does of ['approve', 'fail'] as const) {
        const user = wallets.user()
        const payment_method_id = await wallets.addMethod(user, gateway, token)
        const { body } = await wallets.deposit(user, {
          ...{ amount, currency, payment_method_id, gateway, email: 'ada@example.com' },
          return_url: 'https://example.com/back',
        })
        expect(body).toMatchObject({ status: 'PENDING', checkout_url: expect.stringMatching(/^https?:/) })
        expect(body.action.url).toBe(body.checkout_url)
        expect(await wallets.balance(user, currency)).toMatchObject({ balance: '0.00', daily_used: `${amount}.00` })
        const [attempt] = await wallets.attempts(body.transaction_id)
        await wallets[gateway].customer(attempt.gateway_id ?? attempt.id, does)
        await expect
          .poll(async () => (await wallets.transaction(body.transaction_id)).status)
          .toBe(does === 'approve' ? 'COMPLETED' : 'FAILED')
        const credited = does === 'approve' ? `${amount}.00` : '0.00'
        expect(await wallets.balance(user, currency)).toMatchObject({ balance: credited, daily_used: credited })
      }
    },
  )

  test('that failed cannot be completed afterwards on the same page at Stripe', async () => {
    const user = wallets.user()
    const payment_method_id = await wallets.addMethod(user, 'stripe', 'pm_card_threeDSecure2Required')
    const { body } = await wallets.deposit(user, {
      ...{ amount: 20, currency: 'USD', payment_method_id, gateway: 'stripe' },
      return_url: 'https://example.com/back',
    })
    await wallets.stripe.customer(body.order_id, 'fail')
    await expect.poll(async () => (await wallets.transaction(body.transaction_id)).status).toBe('FAILED')
    expect(await wallets.transaction(body.transaction_id)).toMatchObject({
      failure_code: 'payment_intent_authentication_failure',
    })
    await wallets.stripe.customer(body.order_id, 'approve')
    await wallets.bursar.quiet()
    expect((await wallets.stripe.done()).charges.filter(({ id }) => id === body.order_id)).toEqual([])
    expect(await wallets.balance(user, 'USD')).toMatchObject({ balance: '0.00', daily_used: '0.00' })
  })
})

describe('another amount than was asked', () => {
  async function inReview(user: string) {
    const payment_method_id = await wallets.addMethod(user, 'mock', 'mock_wrong_amount')
    const { body } = await wallets.deposit(user, { amount: 100, payment_method_id, gateway: 'mock' })
    expect(body).toMatchObject({ status: 'REVIEW', amount: '100.00' })
    expect(await wallets.balance(user)).toMatchObject({ balance: '0.00' })
    return body.transaction_id as string
  }
  const decide = (id: string, decision: 'accept' | 'reject') =>
    wallets.bursar.do(
      'POST',
      `/api/v1/payments/transactions/${id}/decision`,
      { decision, note: 'Looked at the gateway’s dashboard' },
      OPERATOR,
    )

  test('waits for a person, who accepts: what came is credited', async () => {
    const user = wallets.user()
    const id = await inReview(user)
    expect(await decide(id, 'accept')).toMatchObject({ status: 200, body: { status: 'COMPLETED' } })
    expect(await wallets.balance(user)).toMatchObject({ balance: '100.01' })
    expect(await wallets.transaction(id)).toMatchObject({ status: 'COMPLETED', amount: '100.01' })
    expect(await decide(id, 'reject')).toMatchObject({ status: 409, body: { code: 'payment.notInReview' } })
  })

  test('waits for a person, who rejects: what came goes back, once', async () => {
    const user = wallets.user()
    const id = await inReview(user)
    const both = await Promise.all([decide(id, 'reject'), decide(id, 'reject')])
    expect(both.map(({ status }) => status).toSorted()).toEqual([200, 409])
    await wallets.bursar.quiet()
    expect(await wallets.transaction(id)).toMatchObject({ status: 'FAILED', failure_code: 'rejected' })
    expect(await wallets.balance(user)).toMatchObject({ balance: '0.00', daily_used: '0.00' })
    const [back] = await wallets.transactions(user, 'RETURN')
    expect(back).toMatchObject({ status: 'COMPLETED', amount: '100.01', reference_id: id })
    expect((await wallets.mock.done()).refunds.filter(({ amount }) => amount === 10_001)).toHaveLength(1)
  })

  test('is for operators to decide, not for its user', async () => {
    const user = wallets.user()
    const id = await inReview(user)
    const answer = await wallets.bursar.do(
      'POST',
      `/api/v1/payments/transactions/${id}/decision`,
      { decision: 'accept', note: 'mine' },
      { as: user },
    )
    expect(answer.status).toBe(403)
    await decide(id, 'accept')
  })
})

describe('an order that a customer pays twice', () => {
  test.each(['webhook', 'confirmation'] as const)('is credited once, and the second payment goes back (%s)', (by) =>
    holding(async () => {
      const { razorpay } = wallets
      const user = wallets.user()
      const first = await paidAtRazorpay(user, 150)
      const second = await razorpay.checkout(first.order, { method: 'upi', vpa: 'success@razorpay', again: true })
      expect(second.status).toBe(200)
      if (by === 'webhook') await razorpay.release('reversed')
      else {
        await wallets.confirm(user, first.proof)
        const { razorpay_order_id, razorpay_signature, razorpay_payment_id } = second.body
        await wallets.confirm(user, {
          transaction_id: first.transaction,
          gateway_payment_id: razorpay_payment_id,
          gateway_data: { razorpay_order_id, razorpay_signature },
        })
      }
      await wallets.bursar.quiet()
      expect(await wallets.balance(user)).toMatchObject({ balance: '150.00' })
      const returns = await wallets.transactions(user, 'RETURN')
      expect(returns).toEqual([expect.objectContaining({ amount: '150.00', reference_id: first.transaction })])
      await wallets.pass(120)
      await wallets.follow()
      expect(await wallets.transactions(user, 'RETURN')).toEqual([expect.objectContaining({ status: 'COMPLETED' })])
    }),
  )
})
