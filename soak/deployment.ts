import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import type pg from 'pg'
import { migrate } from '../src/commands/migrate.ts'
import { openPool } from '../src/platform/database.ts'
import { livingPostmaster } from '../src/platform/embedded-postgres/postmaster.ts'
import { type RunningPostgres, startEmbeddedPostgres } from '../src/platform/embedded-postgres.ts'
import { freePort } from '../test/support/port.ts'
import { RedisServer } from '../test/support/redis.ts'
import type { Backend } from './options.ts'
import { SoakProcess } from './process.ts'

/** The least that the configuration takes: what is forgotten is shown with a clock that is moved beyond it. */
export const RETENTION_DAYS = 32

/** A deployment as an operator has it: an API, a worker and a scheduler, a PostgreSQL that keeps what it promised, a queue. */
export class SoakDeployment {
  readonly url: string
  readonly jwtSecret: string
  readonly pool: pg.Pool
  /** For whoever works on the same things in a process of its own. */
  readonly env: Readonly<Record<string, string>>
  readonly processes: readonly SoakProcess[]
  readonly postgresPid: number
  /** Its process, and a connection to it. */
  readonly redis: { readonly pid: number; readonly client: Redis } | undefined
  readonly #close: () => Promise<void>

  private constructor(parts: Omit<SoakDeployment, 'stopProcesses' | 'remove'> & { close: () => Promise<void> }) {
    this.url = parts.url
    this.jwtSecret = parts.jwtSecret
    this.pool = parts.pool
    this.env = parts.env
    this.processes = parts.processes
    this.postgresPid = parts.postgresPid
    this.redis = parts.redis
    this.#close = parts.close
  }

  static async start(backend: Backend): Promise<SoakDeployment> {
    const home = mkdtempSync(join(tmpdir(), 'bursar-soak-'))
    // As root, PostgreSQL's own user must reach what is inside.
    chmodSync(home, 0o755)
    const closers: (() => unknown)[] = [() => rmSync(home, { recursive: true, force: true })]
    const close = async () => {
      for (const one of closers.toReversed()) await one()
    }
    try {
      const postgres = await startEmbeddedPostgres({ home, settings: { max_connections: '100' } })
      closers.push(() => postgres.stop())
      const server = backend === 'redis' ? await RedisServer.start() : undefined
      closers.push(() => server?.stop())
      await migrate(postgres.url, { queue: server === undefined })
      const redis = server && (await connected(server))
      closers.push(() => redis?.client.disconnect())

      const jwtSecret = randomBytes(32).toString('hex')
      const port = await freePort()
      const env = {
        NODE_ENV: 'test',
        DATABASE_URL: postgres.url,
        ...(server === undefined ? {} : { REDIS_URL: server.url }),
        SANDBOX: 'true',
        MIGRATE_ON_START: 'false',
        METRICS_PORT: '0',
        JWT_SECRET_KEY: jwtSecret,
        OPERATION_RETENTION_DAYS: String(RETENTION_DAYS),
        TOKEN_REQUESTS_PER_MINUTE: '1000000',
        LOG_LEVEL: 'warn',
      }
      const processes: SoakProcess[] = []
      closers.push(() => Promise.all(processes.map((one) => one.stop())))
      for (const name of ['api', 'worker', 'scheduler'])
        processes.push(
          await SoakProcess.start(
            name,
            // It says that it has started on the level of information.
            { ...env, LOG_LEVEL: 'info', ...(name === 'api' ? { PORT: String(port) } : {}) },
            join(home, `${name}.log`),
          ),
        )
      const pool = openPool({ url: postgres.url, name: 'soak', max: 2 })
      closers.push(() => pool.end())
      return new SoakDeployment({
        ...{ url: `http://127.0.0.1:${port}`, jwtSecret, pool, env, processes, redis, close },
        postgresPid: postmasterOf(postgres),
      })
    } catch (error) {
      await close()
      throw error
    }
  }

  async stopProcesses(): Promise<void> {
    await Promise.all(this.processes.map((one) => one.stop()))
  }

  remove(): Promise<void> {
    return this.#close()
  }
}

async function connected(server: RedisServer): Promise<{ pid: number; client: Redis }> {
  const client = new Redis(server.url)
  const [, pid] = /process_id:(\d+)/.exec(await client.info('server')) ?? []
  return { pid: Number(pid), client }
}

function postmasterOf({ dataDir }: RunningPostgres): number {
  const postmaster = livingPostmaster(dataDir)
  if (postmaster === undefined) throw new Error('PostgreSQL ended')
  return postmaster.pid
}
