import { Writable } from 'node:stream'
import { SignJWT } from 'jose'
import type pg from 'pg'
import { describe, expect, inject } from 'vitest'
import type { Role } from '../../src/api/access.ts'
import { checkLedger, inSnapshot } from '../../src/domain/ledger/check.ts'
import { isOpen, type OperationStatus } from '../../src/jobs/operation.ts'
import { type Config, readConfig } from '../../src/platform/config.ts'
import { inTransaction } from '../../src/platform/database.ts'
import { makeLog } from '../../src/platform/log.ts'
import { openDoor, type RunningDoor } from '../../src/start/door.ts'
import { type Foundation, layFoundation } from '../../src/start/foundation.ts'
import { type RunningWorkers, startWorkers, type WorkerOptions } from '../../src/start/worker.ts'
import { MovableClock } from './clock.ts'
import { freshDatabase, type TestDatabase } from './database.ts'
import { RedisServer } from './redis.ts'
import type { RedisCluster } from './redis-cluster.ts'

export type Backend = 'postgres' | 'redis' | 'cluster'

let clusterInUse: RedisCluster | undefined

/** From here on deployments on a cluster are on this one. */
export function useCluster(cluster: RedisCluster): void {
  clusterInUse = cluster
}

/** Runs a suite on both queue backends; those on Redis are skipped where there is no redis-server. */
export function onBothBackends(title: string, suite: (backend: Backend) => void): void {
  describe.each<Backend>(['postgres', 'redis'])(`${title} (queue on %s)`, (backend) => {
    if (backend !== 'postgres' && !inject('hasRedis')) {
      describe.skip('redis-server is not installed', () => suite(backend))
      return
    }
    suite(backend)
  })
}

export interface DeploymentOptions extends WorkerOptions {
  readonly backend?: Backend
  readonly env?: Readonly<Record<string, string>>
  /** A database that outlives this deployment, such as one that another has worked on. */
  readonly database?: TestDatabase
  /** Leave the workers out, for tests that start them later or elsewhere. */
  readonly workers?: boolean
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every shape, and an absent field fails them
  readonly body: any
}

export interface Asking {
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** A caller with a token: their subject, and roles when they have more than `user`. */
  readonly as?: string
  readonly roles?: readonly Role[]
  /** Another door than the deployment's own: its URL. */
  readonly at?: string
}

/** A whole Bursar on a database of its own: real HTTP, real queue, real PostgreSQL, the sandbox's voice service. */
export class Deployment {
  readonly config: Config
  readonly clock: MovableClock
  readonly database: TestDatabase
  readonly redis: RedisServer | undefined
  /** Belongs to the test file. */
  readonly cluster: RedisCluster | undefined
  /** What the log said, line by line. */
  readonly logged: string[]
  readonly foundation: Foundation
  readonly door: RunningDoor
  workers: RunningWorkers | undefined
  /** For processes beside this one, so that they work on the same things. */
  readonly env: Readonly<Record<string, string>>

  private constructor(
    parts: Pick<
      Deployment,
      'config' | 'clock' | 'database' | 'redis' | 'cluster' | 'logged' | 'foundation' | 'door' | 'workers' | 'env'
    >,
  ) {
    this.config = parts.config
    this.clock = parts.clock
    this.database = parts.database
    this.redis = parts.redis
    this.cluster = parts.cluster
    this.logged = parts.logged
    this.foundation = parts.foundation
    this.door = parts.door
    this.workers = parts.workers
    this.env = parts.env
  }

