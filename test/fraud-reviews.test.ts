import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Answer, Asking } from './support/deployment.ts'
import { OPERATOR } from './support/tokens.ts'
import { BACKEND, Wallets } from './support/wallets.ts'

let wallets: Wallets

beforeAll(async () => {
  wallets = await Wallets.start({ env: { FRAUD_RULES: 'on', TRUST_PROXY: '1' } })
})
afterAll(() => wallets.stop())

const REVIEWS = '/api/v1/payments/reviews'

/** As a browser of the user's, at an address of theirs. */
const from = (address: string, device: string): Asking => ({
  headers: { 'X-Forwarded-For': address, 'User-Agent': device },
})
const home = from('192.0.2.7', 'Firefox/131.0 on a desk')
const elsewhere = from('198.51.100.9', 'Chrome/130.0 in a pocket')

const deposit = (user: string, card: string, amount: number, asking: Asking = home) =>
  wallets.deposit(user, { amount, payment_method_id: card, gateway: 'mock' }, asking)

const withdraw = (user: string, account: string, amount: number, asking: Asking = home): Promise<Answer> =>
  wallets.bursar.do(
    'POST',
    '/api/v1/payments/withdrawals/initiate',
    { user_id: user, amount, payment_method_id: account },
    { ...BACKEND, ...asking },
  )

/** Somebody who has just paid five times, a hundred rupees each. */
async function busyUser(): Promise<{ user: string; card: string }> {
  const user = wallets.user()
  const card = await wallets.addMethod(user, 'mock', 'mock_card')
  for (let round = 0; round < 5; round++) expect((await deposit(user, card, 100)).status).toBe(200)
  return { user, card }
}

const decide = (id: string, decision: 'approve' | 'reject', as = 'olga'): Promise<Answer> =>
  wallets.bursar.do('POST', `${REVIEWS}/${id}`, { decision, note: 'Called back' }, { as, roles: ['operator'] })

async function reviewsOf(user: string, status = 'open'): Promise<Answer['body'][]> {
  const { status: http, body } = await wallets.bursar.get(`${REVIEWS}?status=${status}&user_id=${user}`, OPERATOR)
  expect(http, JSON.stringify(body)).toBe(200)
  return body.reviews
}

async function securityOf(user: string): Promise<Answer['body'][]> {
  const { body } = await wallets.bursar.get(`/api/v1/security-events?user_id=${user}`, OPERATOR)
  return body.events
}

