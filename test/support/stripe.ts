import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { stripeGateway } from '../../src/gateways/stripe/gateway.ts'
import { Secret } from '../../src/kit/secret.ts'
import { Deliveries } from '../../src/sandbox/deliveries.ts'
import { type Misbehaviour, Moods } from '../../src/sandbox/moods.ts'
import { Store } from '../../src/sandbox/store.ts'
import { stripeSandbox } from '../../src/sandbox/stripe.ts'

export const STRIPE_KEYS = {
  secretKey: 'sk_test_sandbox1234567890',
  publishableKey: 'pk_test_sandbox1234567890',
  webhookSecret: 'whsec_sandbox1234567890',
}

/** A webhook as it came. */
export interface Received {
  readonly raw: Buffer
  readonly headers: Record<string, string | undefined>
}

export interface Done {
  readonly reference: string | null
  readonly id: string
  readonly amount: number
  readonly currency: string
  readonly status: string
  readonly times: number
}

/** The stand-in on a port of its own, with somebody who receives its webhooks. */
export async function startStripe(options: { file?: string; settleMs?: number } = {}) {
  const received: Received[] = []
  const receiver = createServer(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    received.push({ raw: Buffer.concat(parts), headers: request.headers as Record<string, string> })
    response.end()
  })
  receiver.listen(0, '127.0.0.1')
  await once(receiver, 'listening')

  const deliveries = new Deliveries()
  deliveries.to(`http://127.0.0.1:${(receiver.address() as AddressInfo).port}`)
  const app = stripeSandbox({
    store: new Store(options.file),
    deliveries,
    moods: new Moods(),
    keys: STRIPE_KEYS,
    settleMs: options.settleMs ?? 20,
  })
  const server = createServer(getRequestListener(app.fetch))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const post = async (path: string, body: unknown, method = 'POST'): Promise<Response> =>
    fetch(url + path, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })

  return {
    url,
    received,
    post,
    mood: (on: string, does: Misbehaviour, times = 1, delay_ms = 0) => post('/_moods', { on, does, times, delay_ms }),
    behave: () => fetch(`${url}/_moods`, { method: 'DELETE' }),
    passTime: (advance_seconds: number) => post('/_time', { advance_seconds }),
    customer: (intent: string, does: 'approve' | 'fail', payment_method?: string) =>
      post(`/_customer/${intent}`, { does, ...(payment_method === undefined ? {} : { payment_method }) }),
    done: async () =>
      (await fetch(`${url}/_done`).then((answer) => answer.json())) as {
        charges: Done[]
        refunds: Done[]
        payouts: Done[]
        transfers: Done[]
      },
    calls: async () => (await fetch(`${url}/_calls`).then((answer) => answer.json())) as Record<string, number>,
    /** As Stripe's documentation shows it: a form, with our key. */
    api: (method: string, path: string, form?: Record<string, string>, headers: Record<string, string> = {}) =>
      fetch(url + path, {
        method,
        headers: {
          authorization: `Bearer ${STRIPE_KEYS.secretKey}`,
          ...(form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
          ...headers,
        },
        ...(form === undefined ? {} : { body: new URLSearchParams(form) }),
      }),
    async stop() {
      deliveries.stop()
      for (const one of [server, receiver]) {
        const closed = once(one, 'close')
        one.close()
        one.closeAllConnections()
        await closed
      }
    },
  }
}

export type Standing = Awaited<ReturnType<typeof startStripe>>

export const gatewayTo = (url: string, options: { timeoutMs?: number; secretKey?: string; now?: () => Date } = {}) =>
  stripeGateway({
    secretKey: new Secret(options.secretKey ?? STRIPE_KEYS.secretKey),
    publishableKey: STRIPE_KEYS.publishableKey,
    apiBase: url,
    timeoutMs: options.timeoutMs ?? 1_000,
    ...(options.now === undefined ? {} : { now: options.now }),
  })
