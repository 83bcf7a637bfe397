import { DriverException, type EntitySchema, type EventSubscriber, MikroORM } from '@mikro-orm/core'
import { type EntityManager, PostgreSqlDriver } from '@mikro-orm/postgresql'
import { CompiledQuery, PostgresDialect, type PostgresPool, type PostgresPoolClient } from 'kysely'
import pg from 'pg'
import { OUT_OF_DATE } from '../kit/fault.ts'
import type { Sql } from '../kit/sql.ts'
import { turns } from '../kit/turns.ts'

/** One transaction: the unit of work for one thing, and plain SQL for many, on the same connection. */
export interface Tx {
  readonly em: EntityManager
  readonly sql: Sql
}

export interface UnitOfWorkTerms {
  /** Every statement finds its few rows by keys, however large the tables are: no plan needs to be made anew. */
  readonly byKey?: boolean
}

/** What a process may do with PostgreSQL. */
export interface Database {
  /** Statements of their own, without a transaction around them. */
  readonly sql: Sql
  /** Set-based work: one connection, one transaction, no entities. */
  transaction<Result>(work: (sql: Sql) => Promise<Result>): Promise<Result>
  /** Work on one thing, with entities. Flushes before it commits. */
  unitOfWork<Result>(work: (tx: Tx) => Promise<Result>, terms?: UnitOfWorkTerms): Promise<Result>
  close(): Promise<void>
}

export interface PoolOptions {
  readonly url: string
  /** Shown in pg_stat_activity, so that an operator sees who holds what. */
  readonly name: string
  readonly max: number
  /** Every transaction of this pool is READ ONLY: the door reads, it does not write. */
  readonly readOnly?: boolean
  readonly statementTimeoutMs?: number
}

/** A connection that cannot be had in this time is a fault: the caller gets 503 rather than a queue without an end. */
const CONNECT_TIMEOUT_MS = 3_000

/** Longer than any lock of ours is held; beyond it something is wrong, and the job is worth another try. */
const LOCK_TIMEOUT_MS = 10_000

/** No statement of ours but the ledger check and seals takes longer. */
const STATEMENT_TIMEOUT_MS = 30_000

export function openPool(options: PoolOptions): pg.Pool {
  const settings = {
    // A generic plan made while a table was empty keeps its sequential scan for ever: plan for the values at hand.
    plan_cache_mode: 'force_custom_plan',
    lock_timeout: LOCK_TIMEOUT_MS,
    statement_timeout: options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: 60_000,
    // Batches are arrays of a few hundred rows, where compiling a plan costs more than running it.
    jit: 'off',
    ...(options.readOnly === true ? { default_transaction_read_only: 'on' } : {}),
  }
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.max,
    application_name: options.name,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    options: Object.entries(settings)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(' '),
  })
  // The query in flight rejects by itself; without these listeners a lost idle connection would end the process.
  pool.on('connect', (client) => client.on('error', () => {}))
  pool.on('error', () => {})
  return pool
}

export const sqlOf = (client: pg.Pool | pg.PoolClient): Sql => ({
  query: async <Row>(text: string, parameters: readonly unknown[] = []) =>
    (await client.query(text, parameters as unknown[])).rows as Row[],
})

/** BEGIN … COMMIT on one connection. A connection whose transaction could not be ended is thrown away. */
export async function inTransaction<Result>(pool: pg.Pool, work: (sql: Sql) => Promise<Result>): Promise<Result> {
  const client = await pool.connect()
  let broken: Error | undefined
  try {
    await client.query('BEGIN')
    const result = await work(sqlOf(client))
    await client.query('COMMIT')
    return result
  } catch (error) {
    await client.query('ROLLBACK').catch((lost: Error) => {
      broken = lost
    })
    throw error
  } finally {
    client.release(broken)
  }
}

/**
 * Connections that units of work leave to others. They wait for the rest in turns instead of in the pool, which gives whoever
 * waits up after `CONNECT_TIMEOUT_MS`: a flood of work is no lost database, and is not to be begun again and again.
 */
const KEPT_FREE = 2

