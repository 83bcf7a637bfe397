import { setTimeout as pause } from 'node:timers/promises'
import { firstIdAt } from '../src/kit/ids.ts'
import { alone, type Contestant } from './contestant.ts'
import { type CpuMicros, type Measure, median } from './findings.ts'
import type { LoadOrder, LoadReport } from './load.ts'
import { ask } from './processes.ts'
import type { BenchDatabase, Stage } from './stage.ts'

/** What one round of load has shown. */
export interface Round {
  readonly perSecond: number
  readonly acceptedPerSecond: number
  readonly p50: number
  readonly p99: number
  readonly cpuMicros: CpuMicros
}

/** Requests of each connection in the very first load. */
const COLD = 4
const MOST_WARM_UPS = 4

/** A load of this share of the wanted time shows how many requests fill it. */
const ENOUGH = 0.7

/** How often we ask whether work is left: often enough for a round of a second, seldom enough to cost nothing. */
const LOOK_MS = 20

/** Nobody is so far behind without being broken. */
const QUIET_WITHIN_MS = 300_000

/** After the last outcome the queues still put their jobs away. */
const SETTLE_MS = 300

/**
 * The contestants in turns (A B A B), so that a machine that has other work hits all alike, and each alone; medians over
 * the rounds. A round asks for as many deductions as the contestant did in `seconds` before: it is over when the last one has its
 * outcome, so nobody is praised for what is only waiting.
 */
export async function inTurns(stage: Stage, contestants: readonly Contestant[]): Promise<Measure[]> {
  const { seconds, rounds, connections } = stage.options
  const warmUpSeconds = Math.min(seconds, 2)
  const pace = new Map<Contestant, number>()
  for (const contestant of contestants) {
    pace.set(
      contestant,
      await alone(contestant, contestants, () =>
        warmedUp(contestant, connections, warmUpSeconds * Math.max(1, contestant.workers)),
      ),
    )
  }
  const measured = new Map<Contestant, Round[]>(contestants.map((one) => [one, []]))
  for (let turn = 0; turn < rounds; turn++) {
    for (const contestant of contestants) {
      const requests = (pace.get(contestant) ?? 0) * seconds
      const result = await alone(contestant, contestants, () => round(contestant, { connections, requests }))
      pace.set(contestant, result.perSecond)
      measured.get(contestant)?.push(result)
      stage.say(`  ${contestant.name}: ${described(result)}`)
    }
  }
  return contestants.map((contestant) => measureOf(contestant.name, measured.get(contestant) ?? []))
}

/**
 * Operations a second after a warm-up of about so many seconds. The first figures are those of code that is not compiled
 * and connections that are not open, so it takes a few loads to know how many requests fill that time.
 */
async function warmedUp(contestant: Contestant, connections: number, seconds: number): Promise<number> {
  let requests = connections * COLD
  for (let load = 1; ; load++) {
    const { perSecond } = await round(contestant, { connections, requests })
    if (load === MOST_WARM_UPS || requests > perSecond * seconds * ENOUGH) return perSecond
    requests = perSecond * seconds
  }
}

/** One load, from its first request to the last outcome. Throws when anything was refused, failed or stuck. */
export async function round(contestant: Contestant, load: { connections: number; requests: number }): Promise<Round> {
  const since = firstIdAt(new Date())
  const before = contestant.cpu()
  const order: LoadOrder = {
    url: contestant.url,
    paths: contestant.paths,
    connections: load.connections,
    requests: Math.ceil(load.requests),
  }
  const report = await ask<LoadReport>('load.ts', order)
  const answered = report.answeredBefore + report.answered
  if (report.refused > 0)
    throw new Error(
      `${contestant.name}: ${report.refused} of ${answered + report.refused} requests were refused or failed`,
    )
  const endedAt = Math.max(report.endedAt, await lastOutcome(contestant, since, answered))
  await pause(SETTLE_MS)
  const used = contestant.cpu()
  return {
    perSecond: report.answered / ((endedAt - report.startedAt) / 1_000),
    acceptedPerSecond: report.answered / ((report.endedAt - report.startedAt) / 1_000),
    p50: report.p50,
    p99: report.p99,
    cpuMicros: {
      ...Object.fromEntries(
        Object.entries(used).map(([name, seconds]) => [
          name,
          Math.round(((seconds - (before[name] ?? 0)) / answered) * 1e6),
        ]),
      ),
      load: Math.round((report.cpuSeconds / answered) * 1e6),
    },
  }
}

/**
 * Waits until nothing is open any more, and answers with the time of the last outcome in Unix milliseconds. Each accepted
 * deduction has succeeded then, and each success has its transfer.
 */
async function lastOutcome({ name, database }: Contestant, since: string, accepted: number): Promise<number> {
  if (database === undefined) return 0
  const deadline = Date.now() + QUIET_WITHIN_MS
  while (await isBusy(database)) {
    if (Date.now() > deadline) throw new Error(`${name}: work is left after ${QUIET_WITHIN_MS / 1_000} s`)
    await pause(LOOK_MS)
  }
  const { rows } = await database.client.query(
    `select count(*)::int as stored,
            count(*) filter (where status = 'succeeded')::int as succeeded,
            (select count(*)::int from transfer where id >= $1 and movement = 'token.deduct') as transfers,
            max(finished_at) as last
     from operation where id >= $1 and kind = 'token.deduct'`,
    [since],
  )
  const { stored, succeeded, transfers, last } = rows[0]
  if (stored !== accepted || succeeded !== accepted || transfers !== accepted)
    throw new Error(`${name}: ${accepted} accepted, ${stored} stored, ${succeeded} succeeded, ${transfers} transfers`)
  return last.getTime()
}

async function isBusy({ client }: BenchDatabase): Promise<boolean> {
  const { rows } = await client.query(
    `select exists (select from operation where status in ('queued', 'processing')) as busy`,
  )
  return rows[0].busy
}

export function measureOf(what: string, rounds: readonly Round[]): Measure {
  const rates = rounds.map(({ perSecond }) => perSecond)
  const names = Object.keys(rounds[0]?.cpuMicros ?? {})
  return {
    what,
    perSecond: Math.round(median(rates)),
    range: [Math.round(Math.min(...rates)), Math.round(Math.max(...rates))],
    acceptedPerSecond: Math.round(median(rounds.map(({ acceptedPerSecond }) => acceptedPerSecond))),
    latency: { p50: median(rounds.map(({ p50 }) => p50)), p99: median(rounds.map(({ p99 }) => p99)) },
    cpuMicros: Object.fromEntries(
      names.map((name) => [name, Math.round(median(rounds.map(({ cpuMicros }) => cpuMicros[name] ?? 0)))]),
    ),
  }
}

function described({ perSecond, acceptedPerSecond, p50, p99, cpuMicros }: Round): string {
  const cpu = Object.entries(cpuMicros).map(([name, micros]) => `${name} ${micros}`)
  return `${Math.round(perSecond)} done/s, ${Math.round(acceptedPerSecond)} accepted/s, p50 ${p50} ms, p99 ${p99} ms; µs each: ${cpu.join(', ')}`
}

/** How many times `one` is `other`. */
export const times = (one: Measure | undefined, other: Measure | undefined): number =>
  (one?.perSecond ?? Number.NaN) / (other?.perSecond ?? Number.NaN)
