import pg from 'pg'
import { platformAccount } from '../src/domain/ledger/platform-accounts.ts'
import type { BenchDatabase } from './stage.ts'

/** More than any run can take. */
const BUDGET = 1_000_000_000_000

/** Rows in one statement of a fill: enough to make its price disappear, few enough to be kept in memory. */
const CHUNK = 50_000

/** Connections that fill at once. */
const FILLERS = 2

/** Between two operations of the past, in milliseconds: ten million reach back a month. */
const APART_MS = 250

export interface Seeded {
  readonly tokenIds: readonly string[]
  readonly accountIds: readonly string[]
}

/** Issues so many payment tokens, each with an account of its own, in the shape that `token.issue` leaves. */
export async function seedTokens({ client }: BenchDatabase, count: number): Promise<Seeded> {
  const issuance = platformAccount('issuance', 'BUDGET')
  const { rows } = await client.query<{ token_id: string; account_id: string }>(
    `with new as materialized (
       select gen_random_uuid() as token_id, ${uuidV7('n.ms')} as account_id, ${uuidV7('n.ms')} as operation_id,
              ${uuidV7('n.ms')} as transfer_id, n.i
       from (select i, (extract(epoch from now()) * 1000)::bigint as ms from generate_series(1, $1::int) i) n
     ), accounts as (
       insert into account (id, owner, purpose, asset, balance, floor, entries, opened_at)
       select account_id, 'token:' || token_id, 'token', 'BUDGET', $2::bigint, 0, 1, now() from new
       returning id
     ), tokens as (
       insert into token (id, operation_id, account_id, status, budget, voice_id, voice_digest, requested_at, issued_at, expires_at)
       select token_id, operation_id, account_id, 'active', $2::bigint, '', ''::bytea, now(), now(), now() + interval '7 days'
       from new
     ), transfers as (
       insert into transfer (id, movement, operation_id, position, debit_id, credit_id, asset, amount, credit_balance, credit_entry, posted_at)
       select transfer_id, 'token.issue', operation_id, 0, $3::uuid, account_id, 'BUDGET', $2::bigint, $2::bigint, 1, now() from new
     ), delta as (
       insert into account_delta (id, account_id, amount, entries)
       values (gen_random_uuid(), $3::uuid, -($1::int * $2::bigint), $1::int)
     )
     select token_id, account_id from new order by i`,
    [count, BUDGET, issuance.id],
  )
  await client.query('analyze')
  return { tokenIds: rows.map(({ token_id }) => token_id), accountIds: rows.map(({ account_id }) => account_id) }
}

/**
 * Lets operations and their transfers grow from `from` to `to` rows, spread evenly over these tokens, in the shape that
 * real deductions leave and with every index in place. Nobody else may be at work on the tokens.
 */
export async function growTables(
  database: BenchDatabase,
  seeded: Seeded,
  span: { from: number; to: number },
  progress: (rows: number) => void,
): Promise<void> {
  const revenue = platformAccount('revenue', 'BUDGET')
  const { tokenIds, accountIds } = seeded
  const accounts = await standing(database, accountIds)
  let next = span.from
  let done = span.from
  const filler = async () => {
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    // What is lost when the machine fails can be filled again.
    await client.query('set synchronous_commit = off')
    try {
      while (next < span.to) {
        const first = next
        const last = Math.min(first + CHUNK, span.to) - 1
        next = last + 1
        await client.query(FILL, [
          first,
          last,
          tokenIds,
          accountIds,
          revenue.id,
          accounts.map(({ balance }) => balance),
          accounts.map(({ entries }) => entries),
          APART_MS,
          span.from,
        ])
        done += last - first + 1
        progress(done)
      }
    } finally {
      await client.end()
    }
  }
  await Promise.all(Array.from({ length: FILLERS }, filler))
  await database.client.query(
    `update account set balance = balance - taken.count, entries = entries + taken.count
     from (select id, ($2::bigint - position) / $3 + 1 as count
           from unnest($1::uuid[]) with ordinality as named (id, position) where position <= $2::bigint) as taken
     where account.id = taken.id`,
    [accountIds, span.to - span.from, accountIds.length],
  )
  await database.client.query('vacuum (analyze)')
  await database.client.query('checkpoint')
}

/** How the accounts stand now, in the order of their ids here. */
async function standing(
  { client }: BenchDatabase,
  accountIds: readonly string[],
): Promise<{ balance: string; entries: string }[]> {
  const { rows } = await client.query<{ balance: string; entries: string }>(
    `select balance, entries from unnest($1::uuid[]) with ordinality as named (id, position) join account using (id)
     order by position`,
    [accountIds],
  )
  return rows
}

/** A UUIDv7 of an instant, for servers that cannot make one by themselves. */
const uuidV7 = (ms: string) =>
  `overlay(overlay(md5(random()::text) placing lpad(to_hex(${ms}), 12, '0') || '7' from 1 for 13) placing '8' from 17 for 1)::uuid`

const FILL = `
  with past as materialized (
    select i, at, ${uuidV7('ms')} as operation_id, ${uuidV7('ms')} as transfer_id,
           ($3::uuid[])[nth] as token_id, ($4::uuid[])[nth] as account_id,
           ($6::bigint[])[nth] - turn as balance, ($7::bigint[])[nth] + turn as entry
    from (
      select i,
             ((i - $9::bigint) % cardinality($4::uuid[]) + 1)::int as nth,
             (i - $9::bigint) / cardinality($4::uuid[]) + 1 as turn,
             now() - interval '31 days' + i * ($8::int * interval '1 millisecond') as at,
             (extract(epoch from now() - interval '31 days') * 1000)::bigint + i * $8::int as ms
      from generate_series($1::bigint, $2::bigint) i
    ) rows
  ), operations as (
    insert into operation (id, kind, status, job_id, input, result, attempts, submitted_at, started_at, finished_at)
    select operation_id, 'token.deduct', 'succeeded', operation_id::text,
           json_build_object('token_id', token_id, 'amount', 1),
           json_build_object('success', true, 'token_id', token_id, 'amount', 1, 'remaining', balance, 'transaction_id', transfer_id),
           1, at, at, at
    from past
  ), transfers as (
    insert into transfer (id, movement, operation_id, position, debit_id, credit_id, asset, amount, debit_balance, debit_entry, posted_at)
    select transfer_id, 'token.deduct', operation_id, 0, account_id, $5::uuid, 'BUDGET', 1, balance, entry, at from past
  )
  insert into account_delta (id, account_id, amount, entries)
  values (gen_random_uuid(), $5::uuid, $2::bigint - $1::bigint + 1, $2::bigint - $1::bigint + 1)`
