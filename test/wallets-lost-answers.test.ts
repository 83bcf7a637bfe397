import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Guarded } from '../src/gateways/breaker.ts'
import { type GatewayName, gatewayNames } from '../src/gateways/port.ts'
import { Fault } from '../src/kit/fault.ts'
import type { Misbehaviour } from '../src/sandbox/moods.ts'
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
  for (const name of gatewayNames) await wallets[name].behave()
  await wallets.pass(120)
})

/** A saved method at each gateway that charges without its owner, and the request that moves the money. */
const charging = [
  ['mock', 'mock_card', 'INR', 100, 'POST /charges'],
  ['stripe', 'pm_card_visa', 'USD', 20, 'POST /v1/payment_intents'],
  ['paystack', 'AUTH_visa', 'NGN', 1_000, 'POST /transaction/charge_authorization'],
] as const

/** Minutes go by, without one webhook, until the deposit has an end. */
async function followedToItsEnd(transaction: string): Promise<string> {
  for (let minute = 0; minute < 30; minute++) {
    await wallets.pass(60)
    await wallets.follow()
    const { status } = await wallets.transaction(transaction)
    if (status !== 'PENDING') return status
  }
  return 'PENDING'
}

async function withoutWebhooks(work: () => Promise<void>): Promise<void> {
  for (const name of gatewayNames) await wallets[name].webhooks({ mode: 'drop' })
  try {
    await work()
  } finally {
    for (const name of gatewayNames) await wallets[name].webhooks({ mode: 'send' })
  }
}

async function expectChargedOnce(
  gateway: GatewayName,
  transaction: string,
  user: string,
  currency: string,
  amount: number,
) {
  const references = (await wallets.attempts(transaction)).map(({ id }) => id)
  const { charges } = await wallets[gateway].done()
  const moved = charges.filter(({ reference, times }) => references.includes(reference) && times > 0)
  expect(moved.map(({ times }) => times)).toEqual([1])
  expect(await wallets.balance(user, currency)).toMatchObject({
    balance: `${amount}.00`,
    daily_used: `${amount}.00`,
  })
}

describe('an answer that is lost after the charge', () => {
  // First: the mock gateway signs by the real clock, from which the deployment's has not gone far by then.
  test.each(charging)(
    'at %s and whose webhook comes is credited once',
    async (gateway, token, currency, amount, on) => {
      const user = wallets.user()
      const payment_method_id = await wallets.addMethod(user, gateway, token)
      await wallets[gateway].webhooks({ mode: 'hold', copies: 3 })
      await wallets[gateway].mood(on, 'lose_answer', 2)
      const { body } = await wallets.deposit(user, {
        ...{ amount, currency, payment_method_id, gateway, email: 'ada@example.com' },
      })
      await wallets[gateway].behave()
      await wallets.follow()
      await Promise.all([wallets[gateway].release('shuffled'), wallets.pass(30).then(() => wallets.follow())])
      await wallets[gateway].webhooks({ mode: 'send', copies: 1 })
      await wallets.bursar.quiet()
      if ((await wallets.transaction(body.transaction_id)).status === 'PENDING')
        expect(await followedToItsEnd(body.transaction_id)).toBe('COMPLETED')
      await expectChargedOnce(gateway, body.transaction_id, user, currency, amount)
    },
  )

  test.each(charging.flatMap((one) => (['lose_answer', 'fail_after'] as const).map((does) => [...one, does] as const)))(
    'at %s (%s, %s %d, %s: %s) ends as exactly one charge, by look-ups alone',
    (gateway, token, currency, amount, on, does) =>
      withoutWebhooks(async () => {
        const user = wallets.user()
        const payment_method_id = await wallets.addMethod(user, gateway, token)
        await wallets[gateway].mood(on, does, 2)
        const { body } = await wallets.deposit(user, {
          ...{ amount, currency, payment_method_id, gateway, email: 'ada@example.com' },
        })
        await wallets[gateway].behave()
        if (body.status !== 'COMPLETED') {
          expect(body, JSON.stringify(body)).toMatchObject({ success: true, status: 'PENDING' })
          expect(await wallets.balance(user, currency)).toMatchObject({ balance: '0.00', daily_used: `${amount}.00` })
          expect(await followedToItsEnd(body.transaction_id)).toBe('COMPLETED')
        }
        await expectChargedOnce(gateway, body.transaction_id, user, currency, amount)
      }),
  )

  test.each([
    ['the order', 'POST /v1/orders', 'lose_answer'],
    ['the order', 'POST /v1/orders', 'fail_after'],
    ['the confirmation', 'GET /v1/orders', 'fail'],
  ] as const)('of %s at Razorpay (%s: %s) leaves one order that is paid once', (lost, on, does) =>
    withoutWebhooks(async () => {
      const { razorpay } = wallets
      const user = wallets.user()
      if (lost === 'the order') await razorpay.mood(on, does)
      const { body } = await wallets.deposit(user, { amount: 100, gateway: 'razorpay' })
      expect(body).toMatchObject({ status: 'PENDING' })
      await razorpay.behave()
      if (body.order_id === null) {
        await wallets.pass(60)
        await wallets.follow()
      }
      const [attempt] = await wallets.attempts(body.transaction_id)
      expect(attempt).toMatchObject({ status: 'pending', gateway_id: expect.stringMatching(/^order_/) })
      const paid = await razorpay.checkout(attempt.gateway_id, { method: 'upi', vpa: 'success@razorpay' })
      if (lost === 'the confirmation') await razorpay.mood(on, does, 1)
      const { razorpay_order_id, razorpay_signature, razorpay_payment_id } = paid.body
      const confirmed = await wallets.confirm(user, {
        transaction_id: body.transaction_id,
        gateway_payment_id: razorpay_payment_id,
        gateway_data: { razorpay_order_id, razorpay_signature },
      })
      await razorpay.behave()
      if (confirmed.body.status === 'PENDING') expect(await followedToItsEnd(body.transaction_id)).toBe('COMPLETED')
      await expectChargedOnce('razorpay', body.transaction_id, user, 'INR', 100)
    }),
  )

  test.each<Misbehaviour>(['lose_answer', 'fail_after', 'fail', 'hang_up'])(
    'of the capture of a late authorisation at Razorpay (%s) ends as exactly one capture',
    (does) =>
      withoutWebhooks(async () => {
        const { razorpay } = wallets
        const user = wallets.user()
        const { body } = await wallets.deposit(user, { amount: 100, gateway: 'razorpay' })
        const paid = await razorpay.checkout(body.order_id, { method: 'card', card: '4111111111111111', late: true })
        expect(paid.status).toBe(200)
        await razorpay.mood('POST /v1/payments/', does, 1)
        await wallets.pass(60)
        await wallets.follow()
        await razorpay.behave()
        if ((await wallets.transaction(body.transaction_id)).status === 'PENDING')
          expect(await followedToItsEnd(body.transaction_id)).toBe('COMPLETED')
        await expectChargedOnce('razorpay', body.transaction_id, user, 'INR', 100)
      }),
  )
})

