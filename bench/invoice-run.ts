import { setTimeout as pause } from 'node:timers/promises'
import { Dispatcher } from '../src/jobs/dispatch.ts'
import { Intake } from '../src/jobs/intake.ts'
import { operationById } from '../src/jobs/operation-reads.ts'
import { systemClock } from '../src/kit/clock.ts'
import { readConfig } from '../src/platform/config.ts'
import { openPool, sqlOf } from '../src/platform/database.ts'
import { layFoundation } from '../src/start/foundation.ts'
import { startWorkers } from '../src/start/worker.ts'
import { asked } from './processes.ts'

/** One run of a month by one worker: the period is the beginning of the month after. */
export interface InvoiceRunOrder {
  readonly period: string
}

export interface InvoiceRunReport {
  readonly invoices: number
  readonly seconds: number
  readonly cpuSeconds: number
  /** The most that the process held, megabytes. */
  readonly peakMb: number
  /** How much more it held for each 100,000 customers, after its first fifth, megabytes: the slope of a line through it. */
  readonly slopeMb: number
}

const LOOK_MS = 20

/** Of a run, until its worker is warm. */
const WARM_UP = 0.2

async function runMonth({ period }: InvoiceRunOrder): Promise<InvoiceRunReport> {
  const databaseUrl = process.env.DATABASE_URL ?? ''
  const config = readConfig({
    NODE_ENV: 'test',
    DATABASE_URL: databaseUrl,
    SANDBOX: 'false',
    VOICE_SERVICE_URL: 'http://127.0.0.1:9',
    MIGRATE_ON_START: 'false',
    LOG_LEVEL: 'error',
  })
  const foundation = await layFoundation(config)
  const workers = await startWorkers(foundation)
  const pool = openPool({ url: databaseUrl, name: 'bench intake', max: 2 })
  const sql = sqlOf(pool)
  const intake = new Intake({
    sql,
    dispatcher: new Dispatcher(foundation.queues, foundation.log),
    keyring: foundation.keyring,
    clock: systemClock,
    maxWaiting: 10,
  })
  const cpu = process.cpuUsage()
  const startedAt = performance.now()
  const { id } = await intake.submit({ kind: 'invoice.run', input: { period } })
  const held: number[] = []
  for (;;) {
    const operation = await operationById(sql, id)
    held.push(process.memoryUsage.rss() / 2 ** 20)
    if (operation?.status === 'succeeded') {
      const seconds = (performance.now() - startedAt) / 1_000
      const { user, system } = process.cpuUsage(cpu)
      const { invoices } = operation.result as { invoices: number }
      await workers.stop()
      await pool.end()
      await foundation.close()
      const slopeMb = (slope(held.slice(held.length * WARM_UP)) * held.length * 100_000) / invoices
      return { invoices, seconds, cpuSeconds: (user + system) / 1e6, peakMb: Math.max(...held), slopeMb }
    }
    if (operation?.status === 'stuck' || operation?.status === 'failed')
      throw new Error(JSON.stringify(operation.error))
    await pause(LOOK_MS)
  }
}

/** From one value to the next, by least squares. */
function slope(values: readonly number[]): number {
  const middle = (values.length - 1) / 2
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const [rise, run] = values.reduce(
    ([products, squares], value, index) => [
      products + (index - middle) * (value - mean),
      squares + (index - middle) ** 2,
    ],
    [0, 0] as [number, number],
  )
  return run === 0 ? 0 : rise / run
}

if (import.meta.main) {
  const report = await runMonth(asked<InvoiceRunOrder>())
  process.stdout.write(JSON.stringify(report))
  process.exit(0)
}