describe('a suspicious deposit', () => {
  test('is PAY_006 with its indicators; nothing is reserved, no gateway is asked, and a person is to look', async () => {
    const { user, card } = await busyUser()
    const before = (await wallets.mock.calls())['POST /charges']
    const { status, body } = await deposit(user, card, 4_500)
    expect({ status, ...body }).toMatchObject({
      status: 403,
      error: 'SuspiciousActivity',
      code: 'PAY_006',
      refusal: 'payment.suspicious',
    })
    expect(body.message).toContain('rapid_successive_transactions, large_amount')

    expect((await wallets.mock.calls())['POST /charges']).toBe(before)
    expect(await wallets.transactions(user)).toHaveLength(5)
    expect(await wallets.balance(user)).toMatchObject({ balance: '500.00', daily_used: '500.00' })

    const [review, ...others] = await reviewsOf(user)
    expect(others).toEqual([])
    expect(review).toMatchObject({
      about: 'request',
      status: 'open',
      user_id: user,
      type: 'DEPOSIT',
      amount: '4500.00',
      currency: 'INR',
      indicators: ['rapid_successive_transactions', 'large_amount'],
      ip_address: '192.0.2.7',
      transaction_id: null,
      reviewed_by: null,
    })
    expect(review.score).toBeCloseTo(1 - 0.55 * 0.7, 10)
    expect(review.reasons.map(({ says }: { says: string }) => says)).toEqual([
      '6 requests within 10 minutes',
      'At least 80 % of what one transaction may be',
    ])
    expect(await securityOf(user)).toEqual([
      {
        timestamp: expect.any(String),
        event_type: 'suspicious_activity',
        user_id: user,
        indicators: ['rapid_successive_transactions', 'large_amount'],
        ip_address: '192.0.2.7',
        action_taken: 'additional_verification_required',
      },
    ])
    // A smaller one is not stopped.
    expect((await deposit(user, card, 200)).body).toMatchObject({ status: 'COMPLETED' })
  })

  test('that is tried again and again is one review', async () => {
    const { user, card } = await busyUser()
    const tries = await Promise.all([1, 2, 3].map(() => deposit(user, card, 4_500)))
    expect(tries.map(({ status }) => status)).toEqual([403, 403, 403])
    expect(await reviewsOf(user)).toHaveLength(1)
    expect(await securityOf(user)).toHaveLength(3)
  })

  test('may be repeated up to its amount for 24 hours once an operator has approved it', async () => {
    const { user, card } = await busyUser()
    await deposit(user, card, 4_500)
    const [review] = await reviewsOf(user)
    const decided = await decide(review.id, 'approve')
    expect(decided.body).toMatchObject({ success: true, id: review.id, decision: 'approved' })
    expect(Date.parse(decided.body.passes_until) - wallets.bursar.clock.now().getTime()).toBeGreaterThan(86_000_000)

    expect((await deposit(user, card, 4_501)).status).toBe(403)
    expect((await deposit(user, card, 4_500)).body).toMatchObject({ status: 'COMPLETED', amount: '4500.00' })
    expect(await reviewsOf(user)).toHaveLength(1)
    expect(await reviewsOf(user, 'approved')).toMatchObject([{ reviewed_by: 'olga', note: 'Called back' }])
    const allowed = await reviewsOf(user, 'allowed')
    expect(allowed[0]).toMatchObject({
      amount: '4500.00',
      indicators: ['rapid_successive_transactions', 'large_amount'],
    })
    expect(await securityOf(user)).toMatchObject([
      { event_type: 'suspicious_activity' },
      { event_type: 'review_approved', action_taken: 'may_be_repeated_for_24_hours' },
      { event_type: 'suspicious_activity' },
    ])
  })

  test('that was approved a day ago is as suspicious as it was', async () => {
    const { user, card } = await busyUser()
    await deposit(user, card, 4_500)
    const [review] = await reviewsOf(user)
    await decide(review.id, 'approve')
    wallets.bursar.clock.advance({ seconds: 24 * 3_600 + 1 })
    for (let round = 0; round < 5; round++) expect((await deposit(user, card, 100)).status).toBe(200)
    expect((await deposit(user, card, 4_500)).status).toBe(403)
  })

  test('stays refused when an operator rejects it', async () => {
    const { user, card } = await busyUser()
    await deposit(user, card, 4_500)
    const [review] = await reviewsOf(user)
    expect((await decide(review.id, 'reject')).body).toMatchObject({ decision: 'rejected', passes_until: null })
    expect((await deposit(user, card, 4_500)).status).toBe(403)
  })
})

describe('a review', () => {
  test('is decided once, however many operators decide at once', async () => {
    const { user, card } = await busyUser()
    await deposit(user, card, 4_500)
    const [review] = await reviewsOf(user)
    const answers = await Promise.all(
      ['olga', 'oscar', 'omar', 'oda'].map((as, index) => decide(review.id, index % 2 ? 'approve' : 'reject', as)),
    )
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409, 409, 409])
    expect(answers.find(({ status }) => status === 409)?.body.code).toBe('fraud.notInReview')
    const { body } = await wallets.bursar.get(`/api/v1/audit?type=review_decided&user_id=${user}`, OPERATOR)
    expect(body.events).toMatchObject([{ user_id: user, amount: 4_500, currency: 'INR' }])
  })

  test('that there is not is 404, also under the id of what was let through', async () => {
    const { user } = await busyUser()
    const [allowed] = await reviewsOf(user, 'allowed')
    for (const id of [allowed.id, 'rev_00000000000000000000000000000000', 'nonsense'])
      expect(await decide(id, 'approve')).toMatchObject({ status: 404, body: { code: 'fraud.notFound' } })
  })

  test('is for operators only', async () => {
    for (const roles of [[], ['service']] as const) {
      expect((await wallets.bursar.get(REVIEWS, { as: 'user_1', roles })).status).toBe(403)
      const answer = await wallets.bursar.do(
        'POST',
        `${REVIEWS}/x`,
        { decision: 'approve', note: 'x' },
        { as: 'user_1', roles },
      )
      expect(answer.status).toBe(403)
    }
  })

  test('of a payment whose gateway moved another amount stands in the same queue', async () => {
    const user = wallets.user()
    const card = await wallets.addMethod(user, 'mock', 'mock_card')
    const id = (await deposit(user, card, 100)).body.transaction_id
    await wallets.bursar.pool.query(
      `update payment set status = 'review', completed_at = null, failure_code = 'amount_mismatch', failure_message = 'The gateway moved less'
       where user_id = $1`,
      [user],
    )
    expect(await reviewsOf(user)).toMatchObject([
      {
        id,
        about: 'payment',
        transaction_id: id,
        indicators: ['amount_mismatch'],
        reasons: [{ says: 'The gateway moved less' }],
        score: null,
      },
    ])
    await wallets.bursar.pool.query(
      `update payment set status = 'completed', completed_at = now() where user_id = $1`,
      [user],
    )
  })

  test('queue can be read page by page', async () => {
    const all = await wallets.bursar.get(`${REVIEWS}?status=allowed&limit=100`, OPERATOR)
    const ids: string[] = []
    let cursor: string | null = null
    do {
      const page: Answer = await wallets.bursar.get(
        `${REVIEWS}?status=allowed&limit=7${cursor === null ? '' : `&cursor=${cursor}`}`,
        OPERATOR,
      )
      ids.push(...page.body.reviews.map(({ id }: { id: string }) => id))
      cursor = page.body.next_cursor
    } while (cursor !== null && ids.length < 100)
    expect(ids.slice(0, 100)).toEqual(all.body.reviews.map(({ id }: { id: string }) => id).slice(0, ids.length))
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids.length).toBeGreaterThan(20)
  })
})

