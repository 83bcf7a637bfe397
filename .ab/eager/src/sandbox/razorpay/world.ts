import { createHmac, randomInt } from 'node:crypto'
import type { Deliveries } from '../deliveries.ts'
import type { Elapsed } from '../elapsed.ts'
import type { Moods } from '../moods.ts'
import type { Collection, Store } from '../store.ts'
import type {
  ContactRow,
  CustomerRow,
  DisputeRow,
  FundAccountRow,
  KeptAnswer,
  LaterRow,
  OrderRow,
  PaymentRow,
  PayoutRow,
  RefundRow,
  TokenRow,
} from './rows.ts'

/** What the stand-in accepts, and what it signs with. */
export interface RazorpayKeys {
  readonly keyId: string
  readonly keySecret: string
  readonly webhookSecret: string
  /** The RazorpayX account that payouts are paid from. */
  readonly accountNumber: string
}

/** Everything that Razorpay knows. */
export interface World {
  readonly keys: RazorpayKeys
  readonly moods: Moods
  readonly uniqueReceipts: boolean
  readonly orders: Collection<OrderRow>
  readonly payments: Collection<PaymentRow>
  readonly refunds: Collection<RefundRow>
  readonly payouts: Collection<PayoutRow>
  readonly contacts: Collection<ContactRow>
  readonly fundAccounts: Collection<FundAccountRow>
  readonly customers: Collection<CustomerRow>
  readonly tokens: Collection<TokenRow>
  readonly disputes: Collection<DisputeRow>
  readonly later: Collection<LaterRow>
  readonly kept: Collection<KeptAnswer>
  readonly balances: Collection<{ readonly id: 'payouts'; readonly amount: number }>
  /** Unix seconds. */
  now(): number
  /** Sends an event about these entities, signed. */
  emit(event: string, entities: Record<string, object>): void
  /** To be done a minute from now, as the stand-in counts time. */
  postpone(what: LaterRow['what'], of: string): void
}

/** Seconds until what stays pending, or fails late, goes on. */
const LATER_SECONDS = 60

export function createWorld(options: {
  store: Store
  deliveries: Deliveries
  moods: Moods
  keys: RazorpayKeys
  elapsed: Elapsed
  uniqueReceipts: boolean
  now: () => Date
}): World {
  const { store, deliveries, moods, keys, elapsed, uniqueReceipts } = options
  const later = store.collection<LaterRow>('later')
  const now = (): number => Math.floor(options.now().getTime() / 1_000) + elapsed.seconds

  return {
    keys,
    moods,
    uniqueReceipts,
    orders: store.collection('orders'),
    payments: store.collection('payments'),
    refunds: store.collection('refunds'),
    payouts: store.collection('payouts'),
    contacts: store.collection('contacts'),
    fundAccounts: store.collection('fund_accounts'),
    customers: store.collection('customers'),
    tokens: store.collection('tokens'),
    disputes: store.collection('disputes'),
    later,
    kept: store.collection('kept_answers'),
    balances: store.collection('balances'),
    now,
    emit(event, entities) {
      const body = JSON.stringify({
        entity: 'event',
        account_id: 'acc_Sandbox0000001',
        event,
        contains: Object.keys(entities),
        payload: Object.fromEntries(Object.entries(entities).map(([name, entity]) => [name, { entity }])),
        created_at: now(),
      })
      const eventId = letters()
      deliveries.send({
        path: 'razorpay',
        body,
        headers: () => ({
          'x-razorpay-event-id': eventId,
          'x-razorpay-signature': sign(keys.webhookSecret, body),
        }),
      })
    },
    postpone(what, of) {
      later.put({ id: letters(), what, of, at: elapsed.seconds + LATER_SECONDS, done: false })
    },
  }
}

export const sign = (secret: string, text: string): string => createHmac('sha256', secret).update(text).digest('hex')

const LETTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** Fourteen, as all of Razorpay's ids have. */
const letters = (): string => Array.from({ length: 14 }, () => LETTERS[randomInt(LETTERS.length)]).join('')

export const newId = (prefix: string): string => `${prefix}_${letters()}`
