import { join } from 'node:path'
import { freePort } from '../test/support/port.ts'
import { cpuSeconds } from './cpu.ts'
import type { Backend } from './options.ts'
import { type Running, start } from './processes.ts'
import { type Seeded, seedTokens } from './seed.ts'
import type { BenchDatabase, BenchRedis, Stage } from './stage.ts'

/** Something that takes deductions over HTTP, and all its processes. */
export interface Contestant {
  readonly name: string
  readonly url: string
  /** Of each of its API processes; `url` is the first. */
  readonly urls: readonly string[]
  /** How many processes share what its worker does: each compiles all of it for itself. */
  readonly workers: number
  /** Where a deduction of 1 is asked for: one path for each token. */
  readonly paths: readonly string[]
  /** Undefined for the bare route, which remembers nothing. */
  readonly database: BenchDatabase | undefined
  /** Processor seconds used so far, by process. */
  cpu(): Record<string, number>
  /** Stops all its processes in their tracks, or lets them go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void
  /** The same for its workers. */
  signalWorkers?(signal: 'SIGSTOP' | 'SIGCONT'): void
  stop(): Promise<void>
}

export interface Terms {
  readonly tokens: number
  /** API processes; one unless told. */
  readonly apis?: number
  /** Worker processes; one unless told. */
  readonly workers?: number
  /** A database that is there already, with its tokens: it stays when the contestant stops. */
  readonly on?: { readonly database: BenchDatabase; readonly seeded: Seeded }
}

/** What a design's processes are called by: a script, the words for its roles, and where its queue is. */
interface Design {
  readonly name: string
  readonly script: string
  readonly roles: { readonly door: readonly string[]; readonly worker: readonly string[] }
  readonly backend: Backend
  readonly env?: Readonly<Record<string, string>>
}

const peer = (name: string, script: string, backend: Backend): Design => ({
  name,
  script: join('peers', script),
  roles: { door: ['door'], worker: ['worker'] },
  backend,
})

const bursar = (backend: Backend): Design => ({
  name: `Bursar, queue on ${backend === 'redis' ? 'Redis' : 'PostgreSQL'}`,
  script: '../src/main.ts',
  roles: { door: ['api'], worker: ['worker'] },
  backend,
  env: {
    NODE_ENV: 'test',
    SANDBOX: 'false',
    // Nobody is asked: the tokens are there.
    VOICE_SERVICE_URL: 'http://127.0.0.1:9',
    MIGRATE_ON_START: 'false',
    METRICS_PORT: '0',
    LOG_LEVEL: 'info',
  },
})

/** Everything that can take part, by backend of its queue. */
export const designs = {
  bursar,
  bullmq: (backend: Backend) => peer(`BullMQ on ${backend === 'redis' ? 'Redis' : 'PostgreSQL'}`, 'bullmq.ts', backend),
  pgBoss: () => peer('pg-boss', 'pg-boss.ts', 'postgres'),
  graphileWorker: () => peer('graphile-worker', 'graphile-worker.ts', 'postgres'),
}

/** Starts a design's API and worker as processes of their own, on a database of their own. */
export async function startDesign(stage: Stage, design: Design, terms: Terms): Promise<Contestant> {
  const database = terms.on?.database ?? (await stage.database())
  const seeded = terms.on?.seeded ?? (await seedTokens(database, terms.tokens))
  const redis: BenchRedis | undefined = design.backend === 'redis' ? await stage.redis() : undefined
  const env = {
    ...design.env,
    DATABASE_URL: database.url,
    ...(redis === undefined ? {} : { REDIS_URL: redis.url }),
  }
  const doors: Running[] = []
  const urls: string[] = []
  for (let n = 0; n < (terms.apis ?? 1); n++) {
    const port = await freePort()
    doors.push(await start(design.script, design.roles.door, { ...env, PORT: String(port) }, stage.logFile()))
    urls.push(`http://127.0.0.1:${port}`)
  }
  const workers: Running[] = []
  for (let n = 0; n < (terms.workers ?? 1); n++)
    workers.push(await start(design.script, design.roles.worker, env, stage.logFile()))
  return {
    name: design.name,
    url: urls[0] ?? '',
    urls,
    workers: workers.length,
    paths: seeded.tokenIds.map((id) => `/token/${id}/deduct`),
    database,
    cpu: () => ({
      api: cpuOf(doors),
      worker: cpuOf(workers),
      ...(stage.postmaster === undefined ? {} : { postgres: cpuSeconds(stage.postmaster) }),
      ...(redis === undefined ? {} : { redis: cpuSeconds(redis.pid) }),
    }),
    signal(signal) {
      for (const { pid } of [...doors, ...workers]) process.kill(pid, signal)
    },
    signalWorkers(signal) {
      for (const { pid } of workers) process.kill(pid, signal)
    },
    async stop() {
      await Promise.all([...doors, ...workers].map((one) => one.stop()))
      await redis?.stop()
      if (terms.on === undefined) await database.drop()
    },
  }
}

const cpuOf = (processes: readonly Running[]): number => processes.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0)

/** The bare route that everything is held against. */
export async function startEcho(stage: Stage): Promise<Contestant> {
  const port = await freePort()
  const echo = await start('peers/echo.ts', [], { PORT: String(port) }, stage.logFile())
  const url = `http://127.0.0.1:${port}`
  return {
    name: 'bare Hono route that echoes its JSON',
    url,
    urls: [url],
    workers: 0,
    paths: ['/echo'],
    database: undefined,
    cpu: () => ({ api: cpuSeconds(echo.pid) }),
    signal: (signal) => void process.kill(echo.pid, signal),
    stop: () => echo.stop(),
  }
}

/** Lets one work while the others stand still: what they do while nobody asks them would be at its expense. */
export async function alone<Result>(
  one: Contestant,
  all: readonly Contestant[],
  work: () => Promise<Result>,
): Promise<Result> {
  const others = all.filter((other) => other !== one)
  for (const other of others) other.signal('SIGSTOP')
  try {
    return await work()
  } finally {
    for (const other of others) other.signal('SIGCONT')
  }
}
