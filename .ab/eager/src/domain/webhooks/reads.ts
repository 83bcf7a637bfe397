import type { Sql } from '../../kit/sql.ts'
import type { WebhookStatus } from './inbox.ts'

export interface InboxState {
  readonly gateway: string
  readonly lastReceivedAt: Date | null
  readonly parked: number
}

/** Per gateway: when the last event was worked on, and how many wait for something that nobody here knows. */
export async function inboxState(sql: Sql): Promise<InboxState[]> {
  const rows = await sql.query<{ gateway: string; last: Date | null; parked: string }>(
    `select name as gateway,
       (select max(received_at) from webhook where gateway = name) as last,
       (select count(*) from webhook where gateway = name and status = 'parked') as parked
     from unnest(array['stripe', 'razorpay', 'paystack', 'mock']) as name`,
  )
  return rows.map(({ gateway, last, parked }) => ({ gateway, lastReceivedAt: last, parked: Number(parked) }))
}

/** Events received in a period, for a replay. */
export async function receivedBetween(
  sql: Sql,
  wanted: { gateway?: string | undefined; from: Date; until: Date; status?: WebhookStatus | undefined },
): Promise<{ id: string }[]> {
  return sql.query<{ id: string }>(
    `select id from webhook where received_at >= $1 and received_at < $2
       and ($3::text is null or gateway = $3) and ($4::text is null or status = $4) order by received_at`,
    [wanted.from, wanted.until, wanted.gateway ?? null, wanted.status ?? null],
  )
}
