import { Logger, run, runMigrations } from 'graphile-worker'
import pg from 'pg'
import { DOOR_CONNECTIONS, databaseUrl, openDoor, role, started, WORKER_CONCURRENCY } from './door.ts'
import { type Deduction, deductAlone, intake } from './ledger.ts'

/** As its page on performance advises: jobs are fetched for many at once, and put away together. */
const LOCAL_QUEUE = 500
const PUT_AWAY_MS = 0

const logger = new Logger(() => () => {})
await runMigrations({ connectionString: databaseUrl, logger })

if (role === 'door') {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: DOOR_CONNECTIONS })
  openDoor((deduction) => pool.query(accepted(deduction)))
} else {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: WORKER_CONCURRENCY })
  pool.on('error', () => {})
  await run({
    preset: {
      worker: {
        connectionString: databaseUrl,
        concurrentJobs: WORKER_CONCURRENCY,
        maxPoolSize: WORKER_CONCURRENCY,
        pollInterval: 2_000,
        localQueue: { size: LOCAL_QUEUE },
        completeJobBatchDelay: PUT_AWAY_MS,
        failJobBatchDelay: PUT_AWAY_MS,
      },
    },
    logger,
    parsedCronItems: [],
    taskList: { deduct: (payload) => deductAlone(pool, (payload as { id: string }).id) },
  })
  started()
}

/** The job is added by the same statement that remembers the operation: one commit for both, which a queue in PostgreSQL is for. */
function accepted(deduction: Deduction) {
  const { text, values } = intake(deduction)
  return {
    name: 'accept',
    text: `with stored as (${text} returning id)
           select graphile_worker.add_job('deduct', json_build_object('id', id)) from stored`,
    values,
  }
}
