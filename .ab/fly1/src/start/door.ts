import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import { Authenticator } from '../api/access.ts'
import { makeApp } from '../api/app.ts'
import { auditRoutes } from '../api/audit.ts'
import { billingRoutes } from '../api/billing/index.ts'
import { board } from '../api/board.ts'
import { docsRoutes } from '../api/docs.ts'
import { healthRoute } from '../api/health.ts'
import { metricsRoute } from '../api/metrics.ts'
import { operationRoutes } from '../api/operations.ts'
import { paymentRoutes } from '../api/payments/index.ts'
import { type KnownSchedule, scheduleRoutes } from '../api/schedules.ts'
import { forgeryReports } from '../api/security.ts'
import { tokenRoutes } from '../api/tokens.ts'
import { Waiting } from '../api/waiting.ts'
import { webhookRoutes } from '../api/webhooks.ts'
import { SignedForm } from '../domain/tokens/signed-form.ts'
import { webhookReaders } from '../gateways/webhook.ts'
import { Dispatcher } from '../jobs/dispatch.ts'
import { Intake } from '../jobs/intake.ts'
import { openPool, sqlOf } from '../platform/database.ts'
import { rateLimiter } from '../platform/rate-limit.ts'
import { openRedis } from '../platform/redis.ts'
import { isPeriod, nextPeriod } from '../schedules/clockwork.ts'
import { inZone, schedules } from '../schedules/table.ts'
import { type Foundation, VERSION } from './foundation.ts'
import { invoicingTerms } from './invoicing.ts'
import { dependencies, questions } from './questions.ts'
import { sellerOf } from './seller.ts'

export interface RunningDoor {
  readonly url: string
  readonly app: ReturnType<typeof makeApp>['app']
  readonly router: ReturnType<typeof makeApp>['router']
  /** Takes no more requests, answers those that it has, and lets go of what it opened. */
  stop(): Promise<void>
}

/** A flush that takes longer than this is a database in trouble: callers get 503 and may come back. */
const INTAKE_TIMEOUT_MS = 10_000

/** Two flushes at once, and rate limits beside them. */
const WRITING_CONNECTIONS = 4
const READING_CONNECTIONS = 8

/** How long requests in work may take to end when the process stops. */
const CLOSING_MS = 10_000

export async function openDoor(foundation: Foundation): Promise<RunningDoor> {
  const { config, clock, log, metrics, keyring, databaseUrl: url, queues } = foundation
  const writing = openPool({
    url,
    name: 'bursar api intake',
    max: WRITING_CONNECTIONS,
    statementTimeoutMs: INTAKE_TIMEOUT_MS,
  })
  const reading = openPool({ url, name: 'bursar api reads', max: READING_CONNECTIONS, readOnly: true })
  const reads = sqlOf(reading)
  const redisUrl = config.redisUrl?.reveal()
  const redis = redisUrl === undefined ? undefined : openRedis(redisUrl, 'brief')

  const dispatcher = new Dispatcher(queues, log)
  const intake = new Intake({ sql: sqlOf(writing), dispatcher, keyring, clock, maxWaiting: config.intake.maxWaiting })
  const waiting = new Waiting(reads)
  const authenticator = new Authenticator({ jwt: config.jwt, board: config.board, clock })
  const limiter = rateLimiter(redis === undefined ? { pool: writing } : { redis }, log)
  const asks = questions(reads, foundation, () => intake.waiting)
  if (config.metrics.enabled) metrics.askWhenRead(asks)

  const { perMinute, burst, tokensPerMinutePerAddress } = config.rateLimits
  const { app, router } = makeApp({
    authenticator,
    limiter,
    clock,
    log,
    trustProxy: config.trustProxy,
    generalLimit: perMinute === undefined ? undefined : { name: 'general', points: perMinute + burst, seconds: 60 },
    answered: metrics.requestAnswered,
  })
  const submissions = { intake, waiting, keyring, clock, defaultWaitSeconds: config.defaultWaitSeconds }
  tokenRoutes(router, {
    ...submissions,
    reads,
    signedForm: new SignedForm(keyring, clock),
    issuesPerMinute: tokensPerMinutePerAddress,
  })
  const { requests, windowMinutes } = config.rateLimits
  paymentRoutes(router, {
    ...submissions,
    reads,
    walletCurrency: config.walletCurrency,
    paymentLimits:
      requests === undefined ? [] : [{ name: 'payments', points: requests, seconds: windowMinutes * 60, by: 'user' }],
  })
  billingRoutes(router, {
    ...submissions,
    reads,
    invoicing: invoicingTerms(config, foundation.gateways),
    seller: sellerOf(config),
    pdfFonts: config.invoices.fonts,
    payable: foundation.stripeInvoices !== undefined,
  })
  scheduleRoutes(router, { ...submissions, reads, schedules: knownSchedules(config.invoices.timeZone) })
  webhookRoutes(router, {
    intake,
    reads,
    clock,
    readers: webhookReaders(foundation.gatewayKeys),
    allowedIps: config.webhookAllowedIps,
    forged: forgeryReports({ intake, clock, log }),
  })
  auditRoutes(router, { reads })
  operationRoutes(router, { ...submissions, reads })
  healthRoute(router, {
    clock,
    version: VERSION,
    tokensInUse: asks.tokensInUse,
    dependencies: dependencies(foundation),
  })
  if (config.metrics.enabled) metricsRoute(router, metrics.registry)
  docsRoutes(router, app, VERSION)
  board(router.parts, { queues: queues.boardQueues(), intake, authenticator, reads, clock })

  const server = serve({ fetch: app.fetch, hostname: config.host, port: config.port })
  await new Promise<void>((resolve, reject) => {
    server.once('listening', resolve)
    server.once('error', reject)
  })
  return {
    url: `http://${config.host}:${(server.address() as AddressInfo).port}`,
    app,
    router,
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      waiting.close()
      const force = setTimeout(() => 'closeAllConnections' in server && server.closeAllConnections(), CLOSING_MS)
      if ('closeIdleConnections' in server) server.closeIdleConnections()
      await closed
      clearTimeout(force)
      await intake.drain()
      redis?.disconnect()
      await Promise.all([writing.end(), reading.end()])
    },
  }
}

/** The table as the door shows it. */
const knownSchedules = (zone: string): KnownSchedule[] =>
  inZone(schedules, zone).map((schedule) => ({
    ...schedule,
    next: (after) => nextPeriod(schedule, after),
    beginsAt: (instant) => isPeriod(schedule, instant),
  }))