describe('a withdrawal', () => {
  /** Three deposits of one day, all of which could be withdrawn. */
  async function saver(): Promise<{ user: string; account: string }> {
    const user = wallets.user()
    const card = await wallets.addMethod(user, 'mock', 'mock_card')
    const account = await wallets.addMethod(user, 'mock', 'mock_bank', 'BANK_TRANSFER')
    for (let round = 0; round < 3; round++) expect((await deposit(user, card, 1_400)).status).toBe(200)
    return { user, account }
  }

  test('of everything that was just paid in, to software and from a network that the user never had, is stopped', async () => {
    const { user, account } = await saver()
    const { status, body } = await withdraw(user, account, 4_200, elsewhere)
    expect({ status, code: body.code }).toEqual({ status: 403, code: 'PAY_006' })
    const [review] = await reviewsOf(user)
    expect(review).toMatchObject({
      type: 'WITHDRAWAL',
      indicators: ['large_amount', 'new_device', 'new_ip', 'round_trip'],
      ip_address: '198.51.100.9',
    })
    expect(await wallets.balance(user)).toMatchObject({ balance: '4200.00', locked_balance: '0.00' })
  })

  test('of the same from where the user always is goes through', async () => {
    const { user, account } = await saver()
    const nextDoor = from('192.0.2.200', 'Firefox/131.0 on a desk')
    const { status, body } = await withdraw(user, account, 4_200, nextDoor)
    expect(status, JSON.stringify(body)).toBe(200)
    const [allowed] = await reviewsOf(user, 'allowed')
    expect(allowed).toMatchObject({ type: 'WITHDRAWAL', indicators: ['large_amount', 'round_trip'] })
    expect(allowed.transaction_id).toBe(body.transaction_id)
  })
})

describe('requests at once by one user', () => {
  test('see each other: the sixth of them is the first rapid one, and the twenty-first is stopped', async () => {
    const user = wallets.user()
    const card = await wallets.addMethod(user, 'mock', 'mock_card')
    const answers = await Promise.all(Array.from({ length: 24 }, () => deposit(user, card, 10)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(20)
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(4)
    const allowed = [...(await reviewsOf(user, 'allowed'))].reverse()
    expect(allowed.filter(({ indicators }) => indicators.includes('rapid_successive_transactions'))).toHaveLength(15)
    expect(await wallets.balance(user)).toMatchObject({ balance: '200.00', daily_used: '200.00' })
    const { rows } = await wallets.bursar.pool.query('select seen, squares from fraud_profile where user_id = $1', [
      user,
    ])
    expect(rows).toEqual([{ seen: 20, squares: 0 }])
  })
})

test('with FRAUD_RULES=observe everything is judged and noted, and nobody is stopped', async () => {
  const observing = await Wallets.start()
  try {
    const user = observing.user()
    const card = await observing.addMethod(user, 'mock', 'mock_card')
    const answers = await Promise.all(
      Array.from({ length: 22 }, () =>
        observing.deposit(user, { amount: 10, payment_method_id: card, gateway: 'mock' }),
      ),
    )
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    const { body } = await observing.bursar.get(`${REVIEWS}?status=observed`, OPERATOR)
    expect(body.reviews).toHaveLength(2)
    const events = await observing.bursar.get('/api/v1/security-events', OPERATOR)
    expect(events.body.events).toMatchObject([{ action_taken: 'observed' }, { action_taken: 'observed' }])
  } finally {
    await observing.stop()
  }
})

test('all is in order after all of this', async () => {
  await wallets.expectAllInOrder()
})