/** Entities live on the same pool as the statements, so that they share connections, settings and transactions. */
export async function openDatabase(
  pool: pg.Pool,
  entities: readonly EntitySchema[],
  subscribers: readonly EventSubscriber[] = [],
): Promise<Database> {
  const orm = await MikroORM.init<PostgreSqlDriver>({
    driver: PostgreSqlDriver,
    entities: [...entities],
    subscribers: [...subscribers],
    driverOptions: new PostgresDialect({ pool: withoutLeaks(pool) }),
    dbName: 'bursar',
    discovery: { warnWhenNoEntities: false },
    ensureDatabase: false,
    debug: false,
  })
  const inTurn = turns(Math.max(1, (pool.options.max ?? 0) - KEPT_FREE))
  return {
    sql: sqlOf(pool),
    transaction: (work) => inTransaction(pool, work),
    unitOfWork: (work, { byKey = false } = {}) =>
      inTurn(() =>
        orm.em
          .fork()
          .transactional(async (em) => {
            const context = em.getTransactionContext<{
              executeQuery(query: CompiledQuery): Promise<{ rows: unknown[] }>
            }>()
            if (context === undefined) throw new Error('A unit of work has no transaction')
            const sql: Sql = {
              query: async <Row>(text: string, parameters: readonly unknown[] = []) =>
                (await context.executeQuery(CompiledQuery.raw(text, [...parameters]))).rows as Row[],
            }
            if (byKey) await sql.query(PLANS_BY_KEY)
            return work({ em, sql })
          })
          .catch((error) => {
            throw withoutDetail(error)
          }),
      ),
    async close() {
      await orm.close(true)
      if (!pool.ended) await pool.end()
    },
  }
}

/**
 * Until the transaction ends: plans that were made once, and only such as stay good while a table grows from nothing, each
 * row found by an index. To plan a unit of work's statements anew took PostgreSQL twice as long as to carry them out.
 */
const PLANS_BY_KEY = `select set_config('plan_cache_mode', 'force_generic_plan', true), ${[
  'enable_seqscan',
  'enable_hashjoin',
  'enable_mergejoin',
]
  .map((way) => `set_config('${way}', 'off', true)`)
  .join(', ')}`

/** Statements of units of work that each connection keeps prepared, by their texts. More are prepared each time. */
const MOST_PREPARED = 300

/** What has a plan. */
const PREPARED = /^\s*(select|insert|update|delete|with)\b/i

/** The statements around a transaction after whose failure Kysely keeps the connection for ever. */
const KEPT_WHEN_FAILED = /^(begin|start transaction|rollback$)/

/** A migration has changed a table under a prepared statement. On a new connection it is prepared anew. */
const isOutOfDate = (error: unknown): boolean => error instanceof Error && OUT_OF_DATE.test(error.message)

/**
 * The pool for Kysely, which gives no connection back whose BEGIN or ROLLBACK has failed: a lost one. Here it leaves the
 * pool at once. Without this every restart of PostgreSQL would take a few connections from a worker, until none is left.
 */
function withoutLeaks(pool: pg.Pool): PostgresPool {
  const names = new Map<string, string>()
  const nameOf = (text: string): string | undefined => {
    const known = names.get(text)
    if (known !== undefined || names.size === MOST_PREPARED) return known
    const name = `work_${names.size}`
    names.set(text, name)
    return name
  }
  return {
    options: pool.options,
    end: () => pool.end(),
    async connect() {
      const client = await pool.connect()
      let released = false
      let spoiled: Error | undefined
      const release = (broken?: Error) => {
        if (!released) client.release(broken)
        released = true
      }
      const query = async (text: string, parameters: readonly unknown[]) => {
        try {
          const name = PREPARED.test(text) ? nameOf(text) : undefined
          return await client.query({ text, values: [...parameters], ...(name === undefined ? {} : { name }) })
        } catch (error) {
          if (isOutOfDate(error)) spoiled = error as Error
          if (KEPT_WHEN_FAILED.test(text)) release(error as Error)
          throw error
        }
      }
      // Without cursors, which nobody asks for.
      return { query, release: () => release(spoiled) } as unknown as PostgresPoolClient
    },
  }
}

/** MikroORM writes PostgreSQL's detail, which quotes rows, into the message; and messages are logged, stored and shown. */
function withoutDetail(error: unknown): unknown {
  if (!(error instanceof DriverException)) return error
  const { detail } = error as { detail?: unknown }
  if (typeof detail !== 'string') return error
  const quoted = `\n - detail: ${detail}`
  error.message = error.message.replace(quoted, '')
  error.stack = error.stack?.replace(quoted, '') ?? ''
  return error
}
