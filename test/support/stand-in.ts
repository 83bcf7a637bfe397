import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import type { Hono } from 'hono'
import { expect } from 'vitest'
import { Deliveries } from '../../src/sandbox/deliveries.ts'
import { Moods } from '../../src/sandbox/moods.ts'
import { Store } from '../../src/sandbox/store.ts'

/** A webhook as it came in. */
export interface Received {
  readonly path: string
  readonly raw: Buffer
  readonly headers: Readonly<Record<string, string | undefined>>
}

export interface StandIn {
  readonly url: string
  /** Asks the stand-in itself, as whoever tests against it does. */
  ask(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<{ status: number; body: unknown }>
  /** Asks for a misbehaviour. */
  mood(mood: { on?: string; does: string; times?: number; delay_ms?: number }): Promise<void>
  /** What really moved. */
  done(): Promise<Record<'charges' | 'refunds' | 'payouts', Done[]>>
  readonly received: readonly Received[]
  /** Waits for a webhook of this type; what it says is the stand-in's own business. */
  webhook(mentions: string): Promise<Received>
  stop(): Promise<void>
}

export interface Done {
  readonly reference: string
  readonly id: string
  readonly amount: number
  readonly currency: string
  readonly status: string
  readonly times: number
}

/** One gateway's stand-in behind a listener of its own, with somebody who receives its webhooks. */
export async function startStandIn(
  make: (parts: { store: Store; deliveries: Deliveries; moods: Moods }) => Hono,
  file?: string,
): Promise<StandIn> {
  const received: Received[] = []
  const receiver = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const headers = Object.fromEntries(
        Object.entries(request.headers).map(([name, value]) => [name, value?.toString()]),
      )
      received.push({ path: request.url ?? '', raw: Buffer.concat(parts), headers })
      response.end()
    })
  })
  const deliveries = new Deliveries()
  deliveries.to(await listen(receiver))
  const server = createServer(
    getRequestListener(make({ store: new Store(file), deliveries, moods: new Moods() }).fetch),
  )
  const url = await listen(server)

  const ask: StandIn['ask'] = async (method, path, body, headers = {}) => {
    const response = await fetch(url + path, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
      redirect: 'manual',
    })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.includes('json') === true
    return { status: response.status, body: isJson ? (JSON.parse(text) as unknown) : text }
  }

  return {
    url,
    ask,
    received,
    mood: async (mood) => {
      expect((await ask('POST', '/_moods', mood)).status).toBe(201)
    },
    done: async () => (await ask('GET', '/_done')).body as Record<'charges' | 'refunds' | 'payouts', Done[]>,
    webhook: async (mentions) => {
      const sought = () => received.find(({ raw }) => raw.toString('utf8').includes(mentions))
      await expect.poll(sought, { timeout: 10_000, interval: 10 }).toBeDefined()
      const found = sought()
      if (found === undefined) throw new Error(`No webhook mentions ${mentions}`)
      return found
    },
    stop: async () => {
      deliveries.stop()
      for (const each of [server, receiver]) {
        each.closeAllConnections()
        each.close()
        if (each.listening) await once(each, 'close')
      }
    },
  }
}

async function listen(server: ReturnType<typeof createServer>): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** The URL of a port on which nobody listens. */
export async function nobodysUrl(): Promise<string> {
  const server = createServer()
  const url = await listen(server)
  server.close()
  await once(server, 'close')
  return url
}
