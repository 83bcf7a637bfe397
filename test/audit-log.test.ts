import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Answer } from './support/deployment.ts'
import { OPERATOR } from './support/tokens.ts'
import { BACKEND, Wallets } from './support/wallets.ts'

let wallets: Wallets

beforeAll(async () => {
  wallets = await Wallets.start({ env: { TRUST_PROXY: '1' } })
})
afterAll(() => wallets.stop())

/** Oldest first. */
async function eventsOf(user: string): Promise<Answer['body'][]> {
  const { status, body } = await wallets.bursar.get(`/api/v1/audit?user_id=${user}&limit=100`, OPERATOR)
  expect(status, JSON.stringify(body)).toBe(200)
  return body.events.toReversed()
}

const typesOf = async (user: string): Promise<string[]> => (await eventsOf(user)).map(({ event_type }) => event_type)

/** As somebody outside would check a line: without its hash, keys sorted, no spaces. */
function hashOf({ audit_hash: _hash, ...fields }: Record<string, unknown>): string {
  const sorted = Object.fromEntries(Object.entries(fields).toSorted(([a], [b]) => (a < b ? -1 : 1)))
  return createHash('sha256').update(JSON.stringify(sorted)).digest('hex')
}

const withdraw = (user: string, account: string, amount: number) =>
  wallets.bursar.do(
    'POST',
    '/api/v1/payments/withdrawals/initiate',
    { user_id: user, amount, payment_method_id: account },
    BACKEND,
  )

describe('the audit log', () => {
  test('tells a deposit in the documented fields, each event with a hash that anybody can check', async () => {
    const user = wallets.user()
    const card = await wallets.addMethod(user, 'mock', 'mock_card')
    const { body } = await wallets.deposit(
      user,
      { amount: '1000.50', payment_method_id: card, gateway: 'mock', description: 'not for the log' },
      { headers: { 'X-Forwarded-For': '192.168.1.100' } },
    )
    const events = await eventsOf(user)
    expect(events.map(({ event_type }) => event_type)).toEqual([
      'payment_method_added',
      'deposit_initiated',
      'deposit_completed',
    ])
    for (const event of events) {
      expect(Object.keys(event)).toEqual([
        'timestamp',
        'event_type',
        'user_id',
        'transaction_id',
        'amount',
        'currency',
        'gateway',
        'ip_address',
        'audit_hash',
      ])
      expect(event.audit_hash).toBe(hashOf(event))
    }
    expect(events[2]).toMatchObject({
      user_id: user,
      transaction_id: body.transaction_id,
      amount: 1000.5,
      currency: 'INR',
      gateway: 'mock',
      ip_address: '192.168.1.100',
    })
    expect(Date.parse(events[2].timestamp)).toBeLessThanOrEqual(wallets.bursar.clock.now().getTime())
  })

  test('has amounts in each currency’s own unit', async () => {
    const user = wallets.user()
    await wallets.deposited(user, {
      amount: 1500,
      currency: 'JPY',
      gateway: 'mock',
      payment_method_id: await wallets.addMethod(user, 'mock', 'mock_card'),
    })
    expect((await eventsOf(user)).at(-1)).toMatchObject({ amount: 1500, currency: 'JPY' })
  })

  test('tells what became of everything: completed, failed, refunded, withdrawn, removed', async () => {
    const user = wallets.user()
    const card = await wallets.addMethod(user, 'mock', 'mock_card')
    const account = await wallets.addMethod(user, 'mock', 'mock_bank', 'BANK_TRANSFER')
    const transaction = await wallets.deposited(user, { amount: 500, payment_method_id: card, gateway: 'mock' })
    const refund = await wallets.bursar.do(
      'POST',
      `/api/v1/payments/deposits/${transaction}/refund`,
      { amount: 100 },
      BACKEND,
    )
    expect(refund.status, JSON.stringify(refund.body)).toBe(200)
    expect((await withdraw(user, account, 50)).status).toBe(200)
    await wallets.bursar.do('PUT', `/api/v1/users/${user}/kyc`, { level: 'ADVANCED' }, { as: 'ada', roles: ['admin'] })
    await wallets.bursar.do('DELETE', `/api/v1/payments/methods/${card}?user_id=${user}`, undefined, BACKEND)
    await wallets.bursar.quiet()
    // The mock bank takes its time over refunds and payouts: it is looked up until it is done.
    for (
      let minute = 0;
      minute < 30 && (await wallets.transactions(user)).some(({ status }) => status === 'PENDING');
      minute++
    ) {
      await wallets.pass(600)
      await wallets.follow()
    }
    expect((await typesOf(user)).toSorted()).toEqual([
      'deposit_completed',
      'deposit_initiated',
      'kyc_changed',
      'payment_method_added',
      'payment_method_added',
      'payment_method_removed',
      'refund_completed',
      'refund_initiated',
      'withdrawal_completed',
      'withdrawal_initiated',
    ])
  })

  test('tells a declined deposit and one whose customer never came back', async () => {
    const user = wallets.user()
    await wallets.deposit(user, {
      amount: 20,
      gateway: 'stripe',
      currency: 'USD',
      payment_method_id: await wallets.addMethod(user, 'stripe', 'pm_card_visa_chargeDeclinedStolenCard'),
    })
    expect(await typesOf(user)).toEqual(['payment_method_added', 'deposit_initiated', 'deposit_failed'])

    const absent = wallets.user()
    await wallets.deposit(absent, { amount: 100, gateway: 'razorpay' })
    await wallets.pass(25 * 3_600)
    await wallets.follow()
    expect(await typesOf(absent)).toEqual(['deposit_initiated', 'deposit_expired'])
  })

  test('says nothing of what was refused before anything happened', async () => {
    const user = wallets.user()
    const account = await wallets.addMethod(user, 'mock', 'mock_bank', 'BANK_TRANSFER')
    expect((await withdraw(user, account, 50)).body).toMatchObject({ code: 'PAY_002' })
    expect((await wallets.deposit(user, { amount: 900_000, gateway: 'mock' })).body).toMatchObject({ code: 'PAY_005' })
    expect(await typesOf(user)).toEqual(['payment_method_added'])
  })

  test('has one beginning and one end of every payment, whoever told of it, however often', async () => {
    const users = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const user = wallets.user()
        const card = await wallets.addMethod(user, 'mock', 'mock_card')
        await Promise.all([
          wallets.deposit(user, { amount: 40, payment_method_id: card, gateway: 'mock' }),
          wallets.deposit(user, { amount: 60, payment_method_id: card, gateway: 'mock' }),
        ])
        return user
      }),
    )
    expect(users).toHaveLength(6)
    await wallets.bursar.quiet()
    const { rows } = await wallets.bursar.pool.query(
      `select payment.id, payment.type, payment.status, array_agg(event.type order by event.id) as events
       from payment left join audit_event event on event.body ->> 'transaction_id' = 'txn_' || replace(payment.id::text, '-', '')
       group by payment.id order by payment.id`,
    )
    for (const { id, type, status, events } of rows)
      expect(events, id).toEqual([
        `${type}_initiated`,
        ...(status === 'pending' || status === 'requested' ? [] : [`${type}_${status}`]),
      ])
    expect(rows.length).toBeGreaterThan(12)
  })

  test('holds no token, number or description, whatever was sent', async () => {
    const { rows } = await wallets.bursar.pool.query("select string_agg(body::text, E'\\n') as log from audit_event")
    expect(rows[0].log).not.toMatch(/mock_card|mock_bank|pm_card|not for the log|token|last_four/)
  })

  test('and the security log are for operators', async () => {
    for (const path of ['/api/v1/audit', '/api/v1/security-events'])
      for (const roles of [[], ['service']] as const)
        expect((await wallets.bursar.get(path, { as: 'user_1', roles })).status).toBe(403)
  })

  test('can be read page by page', async () => {
    const seen: string[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: Answer = await wallets.bursar.get(
        `/api/v1/audit?type=deposit_initiated&limit=5${cursor === '' ? '' : `&cursor=${cursor}`}`,
        OPERATOR,
      )
      seen.push(...page.body.events.map(({ audit_hash }: { audit_hash: string }) => audit_hash))
      cursor = page.body.next_cursor
    }
    const { rows } = await wallets.bursar.pool.query(
      `select encode(audit_hash, 'hex') as hash from audit_event where type = 'deposit_initiated' order by id desc`,
    )
    expect(seen).toEqual(rows.map(({ hash }) => hash))
  })
})

