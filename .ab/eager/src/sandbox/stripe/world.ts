import { createHmac, randomBytes } from 'node:crypto'
import type { Deliveries } from '../deliveries.ts'
import type { Moods } from '../moods.ts'
import type { Collection, Store } from '../store.ts'
import type {
  Account,
  BalanceTransaction,
  Charge,
  Customer,
  Dispute,
  External,
  Intent,
  PaymentMethod,
  Payout,
  Refund,
  Row,
  StripeEvent,
  Transfer,
} from './rows.ts'

/** The version that the stand-in speaks: what the SDK of the time pins. */
export const API_VERSION = '2026-10-28.endive'

/** Our own account. */
export const PLATFORM = 'acct_sandbox'

/** Something that has yet to happen. */
interface Due {
  readonly id: string
  /** Unix milliseconds; undefined: whenever time is moved by hand. */
  readonly at?: number
  readonly what: string
  readonly on: string
  readonly why?: string
  readonly done: boolean
}

/** Everything that the parts of the stand-in share. */
export interface World {
  readonly moods: Moods
  readonly intents: Collection<Intent>
  readonly charges: Collection<Charge>
  readonly refunds: Collection<Refund>
  readonly disputes: Collection<Dispute>
  readonly methods: Collection<PaymentMethod>
  readonly customers: Collection<Customer>
  readonly accounts: Collection<Account>
  readonly externals: Collection<External>
  readonly transfers: Collection<Transfer>
  readonly payouts: Collection<Payout>
  readonly bookings: Collection<BalanceTransaction>
  readonly events: Collection<StripeEvent>
  readonly store: Store
  /** Unix milliseconds, moved by `POST /_time`. */
  now(): number
  /** Unix seconds, as Stripe counts. */
  seconds(): number
  newId(prefix: string): string
  /** Remembers an event and sends it to whoever listens. */
  emit(type: string, object: Row, account?: string): void
  /** Says what will happen to something: by itself after a while, or when time is moved by hand. */
  later(due: { what: string; on: string; why?: string; waits: 'a_while' | 'for_time' }): void
  /** What to do when something is due. */
  when(what: string, happen: (on: string, why: string | undefined) => void): void
  /** It happens now. */
  happen(what: string, on: string): void
  /** Moves time; whatever waits for that happens now. */
  advance(seconds: number): void
  stop(): void
}

export function world(options: {
  store: Store
  deliveries: Deliveries
  moods: Moods
  webhookSecret: string
  now: () => Date
  settleMs: number
}): World {
  const { store, deliveries, moods, settleMs } = options
  const clock = store.collection<{ id: string; offset: number }>('clock')
  const dues = store.collection<Due>('due')
  const events = store.collection<StripeEvent>('events')
  const happenings = new Map<string, (on: string, why: string | undefined) => void>()
  let timer: NodeJS.Timeout | undefined

  const now = () => options.now().getTime() + (clock.get('offset')?.offset ?? 0)
  const newId = (prefix: string) => `${prefix}_${randomBytes(12).toString('hex')}`

  function settle(isDue: (due: Due) => boolean): void {
    for (const due of dues.values()) {
      if (due.done || !isDue(due)) continue
      dues.put({ ...due, done: true })
      happenings.get(due.what)?.(due.on, due.why)
    }
    wait()
  }

  /** One timer, for the earliest. What fell due while the process was down happens at once. */
  function wait(): void {
    clearTimeout(timer)
    const next = Math.min(...dues.values().flatMap(({ at, done }) => (at === undefined || done ? [] : [at])))
    if (next === Number.POSITIVE_INFINITY) return
    timer = setTimeout(() => settle(({ at }) => at !== undefined && at <= now()), Math.max(0, next - now()))
    timer.unref()
  }

  const self: World = {
    moods,
    store,
    intents: store.collection('intents'),
    charges: store.collection('charges'),
    refunds: store.collection('refunds'),
    disputes: store.collection('disputes'),
    methods: store.collection('methods'),
    customers: store.collection('customers'),
    accounts: store.collection('accounts'),
    externals: store.collection('externals'),
    transfers: store.collection('transfers'),
    payouts: store.collection('payouts'),
    bookings: store.collection('bookings'),
    events,
    now,
    seconds: () => Math.floor(now() / 1_000),
    newId,

    emit(type, object, account) {
      const event: StripeEvent = events.put({
        id: newId('evt'),
        object: 'event',
        ...(account === undefined || account === PLATFORM ? {} : { account }),
        api_version: API_VERSION,
        created: self.seconds(),
        data: { object: shown(object) },
        livemode: false,
        pending_webhooks: 1,
        request: { id: null, idempotency_key: null },
        type,
      })
      const body = JSON.stringify(event, null, 2)
      deliveries.send({ path: 'stripe', body, headers: () => signed(body, self.seconds(), options.webhookSecret) })
    },

    later({ what, on, why, waits }) {
      dues.put({
        id: newId('due'),
        ...(waits === 'a_while' ? { at: now() + settleMs } : {}),
        what,
        on,
        ...(why === undefined ? {} : { why }),
        done: false,
      })
      wait()
    },

    when(what, happen) {
      happenings.set(what, happen)
      wait()
    },

    happen: (what, on) => happenings.get(what)?.(on, undefined),

    advance(seconds) {
      clock.put({ id: 'offset', offset: (clock.get('offset')?.offset ?? 0) + seconds * 1_000 })
      settle(({ at }) => at === undefined || at <= now())
    },

    stop: () => clearTimeout(timer),
  }
  return self
}

/** `t=…,v1=…`: HMAC-SHA256 of `<t>.<body>` with the endpoint's secret. */
function signed(body: string, at: number, secret: string): Record<string, string> {
  const signature = createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')
  return {
    'stripe-signature': `t=${at},v1=${signature}`,
    'user-agent': 'Stripe/1.0 (+https://stripe.com/docs/webhooks)',
  }
}

/** Without what is the stand-in's own. */
export const shown = (row: object): Record<string, unknown> =>
  Object.fromEntries(Object.entries(row).filter(([name]) => !name.startsWith('_')))
