import { randomUUID } from 'node:crypto'
import { expect, vi } from 'vitest'
import { type GatewayName, gatewayNames } from '../../src/gateways/port.ts'
import type { KindName } from '../../src/jobs/catalogue.ts'
import { Dispatcher } from '../../src/jobs/dispatch.ts'
import { insertFollowUps } from '../../src/jobs/followup.ts'
import { fromPublicId, newId } from '../../src/kit/ids.ts'
import { inTransaction } from '../../src/platform/database.ts'
import { webhookSignature } from '../../src/sandbox/mock/signature.ts'
import type { Misbehaviour } from '../../src/sandbox/moods.ts'
import { sandboxKeys } from '../../src/sandbox/server.ts'
import { type Answer, type Asking, Deployment, type DeploymentOptions } from './deployment.ts'
import { moveToMidMonth, OPERATOR } from './tokens.ts'

/** A back end, which may act for any user and is not counted by the limits of each user. */
export const BACKEND = { as: 'backend', roles: ['service'] } as const

const PAYMENTS = '/api/v1/payments'

/** What a stand-in says of one thing that moved money, or did not. */
export interface Done {
  readonly reference: string
  readonly id: string
  /** Minor units. */
  readonly amount: number
  readonly currency: string
  readonly status: string
  /** How often money moved for this reference. */
  readonly times: number
}

/** A gateway's stand-in, as whoever tests against it may see and change it. */
export class GatewayStage {
  readonly name: GatewayName
  readonly url: string

  constructor(name: GatewayName, url: string) {
    this.name = name
    this.url = url
  }

