import autocannon, { type Result } from 'autocannon'
import { asked } from './processes.ts'

/** So many requests with so many events each, spread over users, in a closed loop. */
export interface UsageOrder {
  readonly url: string
  readonly jwt: string
  readonly users: number
  readonly eventsEach: number
  readonly connections: number
  readonly requests: number
  /** Told apart from those of other rounds. */
  readonly round: string
}

export interface UsageReport {
  readonly answered: number
  readonly refused: number
  /** Unix milliseconds of the first request and the last answer. */
  readonly startedAt: number
  readonly endedAt: number
  readonly p50: number
  readonly p99: number
  readonly cpuSeconds: number
}

/** How often autocannon looks whether all is answered. */
const LOOK_MS = 50

/** Longer than any answer of a working server takes. */
const TIMEOUT_SECONDS = 60

/** One request's events; each has an id of its own. */
function body({ round, users, eventsEach }: UsageOrder, request: number): string {
  const timestamp = new Date().toISOString()
  const event = (index: number) =>
    `{"metric":"api_calls","event_id":"${round}_${request}_${index}","quantity":3,"timestamp":"${timestamp}"}`
  const events = Array.from({ length: eventsEach }, (_, index) => event(index)).join(',')
  return `{"user_id":"user_${request % users}","events":[${events}]}`
}

function shoot(order: UsageOrder): Promise<{ result: Result; startedAt: number; endedAt: number }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ result: Result; startedAt: number; endedAt: number }>()
  let sent = 0
  let startedAt = 0
  let endedAt = 0
  const shooting = autocannon(
    {
      url: order.url,
      connections: order.connections,
      amount: Math.max(order.requests, order.connections),
      timeout: TIMEOUT_SECONDS,
      sampleInt: LOOK_MS,
      requests: [
        {
          method: 'POST',
          path: '/api/v1/billing/usage',
          headers: { 'content-type': 'application/json', authorization: `Bearer ${order.jwt}` },
          setupRequest: (request) => ({ ...request, body: body(order, sent++) }),
        },
      ],
    },
    (error: unknown, result) => (error ? reject(error) : resolve({ result, startedAt, endedAt })),
  )
  shooting.once('start', () => {
    startedAt = Date.now()
  })
  shooting.on('response', () => {
    endedAt = Date.now()
  })
  return promise
}

/** A process of its own, so that making the load never shares a thread with what is measured. */
if (import.meta.main) {
  const cpuBefore = process.cpuUsage()
  const { result, startedAt, endedAt } = await shoot(asked<UsageOrder>())
  const { user, system } = process.cpuUsage(cpuBefore)
  const report: UsageReport = {
    answered: result['2xx'],
    refused: result.non2xx + result.errors,
    startedAt,
    endedAt,
    p50: result.latency.p50,
    p99: result.latency.p99,
    cpuSeconds: (user + system) / 1e6,
  }
  process.stdout.write(JSON.stringify(report))
}
