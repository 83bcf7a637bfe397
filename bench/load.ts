import autocannon, { type Options, type Request, type Result } from 'autocannon'
import { asked } from './processes.ts'

/** So many requests in a closed loop: each connection sends its next request when the one before is answered. */
export interface LoadOrder {
  readonly url: string
  readonly paths: readonly string[]
  readonly connections: number
  /** In all. A load that was ended by the clock would leave requests that are carried out, but not counted. */
  readonly requests: number
}

export interface LoadReport {
  readonly answered: number
  /** Answered before the clock ran: code was compiled and the server's connections opened. */
  readonly answeredBefore: number
  readonly refused: number
  /** Unix milliseconds of the first request and the last answer. */
  readonly startedAt: number
  readonly endedAt: number
  readonly p50: number
  readonly p99: number
  /** Processor seconds of the load itself, with all that was answered. */
  readonly cpuSeconds: number
}

/** Requests of each connection before the clock runs: this process is as new as its code is cold. */
const WARM_UP = 2

/** How often autocannon looks whether all is answered. */
const LOOK_MS = 50

/** Longer than any answer of a working server takes. */
const TIMEOUT_SECONDS = 60

interface Shot {
  readonly result: Result
  readonly startedAt: number
  readonly endedAt: number
}

function shoot({ url, paths, connections, requests }: LoadOrder): Promise<Shot> {
  const { promise, resolve, reject } = Promise.withResolvers<Shot>()
  let connection = 0
  let endedAt = 0
  let startedAt = 0
  const options: Options = {
    url,
    connections,
    amount: Math.max(requests, connections),
    timeout: TIMEOUT_SECONDS,
    sampleInt: LOOK_MS,
    setupClient(client) {
      client.setRequests(shareOf(paths, connection++, connections).map(deduction))
    },
  }
  const shooting = autocannon(options, (error: unknown, result) =>
    error ? reject(error) : resolve({ result, startedAt, endedAt }),
  )
  // Its own beginning is before it has prepared its requests.
  shooting.once('start', () => {
    startedAt = Date.now()
  })
  // Its own end is that of its next look.
  shooting.on('response', () => {
    endedAt = Date.now()
  })
  return promise
}

const deduction = (path: string): Request => ({
  method: 'POST',
  path,
  headers: { 'content-type': 'application/json' },
  body: '{"amount":1}',
})

/** Paths that one connection walks through; together the connections walk through all. */
const shareOf = (paths: readonly string[], connection: number, connections: number): string[] =>
  paths.length <= connections
    ? [paths[connection % paths.length] ?? '/']
    : paths.filter((_, index) => index % connections === connection)

/** A process of its own, so that making the load never shares a thread with what is measured. */
if (import.meta.main) {
  const order = asked<LoadOrder>()
  const cpuBefore = process.cpuUsage()
  const before = await shoot({ ...order, requests: order.connections * WARM_UP })
  const { result, startedAt, endedAt } = await shoot(order)
  const { user, system } = process.cpuUsage(cpuBefore)
  const report: LoadReport = {
    answered: result['2xx'],
    answeredBefore: before.result['2xx'],
    refused: [before.result, result].reduce((sum, { non2xx, errors }) => sum + non2xx + errors, 0),
    startedAt,
    endedAt,
    p50: result.latency.p50,
    p99: result.latency.p99,
    cpuSeconds: (user + system) / 1e6,
  }
  process.stdout.write(JSON.stringify(report))
}