  async ask(method: string, path: string, body?: unknown): Promise<{ status: number; body: Answer['body'] }> {
    const response = await fetch(this.url + path, {
      method,
      headers: { 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
  }

  /** The next request of this kind (`POST /v1/refunds`; `*` is any) is met with this, so many times. */
  async mood(on: string, does: Misbehaviour, times = 1): Promise<void> {
    expect(await this.ask('POST', '/_moods', { on, does, times })).toMatchObject({ status: 201 })
  }

  async behave(): Promise<void> {
    expect(await this.ask('DELETE', '/_moods')).toMatchObject({ status: 204 })
  }

  /** Hangs up on everybody until it behaves again: nothing is sent, or so it must be taken. */
  down(): Promise<void> {
    return this.mood('*', 'hang_up', 1_000_000)
  }

  /** The customer decides on the gateway's page; `id` is what the gateway calls the charge. */
  async customer(id: string, does: 'approve' | 'fail'): Promise<Answer['body']> {
    return (await this.ask('POST', `/_customer/${id}`, { does })).body
  }

  /** Razorpay's Checkout in the customer's browser: what its handler got, or its error. */
  checkout(orderId: string, by: Record<string, unknown>): Promise<{ status: number; body: Answer['body'] }> {
    return this.ask('POST', '/_checkout', { order_id: orderId, ...by })
  }

  dispute(
    chargeId: string,
    status: 'needs_response' | 'under_review' | 'won' | 'lost',
    about: { readonly amount?: number; readonly currency?: string } = {},
  ) {
    return this.ask('POST', '/_disputes', { charge_id: chargeId, status, ...about })
  }

  /** Time as the stand-in counts it: what waits at a bank goes on. */
  async pass(seconds: number): Promise<void> {
    expect(await this.ask('POST', '/_time', { advance_seconds: seconds })).toMatchObject({ status: 200 })
  }

  /** Webhooks are sent, held until they are released, or dropped; each so many times. */
  async webhooks(wanted: { mode?: 'send' | 'hold' | 'drop'; copies?: number }): Promise<void> {
    expect(await this.ask('PUT', '/_webhooks', wanted)).toMatchObject({ status: 200 })
  }

  /** Sends what was held, one after the other, and resolves when all were answered. */
  async release(order: 'same' | 'reversed' | 'shuffled' = 'same'): Promise<void> {
    expect(await this.ask('POST', '/_webhooks/release', { order })).toMatchObject({ status: 200 })
  }

  async held(): Promise<number> {
    return (await this.ask('GET', '/_webhooks')).body.held
  }

  async done(): Promise<{ charges: Done[]; refunds: Done[]; payouts: Done[] }> {
    return (await this.ask('GET', '/_done')).body
  }

  /** How often each route was asked. */
  async calls(): Promise<Record<string, number>> {
    return (await this.ask('GET', '/_calls')).body
  }
}

/** A webhook of the mock gateway about a charge, as the gateway would write it. */
export const mockEvent = (type: string, data: Record<string, unknown>, id: string = randomUUID()): string =>
  JSON.stringify({ id: `mock_event_${id}`, type, created_at: new Date().toISOString(), data })

/** The header with which the mock gateway signs a body at a time. */
export const mockSignature = (body: string, at: Date): Record<string, string> => ({
  'x-mock-signature': webhookSignature(sandboxKeys.mock.webhookSecret, body, at),
})

/** A deployment with wallets in it, and the gateways' stand-ins behind it. */
export class Wallets {
  readonly bursar: Deployment
  readonly stripe: GatewayStage
  readonly razorpay: GatewayStage
  readonly paystack: GatewayStage
  readonly mock: GatewayStage

  constructor(bursar: Deployment) {
    this.bursar = bursar
    const stage = (name: GatewayName) => new GatewayStage(name, bursar.foundation.sandbox?.gateways[name].apiBase ?? '')
    this.stripe = stage('stripe')
    this.razorpay = stage('razorpay')
    this.paystack = stage('paystack')
    this.mock = stage('mock')
  }

  /** What is tried again is tried again at once, and nobody's day ends while a test runs. Fraud rules only watch. */
  static async start(options: DeploymentOptions = {}): Promise<Wallets> {
    const bursar = await Deployment.start({
      backoff: () => 10,
      ...options,
      env: { FRAUD_RULES: 'observe', ...options.env },
    })
    const wallets = new Wallets(bursar)
    await wallets.#liveIn(whereItIsMorning(bursar.clock.now()))
    return wallets
  }

  /** Where users live from now on who say nothing else. */
  #liveIn(timeZone: string): Promise<unknown> {
    return this.bursar.pool.query(`alter table wallet_holder alter column time_zone set default '${timeZone}'`)
  }

  stop(): Promise<void> {
    return this.bursar.stop()
  }

  /** Nobody has used this one before. */
  user(): string {
    return `user_${randomUUID().slice(0, 8)}`
  }

  /** A user who may move as much as anybody may. */
  async verified(): Promise<string> {
    const user = this.user()
    const { status } = await this.bursar.do(
      'PUT',
      `/api/v1/users/${user}/kyc`,
      { level: 'ADVANCED' },
      { as: 'ada', roles: ['admin'] },
    )
    expect(status).toBe(200)
    return user
  }

  async addMethod(user: string, gateway: GatewayName, token: string, type = 'CARD'): Promise<string> {
    const { status, body } = await this.bursar.do(
      'POST',
      `${PAYMENTS}/methods`,
      { user_id: user, type, gateway, token },
      BACKEND,
    )
    expect(status, JSON.stringify(body)).toBe(200)
    return body.id
  }

  deposit(user: string, body: Record<string, unknown>, asking: Asking = {}): Promise<Answer> {
    return this.bursar.do(
      'POST',
      `${PAYMENTS}/deposits/initiate`,
      { user_id: user, ...body },
      { ...BACKEND, ...asking },
    )
  }

  /** A deposit that was credited; answers with its transaction id. */
  async deposited(user: string, body: Record<string, unknown>): Promise<string> {
    const { status, body: answer } = await this.deposit(user, body)
    expect({ status, is: answer.status }, JSON.stringify(answer)).toEqual({ status: 200, is: 'COMPLETED' })
    return answer.transaction_id
  }

  confirm(user: string, body: Record<string, unknown>, asking: Asking = {}): Promise<Answer> {
    return this.bursar.do('POST', `${PAYMENTS}/deposits/confirm`, { user_id: user, ...body }, { ...BACKEND, ...asking })
  }

  async balance(user: string, currency = 'INR'): Promise<Answer['body']> {
    const { status, body } = await this.bursar.get(
      `${PAYMENTS}/wallet/balance?user_id=${user}&currency=${currency}`,
      BACKEND,
    )
    expect(status, JSON.stringify(body)).toBe(200)
    return body
  }

  /** Newest first. */
  async transactions(user: string, type?: string): Promise<Answer['body'][]> {
    const { status, body } = await this.bursar.get(
      `${PAYMENTS}/wallet/transactions?user_id=${user}&limit=100${type === undefined ? '' : `&type=${type}`}`,
      BACKEND,
    )
    expect(status, JSON.stringify(body)).toBe(200)
    return body.transactions
  }

  async transaction(id: string): Promise<Answer['body']> {
    const { status, body } = await this.bursar.get(`${PAYMENTS}/wallet/transactions/${id}`, BACKEND)
    expect(status, JSON.stringify(body)).toBe(200)
    return body
  }

  /** Our references at gateways for a transaction, in the order in which they were to be asked. */
  async attempts(transaction: string): Promise<Answer['body'][]> {
    const { rows } = await this.bursar.pool.query(
      'select * from gateway_attempt where payment_id = $1 order by position',
      [fromPublicId('txn', transaction)],
    )
    return rows
  }

  /** Asks for something as Bursar itself does, and answers with its operation once nobody works on anything any more. */
  async ours(kind: KindName, input: Record<string, unknown>): Promise<Answer['body']> {
    const { foundation, clock, pool } = this.bursar
    const id = newId()
    const jobs = await inTransaction(pool, (sql) =>
      insertFollowUps(sql, foundation.keyring, [{ id, kind, input }], clock.now()),
    )
    await new Dispatcher(foundation.queues, foundation.log).send(jobs)
    const operation = await this.bursar.settled(id, OPERATOR)
    await this.bursar.quiet()
    return operation
  }

  /** What is open is looked up, as the schedule has it every minute; answers how many look-ups there were. */
  async follow(): Promise<number> {
    const { status, result } = await this.ours('payment.follow', { period: this.bursar.clock.now().toISOString() })
    expect(status).toBe('succeeded')
    return result.look_ups
  }

  /** Parked webhooks whose time has come are tried again; answers how many there were. */
  async unpark(): Promise<number> {
    const { status, result } = await this.ours('webhook.unpark', { period: this.bursar.clock.now().toISOString() })
    expect(status).toBe('succeeded')
    return result.tried
  }

  /** Tells Bursar of a webhook of the mock gateway, rightly signed. */
  tell(body: string, at: Date = this.bursar.clock.now()): Promise<Answer> {
    return this.bursar.ask('POST', '/webhooks/mock', { body, headers: mockSignature(body, at) })
  }

  /** Time goes on for Bursar and for every gateway. */
  async pass(seconds: number): Promise<void> {
    this.bursar.clock.advance({ seconds })
    for (const name of gatewayNames) await this[name].pass(seconds)
  }

  /** To a noon in the middle of a month, for users who live by UTC, as users do by default. */
  async midMonth(): Promise<void> {
    await this.#liveIn('UTC')
    moveToMidMonth(this.bursar.clock)
  }

  /** Payment operations that stand open or stuck; none when all is well. */
  async unfinished(): Promise<Answer['body'][]> {
    const { rows } = await this.bursar.pool.query(
      `select kind, status, error from operation where status in ('queued', 'processing', 'stuck')`,
    )
    return rows
  }

  /** The books are in order, no operation is stuck, and what each gateway says it moved for us is what we say. */
  async expectAllInOrder(): Promise<void> {
    // What is told on the side, such as a forgery, may be submitted after the last answer.
    await vi.waitFor(async () => {
      await this.bursar.quiet()
      expect(await this.unfinished()).toEqual([])
    })
    await this.bursar.expectCleanBooks()
    for (const name of gatewayNames) await this.expectSameAsAt(name)
  }

  /** Sums for each payment: somebody who paid twice has two lines here, and one there. */
  async expectSameAsAt(gateway: GatewayName): Promise<void> {
    const done = await this[gateway].done()
    const { rows } = await this.bursar.pool.query(
      'select id, payment_id, verb, status, moved, moved_currency from gateway_attempt where gateway = $1',
      [gateway],
    )
    const paymentOf = new Map<string, string>(rows.map(({ id, payment_id }) => [id, payment_id]))
    const theirs = (all: readonly Done[]) =>
      sums(
        all
          .filter(({ times }) => times > 0)
          .map((one) => ({
            payment: paymentOf.get(one.reference) ?? `unknown ${one.reference}`,
            currency: one.currency.toUpperCase(),
            amount: one.amount,
          })),
      )
    const ours = (verb: string, statuses: readonly string[]) =>
      sums(
        rows
          .filter((row) => row.verb === verb && statuses.includes(row.status) && row.moved !== null)
          .map((row) => ({ payment: row.payment_id, currency: row.moved_currency, amount: Number(row.moved) })),
      )
    expect(theirs(done.charges), `charges at ${gateway}`).toEqual(ours('charge', ['succeeded', 'surplus']))
    expect(theirs(done.refunds), `refunds at ${gateway}`).toEqual(ours('refund', ['succeeded']))
    for (const one of done.payouts.filter(({ times }) => times > 0)) {
      const attempt = rows.find(({ id }) => id === one.reference)
      expect(one.times, `payout ${one.reference} at ${gateway}`).toBe(1)
      expect(['succeeded', 'returned', 'declined'], `payout ${one.reference} at ${gateway}`).toContain(attempt?.status)
    }
    const paidOut = new Set(done.payouts.filter(({ times }) => times > 0).map(({ reference }) => reference))
    for (const { id } of rows.filter(({ verb, status }) => verb === 'payout' && status === 'succeeded'))
      expect(paidOut.has(id), `payout ${id} at ${gateway}`).toBe(true)
  }
}

function sums(moves: readonly { payment: string; currency: string; amount: number }[]): Record<string, number> {
  const totals: Record<string, number> = {}
  for (const { payment, currency, amount } of moves)
    totals[`${payment} ${currency}`] = (totals[`${payment} ${currency}`] ?? 0) + amount
  return totals
}

/** A zone in which it is between six and seven in the morning. `Etc/GMT-5` is five hours ahead of UTC. */
function whereItIsMorning(now: Date): string {
  const ahead = 6 - now.getUTCHours()
  const within = ahead < -12 ? ahead + 24 : ahead
  return `Etc/GMT${within > 0 ? '-' : '+'}${Math.abs(within)}`
}
