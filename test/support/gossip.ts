import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Somebody else's service, which tells everybody what it was told. */
export interface Gossip {
  readonly url: string
  /** Everything that it has heard so far: methods, addresses, headers, bodies. */
  readonly heard: string[]
  /** Whether it answers every question with an error that repeats the whole question. */
  talking: boolean
  stop(): Promise<void>
}

/** One that stands in for a voice service and for a vault. While it is not talking, both are well. */
export async function startGossip(): Promise<Gossip> {
  const server = createServer(async (request, response) => {
    const told = JSON.stringify([request.method, request.url, request.headers, await bodyOf(request)])
    gossip.heard.push(told)
    const [status, body] = gossip.talking ? [500, { detail: told, errors: [told] }] : answerTo(request, told)
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const gossip: Gossip = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    heard: [],
    talking: false,
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return gossip
}

function answerTo({ method, url: path = '' }: IncomingMessage, told: string): [status: number, body: unknown] {
  // A vault in which nothing was kept yet.
  if (method === 'GET' && path.includes('/data/')) return [404, { errors: [] }]
  if (path.endsWith('/verify')) return [200, { verified: !told.includes('reject') }]
  if (path.includes('/limits/')) return [404, { detail: told }]
  return [200, { data: {} }]
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts).toString('utf8')
}
