import { randomUUID } from 'node:crypto'
import autocannon, { type Request, type Result } from 'autocannon'
import { webhookSignature } from '../src/sandbox/mock/signature.ts'
import { asked } from './processes.ts'

/** So many webhooks of the mock gateway, signed beforehand, in a closed loop. */
export interface WebhookOrder {
  readonly url: string
  readonly secret: string
  /** What the events are about, in turns. */
  readonly charges: readonly { readonly reference: string; readonly id: string }[]
  readonly connections: number
  /** In all, repeats among them. */
  readonly requests: number
  /** One webhook of so many is a repeat of one that was sent before: gateways deliver at least once. */
  readonly repeatEvery: number
}

export interface WebhookReport {
  /** Answered 200: on disk, or known to be. */
  readonly answered: number
  readonly events: number
  readonly refused: number
  /** Unix milliseconds of the first request and the last answer. */
  readonly startedAt: number
  readonly endedAt: number
  readonly p50: number
  readonly p99: number
  readonly cpuSeconds: number
}

const LOOK_MS = 50
const TIMEOUT_SECONDS = 60

/** Requests of one connection: new events, and every so often a repeat of the last but some. */
function requestsOf(order: WebhookOrder, first: number, count: number): { requests: Request[]; events: number } {
  const requests: Request[] = []
  let events = 0
  for (let n = 0; n < count; n++) {
    const repeated = n % order.repeatEvery === order.repeatEvery - 1 ? requests[n - order.repeatEvery + 1] : undefined
    if (repeated === undefined) events += 1
    requests.push(repeated ?? webhook(order, first + events))
  }
  return { requests, events }
}

function webhook({ charges, secret }: WebhookOrder, nth: number): Request {
  const charge = charges[nth % charges.length]
  const body = JSON.stringify({
    id: `mock_event_${randomUUID()}`,
    type: 'charge.captured',
    created_at: new Date().toISOString(),
    data: {
      object: 'charge',
      success: true,
      payment_id: charge?.id,
      reference: charge?.reference,
      amount: 100_000,
      currency: 'INR',
      method: 'card',
      status: 'captured',
      refunded: 0,
      created_at: new Date().toISOString(),
    },
  })
  const headers = { 'content-type': 'application/json', 'x-mock-signature': webhookSignature(secret, body, new Date()) }
  return { method: 'POST', path: '/webhooks/mock', headers, body }
}

async function shoot(order: WebhookOrder): Promise<WebhookReport> {
  const each = Math.ceil(order.requests / order.connections)
  const prepared = Array.from({ length: order.connections }, (_, nth) => requestsOf(order, nth * each, each))
  const { promise, resolve, reject } = Promise.withResolvers<Result>()
  let connection = 0
  let startedAt = 0
  let endedAt = 0
  const cpuBefore = process.cpuUsage()
  const shooting = autocannon(
    {
      url: order.url,
      connections: order.connections,
      amount: each * order.connections,
      timeout: TIMEOUT_SECONDS,
      sampleInt: LOOK_MS,
      setupClient: (client) => client.setRequests(prepared[connection++]?.requests ?? []),
    },
    (error: unknown, result) => (error ? reject(error) : resolve(result)),
  )
  shooting.once('start', () => {
    startedAt = Date.now()
  })
  shooting.on('response', () => {
    endedAt = Date.now()
  })
  const result = await promise
  const { user, system } = process.cpuUsage(cpuBefore)
  return {
    answered: result['2xx'],
    events: prepared.reduce((sum, { events }) => sum + events, 0),
    refused: result.non2xx + result.errors,
    startedAt,
    endedAt,
    p50: result.latency.p50,
    p99: result.latency.p99,
    cpuSeconds: (user + system) / 1e6,
  }
}

/** A process of its own, so that making the load never shares a thread with what is measured. */
if (import.meta.main) process.stdout.write(JSON.stringify(await shoot(asked<WebhookOrder>())))
