import { randomUUID } from 'node:crypto'
import { webhookSignature } from '../src/sandbox/mock/signature.ts'
import { closedLoop, type LoopReport, rawRequest } from './closed-loop.ts'
import { asked } from './processes.ts'

/** So many webhooks of the mock gateway, signed beforehand, in a closed loop. */
export interface WebhookOrder {
  readonly urls: readonly string[]
  readonly secret: string
  /** What the events are about, in turns. */
  readonly charges: readonly { readonly reference: string; readonly id: string }[]
  readonly connections: number
  /** In all, repeats among them. */
  readonly requests: number
  /** One webhook of so many is a repeat of one that was sent before: gateways deliver at least once. */
  readonly repeatEvery: number
  /** New events of each connection, after which it repeats the last one; all that it asks for unless told. */
  readonly newOfEach?: number
}

export interface WebhookReport extends LoopReport {
  readonly events: number
  readonly cpuSeconds: number
}

/** Requests of one connection: new events, and every so often a repeat of the last but some. */
function requestsOf(order: WebhookOrder, first: number, count: number): { requests: Buffer[]; events: number } {
  const requests: Buffer[] = []
  let events = 0
  for (let n = 0; n < count; n++) {
    const repeated =
      events === order.newOfEach
        ? requests[n - 1]
        : n % order.repeatEvery === order.repeatEvery - 1
          ? requests[n - order.repeatEvery + 1]
          : undefined
    if (repeated === undefined) events += 1
    requests.push(repeated ?? webhook(order, first + events))
  }
  return { requests, events }
}

function webhook({ charges, secret }: WebhookOrder, nth: number): Buffer {
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
  return rawRequest('/webhooks/mock', { 'x-mock-signature': webhookSignature(secret, body, new Date()) }, body)
}

/** A process of its own, so that making the load never shares a thread with what is measured. */
if (import.meta.main) {
  const order = asked<WebhookOrder>()
  const each = Math.ceil(order.requests / order.connections)
  const prepared = Array.from({ length: order.connections }, (_, nth) => requestsOf(order, nth * each, each))
  const turns = prepared.map(({ requests }) => requests.values())
  const cpuBefore = process.cpuUsage()
  const report = await closedLoop({
    urls: order.urls,
    connections: order.connections,
    requests: each * order.connections,
    next: (connection) => turns[connection]?.next().value,
  })
  const { user, system } = process.cpuUsage(cpuBefore)
  const events = prepared.reduce((sum, one) => sum + one.events, 0)
  const whole: WebhookReport = { ...report, events, cpuSeconds: (user + system) / 1e6 }
  process.stdout.write(JSON.stringify(whole))
}
