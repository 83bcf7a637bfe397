import { closedLoop, type LoopReport, rawRequest } from './closed-loop.ts'
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

export interface UsageReport extends LoopReport {
  readonly cpuSeconds: number
}

/** One request's events; each has an id of its own. */
function body({ round, users, eventsEach }: UsageOrder, request: number): string {
  const timestamp = new Date().toISOString()
  const event = (index: number) =>
    `{"metric":"api_calls","event_id":"${round}_${request}_${index}","quantity":3,"timestamp":"${timestamp}"}`
  const events = Array.from({ length: eventsEach }, (_, index) => event(index)).join(',')
  return `{"user_id":"user_${request % users}","events":[${events}]}`
}

/** A process of its own, so that making the load never shares a thread with what is measured. */
if (import.meta.main) {
  const order = asked<UsageOrder>()
  const cpuBefore = process.cpuUsage()
  let sent = 0
  const report = await closedLoop({
    urls: [order.url],
    connections: order.connections,
    requests: Math.max(order.requests, order.connections),
    next: () => rawRequest('/api/v1/billing/usage', { authorization: `Bearer ${order.jwt}` }, body(order, sent++)),
  })
  const { user, system } = process.cpuUsage(cpuBefore)
  const whole: UsageReport = { ...report, cpuSeconds: (user + system) / 1e6 }
  process.stdout.write(JSON.stringify(whole))
}
