import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Deployment } from './support/deployment.ts'

let bursar: Deployment

beforeAll(async () => {
  bursar = await Deployment.start()
})
afterAll(() => bursar.stop())

describe('a deposit', () => {
  test('with a saved method at the mock gateway is credited at once', async () => {
    const added = await bursar.do(
      'POST',
      '/api/v1/payments/methods',
      {
        type: 'CARD',
        gateway: 'mock',
        token: 'mock_card',
        metadata: { last_four: '4242', brand: 'VISA', expiry_month: 12, expiry_year: 2030 },
      },
      { as: 'user_1' },
    )
    expect(added.status, JSON.stringify(added.body)).toBe(200)
    const answer = await bursar.do(
      'POST',
      '/api/v1/payments/deposits/initiate',
      { amount: 1000.0, payment_method_id: added.body.id, gateway: 'mock', description: 'Wallet top-up' },
      { as: 'user_1' },
    )
    expect(answer.body).toMatchObject({ success: true, status: 'COMPLETED', amount: '1000.00', currency: 'INR' })
    const { body } = await bursar.get('/api/v1/payments/wallet/balance', { as: 'user_1' })
    expect(body).toMatchObject({ balance: '1000.00', available_balance: '1000.00', daily_used: '1000.00' })
    const list = await bursar.get('/api/v1/payments/wallet/transactions?type=DEPOSIT&status=COMPLETED', {
      as: 'user_1',
    })
    expect(list.body.transactions).toHaveLength(1)
    await bursar.expectCleanBooks()
  })
})