describe('the security log', () => {
  test('tells of webhooks whose signature is not the gateway’s', async () => {
    const answer = await wallets.bursar.ask('POST', '/webhooks/mock', {
      body: { id: 'evt_1', type: 'charge.succeeded' },
      headers: { 'X-Mock-Signature': 'forged', 'X-Forwarded-For': '203.0.113.66' },
    })
    expect(answer.status).toBe(401)
    const events = async () =>
      (await wallets.bursar.get('/api/v1/security-events?type=webhook_forged', OPERATOR)).body.events
    await expect.poll(events, { timeout: 10_000 }).toHaveLength(1)
    const [event] = await events()
    expect(Object.keys(event)).toEqual([
      'timestamp',
      'event_type',
      'user_id',
      'indicators',
      'ip_address',
      'action_taken',
    ])
    expect(event).toMatchObject({
      event_type: 'webhook_forged',
      user_id: null,
      indicators: ['forged', 'gateway_mock'],
      ip_address: '203.0.113.66',
      action_taken: 'rejected',
    })
  })

  test('tells of confirmations whose signature is not the gateway’s', async () => {
    const user = wallets.user()
    const { body } = await wallets.deposit(user, { amount: 100, gateway: 'razorpay', method: 'card' })
    const confirmed = await wallets.confirm(user, {
      transaction_id: body.transaction_id,
      gateway_payment_id: 'pay_razorpay_123',
      gateway_data: { razorpay_order_id: body.order_id, razorpay_signature: '00'.repeat(32) },
    })
    expect(confirmed.body).toMatchObject({ refusal: 'payment.forged' })
    const { body: log } = await wallets.bursar.get(`/api/v1/security-events?user_id=${user}`, OPERATOR)
    expect(log.events).toMatchObject([
      {
        event_type: 'confirmation_forged',
        indicators: ['invalid_signature', 'gateway_razorpay'],
        action_taken: 'rejected',
      },
    ])
  })
})
