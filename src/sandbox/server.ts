import { once } from 'node:events'
import { createServer } from 'node:http'
import { isIPv6 } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { assert } from '../kit/assert.ts'
import { vaultSandbox } from './vault.ts'
import { voiceSandbox } from './voice.ts'

export interface Sandbox {
  readonly voiceUrl: string
  readonly vaultUrl: string
  /** Also ends requests that are kept waiting. */
  stop(): Promise<void>
}

/** Every stand-in behind one listener, each under its own path. Port 0 takes any that is free. */
export async function startSandbox(options: { host?: string; port?: number; slowMs?: number } = {}): Promise<Sandbox> {
  const host = options.host ?? '127.0.0.1'
  const standIns = {
    voice: voiceSandbox({ slowMs: options.slowMs }),
    vault: vaultSandbox(),
  }

  const app = new Hono()
  for (const [path, standIn] of Object.entries(standIns)) app.route(`/${path}`, standIn)

  const server = createServer(getRequestListener(app.fetch))
  server.listen(options.port ?? 0, host)
  await once(server, 'listening')
  const address = server.address()
  assert(address !== null && typeof address === 'object', 'The sandbox listens on no port')
  const url = `http://${isIPv6(host) ? `[${host}]` : host}:${address.port}`

  return {
    voiceUrl: `${url}/voice`,
    vaultUrl: `${url}/vault`,
    async stop() {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
