import { QUEUE_SCHEMA } from '../../src/commands/migrate.ts'
import type { Deployment } from './deployment.ts'

/** Makes the queue forget everything: what a FLUSHALL does, or a restore of the database without the queue's schema. */
export async function emptyQueue(bursar: Deployment): Promise<void> {
  if (bursar.redis !== undefined) {
    await bursar.redis.flush()
    return
  }
  const { rows } = await bursar.pool.query(
    `select tablename from pg_tables where schemaname = $1 and tablename <> 'migration'`,
    [QUEUE_SCHEMA],
  )
  await bursar.pool.query(`truncate ${rows.map(({ tablename }) => `${QUEUE_SCHEMA}.${tablename}`).join(', ')} cascade`)
}
