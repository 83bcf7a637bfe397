import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import pg from 'pg'
import { migrate } from '../src/commands/migrate.ts'
import { startEmbeddedPostgres } from '../src/platform/embedded-postgres.ts'
import { startSandbox } from '../src/sandbox/server.ts'
import { freePort, RedisServer } from '../test/support/redis.ts'
import { cpuSeconds } from './cpu.ts'

/** `npm run bench`: durable deductions through HTTP, queue and ledger, beside a bare route. Ratios count, not digits. */
const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    connections: { type: 'string', default: '256' },
    tokens: { type: 'string', default: '100' },
    rounds: { type: 'string', default: '3' },
    backends: { type: 'string', default: 'postgres,redis' },
  },
})
const seconds = Number(options.seconds)
const connections = Number(options.connections)
const rounds = Number(options.rounds)

const file = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0
const say = (line: string) => process.stdout.write(`${line}\n`)

interface Load {
  answered: number
  refused: number
  errors: number
  seconds: number
  p50: number
  p99: number
}

async function load(url: string, paths: readonly string[], body: string): Promise<Load> {
  const asked = JSON.stringify({ url, paths, body, connections, seconds })
  const { stdout } = await promisify(execFile)(process.execPath, [file('load.ts'), asked])
  return JSON.parse(stdout)
}

