import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Answer, Deployment } from './support/deployment.ts'
import { tally } from './support/tokens.ts'

const INSTANT = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)

let bursar: Deployment
beforeAll(async () => {
  bursar = await Deployment.start()
})
afterAll(() => bursar.stop())

/** Every token has a voice of its own, so that no limit is in the way. */
const issue = (budget: number) => bursar.issue(budget, `limits_${budget}_${budget}_${budget}_${randomUUID()}`)
const deduct = (token: string, body: unknown) => bursar.do('POST', `/token/${token}/deduct`, body)
const report = async (token: string) => (await bursar.get(`/token/${token}/report`)).body

describe('Deducting from a token', () => {
  test('takes the amount and names the transfer that did it', async () => {
    const token = await issue(100)
    const { status, body } = await deduct(token, { amount: 25 })
    expect(status).toBe(200)
    expect(body).toEqual({
      success: true,
      token_id: token,
      amount: 25,
      remaining: 75,
      transaction_id: expect.any(String),
    })
    expect(await bursar.balance(token)).toBe(75)
    const { rows } = await bursar.pool.query(
      `select movement, amount::int, debit_balance::int from transfer where id = $1`,
      [body.transaction_id],
    )
    expect(rows).toEqual([{ movement: 'token.deduct', amount: 25, debit_balance: 75 }])
  })

  test('may take all there is, to the last unit', async () => {
    const token = await issue(10)
    expect((await deduct(token, { amount: 10 })).body.remaining).toBe(0)
    expect(await bursar.balance(token)).toBe(0)
    expect((await deduct(token, { amount: 1 })).status).toBe(400)
    await bursar.expectCleanBooks()
  })

  test('more than there is gets 400 with what was wanted and what there is, and nothing is taken', async () => {
    const token = await issue(20)
    const { status, headers, body } = await deduct(token, { amount: 30 })
    expect(status).toBe(400)
    const message = 'Insufficient budget: 30 wanted, 20 available'
    expect(body).toEqual({
      error: 'InsufficientBudget',
      code: 'token.insufficient',
      message,
      detail: message,
      timestamp: INSTANT,
      request_id: headers.get('x-request-id'),
    })
    expect(await bursar.balance(token)).toBe(20)
    expect((await report(token)).transaction_count).toBe(0)
  })

  const amounts: [what: string, body: string][] = [
    ['nothing', '{"amount": 0}'],
    ['a negative amount', '{"amount": -5}'],
    ['a fraction', '{"amount": 0.5}'],
    ['an amount in a string', '{"amount": "5"}'],
    ['no amount', '{}'],
    ['null', '{"amount": null}'],
    ['the first integer that JSON does not carry exactly', '{"amount": 9007199254740992}'],
    ['an integer that JSON rounds', '{"amount": 9007199254740993}'],
    ['a fraction that JSON rounds to one', '{"amount": 1.0000000000000000001}'],
    ['a fraction that JSON rounds to ten', '{"amount": 9.99999999999999999999}'],
    ['more than any number', '{"amount": 1e400}'],
    ['a description longer than 500 letters', `{"amount": 1, "description": "${'d'.repeat(501)}"}`],
    ['a description that is no text', '{"amount": 1, "description": 5}'],
  ]
  test.each(amounts)('%s is refused with 422, and nothing is taken', async (what, body) => {
    const token = await issue(50)
    const { status, body: answer } = await deduct(token, body)
    expect(status).toBe(422)
    const field = what.startsWith('a description') ? 'description' : 'amount'
    expect(answer.detail.map(({ loc }: { loc: string[] }) => loc.join('.'))).toContain(`body.${field}`)
    expect(await bursar.balance(token)).toBe(50)
  })

  test('never shows a balance below zero, however many ask for more than there is', async () => {
    const token = await issue(30)
    const answers: Promise<Answer>[] = Array.from({ length: 50 }, () => bursar.deduct(token, 7))
    let open = true
    const watched: number[] = []
    const all = Promise.all(answers).finally(() => {
      open = false
    })
    while (open) watched.push(await bursar.balance(token))
    expect(tally(await all)).toEqual({ 200: 4, 400: 46 })
    expect(Math.min(...watched)).toBeGreaterThanOrEqual(0)
    expect(await bursar.balance(token)).toBe(2)
  })
})