  static async start(options: DeploymentOptions = {}): Promise<Deployment> {
    const { database = await freshDatabase() } = options
    const redis = options.backend === 'redis' ? await RedisServer.start() : undefined
    const cluster = options.backend === 'cluster' ? clusterInUse : undefined
    await cluster?.flush()
    const redisUrl = redis?.url ?? cluster?.url
    const env: Record<string, string> = {
      NODE_ENV: 'test',
      DATABASE_URL: database.url,
      ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl }),
      PORT: '0',
      METRICS_PORT: '0',
      SANDBOX: 'true',
      TOKEN_REQUESTS_PER_MINUTE: '100000',
      MIGRATE_ON_START: 'false',
      LOG_LEVEL: 'info',
      ...options.env,
    }
    const config = readConfig(env)
    const clock = new MovableClock()
    const logged: string[] = []
    const destination = new Writable({
      write(chunk, _encoding, done) {
        logged.push(String(chunk))
        done()
      },
    })
    const foundation = await layFoundation(config, { log: makeLog({ level: config.logLevel, destination }), clock })
    const door = await openDoor(foundation)
    foundation.sandbox?.sendWebhooksTo(`${door.url}/webhooks`)
    const workers = options.workers === false ? undefined : await startWorkers(foundation, options)
    const beside = { ...env, VOICE_SERVICE_URL: foundation.voiceUrl, SANDBOX: 'false' }
    const outlived = options.database === undefined ? database : { ...database, drop: async () => {} }
    return new Deployment({
      ...{ config, clock, database: outlived, redis, cluster, logged, foundation, door, workers },
      env: beside,
    })
  }

  get pool(): pg.Pool {
    return this.database.pool
  }

  async startWorkers(options: WorkerOptions = {}): Promise<void> {
    this.workers = await startWorkers(this.foundation, options)
  }

  async stop(): Promise<void> {
    await this.door.stop()
    await this.workers?.stop()
    await this.foundation.close()
    await this.redis?.stop()
    await this.database.drop()
  }

  /** One request over HTTP. A body that is not a string is sent as JSON. */
  async ask(method: string, path: string, { body, headers = {}, as, roles, at }: Asking = {}): Promise<Answer> {
    const response = await fetch(`${at ?? this.door.url}${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...(as === undefined ? {} : { Authorization: `Bearer ${await this.jwt(as, roles)}` }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.includes('json') === true
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text }
  }

  get(path: string, asking: Asking = {}): Promise<Answer> {
    return this.ask('GET', path, asking)
  }

  /** A submission whose outcome is waited for. */
  do(method: string, path: string, body?: unknown, asking: Asking = {}): Promise<Answer> {
    return this.ask(method, path, { body, ...asking, headers: { Prefer: 'wait=30', ...asking.headers } })
  }

  jwt(subject: string, roles: readonly Role[] = []): Promise<string> {
    return new SignJWT(roles.length === 0 ? {} : { roles: [...roles] })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(subject)
      .setExpirationTime(Math.floor(this.clock.now().getTime() / 1_000) + 3_600)
      .sign(new TextEncoder().encode(this.config.jwt.secret.reveal()))
  }

  /** A token that was really issued. */
  async issue(budget: number, voiceId = 'voice_1'): Promise<string> {
    const { status, body } = await this.do('POST', '/token', { budget, voice_id: voiceId })
    expect(status, JSON.stringify(body)).toBe(200)
    return body.token_id
  }

  deduct(tokenId: string, amount: number, asking: Asking = {}): Promise<Answer> {
    return this.do('POST', `/token/${tokenId}/deduct`, { amount }, asking)
  }

  async balance(tokenId: string): Promise<number> {
    const { status, body } = await this.get(`/balance/${tokenId}`)
    expect(status, JSON.stringify(body)).toBe(200)
    return body.balance
  }

  /** Follows an operation by its own long poll until nobody works on it any more. */
  async settled(operationId: string, asking: Asking = {}): Promise<Answer['body']> {
    for (;;) {
      const { status, body } = await this.get(`/api/v1/operations/${operationId}`, {
        ...asking,
        headers: { Prefer: 'wait=5' },
      })
      expect(status).toBe(200)
      if (!isOpen(body.status as OperationStatus)) return body
    }
  }

  /** Resolves when nobody works on anything any more. */
  async quiet(): Promise<void> {
    for (;;) {
      const { rows } = await this.pool.query(
        `select id from operation where status in ('queued', 'processing') order by id limit 1`,
      )
      if (rows.length === 0) return
      await this.settled(rows[0].id, { as: 'onlooker', roles: ['operator'] })
    }
  }

  /** How many operations stand how. */
  async statuses(kind: string): Promise<Record<string, number>> {
    const { rows } = await this.pool.query('select status, count(*)::int from operation where kind = $1 group by 1', [
      kind,
    ])
    return Object.fromEntries(rows.map(({ status, count }) => [status, count]))
  }

  async transfers(movement: string): Promise<number> {
    const { rows } = await this.pool.query('select count(*)::int from transfer where movement = $1', [movement])
    return rows[0].count
  }

  /** The books, checked by everything that checks them. */
  async expectCleanBooks(): Promise<void> {
    const findings = await inTransaction(this.pool, (sql) => inSnapshot(sql, () => checkLedger(sql, this.clock.now())))
    expect(findings).toEqual([])
  }
}
