import type { IncomingMessage } from 'node:http'
import type { Context } from 'hono'
import type { Env } from './route.ts'

/** The request as Node's parser made it; undefined where the app is asked without a socket, as tests may. */
export const incomingOf = (c: Context): IncomingMessage | undefined =>
  (c.env as { incoming?: IncomingMessage } | undefined)?.incoming

/**
 * A header of the request, in small letters. Taken from Node's parser where there is one: building a Headers object for
 * every request and another for every answer cost more than everything else at the door.
 */
export function headerOf(c: Context, name: string): string | undefined {
  const incoming = incomingOf(c)
  if (incoming === undefined) return c.req.header(name)
  const value = incoming.headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

/** Adds a header to the answer that `reply` will give. */
export function addHeader(c: Context<Env>, name: string, value: string): void {
  c.get('headers')[name] = value
}

/** A JSON answer, with the headers that were added on the way. */
export function reply(c: Context<Env>, body: unknown, status = 200): Response {
  c.set('replied', true)
  const headers = c.get('headers')
  headers['Content-Type'] = 'application/json'
  return new Response(JSON.stringify(body), { status, headers })
}
