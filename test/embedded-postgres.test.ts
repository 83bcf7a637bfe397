import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { accountFor, complaintOf } from '../src/platform/embedded-postgres/account.ts'
import { reachableBinaries } from '../src/platform/embedded-postgres/binaries.ts'
import { livingPostmaster, stopPostmaster } from '../src/platform/embedded-postgres/postmaster.ts'
import {
  type EmbeddedPostgresOptions,
  type RunningPostgres,
  startEmbeddedPostgres,
} from '../src/platform/embedded-postgres.ts'

const isRoot = process.getuid?.() === 0

/** Tests end before the operating system could lose anything. */
const QUICK = { fsync: 'off', shared_buffers: '16MB', max_connections: '20' }

const shared = mkdtempSync(join(tmpdir(), 'bursar shared-'))
chmodSync(shared, 0o755)

const folders: string[] = []
const running = new Set<RunningPostgres>()
const orphans: string[] = []

/** A folder that the account of PostgreSQL can pass through, as a checkout in /srv would be. */
function folder(mode = 0o755): string {
  const path = mkdtempSync(join(tmpdir(), 'bursar embedded-'))
  chmodSync(path, mode)
  folders.push(path)
  return path
}

async function start(options: EmbeddedPostgresOptions): Promise<RunningPostgres> {
  const server = await startEmbeddedPostgres({ settings: QUICK, ...options })
  running.add(server)
  return server
}

async function stop(server: RunningPostgres): Promise<void> {
  await server.stop()
  running.delete(server)
}

async function ask(server: { url: string }, statement: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: server.url })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query({ text: statement, rowMode: 'array' })).rows.flat()
  } finally {
    await client.end()
  }
}

/** `note` is all there is to remember: the tests share one home, as making one takes most of a second. */
async function remember(server: { url: string }, note: string): Promise<void> {
  await ask(server, 'drop table if exists memory')
  await ask(server, `create table memory as select '${note}' as note`)
}

const recall = (server: { url: string }) => ask(server, 'select note from memory order by note')