describe('a worker that dies between the charge and its commit', () => {
  /** The gateway does it; whoever asked is gone before they can write it down, so many times. */
  async function dyingAfterTheCharge(name: GatewayName, times: number, work: () => Promise<void>): Promise<void> {
    const gateways = wallets.bursar.foundation.gateways as Map<GatewayName, Guarded>
    const alive = gateways.get(name)
    if (alive === undefined) throw new Error(`No ${name}`)
    let left = times
    gateways.set(name, {
      ...alive,
      circuit: alive.circuit,
      async charge(request) {
        const answer = await alive.charge(request)
        if (left-- > 0) throw new Fault('The worker died')
        return answer
      },
    })
    try {
      await work()
    } finally {
      gateways.set(name, alive)
    }
  }

  test.each(charging)('at %s finds the same charge when it is tried again', (gateway, token, currency, amount) =>
    withoutWebhooks(() =>
      dyingAfterTheCharge(gateway, 3, async () => {
        const user = wallets.user()
        const payment_method_id = await wallets.addMethod(user, gateway, token)
        const transaction = await wallets.deposited(user, {
          ...{ amount, currency, payment_method_id, gateway, email: 'ada@example.com' },
        })
        await expectChargedOnce(gateway, transaction, user, currency, amount)
      }),
    ),
  )

  test.each(charging)('at %s for good leaves a charge that the look-ups find', (gateway, token, currency, amount) =>
    withoutWebhooks(() =>
      dyingAfterTheCharge(gateway, 1_000, async () => {
        const user = wallets.user()
        const payment_method_id = await wallets.addMethod(user, gateway, token)
        const answer = await wallets.deposit(user, {
          ...{ amount, currency, payment_method_id, gateway, email: 'ada@example.com' },
        })
        expect(answer.status).toBe(202)
        const operation = answer.headers.get('location') ?? ''
        await expect
          .poll(async () => (await wallets.bursar.get(operation, { as: 'backend', roles: ['service'] })).body.status, {
            timeout: 10_000,
          })
          .toBe('stuck')
        const [transaction] = await wallets.transactions(user)
        expect(await followedToItsEnd(transaction.id)).toBe('COMPLETED')
        await expectChargedOnce(gateway, transaction.id, user, currency, amount)
        // An operator tries it again, as the board lets them: it finds that it is done.
        await wallets.ours('operation.retry', { operation_ids: [answer.body.operation_id] })
        const { body } = await wallets.bursar.get(operation, { as: 'backend', roles: ['service'] })
        expect(body).toMatchObject({ status: 'succeeded', result: { status: 'COMPLETED' } })
        await expectChargedOnce(gateway, transaction.id, user, currency, amount)
      }),
    ),
  )
})
