import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { TRANSACTION } from '../domain/payments/payment.ts'
import { clearingAccounts, type FollowedFinding, report, waiting } from '../domain/reconciliation/reads.ts'
import { Dispatcher } from '../jobs/dispatch.ts'
import type { JobData } from '../jobs/envelope.ts'
import { insertFollowUps } from '../jobs/followup.ts'
import { type QueueName, queueNames } from '../jobs/kind.ts'
import type { OperationStatus } from '../jobs/operation.ts'
import { operationById } from '../jobs/operation-reads.ts'
import { runReconciliation } from '../jobs/reconciliation.ts'
import { newId, publicId } from '../kit/ids.ts'
import { Keyring } from '../kit/keyring.ts'
import { isAsset, toDecimal } from '../kit/money.ts'
import type { Sql } from '../kit/sql.ts'
import { type Config, ConfigError, EXIT_CONFIG } from '../platform/config.ts'
import { inTransaction, openPool, sqlOf } from '../platform/database.ts'
import { openQueues } from '../platform/queue.ts'
import { configuration } from '../start/configuration.ts'
import { QUEUE_SCHEMA } from './migrate.ts'
import { withDatabase } from './with-database.ts'

const USAGE =
  'Usage: npm run --silent reconcile -- [--gateway stripe] [--from 2026-11-20] [--until 2026-11-21] [--wait 600]'

/** How a process ends that was called in a way it does not understand (EX_USAGE of sysexits.h). */
const EXIT_USAGE = 64

/** How it ends when nobody did it in time (EX_TEMPFAIL): what was asked for stays asked for. */
const EXIT_LATER = 75

/** The caller of the command can mend this. */
class Misuse extends Error {}

/** It was asked for, and nobody has done it yet. */
class NotYet extends Error {}

const DAY_MS = 86_400_000
const POLL_MS = 200

/** Look-ups that a run asks for take a call each; a gateway that is away makes them last, and the report does not wait for it. */
const LOOK_UPS_MS = 20_000

/** Items of the clearing accounts that are printed. */
const MAX_PRINTED = 100

export interface Wanted {
  readonly gateway: string | undefined
  readonly from: Date
  readonly until: Date
  readonly waitMs: number
}

type Print = (line: string) => void

/**
 * Has a period compared by the workers, and prints what came of it. Answers with the exit code: 1 when something needs a
 * person. Without a gateway, each one that was asked for something in the period.
 */
export async function reconcileCommand(config: Config, url: string, wanted: Wanted, print: Print): Promise<number> {
  const pool = openPool({ url, name: 'bursar reconcile', max: 2 })
  const redisUrl = config.redisUrl?.reveal()
  const queues = openQueues<QueueName, JobData>({
    names: Object.keys(queueNames) as QueueName[],
    store: redisUrl === undefined ? { postgresUrl: url, schema: QUEUE_SCHEMA } : { redisUrl },
    onError: () => {},
  })
  try {
    const sql = sqlOf(pool)
    const names = wanted.gateway === undefined ? await askedIn(sql, wanted) : [wanted.gateway]
    if (names.length === 0) print('No gateway was asked for anything in this period: name one with --gateway.')

    const now = new Date()
    const runs = names.map((gateway) => ({
      id: newId(),
      kind: 'reconciliation.run' as const,
      input: { gateway, from: wanted.from.toISOString(), until: wanted.until.toISOString() },
    }))
    const keyring = new Keyring(config.encryption.current, config.encryption.previous)
    const jobs = await inTransaction(pool, (tx) => insertFollowUps(tx, keyring, runs, now))
    // What cannot be sent is brought by the relay.
    await new Dispatcher(queues, { warn: () => {} }).send(jobs)

    const deadline = performance.now() + wanted.waitMs
    let forPerson = 0
    for (const { id, input } of runs) forPerson += await printRun(sql, id, input.gateway, deadline, print)
    return forPerson + (await printClearing(sql, new Date(), print)) === 0 ? 0 : 1
  } finally {
    await queues.close()
    await pool.end()
  }
}

async function askedIn(sql: Sql, { from, until }: Wanted): Promise<string[]> {
  const rows = await sql.query<{ gateway: string }>(
    'select distinct gateway from gateway_attempt where asked_at >= $1 and asked_at < $2 order by gateway',
    [from, until],
  )
  return rows.map(({ gateway }) => gateway)
}

/** Waits for one run and prints it. Answers with how many of its findings need a person. */
async function printRun(sql: Sql, id: string, gateway: string, deadline: number, print: Print): Promise<number> {
  const operation = await until(deadline, async () => {
    const found = await operationById(sql, id)
    return found !== undefined && isSettled(found.status) ? found : undefined
  })
  if (operation === undefined)
    throw new NotYet(`Nobody has compared ${gateway} yet (operation ${id}): is a worker running?`)
  if (operation.error !== null) {
    print(`${gateway}: ${operation.error.message}`)
    return 1
  }
  const { reconciliation_id: reconciliationId } = runReconciliation.result.parse(operation.result)
  return printReport(sql, reconciliationId, print)
}

