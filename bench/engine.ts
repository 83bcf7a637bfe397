import { Dispatcher } from '../src/jobs/dispatch.ts'
import type { JobData } from '../src/jobs/envelope.ts'
import { Intake } from '../src/jobs/intake.ts'
import type { QueueName } from '../src/jobs/kind.ts'
import { systemClock } from '../src/kit/clock.ts'
import { readConfig } from '../src/platform/config.ts'
import { openPool, sqlOf } from '../src/platform/database.ts'
import type { QueueSystem, WorkOptions } from '../src/platform/queue.ts'
import { layFoundation } from '../src/start/foundation.ts'
import { startWorkers } from '../src/start/worker.ts'
import { asked } from './processes.ts'

/** The ledger engine alone, or a peer of it: deductions of 1 from these tokens in turns, for so many seconds. */
export interface EngineOrder {
  readonly tokenIds: readonly string[]
  readonly seconds: number
}

export interface EngineReport {
  readonly done: number
  readonly seconds: number
  readonly cpuSeconds: number
}

/** Deductions on their way at once: what a few hundred callers and a flush of jobs would be. */
const CLIENTS = 2_048

/** While connections open and code is compiled, or as long as what is counted if that is shorter; not counted. */
const WARM_UP_MS = 1_000

/** Runs `clients` loops of one deduction after another, and counts what is done after a warm-up. */
export async function closedLoop(
  { tokenIds, seconds }: EngineOrder,
  clients: number,
  deduct: (tokenId: string) => Promise<void>,
): Promise<EngineReport> {
  const countFrom = performance.now() + Math.min(WARM_UP_MS, seconds * 1_000)
  const end = countFrom + seconds * 1_000
  let next = 0
  let done = 0
  let lastAt = countFrom
  let cpu: NodeJS.CpuUsage | undefined
  const client = async () => {
    while (performance.now() < end || done === 0) {
      await deduct(tokenIds[next++ % tokenIds.length] ?? '')
      const now = performance.now()
      if (now < countFrom) continue
      cpu ??= process.cpuUsage()
      done += 1
      lastAt = now
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  const { user, system } = process.cpuUsage(cpu)
  return { done, seconds: (lastAt - countFrom) / 1_000, cpuSeconds: (user + system) / 1e6 }
}

/** Jobs go from the intake to the worker without leaving the process: what is left is intake, decisions and commits. */
function queueInMemory(finished: (operationIds: readonly string[]) => void): QueueSystem<QueueName, JobData> {
  const waiting: { id: string; kind: string; data: JobData }[] = []
  let ledger: WorkOptions<JobData> | undefined
  let inWork = 0
  const pump = () => {
    while (ledger !== undefined && inWork < ledger.concurrency) {
      const job = waiting.shift()
      if (job === undefined) return
      inWork += 1
      void ledger.handle(job).then(() => {
        inWork -= 1
        finished(job.data.operations)
        pump()
      })
    }
  }
  return {
    backend: 'postgres',
    async send(_queue, jobs) {
      waiting.push(...jobs)
      pump()
    },
    fates: async (_queue, jobIds) => new Map(jobIds.map((id) => [id, 'live'])),
    ready: async () => {},
    async work(name, options) {
      if (name === 'ledger') ledger = options
      return { close: async () => {} }
    },
    depths: async () => ({}),
    reachable: async () => true,
    boardQueues: () => [],
    close: async () => {},
  }
}

/** The real intake and the real worker in one process, without HTTP and without a queue between them. */
async function runEngine(order: EngineOrder): Promise<EngineReport> {
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
  const pending = new Map<string, () => void>()
  const queues = queueInMemory((ids) => {
    for (const id of ids) pending.get(id)?.()
  })
  const workers = await startWorkers({ ...foundation, queues })
  const pool = openPool({ url: databaseUrl, name: 'bench intake', max: 4 })
  const intake = new Intake({
    sql: sqlOf(pool),
    dispatcher: new Dispatcher(queues, foundation.log),
    keyring: foundation.keyring,
    clock: systemClock,
    maxWaiting: CLIENTS,
  })
  const report = await closedLoop(order, CLIENTS, async (tokenId) => {
    const { id } = await intake.submit({ kind: 'token.deduct', input: { token_id: tokenId, amount: 1 } })
    await new Promise<void>((resolve) => pending.set(id, resolve))
    pending.delete(id)
  })
  await workers.stop()
  await pool.end()
  await foundation.close()
  return report
}

if (import.meta.main) {
  const report = await runEngine(asked<EngineOrder>())
  process.stdout.write(JSON.stringify(report))
  process.exit(0)
}