describe('A token that there is not', () => {
  const unknown = randomUUID()
  const requests: [what: string, ask: () => Promise<Answer>][] = [
    ['the balance of an unknown id', () => bursar.get(`/balance/${unknown}`)],
    ['a deduction from it', () => deduct(unknown, { amount: 1 })],
    ['its report', () => bursar.get(`/token/${unknown}/report`)],
    ['its transactions', () => bursar.get(`/token/${unknown}/transactions`)],
    ['revoking it', () => bursar.do('DELETE', `/token/${unknown}`)],
    ['the balance of something that is no id', () => bursar.get('/balance/nonexistent-token')],
    ['a deduction from something that is no id', () => deduct('nonexistent-token', { amount: 1 })],
    ['its own report', () => bursar.get('/token/nonexistent-token/report')],
    ['its own transactions', () => bursar.get('/token/nonexistent-token/transactions')],
    ['revoking what is no id', () => bursar.do('DELETE', '/token/nonexistent-token')],
  ]
  test.each(requests)('is not found: %s', async (_what, ask) => {
    const { status, body } = await ask()
    expect(status).toBe(404)
    expect(body).toMatchObject({ error: 'TokenNotFound', code: 'token.notFound', detail: 'Token not found' })
    expect(body.timestamp).toEqual(INSTANT)
  })

  test('is not asked about in the database when its name is no id', async () => {
    const before = await bursar.statuses('token.deduct')
    await deduct('nonexistent-token', { amount: 1 })
    expect(await bursar.statuses('token.deduct')).toEqual(before)
  })
})

describe('The report', () => {
  test('of a token that was never used says so', async () => {
    const token = await issue(80)
    expect(await report(token)).toEqual({
      token_id: token,
      status: 'active',
      total_allocated: 80,
      remaining: 80,
      consumed: 0,
      utilization_rate: 0,
      transaction_count: 0,
      last_transaction: null,
      expires_at: INSTANT,
    })
  })

  test('adds up what was spent and shows the last of it', async () => {
    const token = await issue(80)
    await deduct(token, { amount: 10, description: 'Literature search' })
    const { body: last } = await deduct(token, { amount: 20, description: 'Peer review' })
    await deduct(token, { amount: 51 })
    expect(await report(token)).toMatchObject({
      total_allocated: 80,
      remaining: 50,
      consumed: 30,
      utilization_rate: 0.375,
      transaction_count: 2,
      last_transaction: {
        transaction_id: last.transaction_id,
        amount: 20,
        description: 'Peer review',
        timestamp: INSTANT,
      },
    })
  })

  test('is of one moment: what is left and what was consumed always make the budget', async () => {
    const token = await issue(60)
    let open = true
    const all = Promise.all(Array.from({ length: 60 }, () => bursar.deduct(token, 1))).finally(() => {
      open = false
    })
    while (open) {
      const { remaining, consumed, transaction_count, last_transaction } = await report(token)
      expect({ sum: remaining + consumed, count: transaction_count }).toEqual({ sum: 60, count: consumed })
      expect(last_transaction === null).toBe(consumed === 0)
    }
    expect(tally(await all)).toEqual({ 200: 60 })
    expect(await report(token)).toMatchObject({ remaining: 0, consumed: 60, utilization_rate: 1 })
  })
})

