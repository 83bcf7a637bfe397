import { QUEUE_SCHEMA } from '../../src/commands/migrate.ts'
import type { Deployment } from './deployment.ts'

/** Makes the queue forget everything: what a FLUSHALL does, or a restore of the database without the queue's schema. */
export async function emptyQueue(bursar: Deployment): Promise<void> {
  const redis = bursar.redis ?? bursar.cluster
  if (redis !== undefined) {
    await redis.flush()
    return
  }
  const { rows } = await bursar.pool.query(
    `select tablename from pg_tables where schemaname = $1 and tablename <> 'migration'`,
    [QUEUE_SCHEMA],
  )
  const tables = rows.map(({ tablename }) => `${QUEUE_SCHEMA}.${tablename}`).join(', ')
  // Workers that are at it hold locks in an order of their own: whoever is chosen to give way asks again.
  for (let tries = 1; ; tries++) {
    try {
      await bursar.pool.query(`truncate ${tables} cascade`)
      return
    } catch (error) {
      if ((error as { code?: string }).code !== DEADLOCK || tries === MAX_TRIES) throw error
    }
  }
}

const DEADLOCK = '40P01'
const MAX_TRIES = 20
