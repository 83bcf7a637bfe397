import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type GatewayName, gatewayNames } from '../src/gateways/port.ts'
import type { Misbehaviour } from '../src/sandbox/moods.ts'
import { becomes, funded, look, paidAt, purse, refund, usedToday, withdraw } from './support/wallet-moves.ts'
import { Wallets } from './support/wallets.ts'

let wallets: Wallets

beforeAll(async () => {
  wallets = await Wallets.start()
})
afterAll(() => wallets.stop())

/** A user with one deposit at the mock gateway, all of it still there. */
async function depositor(amount: number | string = 1000) {
  const user = await wallets.verified()
  return { user, deposit: await wallets.deposited(user, { amount, gateway: 'mock' }) }
}

const refundsFor = async (gateway: GatewayName, refundId: string) => {
  const references = (await wallets.attempts(refundId)).map(({ id }) => id)
  const attempts = await wallets.attempts(refundId)
  const { refunds } = await wallets[gateway].done()
  return refunds.filter(
    ({ reference, id, times }) =>
      times > 0 && (references.includes(reference) || attempts.some(({ moved_id }) => moved_id === id)),
  )
}

/** What asks each gateway for a refund. */
const CALLS: Readonly<Record<GatewayName, string>> = {
  mock: 'POST /refunds',
  stripe: 'POST /v1/refunds',
  razorpay: 'POST /v1/payments/',
  paystack: 'POST /refund',
}

