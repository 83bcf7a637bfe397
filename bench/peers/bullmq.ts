import { createPostgresBackend, type JobsOptions, Queue, Worker, withBackend } from 'bullmq'
import { Redis } from 'ioredis'
import pg from 'pg'
import { DOOR_CONNECTIONS, databaseUrl, openDoor, redisUrl, role, started, WORKER_CONCURRENCY } from './door.ts'
import { deductAlone, intake } from './ledger.ts'

/** The usual design: one job and one transaction for each operation. */
const QUEUE = 'deductions'

const options: JobsOptions = {
  attempts: 12,
  backoff: { type: 'exponential', delay: 200 },
  removeOnComplete: { count: 1_000 },
  removeOnFail: { count: 5_000 },
}

const onPostgres = withBackend(createPostgresBackend)
const postgres = (max: number) => ({ connectionString: databaseUrl, schema: 'bullmq', max })

if (role === 'door') {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: DOOR_CONNECTIONS })
  const queue =
    redisUrl === undefined
      ? new onPostgres.Queue(QUEUE, { connection: postgres(DOOR_CONNECTIONS) })
      : new Queue(QUEUE, { connection: new Redis(redisUrl, { maxRetriesPerRequest: 1 }) })
  await queue.waitUntilReady()
  openDoor(async (deduction) => {
    await pool.query(intake(deduction))
    await queue.add('deduct', { id: deduction.id }, { ...options, jobId: deduction.id })
  })
} else {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: WORKER_CONCURRENCY })
  const handle = ({ data }: { data: { id: string } }) => deductAlone(pool, data.id)
  const worker =
    redisUrl === undefined
      ? new onPostgres.Worker(QUEUE, handle, {
          connection: postgres(WORKER_CONCURRENCY),
          concurrency: WORKER_CONCURRENCY,
        })
      : new Worker(QUEUE, handle, {
          connection: new Redis(redisUrl, { maxRetriesPerRequest: null }),
          concurrency: WORKER_CONCURRENCY,
        })
  worker.on('error', (error) => void process.stderr.write(`${error}\n`))
  await worker.waitUntilReady()
  started()
}
