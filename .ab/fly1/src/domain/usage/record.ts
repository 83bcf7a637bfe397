import { arrayLiteral, textArrayLiteral } from '../../kit/array-literal.ts'
import { type Month, nextMonth } from '../../kit/months.ts'
import type { Sql } from '../../kit/sql.ts'
import { Calendar } from './calendar.ts'
import { closedMonths, keepMonthsOpen } from './close.ts'
import { beginCustomers, countedCustomers, type FirstTerms, newcomer } from './customers.ts'
import { type RefusalReason, refusalMessage, refusalOf, type UsageEvent } from './event.ts'
import { metricsByCode } from './metric.ts'

/** What became of an event. `lateFor`: the month that pays for it, where its own is invoiced already. */
export type Recorded =
  | { readonly outcome: 'recorded'; readonly lateFor: Month | undefined }
  | { readonly outcome: 'duplicate' }
  | { readonly outcome: 'refused'; readonly reason: RefusalReason; readonly message: string }

export interface ToRecord {
  readonly event: UsageEvent
  /** When we were told: an event does not grow older while it waits for us. */
  readonly receivedAt: Date
}

export interface RecordTerms extends FirstTerms {
  /** The issuer's: months begin there. */
  readonly zone: string
  readonly now: Date
}

/**
 * Records events, each once: of several with one id the first wins, whether they come together, later, or from another
 * worker at the same time. Bad ones are refused one by one. Answers in the order given.
 */
export async function recordUsage(sql: Sql, given: readonly ToRecord[], terms: RecordTerms): Promise<Recorded[]> {
  const customerIds = [...new Set(given.map(({ event }) => event.customerId))]
  const metrics = await metricsByCode(sql)
  const customers = await countedCustomers(sql, customerIds)
  const calendar = new Calendar(terms.zone)
  const drafts = new Map<string, Draft>()
  const judged = given.map(({ event, receivedAt }): Recorded | Draft => {
    const metric = metrics.get(event.metric)
    const customer = customers.get(event.customerId) ?? newcomer(terms.now)
    const reason = refusalOf(event, { metric, customer, receivedAt, dayOf: (instant) => calendar.dayOf(instant) })
    if (reason !== undefined)
      return { outcome: 'refused', reason, message: refusalMessage(reason, event, { metric, customer }) }
    const key = identity(event.customerId, event.id)
    if (drafts.has(key)) return { outcome: 'duplicate' }
    const draft = { key, event, receivedAt, month: calendar.monthOf(event.at) }
    drafts.set(key, draft)
    return draft
  })
  const accepted = [...drafts.values()]
  const strangers = new Set(accepted.map(({ event }) => event.customerId).filter((id) => !customers.has(id)))
  await beginCustomers(sql, [...strangers], terms)
  const lateFor = await takenInBy(sql, accepted)
  const written = await write(sql, accepted, lateFor)
  return judged.map((one): Recorded => {
    if ('outcome' in one) return one
    return written.has(one.key) ? { outcome: 'recorded', lateFor: lateFor(one) } : { outcome: 'duplicate' }
  })
}

interface Draft extends ToRecord {
  readonly key: string
  /** Of the event, at the issuer. */
  readonly month: Month
}

/** The month that pays for an event whose own is closed: the first open one after it. */
type LateFor = (draft: Draft) => Month | undefined

/** NUL is in no id: the door lets no control character in. */
const identity = (customerId: string, eventId: string): string => `${customerId}\0${eventId}`

/** Until the transaction ends no month closes, so that what is read as open is still open when the events are seen. */
async function takenInBy(sql: Sql, drafts: readonly Draft[]): Promise<LateFor> {
  const [first] = drafts.map(({ month }) => month).toSorted()
  if (first === undefined) return () => undefined
  await keepMonthsOpen(sql)
  const customers = [...new Set(drafts.map(({ event }) => event.customerId))]
  const isClosed = await closedMonths(sql, { customers, since: first })
  return ({ event, month }) => {
    let open = month
    while (isClosed(event.customerId, open)) open = nextMonth(open)
    return open === month ? undefined : open
  }
}

/**
 * Answers with the identities of those that were not there before. Written in the order of their identities, so that two
 * workers with the same events wait for each other once and never in a circle.
 */
async function write(sql: Sql, drafts: readonly Draft[], lateFor: LateFor): Promise<Set<string>> {
  if (drafts.length === 0) return new Set()
  const sorted = drafts.toSorted((a, b) => (a.key < b.key ? -1 : 1))
  const rows = await sql.query<{ customer_id: string; event_id: string }>(
    `insert into usage_event (customer_id, at, metric, quantity, value, event_id, billed_month, received_at)
     select * from unnest($1::text[], $2::timestamptz[], $3::text[], $4::numeric[], $5::text[], $6::text[], $7::text[],
       $8::timestamptz[])
     on conflict (customer_id, event_id) do nothing
     returning customer_id, event_id`,
    [
      textArrayLiteral(sorted.map(({ event }) => event.customerId)),
      arrayLiteral(sorted.map(({ event }) => event.at.toISOString())),
      arrayLiteral(sorted.map(({ event }) => event.metric)),
      arrayLiteral(sorted.map(({ event }) => event.quantity)),
      textArrayLiteral(sorted.map(({ event }) => event.value ?? null)),
      textArrayLiteral(sorted.map(({ event }) => event.id)),
      arrayLiteral(sorted.map(lateFor)),
      arrayLiteral(sorted.map(({ receivedAt }) => receivedAt.toISOString())),
    ],
  )
  return new Set(rows.map((row) => identity(row.customer_id, row.event_id)))
}
