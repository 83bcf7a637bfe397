import { setTimeout as pause } from 'node:timers/promises'
import { sandboxKeys, startSandbox } from '../../src/sandbox/server.ts'
import { alone, type Contestant, designs, startDesign } from '../contestant.ts'
import { type Measure, median, perSecond } from '../findings.ts'
import type { Backend } from '../options.ts'
import { ask } from '../processes.ts'
import { type Charge, seedDeposits } from '../seed-deposits.ts'
import type { BenchDatabase, Stage } from '../stage.ts'
import type { WebhookOrder, WebhookReport } from '../webhook-load.ts'
import { backendsOf, onBackend, withAll } from './backends.ts'
import type { Section } from './section.ts'

const PROMISED = 3_000

/** One of three is a repeat. */
const REPEAT_EVERY = 3

/** Deposits that the events are about, of as many users: what concerns one user is settled one after the other. */
const DEPOSITS = 1_000

/** API processes: one for each of the two cores that the promise speaks of, as an operator would start them. */
const APIS = 2

/** Of a warm-up, nearly all repeats of a few events, since they cost the door what new ones do and leave no work behind. */
const WARM_UP_REQUESTS = 20_000

/** Of the one before each round: the door has been idle for a minute while the worker was busy, and takes twice as long then. */
const AWAKENING_REQUESTS = 5_000

/** Of the first round; later rounds have as many as the one before took in within `seconds`. */
const FIRST_REQUESTS = 2_000

/** Every event is processed before the next round, which takes longer than taking it in. */
const MOST_REQUESTS = 12_000

const LOOK_MS = 50
const QUIET_WITHIN_MS = 600_000

interface Receiver extends Contestant {
  readonly charges: readonly Charge[]
  readonly database: BenchDatabase
}

type Phase = 'takenIn' | 'processed' | 'atOnce'

/** What one phase of a round has shown. */
interface Shown {
  readonly acceptedPerSecond?: number
  readonly perSecond?: number
  readonly latency?: { readonly p50: number; readonly p99: number }
  readonly cpuMicros: Readonly<Record<string, number>>
}

export const webhooks: Section = {
  name: 'webhooks',
  doc: 'Signed webhooks, every third a repeat, at two API processes: verified and on disk when answered; then each is asked about at its gateway, and settled',
  async run(stage) {
    const backends = backendsOf(stage)
    const shown = await withAll(
      backends.map((backend) => () => startReceiver(stage, backend)),
      (all) => inTurns(stage, all),
    )
    const verdicts = backends.map((backend, index) =>
      perSecond(PROMISED, {
        id: `webhooks.${backend}`,
        what: `webhooks verified and on disk when answered, ${onBackend(backend)}`,
        against: 'the clock; what was taken in is processed afterwards',
        brief: `webhooks taken in, ${onBackend(backend)}`,
        measured: shown[index]?.[0]?.acceptedPerSecond ?? Number.NaN,
      }),
    )
    return { measures: shown.flat(), verdicts }
  },
}

const PHASES: Readonly<Record<Phase, string>> = {
  takenIn: 'webhooks taken in, the worker at rest',
  processed: 'what was taken in, processed',
  atOnce: 'webhooks taken in and processed at once',
}

