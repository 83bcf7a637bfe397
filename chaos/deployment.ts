import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type pg from 'pg'
import { migrate, QUEUE_SCHEMA } from '../src/commands/migrate.ts'
import { openPool } from '../src/platform/database.ts'
import { type Sandbox, sandboxKeys, startSandbox } from '../src/sandbox/server.ts'
import { freePort } from '../test/support/port.ts'
import { PostgresServer } from '../test/support/postgres.ts'
import { RedisServer } from '../test/support/redis.ts'
import { RedisCluster } from '../test/support/redis-cluster.ts'
import { askGateway, type GatewayName, gateways } from './gateways.ts'
import { Link } from './link.ts'
import { holdMonthBack } from './loads/billing-world.ts'
import { Role } from './role.ts'

/** Where the queue lives. */
export const backends = ['redis', 'postgres', 'cluster'] as const
export type Backend = (typeof backends)[number]

/** The processes of a deployment: as few as make two of everything that works. */
export const roles = {
  'api-1': 'api',
  'api-2': 'api',
  'worker-1': 'worker',
  'worker-2': 'worker',
  'scheduler-1': 'scheduler',
} as const
export type RoleName = keyof typeof roles
export const roleNames = Object.keys(roles) as RoleName[]

export const apis = ['api-1', 'api-2'] as const

type Service = 'database' | 'queue' | 'voice' | 'vault' | GatewayName

/** Everybody reaches everybody else through a proxy of their own. The nodes of a cluster name themselves, so there is none to them. */
export function links(backend: Backend): string[] {
  return [
    ...apis.map((name) => `clients→${name}`),
    ...roleNames.flatMap((name) => servicesOf(name, backend).map((service) => `${name}→${service}`)),
  ]
}

const servicesOf = (name: RoleName, backend: Backend): Service[] => [
  'database',
  ...(backend === 'redis' ? (['queue'] as const) : []),
  ...(roles[name] === 'worker' ? (['voice', 'vault', ...gateways] as const) : []),
]

/** Two APIs, two workers and a scheduler with their probes, pools and what killed ones have left until it is noticed. */
const MAX_CONNECTIONS = '500'

/** Durable, since a kill and a start must lose nothing; what a slow disk costs is a fault of its own. */
const SETTINGS = { fsync: 'on', max_connections: MAX_CONNECTIONS }

/** Faults of the voice service should be seen in seconds. */
const VOICE_TIMEOUT_MS = '2000'

const SANDBOX_VAULT_TOKEN = 'sandbox'

/** The keys that the stand-ins take and sign with. */
export const GATEWAY_KEYS: Readonly<Record<string, string>> = {
  STRIPE_SECRET_KEY: sandboxKeys.stripe.secretKey,
  STRIPE_PUBLISHABLE_KEY: sandboxKeys.stripe.publishableKey,
  STRIPE_WEBHOOK_SECRET: sandboxKeys.stripe.webhookSecret,
  RAZORPAY_KEY_ID: sandboxKeys.razorpay.keyId,
  RAZORPAY_KEY_SECRET: sandboxKeys.razorpay.keySecret,
  RAZORPAY_WEBHOOK_SECRET: sandboxKeys.razorpay.webhookSecret,
  RAZORPAY_ACCOUNT_NUMBER: sandboxKeys.razorpay.accountNumber,
  PAYSTACK_SECRET_KEY: sandboxKeys.paystack.secretKey,
  MOCK_API_KEY: sandboxKeys.mock.key,
  MOCK_WEBHOOK_SECRET: sandboxKeys.mock.webhookSecret,
}

/** A process that waits for a database asks again every half a second; a busy machine takes some seconds to start it. */
const UP_WITHIN_MS = 60_000
const LOOK_MS = 100

/** Those that everybody else stands on. */
interface Servers {
  readonly backend: Backend
  readonly postgres: PostgresServer
  readonly redis: RedisServer | undefined
  readonly cluster: RedisCluster | undefined
  readonly sandbox: Sandbox
}

