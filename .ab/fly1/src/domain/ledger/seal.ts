import { assert } from '../../kit/assert.ts'
import { firstIdAt } from '../../kit/ids.ts'
import type { Sql } from '../../kit/sql.ts'

/** A range of transfers, with a hash over them and over the block before: who alters one must alter every block since. */
export interface Block {
  readonly number: bigint
  /** Exclusive. */
  readonly afterId: string
  /** Inclusive. */
  readonly throughId: string
  readonly transfers: number
  readonly hash: Buffer
}

export interface BrokenBlock {
  readonly number: bigint
  readonly message: string
}

export interface SealOptions {
  readonly now: Date
  /**
   * How far sealing stays behind, in milliseconds. Clocks of processes that write may be apart by less than this: an id
   * is minted by its process's clock, and must not fall into a range that is sealed already.
   */
  readonly lagMs?: number
  /** Bounds memory and the time of one statement: some 50 ms. */
  readonly maxTransfers?: number
}

/** Any number; every sealing process asks for the same one, and only one seals at a time. */
const SEALING_LOCK = 7_205_759_404

/** What the first block follows. */
const BEFORE_ALL = '00000000-0000-0000-0000-000000000000'
const FIRST_PREVIOUS_HASH = Buffer.alloc(32)

/**
 * Number of transfers and hash of one range, the same for sealing and for verifying. Every column counts. The text of a
 * row quotes what needs it, and microseconds do not depend on how a session writes its dates.
 */
const digest = (previousHash: string, afterId: string, throughId: string): string => `
  select count(*) as transfers,
    sha256(${previousHash} || convert_to(string_agg(
      row(
        id, movement, operation_id, position, debit_id, credit_id, asset, amount, debit_balance, debit_entry,
        credit_balance, credit_entry, memo, (extract(epoch from posted_at) * 1000000)::bigint
      )::text, E'\\n' order by id
    ), 'UTF8')) as hash
  from transfer where id > ${afterId} and id <= ${throughId}`

/**
 * Seals the next transfers into a block, if there are any that nothing in flight can still be written among. Wants a
 * transaction of its own, in PostgreSQL's ordinary READ COMMITTED, by the role that posts (other roles' transactions are
 * invisible to it, unless it may read all statistics).
 */
export async function sealBlock(sql: Sql, options: SealOptions): Promise<Block | undefined> {
  const { now, lagMs = 60_000, maxTransfers = 10_000 } = options
  const [session] = await sql.query<{ isolation: string }>(
    `select current_setting('transaction_isolation') as isolation, pg_advisory_xact_lock($1), pg_stat_clear_snapshot()`,
    [SEALING_LOCK],
  )
  assert(session?.isolation === 'read committed', 'Sealing must see what was committed while it waited for its turn')
  const horizon = await sealingHorizon(sql, now)
  const last = await lastBlock(sql)
  const [row] = await sql.query<BlockRow>(
    `with range as (select id from transfer where id > $1 and id < $2 order by id limit $3),
          last as (select id from range order by id desc limit 1)
     insert into ledger_block (number, after_id, through_id, transfers, hash, previous_hash, sealed_at)
     select $4, $1, last.id, sealed.transfers, sealed.hash, $5, $6
     from last, lateral (${digest('$5::bytea', '$1::uuid', 'last.id')}) sealed
     returning number, after_id, through_id, transfers, hash`,
    [
      last?.throughId ?? BEFORE_ALL,
      firstIdAt(new Date(horizon.getTime() - lagMs)),
      maxTransfers,
      (last?.number ?? 0n) + 1n,
      last?.hash ?? FIRST_PREVIOUS_HASH,
      now,
    ],
  )
  return row === undefined ? undefined : blockOf(row)
}

/**
 * Ids are minted inside the transaction that posts them, so what is still to be committed was minted after the start of
 * the oldest transaction that is running. This must be read in a statement before the transfers are: a transaction that
 * ends in between is then seen by the second one. A reader's long transaction holds sealing back too, which does no harm.
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
export async function lastBlock(sql: Sql): Promise<Block | undefined> {
  const [row] = await sql.query<BlockRow>(
    'select number, after_id, through_id, transfers, hash from ledger_block order by number desc limit 1',
  )
  return row === undefined ? undefined : blockOf(row)
}

/** Computes every block again, and answers those that are not what was sealed: the first `limit`, and how many in all. */
export async function verifyBlocks(sql: Sql, limit = 100): Promise<{ blocks: BrokenBlock[]; total: number }> {
  const rows = await sql.query<{ number: string; message: string; total: string }>(
    `select block.number, count(*) over () as total,
       case
         when not block.chained then 'does not follow the block before'
         when found.transfers > block.transfers
           then format('%s transfers turned up after %s had been sealed', found.transfers - block.transfers, block.transfers)
         when found.transfers < block.transfers
           then format('%s of %s transfers are gone', block.transfers - found.transfers, block.transfers)
         else 'its transfers are not what was sealed'
       end as message
     from (
       select *, number = lag(number, 1, 0::bigint) over chain + 1
         and after_id = lag(through_id, 1, $1::uuid) over chain
         and previous_hash = lag(hash, 1, $2::bytea) over chain as chained
       from ledger_block window chain as (order by number)
     ) block,
     lateral (${digest('block.previous_hash', 'block.after_id', 'block.through_id')}) found
     where not block.chained or found.transfers <> block.transfers or found.hash is distinct from block.hash
     order by block.number limit $3`,
    [BEFORE_ALL, FIRST_PREVIOUS_HASH, limit],
  )
  return {
    blocks: rows.map(({ number, message }) => ({ number: BigInt(number), message })),
    total: Number(rows[0]?.total ?? 0),
  }
}

interface BlockRow {
  number: string
  after_id: string
  through_id: string
  transfers: string
  hash: Buffer
}

const blockOf = (row: BlockRow): Block => ({
  number: BigInt(row.number),
  afterId: row.after_id,
  throughId: row.through_id,
  transfers: Number(row.transfers),
  hash: row.hash,
})
