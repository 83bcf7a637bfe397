import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { inject } from 'vitest'
import { migrate } from '../../src/commands/migrate.ts'
import { openPool } from '../../src/platform/database.ts'

export interface TestDatabase {
  readonly url: string
  readonly pool: pg.Pool
  drop(): Promise<void>
}

const TEMPLATE = 'bursar_template'

/** Any number: test files ask for it before they touch the template. */
const TEMPLATE_LOCK = 42

function urlOf(name: string): string {
  const url = new URL(inject('serverUrl'))
  url.pathname = `/${name}`
  return url.href
}

async function asServer<Result>(work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({ connectionString: inject('serverUrl') })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/** A migrated database of one's own: a template's files, copied. By way of the log it takes ten times as long. */
export async function freshDatabase(): Promise<TestDatabase> {
  const name = `test_${randomUUID().replaceAll('-', '')}`
  await asServer(async (client) => {
    await client.query('select pg_advisory_lock($1)', [TEMPLATE_LOCK])
    const { rowCount } = await client.query('select from pg_database where datname = $1', [TEMPLATE])
    if (rowCount === 0) {
      await client.query(`create database ${TEMPLATE}_draft`)
      await migrate(urlOf(`${TEMPLATE}_draft`), { queue: true })
      await client.query(`alter database ${TEMPLATE}_draft rename to ${TEMPLATE}`)
    }
    await client.query(`create database ${name} template ${TEMPLATE} strategy file_copy`)
  })
  const pool = openPool({ url: urlOf(name), name: 'test', max: 20 })
  return {
    url: urlOf(name),
    pool,
    async drop() {
      await pool.end()
      await asServer((client) => client.query(`drop database if exists ${name} with (force)`))
    },
  }
}