/** A whole Bursar as an operator runs it: separate, supervised processes, with a proxy on every way between them. */
export class ChaosDeployment {
  readonly backend: Backend
  readonly postgres: PostgresServer
  readonly redis: RedisServer | undefined
  readonly cluster: RedisCluster | undefined
  readonly sandbox: Sandbox
  readonly roles = new Map<string, Role>()
  readonly links = new Map<string, Link>()
  /** The doors as clients reach them. */
  readonly doors: string[] = []
  /** The database itself, past all proxies. */
  readonly databaseUrl: string
  readonly pool: pg.Pool
  /** What every process said, a file for each. */
  readonly logs: string

  private constructor({ backend, postgres, redis, cluster, sandbox }: Servers) {
    this.backend = backend
    this.postgres = postgres
    this.redis = redis
    this.cluster = cluster
    this.sandbox = sandbox
    this.databaseUrl = postgres.databaseUrl
    this.pool = openPool({ url: this.databaseUrl, name: 'chaos', max: 4 })
    this.logs = mkdtempSync(join(tmpdir(), `bursar-chaos-${backend}-`))
  }

  static async start(backend: Backend): Promise<ChaosDeployment> {
    const [postgres, redis, cluster, sandbox] = await Promise.all([
      PostgresServer.start(SETTINGS),
      backend === 'redis' ? RedisServer.start() : undefined,
      backend === 'cluster' ? RedisCluster.start() : undefined,
      startSandbox({}),
    ])
    const deployment = new ChaosDeployment({ backend, postgres, redis, cluster, sandbox })
    try {
      await migrate(deployment.databaseUrl, { queue: backend === 'postgres' })
      await holdMonthBack(deployment.pool)
      for (const name of roleNames) await deployment.#prepare(name)
      await deployment.#subscribe()
      await Promise.all([...deployment.roles.values()].map((role) => role.start()))
      return deployment
    } catch (error) {
      await deployment.remove({ keepLogs: true })
      throw error
    }
  }

