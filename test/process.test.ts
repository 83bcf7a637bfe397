import { execFile } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { livingPostmaster, stopPostmaster } from '../src/platform/embedded-postgres/postmaster.ts'
import { Deployment } from './support/deployment.ts'
import { freePort } from './support/port.ts'
import { BursarProcess } from './support/process.ts'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command to its end. */
function ran(file: string, words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const { PATH = '', HOME = '' } = process.env
    execFile(file, words, { env: { PATH, HOME, ...env } }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr })
    })
  })
}

const bursarRan = (words: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  ran(process.execPath, [MAIN, ...words], env)

describe('A process', { timeout: 120_000 }, () => {
  let bursar: Deployment
  beforeAll(async () => {
    bursar = await Deployment.start({ workers: false })
  })
  afterAll(() => bursar.stop())

  test('that is asked for a role which there is not says how to ask, and ends with 64', async () => {
    for (const words of [['banker'], ['api', 'banker']]) {
      const { code, stderr } = await bursarRan(words, bursar.env)
      expect({ words, code }).toEqual({ words, code: 64 })
      expect(stderr).toBe('Usage: node src/main.ts [api] [worker] [scheduler] | all | migrate\n')
    }
  })

  test('with a configuration that is wrong in several places names all of them, and ends with 78', async () => {
    const wrong = { PORT: 'eight', REDIS_URL: 'http://redis', DEFAULT_WAIT_SECONDS: '31', LOG_LEVEL: 'loud' }
    const { code, stderr, stdout } = await bursarRan(['api'], { ...bursar.env, ...wrong })
    expect(code).toBe(78)
    expect(stdout).toBe('')
    for (const name of Object.keys(wrong)) expect(stderr).toContain(name)
    expect(stderr).not.toMatch(/\n\s+at /)
  })

  test('on a database that was not migrated says what to run, and ends with 78; migrated, it starts', async () => {
    const name = `test_unmigrated_${process.pid}`
    await bursar.pool.query(`create database ${name}`)
    const url = new URL(bursar.database.url)
    url.pathname = `/${name}`
    const env = { ...bursar.env, DATABASE_URL: url.href }
    const { code, stderr } = await bursarRan(['worker'], env)
    expect(code).toBe(78)
    expect(stderr).toContain('run «node src/main.ts migrate» first')

    const migrated = await bursarRan(['migrate'], env)
    expect(migrated).toMatchObject({ code: 0, stderr: '' })
    expect(migrated.stdout).toContain('Applied Migration')
    expect(await bursarRan(['migrate'], env)).toEqual({ code: 0, stderr: '', stdout: 'The schema is up to date\n' })

    const worker = await BursarProcess.start(['worker'], env)
    expect(await worker.kill('SIGTERM')).toEqual({ code: 0, signal: null })
    await bursar.pool.query(`drop database ${name} with (force)`)
  })

  test('that only works answers a probe on the metrics’ port: health to all, metrics to operators', async () => {
    const port = await freePort()
    const worker = await BursarProcess.start(['worker'], { ...bursar.env, METRICS_PORT: String(port) })
    const at = `http://127.0.0.1:${port}`
    const health = await bursar.get('/health', { at })
    expect(health).toMatchObject({ status: 200, body: { status: 'healthy', dependencies: { database: true } } })

    expect((await bursar.get('/metrics', { at })).status).toBe(401)
    expect((await bursar.get('/metrics', { at, as: 'user_1' })).status).toBe(403)
    const { status, body } = await bursar.get('/metrics', { at, as: 'user_1', roles: ['operator'] })
    expect(status).toBe(200)
    expect(body).toContain('active_payment_tokens')
    expect((await bursar.ask('POST', '/token', { at, body: { budget: 1, voice_id: 'v' } })).status).toBe(404)
    expect(await worker.kill('SIGTERM')).toEqual({ code: 0, signal: null })
  })

  test('that is told to stop lets waiting callers go with their 202, finishes what is in work, and ends with 0', async () => {
    const port = await freePort()
    const at = `http://127.0.0.1:${port}`
    const process = await BursarProcess.start(['all'], { ...bursar.env, PORT: String(port) })
    // The sandbox lets these wait for five seconds.
    const body = { budget: 5, voice_id: 'slow_speaker' }
    const waiter = bursar.ask('POST', '/token', { at, body, headers: { Prefer: 'wait=30' } })
    const [id] = await started('token.issue', 1)
    const poller = bursar.get(`/api/v1/operations/${id}`, { at, headers: { Prefer: 'wait=30' } })
    await bursar.get('/health', { at })

    const toldAt = performance.now()
    const ended = process.kill('SIGTERM')
    expect(await waiter).toMatchObject({ status: 202, body: { operation_id: id } })
    expect(await poller).toMatchObject({ status: 200, body: { operation_id: id, status: 'processing' } })
    expect(performance.now() - toldAt).toBeLessThan(3_000)
    expect(await ended).toEqual({ code: 0, signal: null })
    expect(await bursar.settled(id ?? '')).toMatchObject({ status: 'succeeded', attempts: 1 })
    expect(process.output).toContain('"msg":"Stopped"')
  })

  /** Operations of a kind that a worker has begun. */
  async function started(kind: string, howMany: number): Promise<string[]> {
    const ids = async () => {
      const { rows } = await bursar.pool.query(`select id from operation where kind = $1 and status = 'processing'`, [
        kind,
      ])
      return rows.map(({ id }) => id)
    }
    await expect.poll(async () => (await ids()).length, { timeout: 10_000, interval: 10 }).toBe(howMany)
    return ids()
  }
})

describe('npm start, on a machine that has nothing', { timeout: 120_000 }, () => {
  const home = mkdtempSync(join(tmpdir(), 'bursar-start-'))
  const dataDir = join(home, '.data')
  let port: number
  let bursar: BursarProcess

  const start = () => BursarProcess.start(['all'], { DATA_DIR: dataDir, PORT: String(port) })

  beforeAll(async () => {
    // As root, PostgreSQL's own user must reach what is inside.
    chmodSync(home, 0o755)
    port = await freePort()
    bursar = await start()
  })
  afterAll(async () => {
    await bursar.kill('SIGTERM')
    const left = livingPostmaster(join(dataDir, 'postgres'))
    if (left !== undefined) await stopPostmaster(left)
    rmSync(home, { recursive: true, force: true })
  })

  /** The lines that a developer is told to paste. */
  const toPaste = () =>
    bursar.output
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line.includes('curl '))

  const balanceIs = (line: string | undefined, token: string) =>
    ran('bash', ['-c', (line ?? '').replace('$TOKEN', token)])

  let token: string

  test('prints three lines that issue a token, spend from it and show what is left', async () => {
    const lines = toPaste()
    expect(lines).toHaveLength(3)
    const { code, stdout } = await ran('bash', ['-c', [...lines, 'echo; echo $TOKEN'].join('\n')])
    expect(code).toBe(0)
    expect(stdout).toContain('"remaining":75')
    expect(stdout).toContain('{"balance":75}')
    token = stdout.trim().split('\n').at(-1) ?? ''
  })

  test('keeps a second one out of the same data, and says who is there', async () => {
    const { code, stderr } = await bursarRan(['all'], { DATA_DIR: dataDir, PORT: '0' })
    expect(code).toBe(1)
    expect(stderr).toBe(`Bursar could not start: another Bursar (pid ${bursar.process.pid}) is using ${dataDir}\n`)
  })

  test('killed with kill -9 and started again, it still has everything', async () => {
    await bursar.kill('SIGKILL')
    bursar = await start()
    expect((await balanceIs(toPaste()[2], token)).stdout).toBe('{"balance":75}')
    expect(toPaste()).toHaveLength(3)
  })

  test('stopped, it takes its database with it, and starts again', async () => {
    expect(await bursar.kill('SIGINT')).toEqual({ code: 0, signal: null })
    expect(livingPostmaster(join(dataDir, 'postgres'))).toBe(undefined)
    bursar = await start()
    expect((await balanceIs(toPaste()[2], token)).stdout).toBe('{"balance":75}')
  })
})
