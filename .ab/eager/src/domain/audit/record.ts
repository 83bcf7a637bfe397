import { canonicalJson, sha256 } from '../../kit/digest.ts'
import { newId } from '../../kit/ids.ts'
import { toDecimal } from '../../kit/money.ts'
import type { Sql } from '../../kit/sql.ts'
import type { AuditEvent, AuditFields, SecurityEvent, SecurityFields } from './event.ts'

/** What recording needs of the transaction whose doings it tells. */
export interface Recording {
  readonly sql: Sql
  readonly now: Date
}

/** Writes events in the transaction in which they happen: they are told exactly if they happened. */
export async function recordAudit({ sql, now }: Recording, ...events: readonly AuditEvent[]): Promise<void> {
  await insert(
    sql,
    'audit',
    events.map(
      ({ type, userId, transactionId, money, gateway, ip }): AuditFields => ({
        timestamp: now.toISOString(),
        event_type: type,
        user_id: userId,
        transaction_id: transactionId ?? null,
        amount: money === undefined ? null : Number(toDecimal(money.amount, money.currency)),
        currency: money?.currency ?? null,
        gateway: gateway ?? null,
        ip_address: ip ?? null,
      }),
    ),
  )
}

export async function recordSecurity({ sql, now }: Recording, ...events: readonly SecurityEvent[]): Promise<void> {
  await insert(
    sql,
    'security',
    events.map(
      ({ type, userId, indicators, ip, action }): SecurityFields => ({
        timestamp: now.toISOString(),
        event_type: type,
        user_id: userId ?? null,
        indicators,
        ip_address: ip ?? null,
        action_taken: action,
      }),
    ),
  )
}

/**
 * The hash is over the canonical text: keys sorted, no spaces. Whoever has a line of the log takes `audit_hash` out of it,
 * writes the rest that way, and gets the same SHA-256. Ids are minted here, inside the transaction: sealing relies on it.
 */
async function insert(
  sql: Sql,
  category: 'audit' | 'security',
  bodies: readonly (AuditFields | SecurityFields)[],
): Promise<void> {
  if (bodies.length === 0) return
  const texts = bodies.map((body) => canonicalJson(body))
  await sql.query(
    `insert into audit_event (id, type, category, user_id, body, audit_hash, at)
     select id, type, $1, user_id, body, audit_hash, at
     from unnest($2::uuid[], $3::text[], $4::text[], $5::json[], $6::bytea[], $7::timestamptz[])
       as incoming (id, type, user_id, body, audit_hash, at)`,
    [
      category,
      bodies.map(() => newId()),
      bodies.map(({ event_type }) => event_type),
      bodies.map(({ user_id }) => user_id),
      texts,
      texts.map(sha256),
      bodies.map(({ timestamp }) => timestamp),
    ],
  )
}