/** One comparison with its findings, once their look-ups are through. Answers with how many of them need a person. */
export async function printReport(sql: Sql, reconciliationId: string, print: Print): Promise<number> {
  const lookedUp = (findings: readonly FollowedFinding[]) =>
    findings.every(({ looked_up }) => looked_up === null || isSettled(looked_up as OperationStatus))
  const settled = await until(performance.now() + LOOK_UPS_MS, async () => {
    const read = await report(sql, reconciliationId)
    return lookedUp(read.findings) ? read : undefined
  })
  const {
    gateway,
    from,
    until: end,
    compared,
    found,
    forPerson,
    findings,
  } = settled ?? (await report(sql, reconciliationId))
  print(
    `${gateway}, ${from.toISOString()} to ${end.toISOString()}: ${compared} lines compared, ${found === 1 ? '1 finding' : `${found} findings`}, ${forPerson} for a person`,
  )
  for (const finding of findings) for (const line of linesOf(finding)) print(line)
  if (findings.length < found) print(`  … and ${found - findings.length} more`)
  return forPerson
}

function linesOf(finding: FollowedFinding): string[] {
  const { what, type, payment_id, gateway_id, ours, theirs, says, done, looked_up } = finding
  const named = [payment_id === null ? undefined : publicId(TRANSACTION, payment_id), gateway_id ?? undefined]
  const side = (one: FollowedFinding['ours']) =>
    one === null ? 'nothing' : [one.status, one.amount, one.currency].filter((part) => part !== null).join(' ')
  const deeds = { looked_up: `looked up (${looked_up ?? 'not yet'})`, listed: 'listed only', nothing: 'nothing' }
  return [
    `  ${what} ${type} ${named.filter((name) => name !== undefined).join(', ')}: ours ${side(ours)}, theirs ${side(theirs)}`,
    `    ${says}`,
    `    done: ${deeds[done]}${finding.for_person ? '; NEEDS A PERSON' : ''}`,
  ]
}

/** What waits in suspense and disputes, oldest first. Answers with how much of it needs a person. */
export async function printClearing(sql: Sql, now: Date, print: Print): Promise<number> {
  const accounts = await clearingAccounts(sql)
  if (accounts.length === 0) {
    print('Suspense and disputes are empty')
    return 0
  }
  for (const { purpose, currency, balance, unexplained, items } of accounts) {
    const rest = unexplained === 0n ? '' : `, ${decimal(unexplained, currency)} of it UNEXPLAINED`
    print(`${purpose} holds ${decimal(balance, currency)} ${currency} for ${items}${rest}`)
  }
  const oldest = await waiting(sql, MAX_PRINTED)
  for (const { purpose, paymentId, amount, currency, gateway, because, since } of oldest) {
    const days = ((now.getTime() - since.getTime()) / DAY_MS).toFixed(1)
    print(
      `  ${days} days  ${purpose} ${decimal(amount, currency)} ${currency} of ${publicId(TRANSACTION, paymentId)} at ${gateway}: ${because}`,
    )
  }
  const wrong = accounts.filter(({ unexplained }) => unexplained !== 0n).length
  return wrong + oldest.filter(({ because }) => because === 'review' || because === 'not_taken_back').length
}

const decimal = (amount: bigint, currency: string): string =>
  isAsset(currency) ? toDecimal(amount, currency) : amount.toString()

const isSettled = (status: OperationStatus): boolean => status !== 'queued' && status !== 'processing'

/** Asks again until there is an answer or no more time. */
async function until<Answer>(deadline: number, ask: () => Promise<Answer | undefined>): Promise<Answer | undefined> {
  for (;;) {
    const answer = await ask()
    if (answer !== undefined || performance.now() > deadline) return answer
    await pause(POLL_MS)
  }
}

function readArguments(): Wanted {
  const { values } = parsedArguments()
  const midnight = new Date()
  midnight.setUTCHours(0, 0, 0, 0)
  const until = values.until === undefined ? midnight : instant('--until', values.until)
  const from = values.from === undefined ? new Date(until.getTime() - DAY_MS) : instant('--from', values.from)
  if (!/^\d{1,6}$/.test(values.wait)) throw new Misuse(`--wait takes seconds\n${USAGE}`)
  const gateway = values.gateway?.toLowerCase()
  const input = { gateway: gateway ?? 'stripe', from: from.toISOString(), until: until.toISOString() }
  if (!runReconciliation.input.safeParse(input).success)
    throw new Misuse(`There is no gateway ${values.gateway}: stripe, razorpay, paystack or mock\n${USAGE}`)
  for (const { field, message } of runReconciliation.check?.(input) ?? [])
    throw new Misuse(`--${field} ${message}\n${USAGE}`)
  return { gateway, from, until, waitMs: Number(values.wait) * 1_000 }
}

function instant(option: string, written: string): Date {
  const at = new Date(written)
  if (Number.isNaN(at.getTime()))
    throw new Misuse(`${option} takes a day or an instant, such as 2026-11-20 or 2026-11-20T18:30:00Z\n${USAGE}`)
  return at
}

function parsedArguments() {
  try {
    return parseArgs({
      options: {
        gateway: { type: 'string' },
        from: { type: 'string' },
        until: { type: 'string' },
        wait: { type: 'string', default: '600' },
      },
    })
  } catch (error) {
    throw new Misuse(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`)
  }
}

if (import.meta.main) {
  try {
    const wanted = readArguments()
    const config = await configuration()
    process.exitCode = await withDatabase(config, (url) =>
      reconcileCommand(config, url, wanted, (line) => void process.stdout.write(`${line}\n`)),
    )
  } catch (error) {
    if (!(error instanceof Misuse || error instanceof NotYet || error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = error instanceof Misuse ? EXIT_USAGE : error instanceof NotYet ? EXIT_LATER : EXIT_CONFIG
  }
}
