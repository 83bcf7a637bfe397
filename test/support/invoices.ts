import { expect } from 'vitest'
import type { Answer, Asking, DeploymentOptions } from './deployment.ts'
import { BACKEND, type GatewayStage, Wallets } from './wallets.ts'

const BILLING = '/api/v1/billing'

/** A letter as the mail server that delivers to nobody has kept it. */
export interface KeptLetter {
  readonly message_id: string
  readonly to: readonly string[]
  readonly subject: string
  readonly raw: string
}

/** A deployment that bills, with Stripe's stand-in and a mail server behind it. */
export class Invoices {
  readonly wallets: Wallets

  constructor(wallets: Wallets) {
    this.wallets = wallets
  }

  static async start(options: DeploymentOptions = {}): Promise<Invoices> {
    const company = {
      COMPANY_NAME: 'AgentHub',
      COMPANY_ADDRESS: '123 Business St, City, State 12345',
      COMPANY_EMAIL: 'billing@agenthub.example',
      COMPANY_PHONE: '+1-555-123-4567',
      INVOICE_PREFIX: 'AH',
    }
    return new Invoices(await Wallets.start({ ...options, env: { ...company, ...options.env } }))
  }

  stop(): Promise<void> {
    return this.wallets.stop()
  }

  get stripe(): GatewayStage {
    return this.wallets.stripe
  }

  get bursar(): Wallets['bursar'] {
    return this.wallets.bursar
  }

  /** Somebody who is billed, with an address of their own. */
  async customer(about: Record<string, unknown> = {}): Promise<string> {
    const user = this.wallets.user()
    const body = { name: 'Ada Example Ltd', email: `${user}@example.com`, ...about }
    const { status, body: answer } = await this.bursar.do('PUT', `${BILLING}/customers/${user}`, body, ADMIN)
    expect(status, JSON.stringify(answer)).toBe(200)
    return user
  }

  /** An invoice that is open: its body as it was made. Amounts are decimal numbers. */
  async invoice(user: string, amount = 25.5, about: Record<string, unknown> = {}): Promise<Answer['body']> {
    const items = [{ description: 'API usage', quantity: 1, unit_price: amount }]
    const body = { customer_id: user, items, ...about }
    const { status, body: made } = await this.bursar.do('POST', `${BILLING}/invoices`, body, BACKEND)
    expect(status, JSON.stringify(made)).toBe(200)
    return made
  }

  async details(id: number): Promise<Answer['body']> {
    const { status, body } = await this.bursar.get(`${BILLING}/invoice/${id}`, BACKEND)
    expect(status, JSON.stringify(body)).toBe(200)
    return body
  }

  pay(id: number, method = 'pm_card_visa', asking: Asking & { user?: string } = {}): Promise<Answer> {
    const { user, ...rest } = asking
    const body = { payment_method_id: method, ...(user === undefined ? {} : { user_id: user }) }
    return this.bursar.do('POST', `${BILLING}/invoice/${id}/pay`, body, { ...BACKEND, ...rest })
  }

  cancel(id: number): Promise<Answer> {
    return this.bursar.do('POST', `${BILLING}/invoice/${id}/cancel`, {}, BACKEND)
  }

  credit(id: number, amount: number): Promise<Answer> {
    return this.bursar.do('POST', `${BILLING}/invoice/${id}/credit`, { amount, reason: 'It was down' }, BACKEND)
  }

  /** The questions that were put about an invoice, in order. */
  async payments(id: number): Promise<Answer['body'][]> {
    const { rows } = await this.bursar.pool.query(
      'select * from invoice_payment where invoice_id = $1 order by created_at, id',
      [id],
    )
    return rows
  }

  /** What Stripe calls its copy of an invoice. */
  async copyOf(id: number): Promise<{ gateway_id: string; gateway_amount: string | null; payment_url: string | null }> {
    const { rows } = await this.bursar.pool.query(
      'select gateway_id, gateway_amount, payment_url from invoice where id = $1',
      [id],
    )
    return rows[0]
  }

  /** The customer decides on Stripe's own page of the invoice. */
  atStripe(copy: string, does: 'approve' | 'fail'): Promise<{ status: number; body: Answer['body'] }> {
    return this.stripe.ask('POST', `/_invoice/${copy}`, { does })
  }

  /** Charges that Stripe really made for this customer's invoices, minor units. */
  async charged(user: string): Promise<number[]> {
    const { rows } = await this.bursar.pool.query('select stripe_id from billing_customer where id = $1', [user])
    const { body } = await this.stripeApi(`/v1/charges?limit=100`)
    return body.data
      .filter((one: Answer['body']) => one.customer === rows[0]?.stripe_id && one.paid)
      .map((one: Answer['body']) => one.amount_captured)
  }

  /** Asks Stripe's own API, as somebody in its dashboard does. */
  async stripeApi(
    path: string,
    form?: Record<string, string>,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; body: Answer['body'] }> {
    const key = this.bursar.foundation.gatewayKeys.stripe?.secretKey.reveal() ?? ''
    const answer = await fetch(this.stripe.url + path, {
      method: form === undefined ? 'GET' : 'POST',
      headers: { Authorization: `Bearer ${key}`, ...headers },
      ...(form === undefined ? {} : { body: new URLSearchParams(form) }),
    })
    return { status: answer.status, body: await answer.json() }
  }

  /** What is open is looked after, as the schedule has it every minute. */
  async follow(): Promise<Answer['body']> {
    const period = this.bursar.clock.now().toISOString()
    const { status, result } = await this.wallets.ours('invoice.follow', { period })
    expect(status).toBe('succeeded')
    return result
  }

  /** Letters to one reader, oldest first. */
  async letters(to: string): Promise<KeptLetter[]> {
    const answer = await fetch(`${this.#mail}/messages?to=${encodeURIComponent(to)}`)
    return (await answer.json()) as KeptLetter[]
  }

  async mailMood(on: string, does: string, times = 1): Promise<void> {
    const answer = await fetch(`${this.#mail}/_moods`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ on, does, times }),
    })
    expect(answer.status).toBe(201)
  }

  get #mail(): string {
    return this.bursar.foundation.sandbox?.mailUrl ?? ''
  }

  /** The path of an invoice's own page, whatever host its link names. */
  pagePath(made: { payment_url: string }): string {
    return new URL(made.payment_url).pathname
  }

  /** Sum of what is in an account of ours, minor units. */
  async balance(purpose: string, asset = 'USD'): Promise<number> {
    const { rows } = await this.bursar.pool.query(
      `select coalesce(sum(case when credit_id = account.id then amount else -amount end), 0)::int as balance
       from account left join transfer on account.id in (debit_id, credit_id)
       where purpose = $1 and account.asset = $2`,
      [purpose, asset],
    )
    return rows[0].balance
  }
}

const ADMIN = { as: 'ada', roles: ['admin'] } as const
