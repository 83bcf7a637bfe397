import { assert } from '../../kit/assert.ts'
import { firstIdAt } from '../../kit/ids.ts'
import type { Sql } from '../../kit/sql.ts'

/** Rows that are written once, under ids that grow with time, and the blocks that seal them. */
export interface Chain {
  readonly table: string
  readonly blocks: string
  /** What the rows are called, which is also the blocks' column for their number. */
  readonly called: string
  /** Every column of a row. The text of a row quotes what needs it; times have to be numbers, whatever a session writes. */
  readonly columns: string
  /** Any number of its own: whoever seals asks for it, and only one seals at a time. */
  readonly lock: number
}

/** A range of rows, with a hash over them and over the block before: who alters one must alter every block since. */
export interface Block {
  readonly number: bigint
  /** Exclusive. */
  readonly afterId: string
  /** Inclusive. */
  readonly throughId: string
  readonly size: number
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
  readonly maxRows?: number
}

/** What the first block follows. */
export const BEFORE_ALL = '00000000-0000-0000-0000-000000000000'
const FIRST_PREVIOUS_HASH = Buffer.alloc(32)

/** Number of rows and hash of one range, the same for sealing and for verifying. */
const digest = ({ table, columns }: Chain, previousHash: string, afterId: string, throughId: string): string => `
  select count(*) as size,
    sha256(${previousHash} || convert_to(string_agg(row(${columns})::text, E'\\n' order by id), 'UTF8')) as hash
  from ${table} where id > ${afterId} and id <= ${throughId}`

/**
 * Seals the next rows into a block, if there are any that nothing in flight can still be written among. Wants a
 * transaction of its own, in PostgreSQL's ordinary READ COMMITTED, by the role that writes (other roles' transactions are
 * invisible to it, unless it may read all statistics).
 */
export async function sealNext(sql: Sql, chain: Chain, options: SealOptions): Promise<Block | undefined> {
  const { now, lagMs = 60_000, maxRows = 10_000 } = options
  const [session] = await sql.query<{ isolation: string }>(
    `select current_setting('transaction_isolation') as isolation, pg_advisory_xact_lock($1), pg_stat_clear_snapshot()`,
    [chain.lock],
  )
  assert(session?.isolation === 'read committed', 'Sealing must see what was committed while it waited for its turn')
  const horizon = await sealingHorizon(sql, now)
  const last = await lastBlockOf(sql, chain)
  const [row] = await sql.query<BlockRow>(
    `with range as (select id from ${chain.table} where id > $1 and id < $2 order by id limit $3),
          last as (select id from range order by id desc limit 1)
     insert into ${chain.blocks} (number, after_id, through_id, ${chain.called}, hash, previous_hash, sealed_at)
     select $4, $1, last.id, sealed.size, sealed.hash, $5, $6
     from last, lateral (${digest(chain, '$5::bytea', '$1::uuid', 'last.id')}) sealed
     returning number, after_id, through_id, ${chain.called} as size, hash`,
    [
      last?.throughId ?? BEFORE_ALL,
      firstIdAt(new Date(horizon.getTime() - lagMs)),
      maxRows,
      (last?.number ?? 0n) + 1n,
      last?.hash ?? FIRST_PREVIOUS_HASH,
      now,
    ],
  )
  return row === undefined ? undefined : blockOf(row)
}

/**
 * Ids are minted inside the transaction that writes them, so what is still to be committed was minted after the start of
 * the oldest transaction that is running. This must be read in a statement before the rows are: a transaction that ends
 * in between is then seen by the second one. A reader's long transaction holds sealing back too, which does no harm.
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
export async function lastBlockOf(sql: Sql, { blocks, called }: Chain): Promise<Block | undefined> {
  const [row] = await sql.query<BlockRow>(
    `select number, after_id, through_id, ${called} as size, hash from ${blocks} order by number desc limit 1`,
  )
  return row === undefined ? undefined : blockOf(row)
}

/** Computes every block again, and answers those that are not what was sealed: the first `limit`, and how many in all. */
export async function brokenBlocks(
  sql: Sql,
  chain: Chain,
  limit: number,
): Promise<{ blocks: BrokenBlock[]; total: number }> {
  const { blocks, called } = chain
  const rows = await sql.query<{ number: string; message: string; total: string }>(
    `select block.number, count(*) over () as total,
       case
         when not block.chained then 'does not follow the block before'
         when found.size > block.${called}
           then format('%s ${called} turned up after %s had been sealed', found.size - block.${called}, block.${called})
         when found.size < block.${called}
           then format('%s of %s ${called} are gone', block.${called} - found.size, block.${called})
         else 'its ${called} are not what was sealed'
       end as message
     from (
       select *, number = lag(number, 1, 0::bigint) over chain + 1
         and after_id = lag(through_id, 1, $1::uuid) over chain
         and previous_hash = lag(hash, 1, $2::bytea) over chain as chained
       from ${blocks} window chain as (order by number)
     ) block,
     lateral (${digest(chain, 'block.previous_hash', 'block.after_id', 'block.through_id')}) found
     where not block.chained or found.size <> block.${called} or found.hash is distinct from block.hash
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
  size: string
  hash: Buffer
}

const blockOf = (row: BlockRow): Block => ({
  number: BigInt(row.number),
  afterId: row.after_id,
  throughId: row.through_id,
  size: Number(row.size),
  hash: row.hash,
})
