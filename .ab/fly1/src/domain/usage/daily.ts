import type { Sql } from '../../kit/sql.ts'

/** What one customer used of one metric on one day of the issuer's. */
export interface UsageDay {
  /** `2026-11-21` */
  readonly day: string
  readonly metric: string
  /** By the metric's aggregation, of this day's events alone; below 0 where they take back what was on another day. */
  readonly quantity: number
  readonly events: number
}

export interface DailyUsage {
  readonly customerId: string
  readonly metric?: string | undefined
  /** Days, both included. */
  readonly from?: string | undefined
  readonly to?: string | undefined
  /** The last one of the page before, as it was written there. */
  readonly after?: Pick<UsageDay, 'day' | 'metric'> | undefined
  readonly limit: number
}

/** A customer's days with usage, newest first, as far as they are rolled up. */
export async function dailyUsage(sql: Sql, wanted: DailyUsage): Promise<UsageDay[]> {
  const rows = await sql.query<{ day: string; metric: string; quantity: string; events: string }>(
    `select to_char(day, 'YYYY-MM-DD') as day, metric, quantity, events from usage_day
     where customer_id = $1 and metric = coalesce($2, metric)
       and day between coalesce($3::date, '-infinity') and coalesce($4::date, 'infinity')
       and ($5::text is null or to_char(day, 'YYYY-MM-DD') collate "C" < $5 or (to_char(day, 'YYYY-MM-DD') = $5 and metric > $6))
     order by usage_day.day desc, metric limit $7`,
    [
      ...[wanted.customerId, wanted.metric, inCalendar(wanted.from), inCalendar(wanted.to)],
      ...[wanted.after?.day, wanted.after?.metric, wanted.limit],
    ].map((one) => one ?? null),
  )
  return rows.map(({ day, metric, quantity, events }) => ({
    ...{ day, metric },
    ...{ quantity: Number(quantity), events: Number(events) },
  }))
}

/** PostgreSQL knows no year 0; nothing was used near it. */
const inCalendar = (day: string | undefined): string | undefined => day?.replace(/^0000/, '0001')

/** Everything recorded before it is in `dailyUsage`; what came later may be. Undefined before the first time. */
export async function rolledUpUntil(sql: Sql): Promise<Date | undefined> {
  const [row] = await sql.query<{ as_of: Date | null }>('select as_of from usage_roll_up')
  return row?.as_of ?? undefined
}
