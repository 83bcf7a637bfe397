import type pg from 'pg'
import { composeInvoice } from '../../src/jobs/billing.ts'
import { recordUsage } from '../../src/jobs/usage.ts'
import type { Sandbox } from '../../src/sandbox/server.ts'
import type { Client } from '../client.ts'
import { askGateway } from '../gateways.ts'
import type { Told, Wish } from '../records.ts'
import { auditBilling } from './billing-audit.ts'
import { Prints } from './billing-prints.ts'
import * as wishes from './billing-wishes.ts'
import { customersOf, letMonthEnd, type Months, monthsAt, periodOf, scales, seed } from './billing-world.ts'
import type { Audited, Evidence, Load } from './load.ts'
import { type Asking, method } from './wallets-wishes.ts'

/** Seconds that a client that wants to know stays with an operation, and that it offers to wait with the request. */
const FOLLOWED = 15
const WAITED = 5

/** Seconds that everything takes before the first fault. */
const SET_UP = 60

/** Requests with usage, drafts, and keys that a client may come back to. */
const REMEMBERED = 200

/** Events are taken for 35 days: milliseconds of a little less. */
const TAKEN_FOR_MS = 34 * 86_400_000

/** Milliseconds for which the list of invoices that somebody might pay, cancel or credit is good enough. */
const LIST_HOLDS_MS = 500

const CARDS = { good: 'pm_card_visa', declined: 'pm_card_visa_chargeDeclined' } as const

interface Listed {
  readonly id: number
  readonly customer: string
  readonly currency: keyof typeof scales
  readonly total: number
  readonly isDue: boolean
  /** What Stripe calls it, while it can be paid there. */
  readonly copy: string | null
}

