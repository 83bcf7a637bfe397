import { assert } from '../../kit/assert.ts'
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

const COLUMNS = 'id, gateway, event_id as "eventId", type, about, status, tries'

/** Files an event under its gateway's own id, once; answers with it as it is, locked. */
export function file(
  sql: Sql,
  event: { gateway: string; eventId: string; type: string; about: unknown; sealedRaw: string; now: Date },
): Promise<Webhook> {
  const { gateway, eventId, type, about, sealedRaw, now } = event
  // One that is there already is written as it was: that locks it, and answers with it.
  return one(
    sql,
    `insert into webhook (id, gateway, event_id, type, about, raw, received_at)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (gateway, event_id) do update set event_id = excluded.event_id
     returning ${COLUMNS}`,
    [newId(), gateway, eventId, type, JSON.stringify(about), Buffer.from(sealedRaw), now],
  )
}

/** One that is on file, locked. */
export const byId = (sql: Sql, id: string): Promise<Webhook> =>
  one(sql, `select ${COLUMNS} from webhook where id = $1 for no key update`, [id])

async function one(sql: Sql, statement: string, parameters: readonly unknown[]): Promise<Webhook> {
  const [row] = await sql.query<Webhook>(statement, parameters)
  if (row === undefined) throw new Error('There is no such webhook')
  return row
}

/** Days after which an event about something that nobody here knows is no longer tried: longer than any gateway retries. */
const PARKED_DAYS = 7

/** Minutes before the first and the later tries of what is parked: our own commit is seconds away at most, a restore is not. */
const PARKED_MINUTES = [1, 5, 30, 180, 720]

/** Tries after which what is parked is ignored: once a day after the first. */
const PARKED_TRIES = PARKED_MINUTES.length + PARKED_DAYS

/** Writes down how it ended, or that it is parked; what was parked for too long is ignored from then on. */
export async function end(
  sql: Sql,
  id: string,
  { status, note, now }: { status: 'processed' | 'parked' | 'ignored'; note: string | null; now: Date },
): Promise<'processed' | 'parked' | 'ignored'> {
  const [row] = await sql.query<{ status: 'processed' | 'parked' | 'ignored' }>(
    `update webhook set
       status = case when $2 = 'parked' and tries >= $6 then 'ignored' else $2 end,
       note = $3,
       tries = tries + 1,
       try_at = case when $2 = 'parked' and tries < $6
         then $4::timestamptz + coalesce(($5::int[])[tries + 1], 24 * 60) * interval '1 minute' end,
       finished_at = case when $2 <> 'parked' or tries >= $6 then $4::timestamptz end
     where id = $1 returning status`,
    [id, status, note, now, PARKED_MINUTES, PARKED_TRIES],
  )
  assert(row, `There is no webhook ${id}`)
  return row.status
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
