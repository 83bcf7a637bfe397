import { SignJWT } from 'jose'
import type pg from 'pg'
import { developmentSecrets } from '../../src/platform/config/variables.ts'
import type { Sandbox } from '../../src/sandbox/server.ts'
import type { Client } from '../client.ts'
import { askGateway, type GatewayName, gateways } from '../gateways.ts'
import type { Told, Wish } from '../records.ts'
import type { Audited, Evidence, Load } from './load.ts'
import { auditWallets } from './wallets-audit.ts'
import { TOO_MUCH, UNVERIFIED } from './wallets-ends.ts'
import { type Currency, destinations, type Instrument, sources } from './wallets-instruments.ts'
import * as wishes from './wallets-wishes.ts'

/** Verified as far as can be: no limit is in the way of what they do in one run. */
const USERS = 16

const OVER_SINGLE_LIMIT = '5000.01'

/** Minor units: from what every gateway takes, to what leaves a verified user's day room for thousands of them. */
const AMOUNTS: Readonly<Record<Currency, readonly [smallest: number, largest: number]>> = {
  INR: [50_00, 200_00],
  USD: [2_00, 5_00],
  NGN: [50_00, 200_00],
}
/** So that there is something to pay out from the beginning. */
const FIRST = 500_00

/** Seconds that a client that wants to know stays with an operation, and that it offers to wait with the request. */
const FOLLOWED = 15
const WAITED = 5

/** Seconds that everything takes before the first fault. */
const SET_UP = 60

/** Deposits that may still be refunded or disputed, and keys that a client may come back to. */
const REMEMBERED = 300

/** Of pages that customers see: how often they pay, and how often they fail to; the rest never come back. */
const PAYS = 0.7
const FAILS = 0.15

interface Paid {
  readonly transaction: string
  readonly gateway: GatewayName
  /** What the gateway calls it. */
  readonly order: string
  readonly minor: number
}

interface DepositResult {
  readonly transaction_id: string
  readonly status: string
  readonly order_id: string | null
  readonly gateway: string
  readonly amount: string
}

