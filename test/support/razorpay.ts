import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import type { Hono } from 'hono'
import { expect } from 'vitest'
import type { ChargeRequest, Gateway } from '../../src/gateways/port.ts'
import { razorpayGateway } from '../../src/gateways/razorpay/gateway.ts'
import { type Asset, amount } from '../../src/kit/money.ts'
import { Secret } from '../../src/kit/secret.ts'
import { Deliveries } from '../../src/sandbox/deliveries.ts'
import { Moods } from '../../src/sandbox/moods.ts'
import { razorpaySandbox } from '../../src/sandbox/razorpay/sandbox.ts'
import { Store } from '../../src/sandbox/store.ts'

export const razorpayKeys = {
  keyId: 'rzp_test_1DP5mmOlF5G5ag',
  keySecret: 'thiesesecretisnotforlogs',
  webhookSecret: 'a webhook secret of the sandbox',
  accountNumber: '7878780080316316',
}

/** A Razorpay of its own behind HTTP, somebody who takes its webhooks, and the gateway that asks it. */
export interface RazorpayStage {
  readonly url: string
  readonly gateway: Gateway
  /** What came in, in order. */
  readonly webhooks: ReceivedWebhook[]
  /** Asks the stand-in itself; `as: 'merchant'` with the keys. */
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Asked>
  /** The customer's browser; the answer of Checkout's handler or its error. */
  checkout(orderId: string | undefined, by: Record<string, unknown>): Promise<Asked>
  mood(on: string, does: string, times?: number): Promise<void>
  pass(seconds: number): Promise<void>
  done(): Promise<Done>
  calls(): Promise<Record<string, number>>
  stop(): Promise<void>
}

export interface ReceivedWebhook {
  readonly raw: Buffer
  readonly headers: Record<string, string | undefined>
}

export interface Asked {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: whatever a stand-in answers is looked at by tests
  readonly body: any
}

interface DoneLine {
  readonly reference: string
  readonly id: string
  readonly amount: number
  readonly currency: string
  readonly times: number
}
interface Done {
  readonly charges: DoneLine[]
  readonly refunds: DoneLine[]
  readonly payouts: DoneLine[]
}

export async function razorpayStage(
  options: { file?: string; uniqueReceipts?: boolean; timeoutMs?: number; now?: () => Date } = {},
): Promise<RazorpayStage> {
  const webhooks: ReceivedWebhook[] = []
  const receiver = await listen(async (request) => {
    webhooks.push({ raw: Buffer.from(await request.arrayBuffer()), headers: Object.fromEntries(request.headers) })
    return new Response('ok')
  })
  const deliveries = new Deliveries()
  deliveries.to(receiver.url)
  const sandbox: Hono = razorpaySandbox({
    store: new Store(options.file),
    deliveries,
    moods: new Moods(),
    keys: razorpayKeys,
    uniqueReceipts: options.uniqueReceipts,
  })
  const { url, stop } = await listen(sandbox.fetch)

  const ask = async (method: string, path: string, body?: unknown, headers?: Record<string, string>) => {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: basic(), 'content-type': 'application/json', ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    })
    const text = await response.text()
    return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text }
  }

  return {
    url,
    gateway: gatewayAt(url, options),
    webhooks,
    ask,
    checkout: (order_id, by) => ask('POST', '/_checkout', { order_id, ...by }),
    mood: async (on, does, times = 1) => {
      expect(await ask('POST', '/_moods', { on, does, times })).toMatchObject({ status: 201 })
    },
    pass: async (advance_seconds) => {
      expect(await ask('POST', '/_time', { advance_seconds })).toMatchObject({ status: 200 })
    },
    done: async () => (await ask('GET', '/_done')).body,
    calls: async () => (await ask('GET', '/_calls')).body,
    stop: async () => {
      deliveries.stop()
      await stop()
      await receiver.stop()
    },
  }
}

export const gatewayAt = (
  apiBase: string,
  options: { timeoutMs?: number; keySecret?: string; now?: () => Date; payouts?: boolean } = {},
): Gateway =>
  razorpayGateway({
    keyId: razorpayKeys.keyId,
    keySecret: new Secret(options.keySecret ?? razorpayKeys.keySecret),
    accountNumber: options.payouts === false ? undefined : new Secret(razorpayKeys.accountNumber),
    apiBase,
    timeoutMs: options.timeoutMs ?? 1_000,
    ...(options.now === undefined ? {} : { now: options.now }),
  })

export const basic = (): string =>
  `Basic ${Buffer.from(`${razorpayKeys.keyId}:${razorpayKeys.keySecret}`).toString('base64')}`

export async function listen(
  fetch: (request: Request) => Response | Promise<Response>,
): Promise<{ url: string; stop(): Promise<void> }> {
  const server = createServer(getRequestListener(fetch as Parameters<typeof getRequestListener>[0]))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address !== 'object') throw new Error('No port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    async stop() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

/** A charge of ₹500 unless said otherwise. */
export const chargeOf = (of: Partial<Omit<ChargeRequest, 'amount'>> & { amount?: number } = {}): ChargeRequest => ({
  reference: randomUUID(),
  currency: 'INR' satisfies Asset,
  method: 'card',
  ...of,
  amount: amount(of.amount ?? 50_000),
})

export const savedToken = (name: string) => ({ token: `token_sandbox_${name}` })
