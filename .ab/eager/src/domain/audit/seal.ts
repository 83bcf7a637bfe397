import { assert } from '../../kit/assert.ts'
import { firstIdAt } from '../../kit/ids.ts'
import type { Sql } from '../../kit/sql.ts'

/** A range of events, with a hash over them and over the block before: who alters one must alter every block since. */
export interface AuditBlock {
  readonly number: bigint
  /** Exclusive. */
  readonly afterId: string
  /** Inclusive. */
  readonly throughId: string
  readonly events: number
  readonly hash: Buffer
}

export interface AuditSealOptions {
  readonly now: Date
  /**
   * How far sealing stays behind, in milliseconds. Clocks of processes that write may be apart by less than this: an id
   * is minted by its process's clock, and must not fall into a range that is sealed already.
   */
  readonly lagMs?: number
  /** Bounds memory and the time of one statement. */
  readonly maxEvents?: number
}

/** Any number; every process that seals events asks for the same one, and only one seals at a time. */
const AUDIT_SEALING_LOCK = 7_205_759_406

/** What the first block follows. */
export const BEFORE_ALL = '00000000-0000-0000-0000-000000000000'
export const FIRST_PREVIOUS_HASH = Buffer.alloc(32)

/** Number of events and hash of one range, the same for sealing and for verifying. Every column counts, the body letter by letter. */
export const digest = (previousHash: string, afterId: string, throughId: string): string => `
  select count(*) as events,
    sha256(${previousHash} || convert_to(string_agg(
      row(id, type, category, user_id, body::text, encode(audit_hash, 'hex'), (extract(epoch from at) * 1000000)::bigint)::text,
      E'\\n' order by id
    ), 'UTF8')) as hash
  from audit_event where id > ${afterId} and id <= ${throughId}`

/**
 * Seals the next events into a block, if there are any that nothing in flight can still be written among. Wants a
 * transaction of its own, in PostgreSQL's ordinary READ COMMITTED, by the role that writes.
 */
export async function sealEvents(sql: Sql, options: AuditSealOptions): Promise<AuditBlock | undefined> {
  const { now, lagMs = 60_000, maxEvents = 10_000 } = options
  const [session] = await sql.query<{ isolation: string }>(
    `select current_setting('transaction_isolation') as isolation, pg_advisory_xact_lock($1), pg_stat_clear_snapshot()`,
    [AUDIT_SEALING_LOCK],
  )
  assert(session?.isolation === 'read committed', 'Sealing must see what was committed while it waited for its turn')
  const horizon = await sealingHorizon(sql, now)
  const last = await lastAuditBlock(sql)
  const [row] = await sql.query<BlockRow>(
    `with range as (select id from audit_event where id > $1 and id < $2 order by id limit $3),
          last as (select id from range order by id desc limit 1)
     insert into audit_block (number, after_id, through_id, events, hash, previous_hash, sealed_at)
     select $4, $1, last.id, sealed.events, sealed.hash, $5, $6
     from last, lateral (${digest('$5::bytea', '$1::uuid', 'last.id')}) sealed
     returning number, after_id, through_id, events, hash`,
    [
      last?.throughId ?? BEFORE_ALL,
      firstIdAt(new Date(horizon.getTime() - lagMs)),
      maxEvents,
      (last?.number ?? 0n) + 1n,
      last?.hash ?? FIRST_PREVIOUS_HASH,
      now,
    ],
  )
  return row === undefined ? undefined : blockOf(row)
}

/**
 * Ids are minted inside the transaction that writes them, so what is still to be committed was minted after the start of
 * the oldest transaction that is running. Read in a statement before the events are: a transaction that ends in between
 * is then seen by the second one.
 */
async function sealingHorizon(sql: Sql, now: Date): Promise<Date> {
  const [row] = await sql.query<{ horizon: Date | string }>(
    `select least($1::timestamptz, statement_timestamp(), min(xact_start)) as horizon
     from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
    [now],
  )
  assert(row, 'An aggregate always has a row')
  return new Date(row.horizon)
}

/** The end of the chain. Noted down elsewhere, its hash proves that no block was cut off or replaced since. */
export async function lastAuditBlock(sql: Sql): Promise<AuditBlock | undefined> {
  const [row] = await sql.query<BlockRow>(
    'select number, after_id, through_id, events, hash from audit_block order by number desc limit 1',
  )
  return row === undefined ? undefined : blockOf(row)
}

interface BlockRow {
  number: string
  after_id: string
  through_id: string
  events: string
  hash: Buffer
}

const blockOf = (row: BlockRow): AuditBlock => ({
  number: BigInt(row.number),
  afterId: row.after_id,
  throughId: row.through_id,
  events: Number(row.events),
  hash: row.hash,
})