/** Money in and out of wallets by four gateways, with everything that their customers and banks may do. */
export class Wallets implements Load {
  readonly name = 'wallets'
  readonly weight = 0.35
  readonly #sandbox: Sandbox
  readonly #methods = new Map<string, Promise<string | undefined>>()
  readonly #paid: Paid[] = []
  readonly #pending: string[] = []
  readonly #past: Told[] = []
  /** What the last word on each of the mock gateway's disputes was, by charge. */
  readonly #disputes = new Map<string, string>()
  #asking: wishes.Asking = { authorization: '' }
  readonly #deeds: readonly { readonly weight: number; readonly does: (client: Client) => Promise<unknown> }[] = [
    { weight: 30, does: (client) => this.#depositSaved(client) },
    { weight: 16, does: (client) => this.#depositOnPage(client) },
    { weight: 4, does: (client) => this.#depositAnywhere(client) },
    { weight: 2, does: (client) => this.#depositTooMuch(client) },
    { weight: 14, does: (client) => this.#refund(client) },
    { weight: 3, does: (client) => this.#callOff(client) },
    { weight: 18, does: (client) => this.#withdraw(client) },
    { weight: 2, does: (client) => this.#withdrawTooMuch(client) },
    { weight: 4, does: (client) => this.#dispute(client) },
    { weight: 6, does: (client) => this.#repeat(client) },
    { weight: 1, does: (client) => this.#misuse(client) },
  ]

  constructor(sandbox: Sandbox) {
    this.#sandbox = sandbox
  }

  async setUp(client: Client): Promise<void> {
    this.#asking = { authorization: await bearer('chaos back end', 'service') }
    const admin = { authorization: await bearer('chaos admin', 'admin') }
    await Promise.all(
      users.map(async (user) => {
        const verified = await client.submit(wishes.verify(user, admin), { wait: 30 })
        const { outcome } = await this.#settled(client, verified)
        if (outcome?.status !== 'succeeded') throw new Error(`${user} could not be verified`)
        await this.#begin(client, { user, currency: 'INR', gateway: 'mock', minor: FIRST })
      }),
    )
  }

  async step(client: Client): Promise<void> {
    await client.dice.weighted(this.#deeds).does(client)
  }

  /** Banks do what they are waited for, and whatever is to be asked about later is asked about now. */
  async passTime({ pool }: Pick<Evidence, 'pool'>): Promise<number> {
    for (const gateway of gateways) await this.#at(gateway, 'POST', '/_time', { advance_seconds: 61 })
    for (const [charge, status] of this.#disputes) await this.#tellDispute(charge, status)
    this.#disputes.clear()
    return bringOnLater(pool)
  }

  audit(evidence: Evidence): Promise<Audited> {
    return auditWallets(evidence)
  }

  async #depositSaved(client: Client): Promise<void> {
    const { dice } = client
    const user = dice.pick(users)
    const source = dice.weighted(sources)
    const method = await this.#method(client, user, source)
    if (method === undefined) return
    const { gateway, currency } = source
    const told = await this.#begin(client, { user, currency, gateway, method })
    if (source.asks) await this.#visit(client, told)
  }

  async #depositOnPage(client: Client): Promise<void> {
    const { gateway, currency } = client.dice.pick(pages)
    const told = await this.#begin(client, { user: client.dice.pick(users), currency, gateway })
    await this.#visit(client, told)
  }

  /** Whoever can be reached takes it. */
  async #depositAnywhere(client: Client): Promise<void> {
    const currency = client.dice.pick(['INR', 'USD', 'NGN'] as const)
    const told = await this.#begin(client, { user: client.dice.pick(users), currency })
    await this.#visit(client, told)
  }

  async #depositTooMuch(client: Client): Promise<void> {
    const body = { user_id: UNVERIFIED, amount: OVER_SINGLE_LIMIT, currency: 'INR', gateway: 'mock', email: EMAIL }
    await this.#do(client, wishes.deposit(body, this.#asking))
  }

  async #refund(client: Client): Promise<void> {
    if (this.#paid.length === 0) return this.#depositSaved(client)
    const { transaction, minor } = client.dice.pick(this.#paid)
    // All of it, a part, or more than there was.
    const share = client.dice.pick([1, 0.3, 0.5, 0.5, 2])
    const amount = share === 1 ? {} : { amount: decimal(Math.round(minor * share)) }
    await this.#do(client, wishes.refund(transaction, { ...amount, reason: 'Changed their mind' }, this.#asking))
  }

  /** What nobody has paid yet, or has just now. */
  async #callOff(client: Client): Promise<void> {
    const transaction = this.#pending.pop()
    if (transaction === undefined) return this.#depositOnPage(client)
    await this.#do(client, wishes.refund(transaction, { reason: 'Called off' }, this.#asking))
  }

  async #withdraw(client: Client): Promise<void> {
    const user = client.dice.pick(users)
    const destination = client.dice.weighted(destinations)
    const method = await this.#method(client, user, destination)
    if (method === undefined) return
    const amount = decimal(client.dice.between(...AMOUNTS[destination.currency]))
    const body = { user_id: user, amount, currency: destination.currency, payment_method_id: method }
    await this.#do(client, wishes.withdraw(body, this.#asking))
  }

  async #withdrawTooMuch(client: Client): Promise<void> {
    const user = client.dice.pick(users)
    const [destination] = destinations
    const method = destination && (await this.#method(client, user, destination))
    if (method === undefined) return
    const body = { user_id: user, amount: TOO_MUCH, currency: 'INR', payment_method_id: method }
    await this.#do(client, wishes.withdraw(body, this.#asking))
  }

  /** A customer's bank argues, and some time later decides. */
  async #dispute(client: Client): Promise<void> {
    const paid = this.#paid.filter(({ gateway }) => gateway === 'mock')
    if (paid.length === 0) return this.#depositSaved(client)
    const { order } = client.dice.pick(paid)
    const known = this.#disputes.get(order)
    if (known === 'won' || known === 'lost') return
    const status = known === undefined ? 'needs_response' : client.dice.pick(['under_review', 'won', 'lost'])
    this.#disputes.set(order, status)
    await this.#tellDispute(order, status)
  }

  async #tellDispute(charge: string, status: string): Promise<void> {
    await this.#at('mock', 'POST', '/_disputes', { charge_id: charge, status })
  }

  async #repeat(client: Client): Promise<void> {
    if (this.#past.length === 0) return this.#depositSaved(client)
    await client.repeat(client.dice.pick(this.#past), client.dice.chance(0.5) ? { wait: WAITED } : {})
  }

  async #misuse(client: Client): Promise<void> {
    if (this.#past.length === 0) return this.#depositSaved(client)
    const told = client.dice.pick(this.#past)
    const { amount } = told.body as { amount?: string }
    if (amount !== undefined) await client.misuse(told, { ...(told.body as object), amount: '12345.67' })
  }

  async #begin(
    client: Client,
    wanted: { user: string; currency: Currency; gateway?: GatewayName; method?: string; minor?: number },
  ): Promise<Told> {
    const minor = wanted.minor ?? client.dice.between(...AMOUNTS[wanted.currency])
    const told = await this.#do(
      client,
      wishes.deposit(
        {
          user_id: wanted.user,
          amount: decimal(minor),
          currency: wanted.currency,
          ...(wanted.gateway === undefined ? {} : { gateway: wanted.gateway }),
          ...(wanted.method === undefined ? {} : { payment_method_id: wanted.method }),
          email: EMAIL,
        },
        this.#asking,
      ),
    )
    const result = resultOf<DepositResult>(told)
    if (result?.status === 'COMPLETED' && result.order_id !== null) this.#remember(result, minor)
    return told
  }

  #remember({ transaction_id: transaction, order_id: order, gateway }: DepositResult, minor: number): void {
    this.#paid.push({ transaction, order: order ?? '', gateway: gateway.toLowerCase() as GatewayName, minor })
    if (this.#paid.length > REMEMBERED) this.#paid.shift()
  }

  /** The customer at the gateway's page, and what their browser brings back. */
  async #visit(client: Client, told: Told): Promise<void> {
    const result = resultOf<DepositResult>(told)
    if (result?.status !== 'PENDING' || result.order_id === null) return
    const { dice } = client
    const mind = dice.next()
    if (mind > PAYS + FAILS) {
      this.#pending.push(result.transaction_id)
      return
    }
    const does = mind < PAYS ? 'approve' : 'fail'
    const gateway = result.gateway.toLowerCase() as GatewayName
    const back = await this.#customer(gateway, result.order_id, does)
    this.#remember(result, Math.round(Number(result.amount) * 100))
    if (back === undefined || dice.chance(0.5)) return
    await this.#do(client, wishes.confirm({ transaction_id: result.transaction_id, ...back }, this.#asking))
  }

  /** Undefined when there is nothing to bring back, or the page is closed already. */
  async #customer(gateway: GatewayName, order: string, does: 'approve' | 'fail') {
    if (gateway !== 'razorpay') {
      const { ok } = await this.#at(gateway, 'POST', `/_customer/${order}`, { does })
      if (!ok || gateway === 'mock') return undefined
      return { gateway_payment_id: order, gateway_data: gateway === 'paystack' ? { reference: order } : {} }
    }
    const vpa = does === 'approve' ? 'success@razorpay' : 'failure@razorpay'
    const { ok, body } = await this.#at(gateway, 'POST', '/_checkout', { order_id: order, method: 'upi', vpa })
    if (!ok) return undefined
    const { razorpay_payment_id, ...gateway_data } = body as Record<string, string>
    return { gateway_payment_id: razorpay_payment_id ?? '', gateway_data }
  }

  /** Added the first time that it is wanted; when it could not be, the next one who wants it adds it. */
  async #method(client: Client, user: string, { gateway, type, token }: Instrument): Promise<string | undefined> {
    const name = `${user} ${gateway} ${token}`
    const known = this.#methods.get(name)
    if (known !== undefined) return known
    const adding = this.#add(client, wishes.method({ user_id: user, type, gateway, token }, this.#asking))
    this.#methods.set(name, adding)
    const id = await adding
    if (id === undefined) this.#methods.delete(name)
    return id
  }

  async #add(client: Client, wish: Wish): Promise<string | undefined> {
    const told = await client.submit(wish, { wait: WAITED })
    await this.#settled(client, told)
    return resultOf<{ id: string }>(told)?.id
  }

  /** Some clients wait with the request, some poll, and some never come back. */
  async #do(client: Client, wish: Wish): Promise<Told> {
    const told = await client.submit(wish, client.dice.chance(0.35) ? { wait: WAITED } : {})
    if (client.dice.chance(0.8)) await client.follow(told, FOLLOWED)
    this.#past.push(told)
    if (this.#past.length > REMEMBERED) this.#past.shift()
    return told
  }

  /** With its outcome, which it has unless something is badly wrong. */
  async #settled(client: Client, told: Told): Promise<Told> {
    await client.follow(told, SET_UP)
    return told
  }

  #at(gateway: GatewayName, method: 'POST', path: string, body: unknown) {
    return askGateway(this.#sandbox, gateway, method, path, body)
  }
}

const users = Array.from({ length: USERS }, (_, n) => `wallet_${n}`)

/** Where customers pay without a saved method. */
const pages = [
  { gateway: 'razorpay', currency: 'INR' },
  { gateway: 'razorpay', currency: 'INR' },
  { gateway: 'stripe', currency: 'USD' },
  { gateway: 'paystack', currency: 'NGN' },
] as const

const EMAIL = 'customer@example.com'

const decimal = (minor: number): string => (minor / 100).toFixed(2)

const resultOf = <Result>({ outcome }: Told): Result | undefined =>
  outcome?.status === 'succeeded' ? (outcome.result as Result) : undefined

const bearer = async (subject: string, role: string): Promise<string> =>
  `Bearer ${await new SignJWT({ roles: [role] })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(subject)
    .setExpirationTime('4h')
    .sign(new TextEncoder().encode(developmentSecrets.JWT_SECRET_KEY))}`

/**
 * The hours that pass until the last look-up are spared: what would be asked about then is due now, what a gateway has not
 * heard of in a quarter of an hour was never sent, and customers who have not paid by now have gone. Answers with how many
 * questions and webhooks are open.
 */
async function bringOnLater(pool: pg.Pool): Promise<number> {
  await pool.query(`update payment set expires_at = least(expires_at, now()) where status in ('requested', 'pending')`)
  const { rowCount: questions } = await pool.query(
    `update gateway_attempt set look_at = now(), asked_at = asked_at - interval '1 hour'
     where status in ('sent', 'unknown', 'pending') and look_at is not null`,
  )
  const { rowCount: parked } = await pool.query(
    `update webhook set try_at = now() where status = 'parked' and tries < 3`,
  )
  return (questions ?? 0) + (parked ?? 0)
}