async function start(script: string, args: readonly string[], env: Record<string, string>): Promise<ChildProcess> {
  const child = spawn(process.execPath, [file(script), ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  child.stdout?.on('data', (chunk) => String(chunk).includes('"msg":"Started"') && resolve())
  child.once('exit', (code) => reject(new Error(`${script} ended with ${code}`)))
  await promise
  return child
}

async function stop(child: ChildProcess): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  child.once('exit', () => resolve())
  child.kill('SIGTERM')
  await promise
}

async function measureEcho(): Promise<number> {
  const port = await freePort()
  const echo = await start('echo.ts', [], { PORT: String(port) })
  const results: Load[] = []
  const before = cpuSeconds(echo.pid ?? 0)
  for (let round = 0; round < rounds; round++)
    results.push(await load(`http://127.0.0.1:${port}`, ['/echo'], '{"amount":1}'))
  const answered = results.reduce((sum, result) => sum + result.answered, 0)
  say(`  µs of processor per request: ${Math.round(((cpuSeconds(echo.pid ?? 0) - before) / answered) * 1e6)}`)
  await stop(echo)
  return median(results.map((result) => result.answered / result.seconds))
}

interface Measured {
  accepted: number
  processed: number
  idleP50: number
}

async function measureBursar(backend: string, serverUrl: string): Promise<Measured> {
  const admin = new pg.Client({ connectionString: serverUrl })
  admin.on('error', () => {})
  await admin.connect()
  const name = `bench_${backend}_${Date.now()}`
  await admin.query(`create database ${name}`)
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  await migrate(url.href, { queue: true })
  const redis = backend === 'redis' ? await RedisServer.start() : undefined
  const sandbox = await startSandbox({})
  const port = await freePort()
  const env = {
    NODE_ENV: 'test',
    DATABASE_URL: url.href,
    ...(redis === undefined ? {} : { REDIS_URL: redis.url }),
    VOICE_SERVICE_URL: sandbox.voiceUrl,
    SANDBOX: 'false',
    MIGRATE_ON_START: 'false',
    TOKEN_REQUESTS_PER_MINUTE: '100000',
    PORT: String(port),
    METRICS_PORT: '0',
    LOG_LEVEL: 'info',
  }
  const api = await start('../src/main.ts', ['api'], env)
  const worker = await start('../src/main.ts', ['worker'], env)
  const database = new pg.Client({ connectionString: url.href })
  await database.connect()
  try {
    const base = `http://127.0.0.1:${port}`
    const paths = await Promise.all(
      Array.from({ length: Number(options.tokens) }, async (_, index) => {
        const response = await fetch(`${base}/token`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', prefer: 'wait=30' },
          body: JSON.stringify({ budget: 1_000_000_000, voice_id: `limits_2000000000_2000000000_2000000000_${index}` }),
        })
        const { token_id } = (await response.json()) as { token_id: string }
        return `/token/${token_id}/deduct`
      }),
    )
    const idle: number[] = []
    for (let index = 0; index < 200; index++) {
      const startedAt = performance.now()
      await (
        await fetch(`${base}${paths[0]}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', prefer: 'wait=30' },
          body: '{"amount":1}',
        })
      ).text()
      idle.push(performance.now() - startedAt)
    }
    const accepted: number[] = []
    const processed: number[] = []
    for (let round = 0; round < rounds; round++) {
      const before = await finished(database)
      const used = () => [api.pid ?? 0, worker.pid ?? 0, postmaster].map(cpuSeconds)
      const usedBefore = used()
      const startedAt = performance.now()
      const result = await load(base, paths, '{"amount":1}')
      if (result.errors > 0 || result.refused > 0)
        say(`  ${backend}: ${result.refused} refused, ${result.errors} errors`)
      for (;;) {
        const { rows } = await database.query(
          `select count(*)::int as open from operation where status in ('queued', 'processing')`,
        )
        if (rows[0].open === 0) break
      }
      const took = (performance.now() - startedAt) / 1_000
      accepted.push(result.answered / result.seconds)
      processed.push(((await finished(database)) - before) / took)
      const done = (await finished(database)) - before
      const costs = used().map((now, index) => Math.round(((now - (usedBefore[index] ?? 0)) / done) * 1e6))
      say(`  µs of processor per deduction: api ${costs[0]}, worker ${costs[1]}, postgres ${costs[2]}`)
      say(
        `  ${backend} round ${round + 1}: ${Math.round(accepted.at(-1) ?? 0)} accepted/s, ${Math.round(processed.at(-1) ?? 0)} done/s, p50 ${result.p50} ms, p99 ${result.p99} ms`,
      )
    }
    return { accepted: median(accepted), processed: median(processed), idleP50: median(idle) }
  } finally {
    await Promise.all([stop(api), stop(worker)])
    await database.end()
    await sandbox.stop()
    await redis?.stop()
    await admin.query(`drop database ${name} with (force)`)
    await admin.end()
  }
}

async function finished(database: pg.Client): Promise<number> {
  const { rows } = await database.query(
    `select count(*)::int from operation where kind = 'token.deduct' and status = 'succeeded'`,
  )
  return rows[0].count
}

const postmasterOf = (dataDir: string) => Number(readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')[0])

const home = mkdtempSync(join(tmpdir(), 'bursar-bench-'))
const postgres = await startEmbeddedPostgres({ home })
const postmaster = postmasterOf(postgres.dataDir)
try {
  const echo = await measureEcho()
  say(`bare route: ${Math.round(echo)} requests/s`)
  const results: Record<string, unknown> = {
    at: new Date().toISOString(),
    machine: { cpus: cpus().length, model: cpus()[0]?.model, node: process.version },
    load: { seconds, connections, rounds },
    bareRoute: echo,
  }
  for (const backend of options.backends.split(',')) {
    const measured = await measureBursar(backend, postgres.url)
    results[backend] = { ...measured, ofBareRoute: measured.processed / echo }
    say(
      `${backend}: ${Math.round(measured.accepted)} accepted/s, ${Math.round(measured.processed)} done/s (${(measured.processed / echo).toFixed(2)} of the bare route), idle answer p50 ${measured.idleP50.toFixed(1)} ms`,
    )
  }
  mkdirSync(file('results'), { recursive: true })
  writeFileSync(file('results/latest.json'), `${JSON.stringify(results, null, 2)}\n`)
} finally {
  await postgres.stop()
  rmSync(home, { recursive: true, force: true })
}