const pidOf = ({ dataDir }: { dataDir: string }) =>
  Number(readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')[0])

const modeOf = (path: string) => statSync(path).mode & 0o777

/** Starts a server in a process of its own, kills that process without warning, and returns what it had told. */
async function startedByAProcessThatWasKilled(home: string): Promise<{ url: string; dataDir: string }> {
  const script = `
    import { startEmbeddedPostgres } from ${JSON.stringify(resolve('src/platform/embedded-postgres.ts'))}
    const { url, dataDir } = await startEmbeddedPostgres(${JSON.stringify({ home, settings: QUICK })})
    console.log(JSON.stringify({ url, dataDir }))
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const told = await new Promise<{ url: string; dataDir: string }>((tell, fail) => {
    child.stdout.once('data', (line) => tell(JSON.parse(String(line))))
    child.once('exit', (code) => fail(new Error(`The process ended with ${code}`)))
  })
  const gone = new Promise((done) => child.once('exit', done))
  orphans.push(told.dataDir)
  child.kill('SIGKILL')
  await gone
  return told
}

afterEach(async () => {
  for (const server of running) await stop(server)
  for (const dataDir of orphans.splice(0)) {
    const orphan = livingPostmaster(dataDir)
    if (orphan !== undefined) await stopPostmaster(orphan)
  }
  for (const path of folders.splice(0)) rmSync(path, { recursive: true, force: true })
})

afterAll(() => rmSync(shared, { recursive: true, force: true }))

describe('PostgreSQL for a machine that has none', () => {
  test('is made at the first start, and keeps data, password and port for the next', async () => {
    const home = join(folder(), 'data')
    const first = await start({ home })
    expect(first.adopted).toBe(false)
    expect(
      await ask(first, `select current_database(), lower('ÄRGER'), 'a' < 'B', current_setting('server_version')`),
    ).toEqual(['bursar', 'ärger', false, expect.stringMatching(/^18/)])
    await remember(first, 'kept')
    await stop(first)
    expect(readdirSync(home).sort()).toEqual(['postgres', 'postgres-access.json', 'postgres-start.log'])
    expect(modeOf(join(home, 'postgres-access.json'))).toBe(0o600)
    expect(modeOf(home)).toBe(isRoot ? 0o755 : 0o700)

    const second = await start({ home })
    expect(second.url).toBe(first.url)
    expect(await recall(second)).toEqual(['kept'])
  })

  test('does not give up durability unless it is told to, and listens on this machine only', async () => {
    const server = await start({ home: shared, settings: {} })
    const names = 'fsync,synchronous_commit,full_page_writes,listen_addresses,unix_socket_directories'
    expect(await ask(server, `select current_setting(name) from unnest('{${names}}'::text[]) name`)).toEqual([
      'on',
      'on',
      'on',
      '127.0.0.1',
      '',
    ])
  })

  test('moves to another port when somebody took its own, and refuses when it was told which', async () => {
    const home = shared
    const before = await start({ home })
    const port = Number(new URL(before.url).port)
    await stop(before)
    const other = createServer()
    await new Promise<void>((done) => other.listen(port, '127.0.0.1', done))
    try {
      const after = await start({ home })
      expect(new URL(after.url).port).not.toBe(String(port))
      await stop(after)
      await expect(start({ home, port })).rejects.toThrow(`Port ${port} of 127.0.0.1 is taken`)
    } finally {
      await new Promise((done) => other.close(done))
    }
  })

  test('belongs to one Bursar at a time, and the second one is told who has it', async () => {
    const home = shared
    await start({ home })
    await expect(startEmbeddedPostgres({ home })).rejects.toThrow(
      `another Bursar (pid ${process.pid}) is using ${home}`,
    )
  })

  test('says why it does not start', async () => {
    await expect(start({ home: shared, settings: { ...QUICK, work_mem: 'plenty' } })).rejects.toThrow(
      /did not start: .*invalid value for parameter "work_mem": "plenty"/,
    )
  })
})

describe('after a crash', () => {
  test('a server whose Bursar was killed is taken over with its data', async () => {
    const home = shared
    const orphan = await startedByAProcessThatWasKilled(home)
    await remember(orphan, 'written to the orphan')
    const server = await start({ home })
    expect(server.adopted).toBe(true)
    expect(pidOf(server)).toBe(pidOf(orphan))
    expect(await recall(server)).toEqual(['written to the orphan'])
    await stop(server)
    expect(existsSync(join(server.dataDir, 'postmaster.pid'))).toBe(false)
  })

  test('a server left over with other settings is restarted with those that were asked for', async () => {
    const home = shared
    const orphan = await startedByAProcessThatWasKilled(home)
    await remember(orphan, 'kept')
    const server = await start({ home, settings: { ...QUICK, max_connections: '33' } })
    expect(server.adopted).toBe(false)
    expect(await ask(server, `select current_setting('max_connections'), note from memory`)).toEqual(['33', 'kept'])
  })

  test('a killed server recovers what it had committed', async () => {
    const home = shared
    const server = await start({ home, settings: { ...QUICK, fsync: 'on' } })
    await remember(server, 'committed')
    process.kill(pidOf(server), 'SIGKILL')
    await stop(server)
    const next = await start({ home })
    expect(next.adopted).toBe(false)
    expect(await recall(next)).toEqual(['committed'])
  })

  test('a pid file whose number now belongs to another process is seen through', async () => {
    const home = shared
    const server = await start({ home })
    await remember(server, 'kept')
    const file = join(server.dataDir, 'postmaster.pid')
    const lines = readFileSync(file, 'utf8').split('\n')
    await stop(server)
    const foreigner = spawn('sleep', ['60'], isRoot ? { uid: statSync(server.dataDir).uid } : {})
    try {
      writeFileSync(file, [foreigner.pid, ...lines.slice(1)].join('\n'))
      const next = await start({ home })
      expect(next.adopted).toBe(false)
      expect(await recall(next)).toEqual(['kept'])
      expect(foreigner.exitCode).toBeNull()
    } finally {
      foreigner.kill()
    }
  })

  test('an initialisation that was cut short is begun anew', async () => {
    const home = folder()
    mkdirSync(join(home, 'postgres.draft-1234', 'base'), { recursive: true })
    writeFileSync(join(home, 'postgres.draft-1234', 'PG_VERSION'), '18\n')
    writeFileSync(join(home, 'postgres.draft-1234.password'), 'old')
    const server = await start({ home })
    expect(await ask(server, 'select 1')).toEqual([1])
    expect(readdirSync(home).filter((name) => name.includes('draft'))).toEqual([])
  })

  test('a lock is taken over from an owner who is gone, even if another process has its number', async () => {
    const home = shared
    mkdirSync(join(home, 'lock'))
    writeFileSync(join(home, 'lock', `${process.pid}-1-0`), '')
    const server = await start({ home })
    expect(await ask(server, 'select 1')).toEqual([1])
  })
})

describe.runIf(isRoot)('started by root from a folder that is closed to everybody else', () => {
  test('keeps its data outside and finds it again, while a fresh clone begins with none', async () => {
    const closed = folder(0o700)
    const outside = join(folder(), 'lib')
    const home = join(closed, 'data')
    const server = await start({ home, outside })
    expect(lstatSync(join(home, 'postgres')).isSymbolicLink()).toBe(true)
    expect(dirname(readlinkSync(join(home, 'postgres')))).toBe(outside)
    expect(modeOf(server.dataDir)).toBe(0o700)
    expect(modeOf(closed)).toBe(0o700)
    await remember(server, 'kept')
    await stop(server)
    const again = await start({ home, outside })
    expect(again.dataDir).toBe(server.dataDir)
    expect(await recall(again)).toEqual(['kept'])
    await stop(again)

    rmSync(home, { recursive: true })
    const fresh = await start({ home, outside })
    expect(fresh.dataDir).not.toBe(server.dataDir)
    await expect(recall(fresh)).rejects.toThrow('relation "memory" does not exist')
    await stop(fresh)

    rmSync(fresh.dataDir, { recursive: true })
    await expect(start({ home, outside })).rejects.toThrow(
      `${fresh.dataDir}, which ${join(home, 'postgres')} points to, is gone`,
    )
  })

  test('runs a copy of the programs where they can be reached, made once and made anew when broken', async () => {
    const account = accountFor(undefined)
    const reachable = await reachableBinaries({ account, outside: folder(), say: () => {} })
    const native = join(folder(0o700), 'native')
    cpSync(dirname(dirname(reachable.postgres)), native, { recursive: true, verbatimSymlinks: true })
    const outside = join(folder(), 'lib')
    const said: string[] = []
    const copy = () =>
      reachableBinaries({ account, outside, say: (line) => said.push(line), packaged: { native, version: '18.4.0' } })

    const binaries = await copy()
    expect(binaries).toEqual({
      postgres: join(outside, 'postgresql-18.4.0', 'bin', 'postgres'),
      initdb: join(outside, 'postgresql-18.4.0', 'bin', 'initdb'),
      major: '18',
    })
    expect(complaintOf(account, '"$1" --version', binaries.initdb)).toBeUndefined()
    await copy()
    expect(said).toHaveLength(1)
    rmSync(join(outside, 'postgresql-18.4.0', 'share'), { recursive: true })
    await copy()
    expect(said).toHaveLength(2)
    expect(readdirSync(outside)).toEqual(['postgresql-18.4.0'])
  })

  test('says what to do when there is no place that PostgreSQL could reach', async () => {
    const closed = folder(0o700)
    await expect(start({ home: join(closed, 'data'), outside: join(closed, 'lib') })).rejects.toThrow(
      /can reach neither .* nor .* set DATABASE_URL .* or run Bursar as an ordinary user/,
    )
  })
})

describe('setting up a fresh clone', () => {
  /** A project without packages from elsewhere: its `node` is a script beside it that calls ours. */
  function clone(): string {
    const project = folder()
    const standIn = join(project, 'stand-in')
    mkdirSync(join(project, 'scripts'))
    mkdirSync(standIn)
    copyFileSync('scripts/setup.mjs', join(project, 'scripts', 'setup.mjs'))
    const json = (path: string, value: unknown) => writeFileSync(join(project, path), JSON.stringify(value))
    const dependencies = { node: 'file:stand-in' }
    json('package.json', { name: 'clone', private: true, dependencies })
    json('stand-in/package.json', { name: 'node', version: '1.0.0', bin: { node: 'node' } })
    json('package-lock.json', {
      name: 'clone',
      lockfileVersion: 3,
      packages: {
        '': { name: 'clone', dependencies },
        'node_modules/node': { resolved: 'stand-in', link: true },
        'stand-in': { name: 'node', version: '1.0.0', bin: { node: 'node' } },
      },
    })
    writeFileSync(join(standIn, 'node'), `#!/bin/sh\nexec '${process.execPath}' "$@"\n`, { mode: 0o755 })
    return project
  }

  const setUp = (project: string, environment: Record<string, string> = {}) =>
    new Promise<{ code: number | null; output: string }>((done) => {
      const child = spawn(process.execPath, [join(project, 'scripts', 'setup.mjs')], {
        env: { ...process.env, ...environment },
      })
      let output = ''
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text))
      child.once('close', (code) => done({ code, output }))
    })

  test('installs once, says so, and then has nothing to do', async () => {
    const project = clone()
    const first = await setUp(project)
    expect(first).toEqual({
      code: 0,
      output: expect.stringContaining('Installing packages, once: node_modules is missing'),
    })
    expect(spawnSync(join(project, 'node_modules', '.bin', 'node'), ['--version']).status).toBe(0)
    expect(await setUp(project)).toEqual({ code: 0, output: '' })
  })

  test('installs again when the lock file changed, when it was interrupted, and when its Node is gone', async () => {
    const project = clone()
    await setUp(project)
    const later = new Date(Date.now() + 1_000)
    const installed = join(project, 'node_modules', '.package-lock.json')
    const reasons: [() => void, string][] = [
      [() => utimesSync(installed, 0, 0), 'package-lock.json has changed'],
      [() => rmSync(installed), 'the last installation was interrupted'],
      [() => rmSync(join(project, 'node_modules', '.bin', 'node')), 'its Node does not run'],
    ]
    for (const [happens, reason] of reasons) {
      happens()
      expect(await setUp(project)).toEqual({ code: 0, output: expect.stringContaining(reason) })
      utimesSync(installed, later, later)
    }
  })

  test('is done by one of two commands that start at the same moment, while the other one waits', async () => {
    const project = clone()
    const both = await Promise.all([setUp(project), setUp(project)])
    expect(both.map(({ code }) => code)).toEqual([0, 0])
    expect(both.filter(({ output }) => output.includes('Installing packages'))).toHaveLength(1)
    expect(readdirSync(join(project, '.data'))).toEqual([])
  })

  test('takes over from a set-up that died', async () => {
    const project = clone()
    mkdirSync(join(project, '.data', 'setup.lock'), { recursive: true })
    writeFileSync(join(project, '.data', 'setup.lock', `${process.pid}-1`), '')
    expect(await setUp(project)).toEqual({ code: 0, output: expect.stringContaining('Installing packages') })
    expect(readdirSync(join(project, '.data'))).toEqual([])
  })

  test('says what to do when the installation fails', async () => {
    const project = clone()
    rmSync(join(project, 'package-lock.json'))
    const failed = await setUp(project)
    expect(failed.code).toBe(1)
    expect(failed.output).toContain('npm ci failed, for the reason above. Check the network')
    expect((await setUp(project, { PATH: '/nowhere' })).output).toContain('install Node 20 or later together with npm')
    expect(readdirSync(join(project, '.data'))).toEqual([])
  })
})
