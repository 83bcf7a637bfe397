import pg from 'pg'
import { PgBoss } from 'pg-boss'
import { DOOR_CONNECTIONS, databaseUrl, openDoor, role, started, WORKER_CONCURRENCY } from './door.ts'
import { type Deduction, deductAlone, intake } from './ledger.ts'

const QUEUE = 'deductions'

/** Jobs are fetched for many at once and put away together; each still has a transaction of its own. */
const BATCH = 64

/** The shortest that it allows, for an idle queue: a full batch is followed by the next at once. */
const POLLING_SECONDS = 0.5

const boss = new PgBoss({ connectionString: databaseUrl, max: 10, schedule: false })
boss.on('error', (error) => void process.stderr.write(`${error}\n`))
await boss.start()
await boss.createQueue(QUEUE, { retryLimit: 12, retryBackoff: true })

if (role === 'door') {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: DOOR_CONNECTIONS })
  openDoor((deduction) => accept(pool, deduction))
} else {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: WORKER_CONCURRENCY })
  await boss.work<{ id: string }>(
    QUEUE,
    {
      batchSize: BATCH,
      burstWhenBatchFull: true,
      pollingIntervalSeconds: POLLING_SECONDS,
      localConcurrency: 2,
      perJobResults: true,
    },
    (jobs) =>
      Promise.all(
        jobs.map(async ({ id, data }) => {
          try {
            await deductAlone(pool, data.id)
            return { id, status: 'completed' as const }
          } catch (error) {
            return { id, status: 'failed' as const, output: { message: String(error) } }
          }
        }),
      ),
  )
  started()
}

/** The job is sent in the transaction that remembers the operation: one commit for both, which a queue in PostgreSQL is for. */
async function accept(pool: pg.Pool, deduction: Deduction): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    await client.query(intake(deduction))
    const db = { executeSql: (text: string, values?: unknown[]) => client.query(text, values) }
    await boss.send(QUEUE, { id: deduction.id }, { db })
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  } finally {
    client.release()
  }
}
