import { setTimeout as pause } from 'node:timers/promises'
import { CLEARS_EVERY, KEPT_COMPLETED, KEPT_FAILED } from '../src/platform/queue.ts'
import { SoakDeployment } from './deployment.ts'
import { Load, type LoadCounts } from './load.ts'
import { Observer, type Series } from './observer.ts'
import type { Options } from './options.ts'
import { forget, type Retention, type Stored, stored } from './retention.ts'
import { type Verdict, verdictOn, WARM_UP_OPERATIONS, warmUpOf } from './verdict.ts'

export interface Finding extends Omit<Series, 'samples'> {
  /** Not set: too few samples to tell. */
  readonly verdict: Verdict | undefined
}

export interface Report {
  readonly at: string
  readonly options: Options
  readonly seconds: number
  readonly warmUpSeconds: number
  readonly counts: LoadCounts
  /** Operations accepted after the warm-up. */
  readonly operations: number
  readonly operationsPerSecond: number
  readonly findings: readonly Finding[]
  readonly finishedJobs: { readonly completed: number; readonly failed: number; readonly bounded: boolean }
  /** Bytes that one operation leaves in each table, until its retention is over. */
  readonly bytesPerOperation: Readonly<Record<string, number>>
  readonly retention: Retention
  readonly flat: boolean
  readonly series: readonly Series[]
}

const SAY_EVERY_SECONDS = 30

/** Jobs that end in the same moment do not see each other on PostgreSQL, so each of them lets what is kept stay. */
const ENDING_AT_ONCE = 32

/** So many finished jobs beyond what is kept stay until the next one that puts them away, from either API, ends. */
const MORE_FOR_A_WHILE = ENDING_AT_ONCE + 2 * CLEARS_EVERY

/** Puts load on a deployment of its own for as long as asked, and tells what grew. */
export async function soak(options: Options, say: (line: string) => void): Promise<Report> {
  const at = new Date().toISOString()
  const deployment = await SoakDeployment.start(options.backend)
  const observer = new Observer(deployment)
  const load = new Load({ url: deployment.url, jwtSecret: deployment.jwtSecret, clients: options.clients })
  try {
    const { warm, startedWith } = await observed({ options, deployment, observer, load, say })
    const warmUpSeconds = warm.at
    const operations = load.counts.accepted - warm.counts.accepted
    const seconds = observer.seconds
    await load.stop()
    const endedWith = await stored(deployment.pool)
    await observer.close()
    await deployment.stopProcesses()
    say('The retention passes')
    const retention = await forget(deployment)

    const findings = observer.series.map(({ samples, ...series }): Finding => {
      const later = samples.filter((sample) => sample.at >= warmUpSeconds)
      return { ...series, verdict: verdictOn(series.measure, later, operations) }
    })
    const { completed, failed } = observer.mostFinished
    const bounded = completed <= KEPT_COMPLETED.count + MORE_FOR_A_WHILE && failed <= KEPT_FAILED.count
    return {
      ...{ at, options, seconds, warmUpSeconds, counts: load.counts, operations, findings, retention },
      operationsPerSecond: operations / Math.max(1, seconds - warmUpSeconds),
      finishedJobs: { completed, failed, bounded },
      bytesPerOperation: perOperation(startedWith, endedWith),
      flat: bounded && retention.bounded && load.counts.wrong === 0 && findings.every(isFlat),
      series: observer.series,
    }
  } finally {
    await load.stop()
    await deployment.remove()
  }
}

/** What there were too few looks at has not been shown to be. */
const isFlat = ({ verdict }: Finding): boolean => verdict?.flat === true

/** When the warm-up was over, and what had been done by then. */
interface Warm {
  readonly at: number
  readonly counts: LoadCounts
}

async function observed({
  options,
  deployment,
  observer,
  load,
  say,
}: {
  options: Options
  deployment: SoakDeployment
  observer: Observer
  load: Load
  say: (line: string) => void
}): Promise<{ warm: Warm; startedWith: Stored }> {
  const seconds = options.minutes * 60
  const startedWith = await stored(deployment.pool)
  let warm: Warm | undefined
  let said = 0
  let accepted = 0
  while (observer.seconds < seconds) {
    const lookedAt = observer.seconds
    load.expectRunning()
    await observer.look()
    if (lookedAt >= warmUpOf(seconds) && load.counts.accepted >= WARM_UP_OPERATIONS)
      warm ??= { at: lookedAt, counts: load.counts }
    if (lookedAt - said >= SAY_EVERY_SECONDS) {
      say(progress(observer, load.counts, (load.counts.accepted - accepted) / (lookedAt - said)))
      said = lookedAt
      accepted = load.counts.accepted
    }
    await pause(Math.max(0, lookedAt + options.everySeconds - observer.seconds) * 1_000)
  }
  return { warm: warm ?? { at: observer.seconds, counts: load.counts }, startedWith }
}

function progress(
  { seconds, series }: Observer,
  { accepted, sentAway, cutOff, wrong }: LoadCounts,
  perSecond: number,
): string {
  const heaps = series
    .filter(({ what }) => what === 'heap')
    .map(({ process, samples }) => `${process} ${((samples.at(-1)?.value ?? 0) / 1_048_576).toFixed(1)}`)
  return (
    `${Math.round(seconds)} s: ${accepted} operations, ${Math.round(perSecond)}/s, ` +
    `${sentAway} sent away, ${cutOff} cut off, ${wrong} wrong; heaps in MiB: ${heaps.join(', ')}`
  )
}

function perOperation(before: Stored, after: Stored): Record<string, number> {
  const operations = Math.max(1, after.operations - before.operations)
  return Object.fromEntries(
    Object.entries(after.bytes).map(([table, bytes]) => [
      table,
      Math.round((bytes - (before.bytes[table] ?? 0)) / operations),
    ]),
  )
}
