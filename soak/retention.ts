import { setTimeout as pause } from 'node:timers/promises'
import type pg from 'pg'
import { Dispatcher } from '../src/jobs/dispatch.ts'
import { Intake } from '../src/jobs/intake.ts'
import { readConfig } from '../src/platform/config.ts'
import { openPool, sqlOf } from '../src/platform/database.ts'
import { makeLog } from '../src/platform/log.ts'
import { layFoundation } from '../src/start/foundation.ts'
import { startWorkers } from '../src/start/worker.ts'
import { RETENTION_DAYS, type SoakDeployment } from './deployment.ts'

const DAY_MS = 86_400_000

const FORGOTTEN_WITHIN_MS = 300_000
const LOOK_MS = 500

/** What a database holds on its way: rows of each table, and bytes with indexes. */
export interface Stored {
  readonly operations: number
  readonly keys: number
  readonly transfers: number
  readonly bytes: Readonly<Record<string, number>>
}

export async function stored(pool: pg.Pool): Promise<Stored> {
  const count = async (table: string) => Number((await pool.query(`select count(*) from ${table}`)).rows[0]?.count)
  const { rows } = await pool.query<{ name: string; bytes: string }>(
    `select relname as name, pg_total_relation_size(oid) as bytes from pg_class
     where relkind = 'r' and relnamespace = 'public'::regnamespace and pg_total_relation_size(oid) > 1000000
     order by 2 desc`,
  )
  return {
    operations: await count('operation'),
    keys: await count('idempotency_key'),
    transfers: await count('transfer'),
    bytes: Object.fromEntries(rows.map(({ name, bytes }) => [name, Number(bytes)])),
  }
}

export interface Retention {
  readonly before: Stored
  readonly after: Stored
  readonly seconds: number
  /** Whether all that is final was forgotten, and no transfer. */
  readonly bounded: boolean
}

/**
 * Runs the nightly upkeep as it will run when the retention is over: a worker in this process, on the same database and
 * queue, whose clock is ahead by that. Call it when the other processes have stopped.
 */
export async function forget({ env, pool }: SoakDeployment): Promise<Retention> {
  const before = await stored(pool)
  const clock = { now: () => new Date(Date.now() + (RETENTION_DAYS + 1) * DAY_MS) }
  const config = readConfig(env)
  const foundation = await layFoundation(config, { clock, log: makeLog({ level: config.logLevel }) })
  const workers = await startWorkers(foundation)
  const intakePool = openPool({ url: foundation.databaseUrl, name: 'soak upkeep', max: 1 })
  try {
    const startedAt = performance.now()
    const intake = new Intake({
      ...{ sql: sqlOf(intakePool), keyring: foundation.keyring, clock, maxWaiting: 1 },
      dispatcher: new Dispatcher(foundation.queues, foundation.log),
    })
    await intake.submit({ kind: 'operation.prune', input: { period: new Date().toISOString() } })
    let after = await left(pool)
    // What upkeep itself left behind is as young as today.
    while (after.others > 0 && performance.now() - startedAt < FORGOTTEN_WITHIN_MS) {
      await pause(LOOK_MS)
      after = await left(pool)
    }
    const seconds = (performance.now() - startedAt) / 1_000
    const kept = await stored(pool)
    const bounded = after.others === 0 && kept.keys === 0 && kept.transfers === before.transfers
    return { before, after: kept, seconds, bounded }
  } finally {
    await workers.stop()
    await foundation.close()
    await intakePool.end()
  }
}

async function left(pool: pg.Pool): Promise<{ others: number }> {
  const { rows } = await pool.query<{ count: string }>(`select count(*) from operation where kind <> 'operation.prune'`)
  return { others: Number(rows[0]?.count) }
}
