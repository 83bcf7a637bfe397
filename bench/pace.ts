import { Agent, request } from 'node:http'
import { asked } from './processes.ts'

/** Requests at a fixed rate, sent when they are due whether or not earlier ones have been answered. */
export interface PaceOrder {
  readonly url: string
  readonly paths: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
  readonly connections: number
  readonly perSecond: number
  readonly seconds: number
}

export interface PaceReport {
  /** Milliseconds from when each request was due to its whole answer, in no order. Those of the first second are left out. */
  readonly latencies: readonly number[]
  readonly refused: number
}

const BODY = '{"amount":1}'

/** While connections open and code is compiled; sent like the others, not counted. */
const WARM_UP_MS = 1_000

/**
 * A process of its own. Latency counts from the intended time of sending, so that a request which had to wait for a slow
 * server, for a connection or for this very process counts in full: a closed loop would leave just those out.
 */
if (import.meta.main) {
  const order = asked<PaceOrder>()
  process.stdout.write(JSON.stringify(await keepPace(order)))
}

async function keepPace({ url, paths, headers, connections, perSecond, seconds }: PaceOrder): Promise<PaceReport> {
  const { hostname, port } = new URL(url)
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const total = Math.round(perSecond * (seconds + WARM_UP_MS / 1_000))
  const everyMs = 1_000 / perSecond
  const latencies: number[] = []
  let refused = 0
  let answered = 0
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>()
  const startedAt = performance.now() + everyMs

  const send = (index: number) => {
    const dueAt = startedAt + index * everyMs
    const settle = (ok: boolean) => {
      if (!ok) refused += 1
      else if (dueAt - startedAt >= WARM_UP_MS) latencies.push(Math.round((performance.now() - dueAt) * 100) / 100)
      answered += 1
      if (answered === total) finish()
    }
    const sent = request(
      {
        agent,
        hostname,
        port,
        method: 'POST',
        path: paths[index % paths.length],
        headers: { 'content-type': 'application/json', 'content-length': BODY.length, ...headers },
      },
      (response) => {
        response.resume()
        response.once('end', () => settle((response.statusCode ?? 0) < 300))
      },
    )
    sent.once('error', () => settle(false))
    sent.end(BODY)
  }

  let sent = 0
  const ticking = setInterval(() => {
    const due = Math.min(total, Math.floor((performance.now() - startedAt) / everyMs) + 1)
    while (sent < due) send(sent++)
    if (sent === total) clearInterval(ticking)
  }, 1)
  await finished
  agent.destroy()
  return { latencies, refused }
}
