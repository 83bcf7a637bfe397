import type { Sql } from '../../kit/sql.ts'
import type { AuditFields, SecurityFields, StoredEvent } from './event.ts'

export { type AuditFields, auditLine, type SecurityFields, securityLine, securityTypes } from './event.ts'

export interface EventFilter {
  readonly userId: string | undefined
  readonly type: string | undefined
  /** The last id of the page before. */
  readonly before: string | undefined
  readonly limit: number
}

/** An event as it stands in its log, with the id that pages are cut by. */
export interface Logged<Fields> {
  readonly id: string
  readonly fields: Fields
  readonly hash: string
}

export const auditEvents = (sql: Sql, filter: EventFilter): Promise<Logged<AuditFields>[]> =>
  page<AuditFields>(sql, 'audit', filter)

export const securityEvents = (sql: Sql, filter: EventFilter): Promise<Logged<SecurityFields>[]> =>
  page<SecurityFields>(sql, 'security', filter)

/** Newest first. Only conditions that were asked for, so that each has its index. */
async function page<Fields>(
  sql: Sql,
  category: StoredEvent['category'],
  { userId, type, before, limit }: EventFilter,
): Promise<Logged<Fields>[]> {
  const wanted = [
    ['user_id =', userId],
    ['type =', type],
    ['id <', before],
  ].filter((pair): pair is [string, string] => pair[1] !== undefined)
  const rows = await sql.query<{ id: string; body: Fields; audit_hash: Buffer }>(
    `select id, body, audit_hash from audit_event
     where category = $1 ${wanted.map(([condition], index) => `and ${condition} $${index + 3}`).join(' ')}
     order by id desc limit $2`,
    [category, limit, ...wanted.map(([, value]) => value)],
  )
  return rows.map(({ id, body, audit_hash }) => ({ id, fields: body, hash: audit_hash.toString('hex') }))
}