describe('a refund', () => {
  test('gives everything back that was deposited, unless told otherwise', async () => {
    const { user, deposit } = await depositor('1000.50')
    const { status, body } = await refund(
      wallets,
      deposit,
      { reason: 'No longer wanted' },
      { as: user, roles: ['user'] },
    )
    expect(status, JSON.stringify(body)).toBe(200)
    expect(body).toEqual({
      success: true,
      transaction_id: deposit,
      refund_id: expect.stringMatching(/^txn_[0-9a-f]{32}$/),
      status: 'COMPLETED',
      amount: '1000.50',
      currency: 'INR',
    })
    expect(await purse(wallets, user)).toEqual({ balance: '0.00', locked: '0.00', available: '0.00' })
    expect(await wallets.transaction(deposit)).toMatchObject({ status: 'COMPLETED', refunded_amount: '1000.50' })
    expect(await wallets.transaction(body.refund_id)).toMatchObject({
      type: 'REFUND',
      status: 'COMPLETED',
      reference_id: deposit,
      description: 'No longer wanted',
    })
    const again = await refund(wallets, deposit)
    expect(again.status).toBe(409)
    expect(again.body).toMatchObject({ error: 'NotRefundable' })
  })

  test('may be given in parts, until nothing is left, and is told what is', async () => {
    const { user, deposit } = await depositor(100)
    for (const [amount, left] of [
      ['30.00', '70.00'],
      ['0.01', '69.99'],
      ['29.99', '40.00'],
    ] as const) {
      expect((await refund(wallets, deposit, { amount })).body).toMatchObject({ status: 'COMPLETED', amount })
      expect((await purse(wallets, user)).balance).toBe(left)
    }
    const tooMuch = await refund(wallets, deposit, { amount: '40.01' })
    expect(tooMuch.status).toBe(400)
    expect(tooMuch.body).toMatchObject({
      error: 'RefundTooLarge',
      code: 'PAY_001',
      message: '40.00 INR of this deposit can still be refunded.',
    })
    expect((await refund(wallets, deposit)).body).toMatchObject({ status: 'COMPLETED', amount: '40.00' })
    expect(await purse(wallets, user)).toEqual({ balance: '0.00', locked: '0.00', available: '0.00' })
    expect(await wallets.transactions(user, 'REFUND')).toHaveLength(4)
  })

  test('asked for twice at once, together more than was deposited, is given once', async () => {
    const { user, deposit } = await depositor(100)
    await wallets.deposited(user, { amount: 100, gateway: 'mock' })
    const answers = await Promise.all(['60', '60', '60'].map((amount) => refund(wallets, deposit, { amount })))
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 400, 400])
    for (const { body } of answers.filter(({ status }) => status === 400))
      expect(body.message).toBe('40.00 INR of this deposit can still be refunded.')
    expect((await purse(wallets, user)).balance).toBe('140.00')
  })

  test.each(gatewayNames)('goes back the way it came (%s)', async (gateway) => {
    const user = await wallets.verified()
    const { id, currency } = await paidAt(wallets, gateway, user)
    const { status, body } = await refund(wallets, id, { amount: '40.00', reason: 'requested_by_customer' })
    expect(status, JSON.stringify(body)).toBe(200)
    await becomes(wallets, body.refund_id, 'COMPLETED')
    expect(await purse(wallets, user, currency)).toEqual({ balance: '60.00', locked: '0.00', available: '60.00' })
    expect(await refundsFor(gateway, body.refund_id)).toMatchObject([{ amount: 4_000, times: 1 }])
  })

  test.each(gatewayNames)('whose answer is lost is given once (%s)', async (gateway) => {
    for (const does of ['lose_answer', 'fail_after'] satisfies Misbehaviour[]) {
      const user = await wallets.verified()
      const { id, currency } = await paidAt(wallets, gateway, user)
      await wallets[gateway].mood(CALLS[gateway], does)
      const { status, body } = await refund(wallets, id, { amount: 40 })
      expect(status, JSON.stringify(body)).toBe(200)
      await expect
        .poll(
          async () => {
            await look(wallets, body.refund_id)
            return (await wallets.transaction(body.refund_id)).status
          },
          { timeout: 15_000, interval: 100 },
        )
        .toBe('COMPLETED')
      expect(await refundsFor(gateway, body.refund_id)).toMatchObject([{ amount: 4_000, times: 1 }])
      expect(await purse(wallets, user, currency)).toEqual({ balance: '60.00', locked: '0.00', available: '60.00' })
      expect((await refund(wallets, id, { amount: '60.01' })).body.message).toContain('60.00')
    }
  })

  test('that is under way is set aside, and leaves everything as before when it fails', async () => {
    const user = await wallets.verified()
    const { id, currency } = await paidAt(wallets, 'paystack', user, 200)
    const used = await usedToday(wallets, user, currency)
    await wallets.paystack.mood('POST /refund', 'late_failure')
    const { body } = await refund(wallets, id, { amount: 150 })
    expect(body).toMatchObject({ status: 'PENDING', amount: '150.00' })
    expect(await purse(wallets, user, currency)).toEqual({ balance: '200.00', locked: '150.00', available: '50.00' })
    expect((await refund(wallets, id, { amount: 51 })).body.message).toBe(
      '50.00 NGN of this deposit can still be refunded.',
    )
    await wallets.paystack.webhooks({ copies: 3 })
    await wallets.paystack.pass(60)
    await becomes(wallets, body.refund_id, 'FAILED')
    await wallets.bursar.quiet()
    await wallets.paystack.webhooks({ copies: 1 })
    expect(await purse(wallets, user, currency)).toEqual({ balance: '200.00', locked: '0.00', available: '200.00' })
    expect((await wallets.transaction(id)).refunded_amount).toBe('0.00')
    expect(await usedToday(wallets, user, currency)).toBe(used)
    expect((await refund(wallets, id)).body).toMatchObject({ amount: '200.00' })
  })

  test.each<GatewayName>(['mock', 'stripe', 'razorpay'])(
    'that was given and is sent back by the bank is the user’s again, once, and can be given again (%s)',
    async (gateway) => {
      const user = await wallets.verified()
      const { id, currency } = await paidAt(wallets, gateway, user)
      await wallets[gateway].mood(CALLS[gateway], 'late_failure')
      const { body } = await refund(wallets, id, { amount: 75 })
      await becomes(wallets, body.refund_id, 'COMPLETED')
      expect((await purse(wallets, user, currency)).balance).toBe('25.00')

      await wallets[gateway].webhooks({ copies: 3 })
      await wallets[gateway].pass(60)
      await becomes(wallets, body.refund_id, 'RETURNED')
      await wallets.bursar.quiet()
      await wallets[gateway].webhooks({ copies: 1 })
      expect(await purse(wallets, user, currency)).toEqual({ balance: '100.00', locked: '0.00', available: '100.00' })
      expect((await wallets.transaction(id)).refunded_amount).toBe('0.00')
      const again = await refund(wallets, id)
      expect(again.body).toMatchObject({ amount: '100.00' })
      await becomes(wallets, again.body.refund_id, 'COMPLETED')
    },
  )

  test('of a deposit that nobody has paid yet calls it off, and the customer cannot pay it any more', async () => {
    const user = await wallets.verified()
    const method = await wallets.addMethod(user, 'mock', 'mock_3ds')
    const { body: deposit } = await wallets.deposit(user, { amount: 100, gateway: 'mock', payment_method_id: method })
    expect(deposit.status).toBe('PENDING')
    expect(await usedToday(wallets, user)).toBe('100.00')
    const { status, body } = await refund(wallets, deposit.transaction_id)
    expect(status, JSON.stringify(body)).toBe(200)
    expect(body).toMatchObject({ transaction_id: deposit.transaction_id, status: 'CANCELED' })
    expect((await wallets.transaction(deposit.transaction_id)).status).toBe('CANCELED')
    expect(await purse(wallets, user)).toEqual({ balance: '0.00', locked: '0.00', available: '0.00' })
    expect(await usedToday(wallets, user)).toBe('0.00')
    const late = await wallets.mock.ask('POST', `/_customer/${deposit.order_id}`, { does: 'approve' })
    expect(late.status).toBe(409)
  })

  test('of a deposit whose answer was lost finds it first, and calls it off', async () => {
    const user = await wallets.verified()
    const method = await wallets.addMethod(user, 'mock', 'mock_3ds')
    await wallets.mock.webhooks({ mode: 'drop' })
    await wallets.mock.mood('POST /charges', 'lose_answer')
    const { body: deposit } = await wallets.deposit(user, { amount: 100, gateway: 'mock', payment_method_id: method })
    expect(deposit).toMatchObject({ status: 'PENDING', order_id: null })
    expect((await refund(wallets, deposit.transaction_id)).body).toMatchObject({ status: 'CANCELED' })
    await wallets.mock.webhooks({ mode: 'send' })
    const { charges } = await wallets.mock.done()
    const [attempt] = await wallets.attempts(deposit.transaction_id)
    expect(charges.find(({ reference }) => reference === attempt.id)).toMatchObject({ status: 'canceled', times: 0 })
  })

  test('of a deposit whose gateway cannot forget it calls it off with us, and what is paid after all goes back', async () => {
    const user = await wallets.verified()
    const asked = { amount: 100, currency: 'NGN', gateway: 'paystack', email: 'customer@example.com' }
    const { body: deposit } = await wallets.deposit(user, asked)
    expect(deposit.status).toBe('PENDING')
    expect((await refund(wallets, deposit.transaction_id)).body).toMatchObject({ status: 'CANCELED' })
    expect(await usedToday(wallets, user, 'NGN')).toBe('0.00')
    const [attempt] = await wallets.attempts(deposit.transaction_id)
    await wallets.paystack.customer(attempt.id, 'approve')
    await expect
      .poll(async () => (await wallets.transactions(user, 'RETURN')).map(({ status }) => status), { timeout: 15_000 })
      .toEqual(['COMPLETED'])
    expect(await purse(wallets, user, 'NGN')).toEqual({ balance: '0.00', locked: '0.00', available: '0.00' })
    expect((await wallets.transaction(deposit.transaction_id)).status).toBe('CANCELED')
  })

  test('of a deposit that was paid a moment ago without our knowing gives that back', async () => {
    const user = await wallets.verified()
    const method = await wallets.addMethod(user, 'mock', 'mock_3ds')
    const { body: deposit } = await wallets.deposit(user, { amount: 100, gateway: 'mock', payment_method_id: method })
    await wallets.mock.webhooks({ mode: 'drop' })
    await wallets.mock.customer(deposit.order_id, 'approve')
    await wallets.mock.webhooks({ mode: 'send' })
    const { status, body } = await refund(wallets, deposit.transaction_id)
    expect(status, JSON.stringify(body)).toBe(200)
    expect(body).toMatchObject({ transaction_id: deposit.transaction_id, status: 'COMPLETED', amount: '100.00' })
    expect(await purse(wallets, user)).toEqual({ balance: '0.00', locked: '0.00', available: '0.00' })
    expect(await refundsFor('mock', body.refund_id)).toMatchObject([{ amount: 10_000, times: 1 }])
  })

  test('of a deposit that was declined is refused: nothing was taken', async () => {
    const user = await wallets.verified()
    const method = await wallets.addMethod(user, 'mock', 'mock_decline')
    expect((await wallets.deposit(user, { amount: 100, gateway: 'mock', payment_method_id: method })).status).toBe(402)
    const [declined] = await wallets.transactions(user, 'DEPOSIT')
    const { status, body } = await refund(wallets, declined.id)
    expect(status).toBe(409)
    expect(body).toMatchObject({ error: 'NotRefundable' })
    expect(body.message).toContain('FAILED')
  })

  test('works after the payment method was removed', async () => {
    const user = await wallets.verified()
    const method = await wallets.addMethod(user, 'mock', 'mock_card')
    const deposit = await wallets.deposited(user, { amount: 100, payment_method_id: method })
    const removed = await wallets.bursar.do('DELETE', `/api/v1/payments/methods/${method}`, undefined, { as: user })
    expect(removed.status).toBe(200)
    expect((await refund(wallets, deposit)).body).toMatchObject({ status: 'COMPLETED', amount: '100.00' })
    expect((await purse(wallets, user)).balance).toBe('0.00')
  })

  test('of money that was spent is refused with what is available, and takes nothing', async () => {
    const user = await funded(wallets, 100)
    const [deposit] = await wallets.transactions(user, 'DEPOSIT')
    const account = await wallets.addMethod(user, 'mock', 'mock_account', 'BANK_TRANSFER')
    await withdraw(wallets, user, { amount: 70, payment_method_id: account })
    const { status, body } = await refund(wallets, deposit.id)
    expect(status).toBe(400)
    expect(body).toMatchObject({ error: 'InsufficientBalance', code: 'PAY_002' })
    expect(body.message).toContain('30.00 available')
    expect((await wallets.transaction(deposit.id)).refunded_amount).toBe('0.00')
    expect((await refund(wallets, deposit.id, { amount: 30 })).body).toMatchObject({ status: 'COMPLETED' })
  })

  test('of a refund or of a withdrawal is no such thing', async () => {
    const { user, deposit } = await depositor()
    const { body: given } = await refund(wallets, deposit, { amount: 10 })
    const account = await wallets.addMethod(user, 'mock', 'mock_account', 'BANK_TRANSFER')
    const { body: withdrawal } = await withdraw(wallets, user, { amount: 10, payment_method_id: account })
    for (const id of [given.refund_id, withdrawal.withdrawal_id])
      expect((await refund(wallets, id)).body).toMatchObject({ error: 'TransactionNotFound' })
    expect((await purse(wallets, user)).balance).toBe('980.00')
  })

  test('of somebody else’s deposit is not found, and asked for in their name is forbidden', async () => {
    const { user, deposit } = await depositor()
    const stranger = { as: wallets.user(), roles: ['user'] } as const
    expect((await refund(wallets, deposit, {}, stranger)).status).toBe(404)
    expect((await refund(wallets, deposit, { user_id: user }, stranger)).status).toBe(403)
    // A back end that names a user is held to it.
    expect((await refund(wallets, deposit, { user_id: wallets.user() })).status).toBe(404)
    for (const id of ['txn_00000000000000000000000000000000', 'nonsense'])
      expect((await refund(wallets, id)).status, id).toBe(404)
    expect((await purse(wallets, user)).balance).toBe('1000.00')
  })

  test('of no amount, or of more decimals than there are, is refused', async () => {
    const { deposit } = await depositor()
    for (const amount of [0, -5, '1.001', 'all']) {
      const { status, body } = await refund(wallets, deposit, { amount })
      expect(status, String(amount)).toBe(422)
      expect(JSON.stringify(body), String(amount)).toContain('mount')
    }
  })

  test('that the gateway refuses sets nothing aside any more', async () => {
    const { user, deposit } = await depositor(100)
    // Given back at the gateway itself, behind our back.
    const { gateway_transaction_id: charge } = await wallets.transaction(deposit)
    const key = wallets.bursar.foundation.sandbox?.gateways.mock.key.reveal() ?? ''
    const behind = await fetch(`${wallets.mock.url}/refunds`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${key}`,
        'content-type': 'application/json',
        'idempotency-key': 'by hand, in the dashboard',
      },
      body: JSON.stringify({ payment_id: charge, amount: 10_000, currency: 'INR' }),
    })
    expect(behind.status).toBe(201)
    const { status, body } = await refund(wallets, deposit)
    expect(status).toBe(402)
    expect(body).toMatchObject({ code: 'PAY_004', error: 'PaymentDeclined' })
    expect(await purse(wallets, user)).toEqual({ balance: '100.00', locked: '0.00', available: '100.00' })
    expect((await wallets.transaction(deposit)).refunded_amount).toBe('0.00')
  })

  test('repeated with its Idempotency-Key is one refund', async () => {
    const { user, deposit } = await depositor(100)
    const headers = { 'Idempotency-Key': 'refund-once' }
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => refund(wallets, deposit, { amount: 20 }, { as: user, roles: ['user'], headers })),
    )
    expect(new Set(answers.map(({ body }) => body.refund_id)).size).toBe(1)
    expect((await purse(wallets, user)).balance).toBe('80.00')
  })
})

test('what is booked is what the gateways did, save what was given back behind our back', async () => {
  await wallets.bursar.quiet()
  expect(await wallets.unfinished()).toEqual([])
  await wallets.bursar.expectCleanBooks()
  for (const gateway of ['stripe', 'razorpay', 'paystack'] as const) await wallets.expectSameAsAt(gateway)
})

describe('while a gateway is away', () => {
  test('a refund that cannot be sent leaves the money where it is', async () => {
    const { user, deposit } = await depositor(100)
    await wallets.mock.mood('POST /refunds', 'limit', 100)
    const { status, body } = await refund(wallets, deposit)
    expect(status).toBe(502)
    expect(body).toMatchObject({ code: 'PAY_004', error: 'GatewayUnavailable' })
    await wallets.mock.behave()
    expect(await purse(wallets, user)).toEqual({ balance: '100.00', locked: '0.00', available: '100.00' })
    expect((await wallets.transaction(deposit)).refunded_amount).toBe('0.00')
  })

  test('a refund in doubt stays set aside until it is known that the gateway never heard of it', async () => {
    wallets.bursar.clock.advance({ seconds: 31 })
    const { user, deposit } = await depositor(100)
    await wallets.mock.mood('POST /refunds', 'hang_up')
    const { body } = await refund(wallets, deposit)
    expect(body.status).toBe('PENDING')
    await look(wallets, body.refund_id)
    expect((await purse(wallets, user)).locked).toBe('100.00')
    wallets.bursar.clock.advance({ seconds: 15 * 60 })
    await wallets.follow()
    expect(await wallets.transaction(body.refund_id)).toMatchObject({
      status: 'FAILED',
      failure_code: 'never_received',
    })
    expect(await purse(wallets, user)).toEqual({ balance: '100.00', locked: '0.00', available: '100.00' })
    expect((await wallets.transaction(deposit)).refunded_amount).toBe('0.00')
  })
})
