import { Writable } from 'node:stream'
import type pg from 'pg'
import { SignedForm } from '../../src/domain/tokens/signed-form.ts'
import { Token } from '../../src/domain/tokens/token.ts'
import { DEFAULT_VOICE_LIMITS } from '../../src/gateways/voice.ts'
import type { KindName } from '../../src/jobs/catalogue.ts'
import { Dispatcher, type Messenger } from '../../src/jobs/dispatch.ts'
import type { Envelope } from '../../src/jobs/envelope.ts'
import { Intake, type Submission } from '../../src/jobs/intake.ts'
import { type OperationView, operationById } from '../../src/jobs/operation-reads.ts'
import { newId } from '../../src/kit/ids.ts'
import { Keyring } from '../../src/kit/keyring.ts'
import { Secret } from '../../src/kit/secret.ts'
import { inTransaction, openDatabase, openPool, sqlOf } from '../../src/platform/database.ts'
import { makeLog } from '../../src/platform/log.ts'
import type { Services, WorkContext } from '../../src/processors/context.ts'
import { processors } from '../../src/processors/index.ts'
import { type JobReport, runJob } from '../../src/processors/run-job.ts'
import type { Processor } from '../../src/processors/shapes/processor.ts'
import { MovableClock } from './clock.ts'
import { freshDatabase, type TestDatabase } from './database.ts'

/** A queue that only remembers what it was given, for tests that deliver jobs by hand. */
export class Pigeonhole implements Messenger {
  readonly sent: Envelope[] = []

  async send(_queue: string, envelopes: readonly Envelope[]): Promise<void> {
    this.sent.push(...envelopes)
  }

  async fates(): Promise<Map<string, 'live' | 'failed'>> {
    return new Map()
  }
}

/** Intake and workers without a door and without a queue: operations are submitted and jobs are run by hand. */
export class Workshop {
  readonly database: TestDatabase
  readonly clock: MovableClock
  readonly intake: Intake
  readonly context: WorkContext
  readonly queue: Pigeonhole
  /** What the log said, as objects. */
  readonly logged: Record<string, unknown>[]

  private constructor(parts: Pick<Workshop, 'database' | 'clock' | 'intake' | 'context' | 'queue' | 'logged'>) {
    this.database = parts.database
    this.clock = parts.clock
    this.intake = parts.intake
    this.context = parts.context
    this.queue = parts.queue
    this.logged = parts.logged
  }

  static async open(services: Partial<Services> = {}): Promise<Workshop> {
    const database = await freshDatabase()
    const clock = new MovableClock()
    const keyring = new Keyring(new Secret('a passphrase for tests'))
    const logged: Record<string, unknown>[] = []
    const destination = new Writable({
      write(chunk, _encoding, done) {
        logged.push(JSON.parse(String(chunk)))
        done()
      },
    })
    const log = makeLog({ level: 'info', destination })
    const queue = new Pigeonhole()
    const dispatcher = new Dispatcher(queue, log)
    const context: WorkContext = {
      database: await openDatabase(openPool({ url: database.url, name: 'workshop', max: 10 }), [Token]),
      services: {
        voice: { verify: async () => true, limits: async () => DEFAULT_VOICE_LIMITS, reachable: async () => true },
        gateways: new Map(),
        stripeInvoices: undefined,
        mail: undefined,
        seller: { name: 'AgentHub', address: null, email: null, phone: null },
        pdfFonts: undefined,
        vault: undefined,
        signedForm: new SignedForm(keyring, clock),
        keyring,
        clock,
        longReads: (work) => inTransaction(database.pool, work),
        fraudRules: 'on',
        auditFile: undefined,
        invoicing: {
          ...{ issuer: 'default', timeZone: 'UTC', currency: 'USD', dueDays: 30, prefix: 'AH', autoSend: true },
          ...{ country: undefined, minimums: {}, publicUrl: 'https://pay.example' },
        },
        retentionDays: 400,
        fates: () => queue.fates(),
        overdueSchedules: async () => [],
        ...services,
      },
      measures: { tokenIssued() {}, budgetConsumed() {}, operationFinished() {} },
      log,
      dispatch: (envelopes) => dispatcher.send(envelopes),
    }
    const intake = new Intake({ sql: sqlOf(database.pool), dispatcher, keyring, clock, maxWaiting: 10_000 })
    return new Workshop({ database, clock, intake, context, queue, logged })
  }

  get pool(): pg.Pool {
    return this.database.pool
  }

  async close(): Promise<void> {
    await this.context.database.close()
    await this.database.drop()
  }

  /** Accepted, and not yet worked on. */
  async submit(kind: KindName, input: Record<string, unknown>, more: Partial<Submission> = {}): Promise<string> {
    return (await this.intake.submit({ kind, input, ...more })).id
  }

  /** Runs one job with these operations, as a worker does. */
  run(kind: KindName, ids: readonly string[], processor: Processor = processors[kind]): Promise<JobReport> {
    return runJob(this.context, { [kind]: processor }, { id: newId(), kind, data: { operations: ids, preview: [] } })
  }

  async operation(id: string): Promise<OperationView> {
    const operation = await operationById(sqlOf(this.pool), id)
    if (operation === undefined) throw new Error(`No operation ${id}`)
    return operation
  }

  /** A token that was really issued. */
  async issue(budget: number): Promise<string> {
    const id = await this.submit('token.issue', { budget, voice_id: `voice_${newId()}` })
    await this.run('token.issue', [id])
    const { result } = await this.operation(id)
    const { token_id: tokenId } = result as { token_id?: unknown }
    if (typeof tokenId !== 'string') throw new Error('No token was issued')
    return tokenId
  }

  async balance(tokenId: string): Promise<number> {
    const { rows } = await this.pool.query(
      'select account.balance::int from token join account on account.id = account_id where token.id = $1',
      [tokenId],
    )
    return rows[0].balance
  }
}
