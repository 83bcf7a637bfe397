import { Attempt } from '../domain/payments/attempt.ts'
import { Dispute } from '../domain/payments/dispute.ts'
import { SavedMethod } from '../domain/payments/method.ts'
import { Payment } from '../domain/payments/payment.ts'
import { SignedForm } from '../domain/tokens/signed-form.ts'
import { Token } from '../domain/tokens/token.ts'
import { vault } from '../gateways/vault.ts'
import { type VoiceService, voiceService } from '../gateways/voice.ts'
import { isKindName, kindNamed } from '../jobs/catalogue.ts'
import { Dispatcher } from '../jobs/dispatch.ts'
import { LEDGER_RETRY, type QueueName } from '../jobs/kind.ts'
import { Relay } from '../jobs/relay.ts'
import { inTransaction, openDatabase, openPool } from '../platform/database.ts'
import { lineFile } from '../platform/line-file.ts'
import type { Metrics } from '../platform/metrics.ts'
import { GiveUp, type RunningWorker } from '../platform/queue.ts'
import { coalescing } from '../processors/coalesce.ts'
import type { WorkContext } from '../processors/context.ts'
import { processors } from '../processors/index.ts'
import { runJob, StuckJob, waitBeforeTry } from '../processors/run-job.ts'
import type { Processor } from '../processors/shapes/processor.ts'
import { overdueSchedules } from '../schedules/clockwork.ts'
import { inZone, schedules } from '../schedules/table.ts'
import type { Foundation } from './foundation.ts'
import { invoicingTerms } from './invoicing.ts'
import { paymentEndings } from './payment-endings.ts'
import { repeatedly } from './repeatedly.ts'
import { sellerOf } from './seller.ts'

export interface RunningWorkers {
  readonly relay: Relay
  /** Takes no more jobs, finishes those in work, and lets go of what it opened. */
  stop(): Promise<void>
}

/** How often the relay looks: a lost job is noticed a grace time and at most this much later. */
const RELAY_EVERY_MS = 2_000

/** Work holds a connection only inside its transactions; beyond this they wait for one another's commit anyway. */
const CONNECTIONS = 16

/** The ledger check reads every transfer there is. */
const LONG_READ_MS = 3_600_000

/** Chunks at once: while one waits for its statements, the other is reckoned. */
const RUN_CONCURRENCY = 2

/** Nobody waits for what is sent. */
const OUTBOUND_CONCURRENCY = 8

export interface WorkerOptions {
  readonly processors?: Readonly<Record<string, Processor>>
  readonly relay?: boolean
  readonly relayGraceMs?: number
  /** Milliseconds before the next try, in place of what the kind's policy says. */
  readonly backoff?: (kind: string, made: number) => number
}

export async function startWorkers(foundation: Foundation, options: WorkerOptions = {}): Promise<RunningWorkers> {
  const { config, clock, log, metrics, keyring, queues, databaseUrl: url } = foundation
  const pool = openPool({ url, name: 'bursar worker', max: CONNECTIONS })
  const longPool = openPool({ url, name: 'bursar worker long reads', max: 1, statementTimeoutMs: LONG_READ_MS })
  const database = await openDatabase(pool, [Token, Payment, Attempt, SavedMethod, Dispute], [paymentEndings(metrics)])
  const dispatcher = new Dispatcher(queues, log)
  const voice = voiceService({ url: foundation.voiceUrl, timeoutMs: config.voice.timeoutMs })
  const context: WorkContext = {
    database,
    services: {
      voice: timedVoice(voice, metrics),
      gateways: foundation.gateways,
      stripeInvoices: foundation.stripeInvoices,
      mail: foundation.mail,
      seller: sellerOf(config),
      pdfFonts: config.invoices.fonts,
      vault: config.vault && vault(config.vault),
      signedForm: new SignedForm(keyring, clock),
      keyring,
      clock,
      longReads: (work) => inTransaction(longPool, work),
      fraudRules: config.fraudRules,
      auditFile: config.auditLogFile === undefined ? undefined : lineFile(config.auditLogFile),
      invoicing: invoicingTerms(config, foundation.gateways),
      retentionDays: config.operationRetentionDays,
      fates: (queue, jobIds) => queues.fates(queue, jobIds),
      overdueSchedules: (sql, now) => overdueSchedules(sql, inZone(schedules, config.invoices.timeZone), now),
    },
    measures: metrics,
    log,
    dispatch: (envelopes) => dispatcher.send(envelopes),
  }

  const concurrency: Record<QueueName, number> = {
    ledger: config.worker.ledgerConcurrency,
    gateways: config.worker.gatewayConcurrency,
    inbound: config.worker.gatewayConcurrency,
    outbound: OUTBOUND_CONCURRENCY,
    runs: RUN_CONCURRENCY,
  }
  const deciding = coalescing(options.processors ?? processors, context)
  const working: RunningWorker[] = []
  for (const name of foundation.queueNames) {
    working.push(
      await queues.work(name, {
        concurrency: concurrency[name],
        handle: (job) => runJob(context, deciding, job).catch(asTheQueueKnows),
        backoff: options.backoff ?? waitOf,
        onError: (error) => log.debug({ err: error, queue: name }, 'The queue is unwell'),
      }),
    )
  }

  const relay = new Relay({
    transaction: (work) => database.transaction(work),
    messenger: queues,
    dispatcher,
    clock,
    ...(options.relayGraceMs === undefined ? {} : { graceMs: options.relayGraceMs }),
  })
  const relaying =
    options.relay === false
      ? undefined
      : repeatedly(
          RELAY_EVERY_MS,
          async () => {
            const report = await relay.round()
            metrics.redispatched(report.redispatched)
            if (report.redispatched > 0) log.warn(report, 'The relay brought back what the queue had lost')
            for (const id of report.stuck)
              log.error(
                { operation_id: id },
                'An operation is stuck: the queue gave its jobs up until its tries ran out',
              )
          },
          (error) => log.warn({ err: error }, 'The relay could not look; it will try again'),
        )

  return {
    relay,
    async stop() {
      await relaying?.stop()
      await Promise.all(working.map((worker) => worker.close()))
      await database.close()
      await longPool.end()
    },
  }
}

const waitOf = (kind: string, made: number): number =>
  waitBeforeTry(isKindName(kind) ? kindNamed(kind).retry : LEDGER_RETRY, made)

/** A stuck job is shown as failed at once; everything else is the queue's to try again. */
function asTheQueueKnows(error: unknown): never {
  throw error instanceof StuckJob ? new GiveUp(error.message) : error
}

const timedVoice = (voice: VoiceService, { timed }: Metrics): VoiceService => ({
  verify: (id) => timed('voice', 'verify', () => voice.verify(id)),
  limits: (id) => timed('voice', 'limits', () => voice.limits(id)),
  reachable: () => voice.reachable(),
})
