import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { reconcileCommand } from '../src/commands/reconcile.ts'
import type { Gateway, GatewayName } from '../src/gateways/port.ts'
import { Dispatcher } from '../src/jobs/dispatch.ts'
import { insertFollowUps } from '../src/jobs/followup.ts'
import { Fault } from '../src/kit/fault.ts'
import { newId } from '../src/kit/ids.ts'
import { inTransaction } from '../src/platform/database.ts'
import { schedules } from '../src/schedules/table.ts'
import { Deployment, onBothBackends } from './support/deployment.ts'
import { OPERATOR } from './support/tokens.ts'

/** As a test may change them. */
const gatewaysOf = ({ foundation }: Deployment) => foundation.gateways as unknown as Map<GatewayName, Gateway>

const BACK_END = { as: 'shop', roles: ['service'] } as const
const WHOLE = { from: '2000-01-01T00:00:00Z', until: '2000-01-02T00:00:00Z' }

/** A deployment and the mock gateway's stand-in, which tells nobody of anything by itself. */
class Stage {
  readonly bursar: Deployment
  readonly url: string
  readonly key: string

  private constructor(bursar: Deployment) {
    this.bursar = bursar
    const mock = bursar.foundation.sandbox?.gateways.mock
    this.url = mock?.apiBase ?? ''
    this.key = mock?.key.reveal() ?? ''
  }

  static async open(options: Parameters<typeof Deployment.start>[0] = {}): Promise<Stage> {
    const env = { FRAUD_RULES: 'observe', ...options.env }
    const stage = new Stage(await Deployment.start({ backoff: () => 20, ...options, env }))
    await stage.send('PUT', '/_webhooks', { mode: 'drop' })
    return stage
  }

