import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migrate } from '../../src/commands/migrate.ts'
import { openPool } from '../../src/platform/database.ts'
import { livingPostmaster } from '../../src/platform/embedded-postgres/postmaster.ts'
import { type RunningPostgres, startEmbeddedPostgres } from '../../src/platform/embedded-postgres.ts'
import type { TestDatabase } from './database.ts'

/** Enough for a few Bursars; a crash of the machine may lose it, a crash of the server may not. */
const SETTINGS = { fsync: 'off', max_connections: '150', shared_buffers: '64MB' }

/** A PostgreSQL of a test's own, that can be stopped, killed and started again on the same port. */
export class PostgresServer {
  readonly #home: string
  readonly #settings: Readonly<Record<string, string>>
  #server: RunningPostgres

  private constructor(home: string, settings: Readonly<Record<string, string>>, server: RunningPostgres) {
    this.#home = home
    this.#settings = settings
    this.#server = server
  }

  static async start(overrides: Readonly<Record<string, string>> = {}): Promise<PostgresServer> {
    const settings = { ...SETTINGS, ...overrides }
    const home = mkdtempSync(join(tmpdir(), 'bursar-postgres-'))
    // As root, PostgreSQL's own user must reach what is inside.
    chmodSync(home, 0o755)
    return new PostgresServer(home, settings, await startEmbeddedPostgres({ home, settings }))
  }

  get databaseUrl(): string {
    return this.#server.url
  }

  /** Its one database, migrated. Dropping it only lets go of the connections: the server goes with everything in it. */
  async database(): Promise<TestDatabase> {
    const { url } = this.#server
    await migrate(url, { queue: true })
    const pool = openPool({ url, name: 'test', max: 10 })
    return { url, pool, drop: () => pool.end() }
  }

  /** A fast shutdown, as an operator's restart begins: every session is ended. */
  stop(): Promise<void> {
    return this.#server.stop()
  }

  /** `kill -9` of the postmaster: its children notice by themselves, and the next start has to recover. */
  async kill(): Promise<void> {
    const postmaster = livingPostmaster(this.#server.dataDir)
    if (postmaster === undefined) throw new Error('There is no PostgreSQL to kill')
    process.kill(postmaster.pid, 'SIGKILL')
    await this.#server.stop()
  }

  /** To the server and every process of it, so that SIGSTOP is a disk that hangs: nothing is answered, nothing is lost. */
  signalAll(signal: 'SIGSTOP' | 'SIGCONT'): void {
    const postmaster = livingPostmaster(this.#server.dataDir)
    if (postmaster === undefined) throw new Error('There is no PostgreSQL to signal')
    // The postmaster first: stopped, it has no more children than those that are listed after it.
    for (const pids of [() => [postmaster.pid], () => childrenOf(postmaster.pid)]) {
      for (const pid of pids()) {
        try {
          process.kill(pid, signal)
        } catch {
          // A session that ended in between.
        }
      }
    }
  }

  async startAgain(): Promise<void> {
    const port = Number(new URL(this.#server.url).port)
    this.#server = await startEmbeddedPostgres({ home: this.#home, port, settings: this.#settings })
  }

  async remove(): Promise<void> {
    await this.#server.stop()
    rmSync(this.#home, { recursive: true, force: true })
  }
}

const childrenOf = (parent: number): number[] =>
  spawnSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
    .stdout.split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([pid, ppid]) => (pid !== undefined && ppid === parent ? [pid] : []))