async function inTurns(stage: Stage, all: readonly Receiver[]): Promise<Measure[][]> {
  const { seconds, rounds } = stage.options
  const measured = new Map(all.map((one): [Receiver, Record<Phase, Shown>[]] => [one, []]))
  const requests = new Map<Receiver, number>()
  for (const one of all) await alone(one, all, () => warmUp(stage, one, WARM_UP_REQUESTS))
  // The first is a warm-up, too, and shows how many fill a round.
  for (let turn = 0; turn <= rounds; turn++) {
    for (const one of all) {
      const asked = Math.min(requests.get(one) ?? FIRST_REQUESTS, MOST_REQUESTS)
      const round = await alone(one, all, async () => {
        await warmUp(stage, one, AWAKENING_REQUESTS)
        const apart = await oneAfterTheOther(stage, one, asked)
        await warmUp(stage, one, AWAKENING_REQUESTS)
        return { ...apart, atOnce: await bothAtOnce(stage, one, asked / 2) }
      })
      requests.set(one, (round.takenIn.acceptedPerSecond ?? 0) * seconds)
      if (turn > 0) measured.get(one)?.push(round)
      for (const [phase, condition] of Object.entries(PHASES))
        stage.say(`  ${one.name}, ${condition}: ${described(round[phase as Phase])}`)
    }
  }
  return all.map(({ name }, index) => measuresOf(name, measured.get(all[index] as Receiver) ?? []))
}

async function warmUp(stage: Stage, receiver: Receiver, requests: number): Promise<void> {
  const known = await tally(receiver.database)
  const report = await send(stage, receiver, requests, 1)
  await allProcessed(receiver, { known, report })
}

/** The door alone has the machine; then the worker has it. */
async function oneAfterTheOther(
  stage: Stage,
  receiver: Receiver,
  requests: number,
): Promise<Record<'takenIn' | 'processed', Shown>> {
  const known = await tally(receiver.database)
  const before = receiver.cpu()
  receiver.signalWorkers?.('SIGSTOP')
  const report = await send(stage, receiver, requests).finally(() => receiver.signalWorkers?.('SIGCONT'))
  const between = receiver.cpu()
  const startedAt = Date.now()
  const last = await allProcessed(receiver, { known, report })
  return {
    takenIn: {
      ...accepted(report),
      cpuMicros: {
        ...micros(['api', 'postgres'], before, between, report.answered),
        load: Math.round((report.cpuSeconds / report.answered) * 1e6),
      },
    },
    processed: {
      perSecond: report.events / ((last - startedAt) / 1_000),
      cpuMicros: micros(['worker', 'postgres'], between, receiver.cpu(), report.events),
    },
  }
}

async function bothAtOnce(stage: Stage, receiver: Receiver, requests: number): Promise<Shown> {
  const known = await tally(receiver.database)
  const before = receiver.cpu()
  const report = await send(stage, receiver, requests)
  const last = await allProcessed(receiver, { known, report })
  return {
    ...accepted(report),
    perSecond: report.events / ((last - report.startedAt) / 1_000),
    cpuMicros: micros(['api', 'worker', 'postgres'], before, receiver.cpu(), report.answered),
  }
}

async function send(
  stage: Stage,
  { urls, charges, name }: Receiver,
  requests: number,
  newOfEach?: number,
): Promise<WebhookReport> {
  const order: WebhookOrder = {
    urls,
    charges,
    secret: sandboxKeys.mock.webhookSecret,
    connections: stage.options.connections,
    requests: Math.ceil(requests),
    repeatEvery: REPEAT_EVERY,
    ...(newOfEach === undefined ? {} : { newOfEach }),
  }
  const report = await ask<WebhookReport>('webhook-load.ts', order)
  if (report.refused > 0) throw new Error(`${name}: ${report.refused} webhooks were refused`)
  return report
}

const accepted = ({ answered, startedAt, endedAt, p50, p99 }: WebhookReport) => ({
  acceptedPerSecond: answered / ((endedAt - startedAt) / 1_000),
  latency: { p50, p99 },
})

const micros = (
  names: readonly string[],
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
  each: number,
): Record<string, number> =>
  Object.fromEntries(
    names
      .filter((name) => after[name] !== undefined)
      .map((name) => [name, Math.round((((after[name] ?? 0) - (before[name] ?? 0)) / each) * 1e6)]),
  )

interface Tally {
  readonly events: number
  readonly processed: number
  /** Unix milliseconds. */
  readonly last: number
}