  async send(method: string, path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
    const response = await fetch(this.url + path, {
      method,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${this.key}`, ...headers },
      body: JSON.stringify(body),
    })
    expect(response.ok, `${method} ${path} ${response.status}`).toBe(true)
    return response
  }

  /** A charge that somebody else made with the same account. */
  charge(reference: string, amount = 700): Promise<Response> {
    const body = { amount, currency: 'INR', method: 'card' }
    return this.send('POST', '/charges', body, { 'idempotency-key': reference })
  }

  async deposit(token?: string, amount = 10): Promise<{ id: string; attempt: string; user: string }> {
    const user = `user_${newId()}`
    const method =
      token === undefined
        ? undefined
        : await this.bursar.do(
            'POST',
            '/api/v1/payments/methods',
            { user_id: user, type: 'card', gateway: 'mock', token },
            BACK_END,
          )
    const { body } = await this.bursar.do(
      'POST',
      '/api/v1/payments/deposits/initiate',
      {
        user_id: user,
        amount,
        gateway: 'mock',
        ...(method === undefined ? {} : { payment_method_id: method.body.id }),
      },
      BACK_END,
    )
    const { rows } = await this.bursar.pool.query(
      `select gateway_attempt.id from gateway_attempt join payment on payment.id = payment_id where user_id = $1`,
      [user],
    )
    expect(rows, JSON.stringify(body)).toHaveLength(1)
    return { id: body.transaction_id, attempt: rows[0].id, user }
  }

  async balance(user: string): Promise<string> {
    const { body } = await this.bursar.get(`/api/v1/payments/wallet/balance?user_id=${user}`, BACK_END)
    return body.balance
  }

  /** Compares the last hour, or the period given, and answers with the report. */
  async reconcile(period: { from?: Date; until?: Date } = {}) {
    const now = this.bursar.clock.now().getTime()
    const { status, body } = await this.bursar.do(
      'POST',
      '/api/v1/payments/reconciliations',
      {
        gateway: 'MOCK',
        from: (period.from ?? new Date(now - 3_600_000)).toISOString(),
        until: (period.until ?? new Date(now + 60_000)).toISOString(),
      },
      OPERATOR,
    )
    expect(status, JSON.stringify(body)).toBe(200)
    await this.bursar.quiet()
    const read = await this.bursar.get(`/api/v1/payments/reconciliations/${body.reconciliation_id}`, OPERATOR)
    expect(read.status).toBe(200)
    expect(read.body).toMatchObject({ status: 'done', found: body.found, for_person: body.for_person })
    return read.body
  }
}

onBothBackends('A reconciliation', (backend) => {
  let stage: Stage
  beforeAll(async () => {
    stage = await Stage.open({ backend })
  })
  afterAll(() => stage.bursar.stop())

  test('finds nothing where both sides agree', async () => {
    await stage.deposit()
    await stage.deposit('mock_card')
    await stage.deposit('mock_decline')
    await stage.deposit('mock_3ds')
    const report = await stage.reconcile()
    expect(report).toMatchObject({ found: 0, findings: [], compared: 4 })
  })

  test('looks up at once what is open with us and done with them', async () => {
    await stage.send('POST', '/_moods', { on: 'POST /charges', does: 'lose_answer', times: 20 })
    const { attempt, user } = await stage.deposit()
    await fetch(`${stage.url}/_moods`, { method: 'DELETE' })
    expect(await stage.balance(user)).toBe('0.00')

    const { findings } = await stage.reconcile()
    expect(findings).toMatchObject([
      {
        what: 'different',
        type: 'charge',
        reference: attempt,
        ours: { status: 'unknown' },
        theirs: { status: 'succeeded', amount: '10.00', currency: 'INR' },
        done: 'looked_up',
        operation_status: 'succeeded',
        for_person: false,
      },
    ])
    expect(await stage.balance(user)).toBe('10.00')
    expect(await stage.reconcile()).toMatchObject({ found: 0 })
    await stage.bursar.expectCleanBooks()
  })

  test('sends back what was paid after we had given it up', async () => {
    const { attempt, user } = await stage.deposit('mock_3ds')
    const given = await stage.bursar.pool.query(
      `update gateway_attempt set status = 'declined', code = 'x', look_at = null where id = $1 returning payment_id, gateway_id`,
      [attempt],
    )
    await stage.bursar.pool.query(
      `update payment set status = 'failed', failure_code = 'x', completed_at = now(), expires_at = null where id = $1`,
      [given.rows[0].payment_id],
    )
    await stage.send('POST', `/_customer/${given.rows[0].gateway_id}`, { does: 'approve' })

    const { findings } = await stage.reconcile()
    expect(findings).toMatchObject([
      { what: 'extra', reference: attempt, ours: { status: 'declined' }, done: 'looked_up', for_person: false },
    ])
    expect(await stage.balance(user)).toBe('0.00')
    const done = await fetch(`${stage.url}/_done`).then((answer) => answer.json())
    expect((done as { refunds: unknown[] }).refunds).toMatchObject([{ amount: 1_000, times: 1 }])
    expect((await stage.bursar.get('/api/v1/payments/clearing', OPERATOR)).body).toEqual({ accounts: [], waiting: [] })
    expect(await stage.reconcile()).toMatchObject({ found: 0 })
  })
})

describe('What only a person can put right', () => {
  let stage: Stage
  beforeAll(async () => {
    stage = await Stage.open()
  })
  afterAll(() => stage.bursar.stop())

  test('is listed first: what they do not know, what we do not know, and what differs', async () => {
    const gone = await stage.deposit()
    const dearer = await stage.deposit()
    await stage.charge('order 66 of the shop next door')
    // As a restored backup would have it: another reference than the one that they were given.
    const renamed = newId()
    await stage.bursar.pool.query(`update gateway_attempt set id = $2, moved_id = 'mock_gone' where id = $1`, [
      gone.attempt,
      renamed,
    ])
    await stage.bursar.pool.query('update gateway_attempt set moved = moved + 1 where id = $1', [dearer.attempt])

    const { findings, found, for_person } = await stage.reconcile()
    expect({ found, for_person }).toEqual({ found: 4, for_person: 3 })
    const brief = findings.map(
      ({ what, reference, ours, theirs, done, for_person }: Record<string, { status?: string; amount?: string }>) => ({
        ...{ what, reference, done, for_person },
        ours: ours?.amount ?? null,
        theirs: theirs?.amount ?? theirs?.status ?? null,
      }),
    )
    expect(brief.slice(0, 3)).toEqual(
      expect.arrayContaining([
        { what: 'missing', reference: renamed, ours: '10.00', theirs: 'absent', done: 'nothing', for_person: true },
        { what: 'extra', reference: null, ours: null, theirs: '10.00', done: 'nothing', for_person: true },
        {
          what: 'different',
          reference: dearer.attempt,
          ours: '10.01',
          theirs: '10.00',
          done: 'nothing',
          for_person: true,
        },
      ]),
    )
    expect(brief[3]).toEqual({
      ...{ what: 'extra', reference: null, ours: null, theirs: '7.00', done: 'listed', for_person: false },
    })
  })

  test('makes the command end with 1, and says why', async () => {
    const { bursar } = stage
    const now = bursar.clock.now().getTime()
    const period = { from: new Date(now - 3_600_000), until: new Date(now + 60_000), waitMs: 20_000 }
    const lines: string[] = []
    const print = (line: string) => void lines.push(line)
    const code = await reconcileCommand(bursar.config, bursar.database.url, { gateway: 'mock', ...period }, print)
    expect(code).toBe(1)
    const text = lines.join('\n')
    expect(text).toMatch(/^mock, .*: 3 lines compared, 4 findings, 3 for a person/)
    expect(text).toMatch(/missing charge txn_\w+.*ours succeeded 10\.00 INR, theirs absent/)
    expect(text.match(/NEEDS A PERSON/g)).toHaveLength(3)
    expect(text).toMatch(/Suspense and disputes are empty$/)
  })
})

describe('A comparison', () => {
  let stage: Stage
  beforeAll(async () => {
    stage = await Stage.open()
  })
  afterAll(() => stage.bursar.stop())

  test('asks for what a day’s list lacks before it calls it missing', async () => {
    const { attempt } = await stage.deposit()
    const yesterday = new Date(Date.UTC(2026, 0, 2))
    await stage.bursar.pool.query('update gateway_attempt set asked_at = $2 where id = $1', [
      attempt,
      new Date(yesterday.getTime() - 60_000),
    ])
    const period = { from: new Date(yesterday.getTime() - 86_400_000), until: yesterday }
    expect(await stage.reconcile(period)).toMatchObject({ compared: 0, found: 0 })

    await stage.bursar.pool.query('update gateway_attempt set id = $2 where id = $1', [attempt, newId()])
    expect(await stage.reconcile(period)).toMatchObject({ found: 1, findings: [{ what: 'missing' }] })
  })

  test('of thousands of lines goes on where it was when their list broke off', async () => {
    const charges = Array.from({ length: 1_150 }, (_, n) => n)
    while (charges.length > 0)
      await Promise.all(charges.splice(0, 50).map((n) => stage.charge(`shop next door ${n}`, 100 + n)))

    const gateways = gatewaysOf(stage.bursar)
    const real = gateways.get('mock') as Gateway
    const pages: string[] = []
    let broken = false
    gateways.set('mock', {
      ...real,
      list: async (asked) => {
        // After a thousand lines, which are on disk by then.
        if (pages.length === 10 && !broken) {
          broken = true
          throw new Fault('The list broke off')
        }
        pages.push(asked.cursor ?? 'first')
        return real.list(asked)
      },
    })
    const report = await stage.reconcile()
    gateways.set('mock', real)
    expect(broken).toBe(true)
    expect(new Set(pages).size).toBe(pages.length)
    expect(report).toMatchObject({ compared: 1_151, found: 1_150, for_person: 0 })
    expect(report.findings).toHaveLength(1_000)
    const { rows } = await stage.bursar.pool.query('select count(*)::int from reconciliation_line')
    expect(rows[0].count).toBe(0)
  })

  test('waits for a gateway that is away', async () => {
    await stage.send('POST', '/_moods', { on: 'GET /movements', does: 'fail', times: 3 })
    const now = stage.bursar.clock.now()
    const later = { from: now, until: new Date(now.getTime() + 1_000) }
    expect(await stage.reconcile(later)).toMatchObject({ found: 0 })
  })

  test('is refused at a gateway that there is not, and of a period that is none', async () => {
    const path = '/api/v1/payments/reconciliations'
    const backwards = { gateway: 'mock', from: WHOLE.until, until: WHOLE.from }
    expect(await stage.bursar.do('POST', path, backwards, OPERATOR)).toMatchObject({ status: 422 })
    const decade = { gateway: 'mock', from: '2016-01-01T00:00:00Z', until: '2026-01-01T00:00:00Z' }
    expect(await stage.bursar.do('POST', path, decade, OPERATOR)).toMatchObject({ status: 422 })
    const gateways = gatewaysOf(stage.bursar)
    const stripe = gateways.get('stripe') as Gateway
    gateways.delete('stripe')
    expect(await stage.bursar.do('POST', path, { gateway: 'stripe', ...WHOLE }, OPERATOR)).toMatchObject({
      status: 400,
      body: { code: 'reconciliation.notConfigured' },
    })
    gateways.set('stripe', stripe)
    expect(await stage.bursar.get(`${path}/${newId()}`, OPERATOR)).toMatchObject({
      status: 404,
      body: { code: 'report.notFound' },
    })
  })

  test('is asked for every day at every gateway, with an hour of the day before', async () => {
    const { bursar } = stage
    const schedule = schedules.find(({ name }) => name === 'reconcile-gateways')
    expect(schedule).toMatchObject({ kind: 'reconciliation.plan', catchUp: 'all', timezone: 'UTC' })
    const { foundation } = bursar
    const plan = { id: newId(), kind: 'reconciliation.plan', input: { period: '2026-03-02T01:41:00.000Z' } } as const
    const jobs = await inTransaction(bursar.pool, (sql) =>
      insertFollowUps(sql, foundation.keyring, [plan], bursar.clock.now()),
    )
    await new Dispatcher(foundation.queues, foundation.log).send(jobs)
    await bursar.quiet()
    const { rows } = await bursar.pool.query(
      `select gateway, from_at, until_at, status from reconciliation where until_at = '2026-03-02T00:00:00Z' order by gateway`,
    )
    const day = {
      from_at: new Date('2026-02-28T23:00:00Z'),
      until_at: new Date('2026-03-02T00:00:00Z'),
      status: 'done',
    }
    expect(rows).toEqual(['mock', 'paystack', 'razorpay', 'stripe'].map((gateway) => ({ gateway, ...day })))
    const list = await bursar.get('/api/v1/payments/reconciliations?gateway=stripe&limit=1', OPERATOR)
    expect(list.body.reconciliations).toMatchObject([{ gateway: 'stripe', until: '2026-03-02T00:00:00.000Z' }])
  })
})

describe('What waits in suspense', () => {
  let stage: Stage
  beforeAll(async () => {
    stage = await Stage.open()
  })
  afterAll(() => stage.bursar.stop())

  test('is listed by age until it has left', async () => {
    const { bursar } = stage
    const first = await stage.deposit('mock_wrong_amount', 20)
    bursar.clock.advance({ seconds: 3_600 })
    const second = await stage.deposit('mock_wrong_amount', 30)
    bursar.clock.advance({ seconds: 60 })
    const { body } = await bursar.get('/api/v1/payments/clearing', OPERATOR)
    expect(body.accounts).toMatchObject([
      { purpose: 'suspense', currency: 'INR', balance: '50.02', unexplained: '0.00', items: 2 },
    ])
    expect(body.waiting).toMatchObject([
      { transaction_id: first.id, amount: '20.01', because: 'review', gateway: 'mock' },
      { transaction_id: second.id, amount: '30.01', because: 'review' },
    ])
    expect(body.waiting[0].age_seconds).toBeGreaterThanOrEqual(3_660)

    const decide = (id: string, decision: string) =>
      bursar.do(
        'POST',
        `/api/v1/payments/transactions/${id}/decision`,
        { decision, note: 'as it came' },
        { as: 'ada', roles: ['admin'] },
      )
    await stage.send('POST', '/_moods', { on: 'POST /refunds', does: 'fail', times: 5 })
    expect((await decide(second.id, 'accept')).status).toBe(200)
    expect((await decide(first.id, 'reject')).status).toBe(200)
    await bursar.quiet()
    const after = await bursar.get('/api/v1/payments/clearing', OPERATOR)
    expect(after.body.waiting).toMatchObject([{ transaction_id: first.id, because: 'going_back' }])
    // Long enough to believe the gateway that it has never heard of it: then it is asked anew.
    await fetch(`${stage.url}/_moods`, { method: 'DELETE' })
    bursar.clock.advance({ seconds: 1_000 })
    const report = await stage.reconcile({ from: new Date(Date.now() - 3_600_000) })
    expect(report.findings).toMatchObject([{ what: 'missing', type: 'refund', done: 'looked_up' }])
    await expect
      .poll(async () => (await bursar.get('/api/v1/payments/clearing', OPERATOR)).body, { timeout: 10_000 })
      .toEqual({ accounts: [], waiting: [] })
    await bursar.expectCleanBooks()
  })

  test('and what nothing explains is said to be so', async () => {
    await stage.bursar.pool.query(
      `insert into account_delta (id, account_id, amount, entries)
       select gen_random_uuid(), id, 77, 1 from account where owner = 'platform' and purpose = 'suspense' and asset = 'USD'`,
    )
    const { body } = await stage.bursar.get('/api/v1/payments/clearing', OPERATOR)
    expect(body).toMatchObject({
      accounts: [{ purpose: 'suspense', currency: 'USD', balance: '0.77', unexplained: '0.77', items: 0 }],
      waiting: [],
    })
  })
})

describe('At every gateway', () => {
  let bursar: Deployment
  beforeAll(async () => {
    bursar = await Deployment.start({ env: { FRAUD_RULES: 'observe' } })
  })
  afterAll(() => bursar.stop())

  const saved: Record<string, readonly [currency: string, charged: object, paidOut: object]> = {
    stripe: ['USD', { type: 'card', token: 'pm_card_visa' }, { type: 'bank_transfer', token: 'ba_sandbox' }],
    razorpay: ['INR', { type: 'upi' }, { type: 'bank_transfer', token: 'fa_sandbox_bank' }],
    paystack: [
      'NGN',
      { type: 'card', token: 'AUTH_sandbox_visa' },
      { type: 'bank_transfer', token: 'RCP_sandbox_bank' },
    ],
    mock: ['INR', { type: 'card', token: 'mock_card' }, { type: 'bank_transfer', token: 'mock_bank' }],
  }

  test.each(Object.keys(saved))('%s, what was charged, refunded and paid out agrees with its list', async (gateway) => {
    const [currency, charged, paidOut] = saved[gateway] ?? []
    const user_id = `user_${gateway}`
    const keep = async (method: object | undefined): Promise<string> => {
      const { status, body } = await bursar.do(
        'POST',
        '/api/v1/payments/methods',
        { user_id, gateway, ...method },
        BACK_END,
      )
      expect(status, JSON.stringify(body)).toBe(200)
      return body.id
    }
    const path = '/api/v1/payments/deposits/initiate'
    const how =
      charged !== undefined && 'token' in charged ? { payment_method_id: await keep(charged) } : { method: 'upi' }
    const wanted = { user_id, amount: 60, currency, gateway, ...how, email: 'ada@example.com' }
    const deposit = await bursar.do('POST', path, wanted, BACK_END)
    expect(deposit.status, JSON.stringify(deposit.body)).toBe(200)
    if (gateway === 'razorpay') {
      const url = bursar.foundation.sandbox?.gateways.razorpay.apiBase
      await fetch(`${url}/_checkout`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ order_id: deposit.body.order_id, method: 'upi', vpa: 'success@razorpay' }),
      })
    }
    const id = deposit.body.transaction_id
    const status = async (transaction: string) =>
      (await bursar.get(`/api/v1/payments/wallet/transactions/${transaction}`, BACK_END)).body.status
    await expect.poll(() => status(id), { timeout: 10_000 }).toBe('COMPLETED')

    const refund = await bursar.do('POST', `/api/v1/payments/deposits/${id}/refund`, { user_id, amount: 10 }, BACK_END)
    expect(refund.status, JSON.stringify(refund.body)).toBe(200)
    const withdrawal = await bursar.do(
      'POST',
      '/api/v1/payments/withdrawals/initiate',
      { user_id, amount: 20, currency, payment_method_id: await keep(paidOut) },
      BACK_END,
    )
    expect(withdrawal.status, JSON.stringify(withdrawal.body)).toBe(200)
    // What takes days there.
    const { gateways } = bursar.foundation.sandbox ?? {}
    await fetch(`${gateways?.[gateway as GatewayName].apiBase}/_time`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ advance_seconds: 3_600 }),
    })
    for (const one of [refund.body.refund_id, withdrawal.body.withdrawal_id])
      await expect.poll(() => status(one), { timeout: 10_000 }).toBe('COMPLETED')

    const now = Date.now()
    const run = await bursar.do(
      'POST',
      '/api/v1/payments/reconciliations',
      { gateway, from: new Date(now - 7_200_000).toISOString(), until: new Date(now + 7_200_000).toISOString() },
      OPERATOR,
    )
    const { body } = await bursar.get(`/api/v1/payments/reconciliations/${run.body.reconciliation_id}`, OPERATOR)
    expect(body).toMatchObject({ status: 'done', compared: 3, found: 0, findings: [] })
  })
})
