import { chmodSync, mkdirSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { Fault } from '../kit/fault.ts'
import { type Access, freePort, isFree, rememberAccess, theAccess, urlOf } from './embedded-postgres/access.ts'
import { accountFor, WAY_OUT } from './embedded-postgres/account.ts'
import { reachableBinaries } from './embedded-postgres/binaries.ts'
import { chooseDataDirectory, existingDataDirectory, initialise } from './embedded-postgres/data-directory.ts'
import { claimHome } from './embedded-postgres/home-lock.ts'
import {
  disownStalePidFile,
  livingPostmaster,
  type Postmaster,
  StartFailure,
  startPostmaster,
  stopPostmaster,
  untilReady,
} from './embedded-postgres/postmaster.ts'
import { configuration, hasConfiguration, writeConfiguration } from './embedded-postgres/settings.ts'

export interface RunningPostgres {
  readonly url: string
  readonly dataDir: string
  /** True if an earlier process left this server running and we took it over as it was. */
  readonly adopted: boolean
  /** Fast shutdown: sessions are ended, everything is written, the home is free for the next. May be called twice. */
  stop(): Promise<void>
}

export interface EmbeddedPostgresOptions {
  /** The folder of data, password, lock and start log, for instance `.data` of the checkout. */
  readonly home: string
  /** Created when missing. */
  readonly database?: string
  /** Exactly this port. Without it: the one of last time, or another one if that is taken. */
  readonly port?: number
  /** PostgreSQL settings over our own; tests give up durability with `fsync: 'off'`. */
  readonly settings?: Readonly<Record<string, string>>
  /** Where a server started by root keeps what its unprivileged account cannot reach in `home` or in node_modules. */
  readonly outside?: string
  readonly say?: (line: string) => void
}

/** After a `kill -9` of the server its children keep the shared memory for a second or two; more is not worth waiting for. */
const LINGERING_MS = 15_000
const RETRY_MS = 250

/** A server left over from last time that does not answer a `select` in this time is restarted. */
const ANSWER_MS = 5_000

/** To copy the template database, on a slow disk. */
const CREATE_MS = 60_000

/** Runs the PostgreSQL that came with the packages, for whoever has none. Throws a `Fault` that says what to do. */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<RunningPostgres> {
  const home = prepareHome(options.home)
  const release = claimHome(home)
  try {
    return await startIn(home, options, release)
  } catch (error) {
    release()
    throw error
  }
}

async function startIn(home: string, options: EmbeddedPostgresOptions, release: () => void): Promise<RunningPostgres> {
  const { database = 'bursar', outside = '/var/lib/bursar', settings = {}, say = () => {} } = options
  const existing = existingDataDirectory(home)
  const account = accountFor(existing)
  const binaries = await reachableBinaries({ account, outside, say })
  const dataDir = existing ?? chooseDataDirectory({ home, account, outside, say })
  const access = theAccess(home, dataDir)
  await initialise({ home, dataDir, account, binaries, access, durable: settings.fsync !== 'off', say })

  const orphan = livingPostmaster(dataDir)
  const adopted = orphan !== undefined && (await isWorthAdopting(orphan, dataDir, access, options))
  if (orphan !== undefined && !adopted) await stopPostmaster(orphan)
  const start = async (): Promise<Postmaster> => {
    const port = await choosePort(options.port, access)
    if (port !== access.port) rememberAccess(home, { ...access, port })
    writeConfiguration(dataDir, configuration(port, settings))
    disownStalePidFile(dataDir)
    return await startPostmaster({ binaries, dataDir, account, log: join(home, 'postgres-start.log') })
  }
  const postmaster = adopted ? orphan : await persistently(start)

  const url = (name: string) => urlOf({ ...access, port: postmaster.port }, name)
  try {
    await ensureDatabase(url('postgres'), database)
  } catch (cause) {
    await stopPostmaster(postmaster)
    throw new Fault(`PostgreSQL runs, but its database ${database} does not open: ${String(cause)}`, { cause })
  }
  say(
    adopted
      ? `PostgreSQL (pid ${postmaster.pid}) was still running from last time, on 127.0.0.1:${postmaster.port}`
      : `PostgreSQL runs on 127.0.0.1:${postmaster.port}`,
  )
  let stopped: Promise<void> | undefined
  return {
    url: url(database),
    dataDir,
    adopted,
    stop() {
      stopped ??= stopPostmaster(postmaster).finally(release)
      return stopped
    },
  }
}

/** The real path, so that the same folder has the same name whichever way one came. */
function prepareHome(path: string): string {
  try {
    // The account that runs PostgreSQL for root has to pass through; the secrets in it are files of mode 0600.
    const mode = process.getuid?.() === 0 ? 0o755 : 0o700
    if (mkdirSync(path, { recursive: true }) !== undefined) chmodSync(path, mode)
    return realpathSync(path)
  } catch (cause) {
    throw new Fault(`${path} cannot be made or entered. ${WAY_OUT}`, { cause })
  }
}

/** Only with the very settings that this start would give it, and only if it lets us in. */
async function isWorthAdopting(
  orphan: Postmaster,
  dataDir: string,
  access: Access,
  { port, settings = {} }: EmbeddedPostgresOptions,
): Promise<boolean> {
  if (port !== undefined && port !== orphan.port) return false
  if (!hasConfiguration(dataDir, configuration(orphan.port, settings))) return false
  if (!(await untilReady(orphan, dataDir))) return false
  const url = urlOf({ ...access, port: orphan.port }, 'postgres')
  return await withClient(url, ANSWER_MS, async (client) => (await client.query('select 1')).rowCount === 1).catch(
    () => false,
  )
}

async function choosePort(wanted: number | undefined, access: Access): Promise<number> {
  if (wanted !== undefined) {
    if (await isFree(wanted)) return wanted
    throw new Fault(`Port ${wanted} of 127.0.0.1 is taken: free it, or give PostgreSQL another one`)
  }
  return access.port !== undefined && (await isFree(access.port)) ? access.port : await freePort()
}

async function persistently<Result>(start: () => Promise<Result>): Promise<Result> {
  const deadline = Date.now() + LINGERING_MS
  for (;;) {
    try {
      return await start()
    } catch (error) {
      if (!(error instanceof StartFailure) || !error.passing || Date.now() > deadline) throw error
      await pause(RETRY_MS)
    }
  }
}

async function ensureDatabase(url: string, name: string): Promise<void> {
  await withClient(url, CREATE_MS, async (client) => {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [name])
    if (rowCount === 0) await client.query(`create database ${pg.escapeIdentifier(name)}`)
  })
}

async function withClient<Result>(
  url: string,
  withinMs: number,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: withinMs, query_timeout: withinMs })
  // A server that goes away is reported by the query in flight; without a listener it would end the process instead.
  client.on('error', () => {})
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