/** Usage, months and invoices: recorded twice, billed by everybody at once, paid twice, taken back. */
export class Billing implements Load {
  readonly name = 'billing'
  readonly weight = 0.5
  readonly #sandbox: Sandbox
  readonly #pool: pg.Pool
  readonly #months: Months = monthsAt(new Date())
  readonly #customers = customersOf(this.#months)
  readonly #prints = new Prints()
  /** Saved methods, by customer. */
  readonly #methods = new Map<string, string>()
  readonly #recorded: (readonly wishes.Event[])[] = []
  readonly #drafts: number[] = []
  readonly #past: Told[] = []
  #listed: { readonly at: number; readonly invoices: Promise<readonly Listed[]> } | undefined
  #events = 0
  #service: Asking = { authorization: '' }
  #operator: Asking = { authorization: '' }
  #admin: Asking = { authorization: '' }
  readonly #deeds: readonly { readonly weight: number; readonly does: (client: Client) => Promise<unknown> }[] = [
    { weight: 22, does: (client) => this.#use(client, 1) },
    { weight: 12, does: (client) => this.#use(client, client.dice.between(2, 40)) },
    { weight: 8, does: (client) => this.#useAgain(client) },
    { weight: 14, does: (client) => this.#compose(client) },
    { weight: 5, does: (client) => this.#finalize(client) },
    { weight: 5, does: (client) => this.#billOne(client) },
    { weight: 5, does: (client) => this.#billAll(client) },
    { weight: 12, does: (client) => this.#pay(client) },
    { weight: 3, does: (client) => this.#payTwice(client) },
    { weight: 4, does: (client) => this.#payAtStripe(client) },
    { weight: 4, does: (client) => this.#cancel(client) },
    { weight: 6, does: (client) => this.#credit(client) },
    { weight: 1, does: (client) => this.#writeOff(client) },
    { weight: 4, does: () => this.#print() },
    { weight: 6, does: (client) => this.#repeat(client) },
    { weight: 1, does: (client) => this.#misuse(client) },
  ]

  constructor({ sandbox, pool }: Pick<Evidence, 'pool' | 'sandbox'>) {
    this.#sandbox = sandbox
    this.#pool = pool
  }

  async setUp(client: Client): Promise<void> {
    this.#service = await wishes.asking('service')
    this.#operator = await wishes.asking('operator')
    this.#admin = await wishes.asking('admin')
    await seed(this.#pool, this.#months)
    await Promise.all(
      this.#customers.map(async (customer) => {
        await this.#settled(client, wishes.customer(customer, this.#service))
        if (customer.card === 'none') return
        const saved = await this.#settled(
          client,
          method({ user_id: customer.id, type: 'CARD', gateway: 'stripe', token: CARDS[customer.card] }, this.#service),
        )
        this.#methods.set(customer.id, String((saved as { id?: unknown }).id))
      }),
    )
    // Under way when the first fault comes, and before anybody bills a later month.
    await client.submit(wishes.startMonth(periodOf(this.#months.first), this.#operator))
  }

  async step(client: Client): Promise<void> {
    await client.dice.weighted(this.#deeds).does(client)
  }

  /** Whatever is to be collected, looked up or withdrawn later is so now; lost questions are an hour old after some rounds. */
  async passTime({ pool }: Pick<Evidence, 'pool'>): Promise<number> {
    await letMonthEnd(pool)
    const { rowCount: questions } = await pool.query(
      `update invoice_payment set look_at = now(), asked_at = asked_at - interval '25 minutes' where look_at is not null`,
    )
    const { rowCount: dunned } = await pool.query('update invoice set dunning_at = now() where dunning_at is not null')
    await pool.query('update invoice set gateway_look_at = now() where gateway_amount is not null')
    const { rows } = await pool.query(
      `select (select count(*) from run where status <> 'closed')::int
         + (select count(*) from invoice where gateway_amount is not null and (status in ('void', 'paid') or gateway_amount <> due))::int
         as open`,
    )
    return (questions ?? 0) + (dunned ?? 0) + Number(rows[0].open)
  }

  audit(evidence: Evidence): Promise<Audited> {
    return auditBilling(evidence, { months: this.#months, customers: this.#customers, prints: this.#prints })
  }

  /** Now and then of several customers, and now and then nonsense: bad events are refused one by one. */
  async #use(client: Client, count: number): Promise<void> {
    const { dice } = client
    const users = [dice.pick(this.#customers).id, dice.pick(this.#customers).id]
    const events = Array.from({ length: count }, () => this.#event(client, dice.chance(0.8) ? users[0] : users[1]))
    await this.#record(client, events)
  }

  #event({ dice }: Client, user = 'bill_00'): wishes.Event {
    const metric = dice.pick(['api_calls', 'api_calls', 'agent_runs', 'active_users', 'storage_gb', 'seats'] as const)
    this.#events += 1
    const now = Date.now()
    const oldest = now - TAKEN_FOR_MS
    const monthEnd = Date.parse(periodOf(this.#months.last))
    const at = dice.chance(0.7) && monthEnd > oldest ? dice.between(oldest, monthEnd - 1) : dice.between(oldest, now)
    const nonsense = dice.chance(0.03)
    return {
      user_id: user,
      metric: nonsense ? 'moonbeams' : metric,
      // Without one a repeat under another key counts again.
      ...(dice.chance(0.9) ? { event_id: `evt_${this.#events}` } : {}),
      ...quantities[metric](dice),
      timestamp: new Date(at).toISOString(),
    }
  }

  /** What was sent before, under a new key and with some that are new among it. */
  async #useAgain(client: Client): Promise<void> {
    if (this.#recorded.length === 0) return this.#use(client, 1)
    const { dice } = client
    const again = [...dice.pick(this.#recorded), ...dice.pick(this.#recorded)].slice(0, 60)
    const [first] = again
    await this.#record(client, dice.chance(0.5) ? again : [...again, this.#event(client, first?.user_id)])
  }

  async #record(client: Client, events: readonly wishes.Event[]): Promise<void> {
    remember(this.#recorded, events)
    await this.#do(client, wishes.usage(events, this.#service))
  }

  async #compose(client: Client): Promise<void> {
    const { dice } = client
    const { id } = dice.pick(this.#customers)
    const items = Array.from({ length: dice.between(1, 3) }, (_, n) => ({
      description: `Item ${n}`,
      ...(dice.chance(0.5) ? { quantity: decimal(dice.between(1, 40_000), 2) } : {}),
      // Some too small to be collected.
      unit_price: dice.chance(0.15) ? '0.11' : decimal(dice.between(1, 90_000), 3),
    }))
    const draft = dice.chance(0.25)
    const told = await this.#do(
      client,
      wishes.compose(
        {
          customer_id: id,
          items,
          // Long overdue, so that it is collected.
          ...(dice.chance(0.4) ? { due_date: `${this.#months.last}-02` } : {}),
          ...(draft ? { draft: true as const } : {}),
        },
        this.#service,
      ),
    )
    const made = told.outcome?.status === 'succeeded' ? (told.outcome.result as { invoice_id: number }) : undefined
    if (draft && made !== undefined) remember(this.#drafts, made.invoice_id)
  }

  /** By two at once, now and then, or by one while another deletes it. */
  async #finalize(client: Client): Promise<void> {
    const draft = this.#drafts.shift()
    if (draft === undefined) return this.#compose(client)
    const other = client.dice.weighted([
      { weight: 5, wish: undefined },
      { weight: 2, wish: wishes.finalize(draft, this.#service) },
      { weight: 1, wish: wishes.cancel(draft, this.#service) },
    ]).wish
    await Promise.all([
      this.#do(client, wishes.finalize(draft, this.#service)),
      other === undefined ? undefined : this.#do(client, other),
    ])
  }

  async #billOne(client: Client): Promise<void> {
    const { first, earlier, last, current } = this.#months
    const month = client.dice.weighted([
      { weight: 4, is: first },
      { weight: 4, is: earlier },
      { weight: 2, is: last },
      { weight: 1, is: current },
    ]).is
    const { id } = client.dice.pick(this.#customers)
    await this.#do(client, wishes.month(id, month, this.#service))
  }

  /** Three ask for a month to be billed to everybody, as the scheduler may do meanwhile. */
  async #billAll(client: Client): Promise<void> {
    const { first, earlier, last } = this.#months
    const wanted = client.dice.pick([first, earlier, last])
    const month = wanted === last && !(await this.#endMonth()) ? earlier : wanted
    const wish = () => wishes.startMonth(periodOf(month), this.#operator)
    await Promise.all([this.#do(client, wish()), this.#do(client, wish()), this.#do(client, wish())])
  }

  /** False while PostgreSQL is away. */
  async #endMonth(): Promise<boolean> {
    return (await this.#reading((pool) => letMonthEnd(pool).then(() => true))) ?? false
  }

  async #pay(client: Client): Promise<void> {
    const invoice = await this.#any(client)
    if (invoice !== undefined)
      await this.#do(client, wishes.pay(invoice.id, this.#card(client, invoice), this.#service))
  }

  /** Two people at one pay button. */
  async #payTwice(client: Client): Promise<void> {
    const invoice = await this.#any(client)
    if (invoice === undefined) return
    const wish = () => wishes.pay(invoice.id, this.#card(client, invoice), this.#service)
    await Promise.all([this.#do(client, wish()), this.#do(client, wish())])
  }

  /** What was saved, or what Stripe gave the caller's own front end: one card takes it, the other does not. */
  #card({ dice }: Client, { customer }: Listed): string {
    const saved = this.#methods.get(customer)
    return saved !== undefined && dice.chance(0.6) ? saved : dice.pick([CARDS.good, CARDS.good, CARDS.declined])
  }

  /** A customer on Stripe's own page of a copy, whatever we are doing meanwhile. */
  async #payAtStripe(client: Client): Promise<void> {
    const there = (await this.#invoices()).filter(({ copy }) => copy !== null)
    if (there.length === 0) return this.#pay(client)
    const { copy } = client.dice.pick(there)
    const does = client.dice.chance(0.8) ? 'approve' : 'fail'
    // Void or paid by now, it is refused there.
    await askGateway(this.#sandbox, 'stripe', 'POST', `/_invoice/${copy}`, { does })
  }

  async #cancel(client: Client): Promise<void> {
    const invoice = await this.#any(client)
    if (invoice !== undefined) await this.#do(client, wishes.cancel(invoice.id, this.#service))
  }

  /** All that is left, a part, or more than there was. */
  async #credit(client: Client): Promise<void> {
    const invoice = await this.#any(client)
    if (invoice === undefined) return
    const share = client.dice.pick([0, 0, 0.2, 0.5, 1, 3])
    const minor = Math.max(1, Math.round(invoice.total * share))
    const amount = share === 0 ? undefined : decimal(minor, scales[invoice.currency])
    await this.#do(client, wishes.credit(invoice.id, amount, this.#service))
  }

  async #writeOff(client: Client): Promise<void> {
    const invoice = await this.#any(client)
    if (invoice !== undefined) await this.#do(client, wishes.writeOff(invoice.id, this.#admin))
  }

  /** Somebody prints an invoice; what is on it must be there for ever. */
  async #print(): Promise<void> {
    await this.#reading((pool) => this.#prints.take(pool))
  }

  async #repeat(client: Client): Promise<void> {
    if (this.#past.length === 0) return this.#use(client, 1)
    await client.repeat(client.dice.pick(this.#past), client.dice.chance(0.5) ? { wait: WAITED } : {})
  }

  async #misuse(client: Client): Promise<void> {
    const told = this.#past.filter(({ kind }) => kind === recordUsage.name || kind === composeInvoice.name)
    if (told.length === 0) return this.#use(client, 1)
    const one = client.dice.pick(told)
    const body =
      one.kind === composeInvoice.name
        ? { ...(one.body as object), description: 'Another' }
        : { metric: 'seats', user_id: 'bill_00', quantity: 4_711 }
    await client.misuse(one, body)
  }

  /** An invoice that somebody knows: mostly one of which something is due, now and then any. */
  async #any({ dice }: Client): Promise<Listed | undefined> {
    const invoices = await this.#invoices()
    const due = dice.chance(0.8) ? invoices.filter((invoice) => invoice.isDue) : []
    const some = due.length > 0 ? due : invoices
    // The newer the likelier.
    return some[Math.floor(some.length * dice.next() ** 2)]
  }

  /** The newest ones, as a back end knows those that were made for its customers. */
  #invoices(): Promise<readonly Listed[]> {
    const now = performance.now()
    if (this.#listed === undefined || now - this.#listed.at > LIST_HOLDS_MS) {
      const invoices = this.#reading(
        async (pool) =>
          (
            await pool.query<Listed>(
              `select id::int, customer_id as customer, currency, total::float8 as total,
                 due > 0 as "isDue", case when gateway_amount is not null then gateway_id end as copy
               from invoice where status <> 'draft' order by id desc limit 150`,
            )
          ).rows,
      )
      this.#listed = { at: now, invoices: invoices.then((rows) => rows ?? []) }
    }
    return this.#listed.invoices
  }

  /** Undefined while PostgreSQL is away. */
  async #reading<T>(read: (pool: pg.Pool) => Promise<T>): Promise<T | undefined> {
    try {
      return await read(this.#pool)
    } catch {
      return undefined
    }
  }

  /** Some clients wait with the request, some poll, and some never come back. */
  async #do(client: Client, wish: Wish): Promise<Told> {
    const told = await client.submit(wish, client.dice.chance(0.35) ? { wait: WAITED } : {})
    if (client.dice.chance(0.8)) await client.follow(told, FOLLOWED)
    remember(this.#past, told)
    return told
  }

  /** The result of what cannot fail. */
  async #settled(client: Client, wish: Wish): Promise<unknown> {
    const told = await client.submit(wish, { wait: SET_UP / 2 })
    const outcome = told.outcome ?? (await client.follow(told, SET_UP))
    if (outcome?.status !== 'succeeded') throw new Error(`${wish.path} could not be done: ${JSON.stringify(outcome)}`)
    return outcome.result
  }
}

type Dice = Client['dice']

/** As their metrics take them. */
const quantities = {
  api_calls: (dice: Dice) => ({ quantity: dice.between(-50_000, 900_000) / 100 }),
  agent_runs: (dice: Dice) => (dice.chance(0.8) ? {} : { quantity: -1 }),
  active_users: (dice: Dice) => ({
    value: dice.pick(['ada', 'bob', 'cyd', 'dan', 'eve', 'fay', 'gil', 'hal']),
    ...(dice.chance(0.75) ? {} : { quantity: -1 }),
  }),
  storage_gb: (dice: Dice) => ({ quantity: dice.between(0, 5_000_000) / 1_000_000 }),
  seats: (dice: Dice) => ({ quantity: dice.between(0, 12) }),
} as const

function remember<T>(list: T[], one: T): void {
  list.push(one)
  if (list.length > REMEMBERED) list.shift()
}

/** Units of so many decimals, written. */
const decimal = (units: number, decimals: number): string => (units / 10 ** decimals).toFixed(decimals)
