import type { Asset } from '../../kit/money.ts'
import type { Sql } from '../../kit/sql.ts'
import { type Profile, UNSEEN } from './anomaly.ts'

export type FraudType = 'deposit' | 'withdrawal'

/** A request to move money, before anything is reserved for it. */
export interface Attempted {
  readonly operationId: string
  readonly userId: string
  readonly type: FraudType
  readonly currency: Asset
  /** Minor units. */
  readonly amount: bigint
  /** The most that one transaction of this user may be. */
  readonly limit: bigint
  /** A saved method's id, or how it is to be paid. */
  readonly method: string
  /** An address that PostgreSQL can read, or null. */
  readonly ip: string | null
  /** A digest of what the caller's software says of itself. */
  readonly device: string | null
  readonly timeZone: string
  readonly now: Date
}

/** What is known of the user at that moment. */
export interface Facts {
  /** Requests in the last `RAPID_MINUTES`, this one not counted. */
  readonly recent: number
  /** Different methods in the last day, this one counted. */
  readonly methods: number
  /** Requests that were let through, of the last `LOOKED_AT`. */
  readonly trusted: number
  /** Was one of them from this network, this device, about this hour of the day? Null where the request says nothing. */
  readonly knowsNetwork: boolean | null
  readonly knowsDevice: boolean | null
  readonly knowsHour: boolean
  /** Of a withdrawal: completed deposits of this currency in the last day. */
  readonly deposited: bigint
  readonly profile: Profile
  /** An operator has let the user do just this. */
  readonly passes: boolean
  /** The same request waits for an operator already. */
  readonly waiting: boolean
}

/** More is an automaton, whatever it says. */
export const RAPID_MINUTES = 10

/** The last requests of a user: months of ordinary use, and a bound on what one statement reads. */
const LOOKED_AT = 100

/** Hours apart that count as the same time of day. */
const SAME_TIME_HOURS = 2

/** 0 to 23, where the user lives. */
export const hourIn = (timeZone: string, now: Date): number =>
  Number(new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', hourCycle: 'h23' }).format(now))

/** Addresses change within a network all the time: /24, and the /64 that one IPv6 subscriber has. */
export const networkOf = (ip: string): string =>
  `network(set_masklen(${ip}::inet, case family(${ip}::inet) when 4 then 24 else 64 end))::cidr`

/** One statement on the user's own rows. The user must be locked, so that requests at once see each other. */
export async function factsOf(sql: Sql, asked: Attempted): Promise<Facts> {
  const [row] = await sql.query<FactsRow>(
    `select latest.*, profile.seen, profile.mean, profile.squares,
       exists (
         select from fraud_decision where user_id = $1 and decision = 'approved' and passes_until > $2
           and type = $3 and currency = $4 and amount >= $5
       ) as passes
     from (
       select
         count(*) filter (where decided_at > $2::timestamptz - interval '${RAPID_MINUTES} minutes')::int as recent,
         (count(distinct method) filter (where method <> $6 and decided_at > $2::timestamptz - interval '1 day'))::int as other_methods,
         count(*) filter (where trusted)::int as trusted,
         bool_or(network = ${networkOf('$7::text')}) filter (where trusted) as knows_network,
         bool_or(device = $8) filter (where trusted) as knows_device,
         bool_or(least(abs(hour - $9::int), 24 - abs(hour - $9::int)) <= ${SAME_TIME_HOURS}) filter (where trusted) as knows_hour,
         coalesce(sum(amount) filter (
           where $3 = 'withdrawal' and trusted and type = 'deposit' and currency = $4 and decided_at > $2::timestamptz - interval '1 day'
             and exists (select from payment where id = payment_id and status = 'completed')
         ), 0) as deposited,
         coalesce(bool_or(decision = 'review' and type = $3 and currency = $4 and amount = $5), false) as waiting
       from (
         select *, decision = 'allow' as trusted from fraud_decision where user_id = $1 order by id desc limit ${LOOKED_AT}
       ) own
     ) latest
     left join fraud_profile profile on profile.user_id = $1 and profile.type = $3 and profile.currency = $4`,
    [
      asked.userId,
      asked.now,
      asked.type,
      asked.currency,
      asked.amount,
      asked.method,
      asked.ip,
      asked.device,
      hourIn(asked.timeZone, asked.now),
    ],
  )
  if (row === undefined) throw new Error('An aggregate always has a row')
  return {
    recent: row.recent,
    methods: row.other_methods + 1,
    trusted: row.trusted,
    knowsNetwork: asked.ip === null ? null : row.knows_network === true,
    knowsDevice: asked.device === null ? null : row.knows_device === true,
    knowsHour: row.knows_hour === true,
    deposited: BigInt(row.deposited),
    profile: row.seen === null ? UNSEEN : { seen: row.seen, mean: row.mean ?? 0, squares: row.squares ?? 0 },
    passes: row.passes,
    waiting: row.waiting,
  }
}

interface FactsRow {
  recent: number
  other_methods: number
  trusted: number
  knows_network: boolean | null
  knows_device: boolean | null
  knows_hour: boolean | null
  deposited: string
  waiting: boolean
  seen: number | null
  mean: number | null
  squares: number | null
  passes: boolean
}
