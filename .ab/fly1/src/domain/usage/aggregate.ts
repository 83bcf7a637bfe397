import { Decimal } from '../../kit/decimal.ts'
import { type Month, monthSpan, nextMonth } from '../../kit/months.ts'
import type { Sql } from '../../kit/sql.ts'

/** What one customer used of one metric in one period. */
export interface Aggregate {
  readonly metric: string
  /** By the metric's aggregation; never below 0. */
  readonly quantity: Decimal
  readonly events: number
  /** How far corrections went below 0, where they did. */
  readonly clamped?: Decimal | undefined
  /** Of late events: the earlier month whose use they change, and what it was before them. */
  readonly late?: { readonly month: Month; readonly before: Decimal } | undefined
}

export interface AggregateOf {
  readonly customerIds: readonly string[]
  /** The period: included, and not included. */
  readonly from: Date
  readonly until: Date
  /** The month that is invoiced: adds what its late events change in earlier months. Without it they are not looked for. */
  readonly late?: { readonly month: Month; readonly zone: string } | undefined
}

/**
 * What these customers used in a period, in one pass over an index; customers without any have no entry. Events that came
 * late for the period are not in it: they are `late` in the month that takes them in.
 */
export async function aggregate(sql: Sql, wanted: AggregateOf): Promise<Map<string, Aggregate[]>> {
  const byCustomer = new Map<string, Aggregate[]>()
  if (wanted.customerIds.length === 0) return byCustomer
  const add = (customerId: string, one: Aggregate) => {
    const known = byCustomer.get(customerId)
    if (known === undefined) byCustomer.set(customerId, [one])
    else known.push(one)
  }
  for (const row of await totals(sql, { ...wanted, takenInBefore: ON_TIME })) add(row.customer_id, aggregateOf(row))
  if (wanted.late !== undefined)
    for (const { customerId, ...one } of await lateUse(sql, wanted.customerIds, wanted.late)) add(customerId, one)
  return byCustomer
}

/** What one customer used of one metric, as it was told: late or not, and below 0 where corrections take it there. */
export interface Used {
  readonly customerId: string
  readonly metric: string
  readonly events: number
  readonly quantity: Decimal
}

/** What these customers used in a period, whichever invoice has it. */
export async function usedIn(
  sql: Sql,
  wanted: Pick<AggregateOf, 'customerIds' | 'from' | 'until'>,
): Promise<readonly Used[]> {
  const rows = await totals(sql, { ...wanted, takenInBefore: EVER })
  return rows.map(({ customer_id, metric, events, quantity }) => ({
    ...{ customerId: customer_id, metric },
    ...{ events: Number(events), quantity: Decimal.of(quantity) },
  }))
}

interface Total {
  customer_id: string
  metric: string
  events: string
  quantity: string
}

function aggregateOf({ metric, events, quantity }: Total): Aggregate {
  const total = Decimal.of(quantity)
  const clamped = total.isNegative ? { quantity: Decimal.zero, clamped: total.negated() } : { quantity: total }
  return { metric, events: Number(events), ...clamped }
}

/** No month is before it: events that were taken in by a later month than their own are left out. */
const ON_TIME = ''
/** Every month is before it: all events are in. */
const EVER = '9999-99'

interface Totalled {
  readonly customerIds: readonly string[]
  readonly from: Date
  readonly until: Date
  /** Late events count if the month that took them in is before this one. */
  readonly takenInBefore: Month
}

/** The events that count: of the period, and of those that came late for it the ones taken in before $4. */
const COUNTED = `at >= $2 and at < $3 and (billed_month is null or billed_month < $4)`

/**
 * One pass over the index alone says what was used. Only where a metric's own events decide are they looked at: the last of
 * them, or of each value, which counts if that added it. Of several at one instant the last is the one with the larger id.
 */
const totals = (sql: Sql, { customerIds, from, until, takenInBefore }: Totalled): Promise<Total[]> =>
  sql.query<Total>(
    `with used as (
       select customer_id, metric, count(*) as events, sum(quantity) as total, max(quantity) as highest
       from usage_event where customer_id = any($1::text[]) and ${COUNTED} group by customer_id, metric
     )
     select customer_id, metric, events,
       case aggregation
         when 'max' then highest
         when 'latest' then (
           select quantity from usage_event own
           where own.customer_id = used.customer_id and own.metric = used.metric and ${COUNTED}
           order by at desc, event_id collate "C" desc limit 1)
         when 'unique' then (
           select count(*) filter (where quantity > 0) from (
             select distinct on (value) quantity from usage_event own
             where own.customer_id = used.customer_id and own.metric = used.metric and ${COUNTED}
             order by value, at desc, event_id collate "C" desc) each_last)
         else total
       end as quantity
     from used join usage_metric on code = metric`,
    [customerIds, from, until, takenInBefore],
  )

/** What a month's late events make of the months that they were for: with them, and as it was before them. */
async function lateUse(
  sql: Sql,
  customerIds: readonly string[],
  { month, zone }: { month: Month; zone: string },
): Promise<(Aggregate & { customerId: string })[]> {
  const touched = await sql.query<{ customer_id: string; metric: string; earlier: Month; events: string }>(
    `select customer_id, metric, to_char(at at time zone $3, 'YYYY-MM') as earlier, count(*) as events
     from usage_event where customer_id = any($1::text[]) and billed_month = $2 group by 1, 2, 3`,
    [customerIds, month, zone],
  )
  const found: (Aggregate & { customerId: string })[] = []
  for (const [earlier, rows] of Map.groupBy(touched, (row) => row.earlier)) {
    const whole = { customerIds: [...new Set(rows.map((row) => row.customer_id))], ...monthSpan(earlier, zone) }
    const now = byUse(await totals(sql, { ...whole, takenInBefore: nextMonth(month) }))
    const then = byUse(await totals(sql, { ...whole, takenInBefore: month }))
    for (const { customer_id: customerId, metric, events } of rows) {
      const after = now.get(useKey(customerId, metric))
      const before = then.get(useKey(customerId, metric))?.quantity ?? Decimal.zero
      if (after !== undefined)
        found.push({ customerId, ...after, events: Number(events), late: { month: earlier, before } })
    }
  }
  return found
}

const useKey = (customerId: string, metric: string) => `${metric} ${customerId}`

const byUse = (rows: readonly Total[]): Map<string, Aggregate> =>
  new Map(rows.map((row) => [useKey(row.customer_id, row.metric), aggregateOf(row)]))
