import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { startEmbeddedPostgres } from '../../src/platform/embedded-postgres.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** A database server of this run's own; databases on it are made by `freshDatabase()`. */
    readonly serverUrl: string
    /** Redis comes from the system, and the suites that need it are skipped where there is none. */
    readonly hasRedis: boolean
  }
}

const sources = new URL('../../src/', import.meta.url)

const COMPILE = ['start/foundation', 'start/door', 'start/worker', 'start/scheduler', 'start/probe']
  .map((name) => `await import('${new URL(`${name}.ts`, sources)}')`)
  .join('\n')

/** More than all databases of a run take together. */
const ROOM_BYTES = 6 * 2 ** 30

/** Memory where there is plenty: a thousand databases are made and dropped, and a disk spends a tenth of the run on that. */
function roomiest(): string {
  try {
    const { bavail, bsize } = statfsSync(MEMORY)
    return bavail * bsize > ROOM_BYTES ? MEMORY : tmpdir()
  } catch {
    return tmpdir()
  }
}

const MEMORY = '/dev/shm'

export default async function setUp(project: TestProject) {
  const home = mkdtempSync(join(roomiest(), 'bursar-test-'))
  // Whatever a test leaves behind goes with it.
  process.env.TMPDIR = home
  // As root, PostgreSQL's own user must reach what is inside.
  chmodSync(home, 0o755)
  // A hundred processes of ours are started, and most are killed: what was compiled once none of them compiles again.
  process.env.NODE_COMPILE_CACHE = join(home, 'compiled')
  spawnSync(process.execPath, ['--input-type=module', '--eval', COMPILE])
  const server = await startEmbeddedPostgres({
    home,
    database: 'postgres',
    // A crash of the machine may lose these databases; a crash of any process may not.
    settings: {
      fsync: 'off',
      full_page_writes: 'off',
      wal_level: 'minimal',
      max_wal_senders: '0',
      max_connections: '300',
    },
  })
  project.provide('serverUrl', server.url)
  const hasRedis = spawnSync('redis-server', ['--version']).status === 0
  if (!hasRedis) {
    if (process.env.BURSAR_REQUIRE_REDIS === '1')
      throw new Error('redis-server is missing, and may not be skipped here')
    process.stderr.write('redis-server is not installed: the suites on Redis are skipped\n')
  }
  project.provide('hasRedis', hasRedis)
  return async () => {
    await server.stop()
    rmSync(home, { recursive: true, force: true })
  }
}
