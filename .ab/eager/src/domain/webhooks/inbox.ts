import { newId } from '../../kit/ids.ts'
import type { Sql } from '../../kit/sql.ts'

export type WebhookStatus = 'received' | 'processed' | 'parked' | 'ignored'

/** An event that a gateway told us of, as it is remembered. */
export interface Webhook {
  readonly id: string
  readonly gateway: string
  readonly eventId: string
  readonly type: string
  readonly about: unknown
  readonly status: WebhookStatus
  readonly tries: number
}

/** Where the sealed body opens, and nowhere else. */
export const rawPlace = (gateway: string, eventId: string): string => `webhook:${gateway}:${eventId}:raw`

/** Files an event under its gateway's own id, once; answers with it as it is, locked. */
export async function file(
  sql: Sql,
  event: { gateway: string; eventId: string; type: string; about: unknown; sealedRaw: string; now: Date },
): Promise<Webhook> {
  await sql.query(
    `insert into webhook (id, gateway, event_id, type, about, raw, received_at)
     values ($1, $2, $3, $4, $5, $6, $7) on conflict (gateway, event_id) do nothing`,
    [
      newId(),
      event.gateway,
      event.eventId,
      event.type,
      JSON.stringify(event.about),
      Buffer.from(event.sealedRaw),
      event.now,
    ],
  )
  return locked(sql, 'gateway = $1 and event_id = $2', [event.gateway, event.eventId])
}

export const byId = (sql: Sql, id: string): Promise<Webhook> => locked(sql, 'id = $1', [id])

async function locked(sql: Sql, where: string, parameters: readonly unknown[]): Promise<Webhook> {
  const [row] = await sql.query<Webhook>(
    `select id, gateway, event_id as "eventId", type, about, status, tries from webhook where ${where} for no key update`,
    parameters,
  )
  if (row === undefined) throw new Error('There is no such webhook')
  return row
}

/** Days after which an event about something that nobody here knows is no longer tried: longer than any gateway retries. */
const PARKED_DAYS = 7

/** Minutes before the first and the later tries of what is parked: our own commit is seconds away at most, a restore is not. */
const PARKED_MINUTES = [1, 5, 30, 180, 720]

/** Writes down how it ended, or that it is parked; what was parked for too long is ignored from then on. */
export async function end(
  sql: Sql,
  webhook: Webhook,
  { status, note, now }: { status: 'processed' | 'parked' | 'ignored'; note: string | null; now: Date },
): Promise<'processed' | 'parked' | 'ignored'> {
  const minutes = PARKED_MINUTES[webhook.tries] ?? 24 * 60
  const over = status === 'parked' && webhook.tries >= PARKED_MINUTES.length + PARKED_DAYS
  const becomes = over ? 'ignored' : status
  await sql.query(
    `update webhook set status = $2, note = $3, tries = tries + 1,
       try_at = case when $2 = 'parked' then $4::timestamptz end,
       finished_at = case when $2 <> 'parked' then $5::timestamptz end
     where id = $1`,
    [webhook.id, becomes, note, new Date(now.getTime() + minutes * 60_000), now],
  )
  return becomes
}

/** Parked ones that are due, each handed out once: their next try is put off before they are. */
export function due(sql: Sql, now: Date, limit: number): Promise<{ id: string }[]> {
  return sql.query<{ id: string }>(
    `with due as (
       select id from webhook where status = 'parked' and try_at <= $1 order by try_at limit $2 for no key update skip locked
     )
     update webhook set try_at = $1::timestamptz + interval '1 hour' from due where webhook.id = due.id returning webhook.id`,
    [now, limit],
  )
}
