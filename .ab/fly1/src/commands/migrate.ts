import { fileURLToPath } from 'node:url'
import { MikroORM } from '@mikro-orm/core'
import { Migrator } from '@mikro-orm/migrations'
import { PostgreSqlDriver } from '@mikro-orm/postgresql'
import { runMigrations } from 'bullmq'
import pg from 'pg'
import { openPlatformAccounts } from '../domain/ledger/platform-accounts.ts'
import { sqlOf } from '../platform/database.ts'

const MIGRATIONS = fileURLToPath(new URL('../../migrations', import.meta.url))

/** Where the queue's own tables live when PostgreSQL carries the queue. */
export const QUEUE_SCHEMA = 'bullmq'

/** Any number; every migrating process asks for the same one, and only one migrates at a time. */
const MIGRATION_LOCK = 7_205_759_403

async function withMigrator<Result>(url: string, work: (migrator: Migrator) => Promise<Result>): Promise<Result> {
  const orm = await MikroORM.init<PostgreSqlDriver>({
    driver: PostgreSqlDriver,
    clientUrl: url,
    entities: [],
    discovery: { warnWhenNoEntities: false },
    extensions: [Migrator],
    migrations: { path: MIGRATIONS, tableName: 'migration', snapshot: false, silent: true },
    ensureDatabase: false,
  })
  try {
    return await work(orm.migrator as Migrator)
  } finally {
    await orm.close(true)
  }
}

/**
 * Brings tables, the queue's schema and the platform accounts up to date. Safe to run from many processes at once and
 * as often as one likes. Answers with the names of the migrations that it applied.
 */
export async function migrate(url: string, options: { queue: boolean }): Promise<string[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK])
    const applied = await withMigrator(url, (migrator) => migrator.up())
    if (options.queue) await runMigrations(client as never, QUEUE_SCHEMA)
    await openPlatformAccounts(sqlOf(client as never))
    return applied.map(({ name }) => name)
  } finally {
    await client.end()
  }
}

/** Names of migrations that this code needs and the database has not seen. */
export const pendingMigrations = (url: string): Promise<string[]> =>
  withMigrator(url, async (migrator) => (await migrator.getPending()).map(({ name }) => name))
