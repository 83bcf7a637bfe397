import pg from 'pg'
import type { Config } from '../platform/config.ts'
import { lastUrl } from '../platform/embedded-postgres/access.ts'

/** The database of a command: the configured one, or the embedded one, whether Bursar is running or not. */
export async function withDatabase<Result>(config: Config, work: (url: string) => Promise<Result>): Promise<Result> {
  const configured = config.databaseUrl?.reveal()
  if (configured !== undefined) return work(configured)
  const running = lastUrl(config.dataDir)
  if (running !== undefined && (await answers(running))) return work(running)
  const { startEmbeddedPostgres } = await import('../platform/embedded-postgres.ts')
  const postgres = await startEmbeddedPostgres({ home: config.dataDir })
  try {
    return await work(postgres.url)
  } finally {
    await postgres.stop()
  }
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.end()
    return true
  } catch {
    return false
  }
}