describe('The list of transactions', () => {
  const page = async (token: string, query: string) =>
    (await bursar.get(`/token/${token}/transactions${query}`)).body as {
      transactions: { transaction_id: string; amount: number; description: string; timestamp: string }[]
      next_cursor: string | null
    }

  test('shows each deduction with its amount, its description and its time, and nothing else of the token', async () => {
    const token = await issue(80)
    const { body } = await deduct(token, { amount: 5, description: 'Größe 5 «groß»' })
    await deduct(token, { amount: 6 })
    await deduct(token, { amount: 100, description: 'too much' })
    const { transactions, next_cursor } = await page(token, '')
    expect(next_cursor).toBeNull()
    expect(transactions).toEqual([
      { transaction_id: expect.any(String), amount: 6, description: '', timestamp: INSTANT },
      { transaction_id: body.transaction_id, amount: 5, description: 'Größe 5 «groß»', timestamp: INSTANT },
    ])
  })

  test('comes newest first, page by page, without a gap or a double while new ones arrive', async () => {
    const token = await issue(1_000)
    for (let amount = 1; amount <= 12; amount++) await deduct(token, { amount })
    const seen: number[] = []
    let cursor: string | null = null
    do {
      const { transactions, next_cursor } = await page(token, `?limit=5${cursor === null ? '' : `&cursor=${cursor}`}`)
      seen.push(...transactions.map(({ amount }) => amount))
      cursor = next_cursor
      await deduct(token, { amount: 100 })
    } while (cursor !== null)
    expect(seen).toEqual([12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1])
  })

  test('has 20 on a page where no number is asked for, and at most 100', async () => {
    const token = await issue(21)
    await Promise.all(Array.from({ length: 21 }, () => bursar.deduct(token, 1)))
    const first = await page(token, '')
    expect(first.transactions).toHaveLength(20)
    expect((await page(token, `?cursor=${first.next_cursor}`)).transactions).toHaveLength(1)
    expect((await page(token, '?limit=100')).transactions).toHaveLength(21)
  })

  test.each(['limit=0', 'limit=101', 'limit=-1', 'limit=two', 'limit=1.5', 'cursor=abc', 'cursor=-1'])(
    '%s is refused with 422',
    async (query) => {
      const token = await issue(1)
      const { status, body } = await bursar.get(`/token/${token}/transactions?${query}`)
      expect(status).toBe(422)
      expect(body.detail[0].loc).toEqual(['query', query.split('=')[0]])
    },
  )
})

describe('What is watched', () => {
  const metrics = async () => {
    const { username, password } = bursar.config.board
    const basic = Buffer.from(`${username}:${password.reveal()}`).toString('base64')
    const { body } = await bursar.get('/metrics', { headers: { Authorization: `Basic ${basic}` } })
    return new Map<string, number>(
      String(body)
        .split('\n')
        .flatMap((line) => {
          const [, name, value] = /^(\w+(?:\{[^}]*\})?) (\S+)$/.exec(line) ?? []
          return name === undefined ? [] : [[name, Number(value)] as const]
        }),
    )
  }
  const created = (read: Map<string, number>) =>
    [...read].filter(([name]) => /^payment_tokens_created_total\{voice_id_hash="[0-9a-f]{8}"\}$/.test(name))
  const sum = (entries: [string, number][]) => entries.reduce((total, [, value]) => total + value, 0)

  test('counts tokens by a hash of their voice, active tokens, and amounts by size', async () => {
    const before = await metrics()
    const token = await issue(90)
    await deduct(token, { amount: 30 })
    await deduct(token, { amount: 61 })
    const after = await metrics()

    const grown = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0)
    expect(sum(created(after)) - sum(created(before))).toBe(1)
    expect(created(after)).toHaveLength(created(before).length + 1)
    expect(grown('active_payment_tokens')).toBe(1)
    expect(grown('budget_consumption_amount_sum')).toBe(30)
    const bounds = [1, 5, 10, 25, 50, 100, 250, 500, '+Inf']
    expect(bounds.map((le) => grown(`budget_consumption_amount_bucket{le="${le}"}`))).toEqual([
      0, 0, 0, 0, 1, 1, 1, 1, 1,
    ])
  })

  test('tells with its health how many tokens there are and what is left on them', async () => {
    const { rows } = await bursar.pool.query(
      `select count(*)::int as active, sum(balance)::int as budget from token join account on account.id = account_id`,
    )
    const { status, body } = await bursar.get('/health')
    expect(status).toBe(200)
    expect(body).toEqual({
      status: 'healthy',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      timestamp: INSTANT,
      active_tokens: rows[0].active,
      total_budget: rows[0].budget,
      dependencies: {
        database: true,
        queue: true,
        voice_service: true,
        stripe: true,
        razorpay: true,
        paystack: true,
        mock: true,
      },
    })
  })
})
