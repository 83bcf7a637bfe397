import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import pg from 'pg'
import { migrate } from '../src/commands/migrate.ts'
import { startEmbeddedPostgres } from '../src/platform/embedded-postgres.ts'
import { RedisServer } from '../test/support/redis.ts'
import type { Options } from './options.ts'

/** A database of one contestant's own, migrated, without an account that could pay. */
export interface BenchDatabase {
  readonly url: string
  readonly client: pg.Client
  drop(): Promise<void>
}

export interface BenchRedis {
  readonly url: string
  readonly pid: number
  stop(): Promise<void>
}

/** Everything that contestants stand on. */
export interface Stage {
  readonly options: Options
  /** Processes of PostgreSQL hang below this one; undefined for a server that is not ours. */
  readonly postmaster: number | undefined
  readonly hasRedis: boolean
  /** A setting of the server, or its version. */
  show(setting: string): Promise<string>
  database(): Promise<BenchDatabase>
  redis(): Promise<BenchRedis>
  /** A new file for a process to log into. */
  logFile(): string
  say(line: string): void
  close(): Promise<void>
}

/** Room for every contestant of a section with its processes and pools at once. Everything else is as `npm start` has it. */
const SETTINGS = { max_connections: '500' }

const TEMPLATE = 'bench_template'

export async function openStage(options: Options): Promise<Stage> {
  const home = mkdtempSync(join(tmpdir(), 'bursar-bench-'))
  // As root, PostgreSQL's own user must reach what is inside.
  chmodSync(home, 0o755)
  const own = options.server === undefined ? await startEmbeddedPostgres({ home, settings: SETTINGS }) : undefined
  const serverUrl = own?.url ?? options.server ?? ''
  const admin = new pg.Client({ connectionString: serverUrl })
  admin.on('error', () => {})
  await admin.connect()
  // A name of this run's own: on a server that is not ours another run may be at work.
  const template = `${TEMPLATE}_${process.pid}`
  await admin.query(`create database ${template}`)
  await migrate(urlOf(serverUrl, template), { queue: true })
  /** What a section leaves behind when it fails or is interrupted. */
  const open = new Set<() => Promise<unknown>>()
  let databases = 0
  let logs = 0

  return {
    options,
    postmaster: own && Number(readFileSync(join(own.dataDir, 'postmaster.pid'), 'utf8').split('\n')[0]),
    hasRedis: spawnSync('redis-server', ['--version']).status === 0,
    async show(setting) {
      const { rows } = await admin.query(`show ${pg.escapeIdentifier(setting)}`)
      return String(Object.values(rows[0] ?? {})[0])
    },
    async database() {
      const name = `bench_${process.pid}_${++databases}`
      await admin.query(`create database ${name} template ${template}`)
      const drop = () => admin.query(`drop database if exists ${name} with (force)`)
      open.add(drop)
      const url = urlOf(serverUrl, name)
      const client = new pg.Client({ connectionString: url })
      client.on('error', () => {})
      await client.connect()
      return {
        url,
        client,
        async drop() {
          await client.end()
          await drop()
          open.delete(drop)
        },
      }
    },
    async redis() {
      const server = await RedisServer.start()
      const stop = () => server.stop()
      open.add(stop)
      return {
        url: server.url,
        pid: await pidOf(server.url),
        async stop() {
          await stop()
          open.delete(stop)
        },
      }
    },
    logFile: () => join(home, `process-${++logs}.log`),
    say: (line) => void process.stdout.write(`${line}\n`),
    async close() {
      for (const letGo of open) await letGo().catch(() => {})
      await admin.query(`drop database ${template} with (force)`).catch(() => {})
      await admin.end()
      await own?.stop()
      rmSync(home, { recursive: true, force: true })
    },
  }
}

function urlOf(serverUrl: string, database: string): string {
  const url = new URL(serverUrl)
  url.pathname = `/${database}`
  return url.href
}

async function pidOf(url: string): Promise<number> {
  const client = new Redis(url)
  try {
    return Number(/process_id:(\d+)/.exec(await client.info('server'))?.[1])
  } finally {
    client.disconnect()
  }
}