  /** A process that is not started yet, with all its ways to others. */
  async #prepare(name: RoleName): Promise<void> {
    const port = await freePort()
    const isApi = roles[name] === 'api'
    if (isApi) this.doors.push(await this.#through(`clients→${name}`, `http://127.0.0.1:${port}`))
    const env: Record<string, string> = {
      NODE_ENV: 'test',
      ...(await this.#addresses(name)),
      VOICE_TIMEOUT_MS,
      SANDBOX: 'false',
      MIGRATE_ON_START: 'false',
      TOKEN_REQUESTS_PER_MINUTE: '1000000',
      FRAUD_RULES: 'observe',
      ...GATEWAY_KEYS,
      LOG_LEVEL: 'info',
      ...(isApi ? { PORT: String(port) } : { METRICS_PORT: '0' }),
    }
    this.roles.set(name, new Role({ name, roles: [roles[name]], env, log: join(this.logs, `${name}.log`) }))
  }

  async #addresses(name: RoleName): Promise<Record<string, string>> {
    const { redis, cluster, sandbox } = this
    const works = roles[name] === 'worker'
    return {
      DATABASE_URL: await this.#through(`${name}→database`, this.databaseUrl),
      ...(redis === undefined ? {} : { REDIS_URL: await this.#through(`${name}→queue`, redis.url) }),
      ...(cluster === undefined ? {} : { REDIS_URL: cluster.url }),
      VOICE_SERVICE_URL: works ? await this.#through(`${name}→voice`, sandbox.voiceUrl) : sandbox.voiceUrl,
      ...(works
        ? { VAULT_URL: await this.#through(`${name}→vault`, sandbox.vaultUrl), VAULT_TOKEN: SANDBOX_VAULT_TOKEN }
        : {}),
      ...Object.fromEntries(
        await Promise.all(
          gateways.map(async (gateway) => {
            const { apiBase } = sandbox.gateways[gateway]
            const reached = works ? await this.#through(`${name}→${gateway}`, apiBase) : apiBase
            return [`${gateway.toUpperCase()}_API_BASE`, reached] as const
          }),
        ),
      ),
    }
  }

  /** Each gateway sends its webhooks to one of the doors. */
  async #subscribe(): Promise<void> {
    for (const [nth, gateway] of gateways.entries()) {
      const url = `${this.doors[nth % this.doors.length]}/webhooks`
      await askGateway(this.sandbox, gateway, 'PUT', '/_webhooks', { url })
    }
  }

  /** The URL by which something is reached through a link of its own. */
  async #through(name: string, url: string): Promise<string> {
    const { hostname: host, port } = new URL(url)
    const link = await Link.open({ host, port: Number(port) })
    this.links.set(name, link)
    const linked = new URL(url)
    linked.port = String(link.port)
    return linked.href.replace(/\/$/, '')
  }

  role(name: string): Role {
    const role = this.roles.get(name)
    if (role === undefined) throw new Error(`No process is called ${name}`)
    return role
  }

  link(name: string): Link {
    const link = this.links.get(name)
    if (link === undefined) throw new Error(`No link is called ${name}`)
    return link
  }

  /** How to open the queues, past all proxies. */
  get queueStore(): { redisUrl: string } | { postgresUrl: string; schema: string } {
    const redisUrl = this.redis?.url ?? this.cluster?.url
    return redisUrl === undefined ? { postgresUrl: this.databaseUrl, schema: QUEUE_SCHEMA } : { redisUrl }
  }

  /** The queue forgets everything that it ever knew. */
  async flushQueue(): Promise<void> {
    if (this.redis !== undefined) await this.redis.flush()
    else if (this.cluster !== undefined) await this.cluster.flush()
    else await truncateQueue(this.pool)
  }

  /** Resolves when all processes run. Answers with those that do not, long after everything is well. */
  async missing(): Promise<string[]> {
    const until = performance.now() + UP_WITHIN_MS
    for (;;) {
      const missing = [...this.roles.values()].filter(({ up }) => !up).map(({ name }) => name)
      if (missing.length === 0 || performance.now() > until) return missing
      await pause(LOOK_MS)
    }
  }

  /** No request and no webhook comes in any more; what came before is worked on. */
  async shutDoors(): Promise<void> {
    await Promise.all(apis.map((name) => this.role(name).stop()))
  }

  /** Stops all processes as an operator would. Answers with those that did not end as they should. */
  async stopRoles(): Promise<string[]> {
    const ends = await Promise.all([...this.roles.values()].map(async (role) => ({ role, ...(await role.stop()) })))
    return ends
      .filter(({ code }) => code !== 0)
      .map(({ role, code, signal }) => `${role.name}, told to stop, ended with ${signal ?? `exit code ${code}`}`)
  }

  /** Leaves nothing running. The logs stay when somebody has to read them. */
  async remove(options: { readonly keepLogs: boolean }): Promise<void> {
    await Promise.all([...this.roles.values()].map((role) => role.kill()))
    await Promise.all([...this.links.values()].map((link) => link.close()))
    await this.sandbox.stop()
    await this.pool.end()
    await Promise.all([this.redis?.stop(), this.cluster?.stop(), this.postgres.remove()])
    if (!options.keepLogs) rmSync(this.logs, { recursive: true, force: true })
  }
}

/** Workers that are at it hold locks in an order of their own: whoever is chosen to give way asks again. */
async function truncateQueue(pool: pg.Pool): Promise<void> {
  const { rows } = await pool.query(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = $1 and tablename <> 'migration'`,
    [QUEUE_SCHEMA],
  )
  for (let tries = 1; ; tries++) {
    try {
      await pool.query(`truncate ${rows.map(({ name }) => name).join(', ')} cascade`)
      return
    } catch (error) {
      if ((error as { code?: string }).code !== DEADLOCK || tries === MAX_TRIES) throw error
      await pause(tries * 5)
    }
  }
}

const DEADLOCK = '40P01'
const MAX_TRIES = 20