/** Answers with when the last one was. Throws when one was lost, doubled, or has come to nothing. */
async function allProcessed(
  { name, database }: Receiver,
  { known, report }: { known: Tally; report: WebhookReport },
): Promise<number> {
  const deadline = Date.now() + QUIET_WITHIN_MS
  for (;;) {
    const { rows } = await database.client.query(
      `select exists (select from operation where status in ('queued', 'processing')) as busy`,
    )
    if (!rows[0].busy) break
    if (Date.now() > deadline) throw new Error(`${name}: webhooks are left after ${QUIET_WITHIN_MS / 1_000} s`)
    await pause(LOOK_MS)
  }
  const { events, processed, last } = await tally(database)
  if (events - known.events !== report.events || processed - known.processed !== report.events)
    throw new Error(
      `${name}: of ${report.events} events ${events - known.events} are on file, ${processed - known.processed} processed`,
    )
  return last
}

async function tally({ client }: BenchDatabase): Promise<Tally> {
  const { rows } = await client.query(
    `select (select count(*)::int from webhook) as events,
       (select count(*)::int from webhook where status = 'processed') as processed,
       (select max(finished_at) from operation where kind = 'webhook.process') as last`,
  )
  const { events, processed, last } = rows[0]
  return { events, processed, last: last?.getTime() ?? 0 }
}

/** Bursar beside a gateway that knows what the events are about. */
async function startReceiver(stage: Stage, backend: Backend): Promise<Receiver> {
  const sandbox = await startSandbox({})
  const design = designs.bursar(backend)
  const { key, webhookSecret } = sandboxKeys.mock
  const { apiBase } = sandbox.gateways.mock
  const gateway = { MOCK_API_BASE: apiBase, MOCK_API_KEY: key, MOCK_WEBHOOK_SECRET: webhookSecret }
  const contestant = await startDesign(
    stage,
    { ...design, env: { ...design.env, ...gateway } },
    { tokens: 1, apis: APIS },
  )
  const { database } = contestant
  if (database === undefined) throw new Error('Webhooks need a database')
  return {
    ...contestant,
    database,
    charges: await seedDeposits(database, { count: DEPOSITS, apiBase, key }),
    async stop() {
      await contestant.stop()
      await sandbox.stop()
    },
  }
}

const measuresOf = (what: string, rounds: readonly Record<Phase, Shown>[]): Measure[] =>
  Object.entries(PHASES).map(([phase, condition]): Measure => {
    const shown = rounds.map((round) => round[phase as Phase])
    const of = (figure: (one: Shown) => number | undefined) => {
      const figures = shown.map(figure).filter((value) => value !== undefined)
      return figures.length === 0 ? undefined : Math.round(median(figures))
    }
    const [done, taken] = [of(({ perSecond: rate }) => rate), of(({ acceptedPerSecond: rate }) => rate)]
    const [p50, p99] = [of(({ latency }) => latency?.p50), of(({ latency }) => latency?.p99)]
    return {
      what,
      condition,
      ...(done === undefined ? {} : { perSecond: done }),
      ...(taken === undefined ? {} : { acceptedPerSecond: taken }),
      ...(p50 === undefined || p99 === undefined ? {} : { latency: { p50, p99 } }),
      cpuMicros: Object.fromEntries(
        Object.keys(shown[0]?.cpuMicros ?? {}).map((name) => [name, of(({ cpuMicros }) => cpuMicros[name]) ?? 0]),
      ),
    }
  })

function described({ acceptedPerSecond, perSecond: done, latency, cpuMicros }: Shown): string {
  return [
    acceptedPerSecond === undefined ? undefined : `${Math.round(acceptedPerSecond)} taken in/s`,
    done === undefined ? undefined : `${Math.round(done)} processed/s`,
    latency === undefined ? undefined : `p50 ${latency.p50} ms, p99 ${latency.p99} ms`,
    `µs each: ${Object.entries(cpuMicros)
      .map(([name, each]) => `${name} ${each}`)
      .join(', ')}`,
  ]
    .filter((part) => part !== undefined)
    .join(', ')
}
