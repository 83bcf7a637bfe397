import { randomUUID } from 'node:crypto'
import type { Context } from 'hono'
import type { Clock } from '../kit/clock.ts'
import type { Log } from '../platform/log.ts'
import { clientAddress } from './client-address.ts'
import { answerTo, errorBody } from './errors.ts'
import { addHeader, headerOf, incomingOf, reply } from './reply.ts'
import type { Env } from './route.ts'

/** Names, times and logs a request, and gives every error the one body. */
export type Attend = (c: Context<Env>, answer: () => Response | Promise<Response>) => Promise<Response>

export interface AttendParts {
  readonly clock: Clock
  readonly log: Log
  readonly trustProxy: number
  readonly answered: (method: string, route: string, status: number, seconds: number) => void
}

/** Ids that callers may bring along: what fits a log line and nothing that breaks one. */
const REQUEST_ID = /^[\w.-]{1,64}$/

/** Routes that are asked every few seconds by machines: logged only where somebody debugs. */
const QUIET = new Set(['/health', '/metrics', '/admin/queues'])

/** Stands around each handler and not in Hono's middleware: a chain around every request cost as much as its router. */
export function attending(parts: AttendParts): Attend {
  return async (c, answer) => {
    const startedAt = performance.now()
    const given = headerOf(c, 'x-request-id')
    const requestId = given !== undefined && REQUEST_ID.test(given) ? given : randomUUID()
    c.set('requestId', requestId)
    // Without a socket where the app is asked by a test.
    const remote = incomingOf(c)?.socket.remoteAddress
    c.set('address', clientAddress(remote, headerOf(c, 'x-forwarded-for'), parts.trustProxy))
    c.set('headers', { 'X-Request-Id': requestId, 'X-Content-Type-Options': 'nosniff' })
    let response: Response
    try {
      response = await answer()
    } catch (error) {
      response = answerError(error, c, parts)
    }
    if (c.get('replied') !== true) {
      for (const [name, value] of Object.entries(c.get('headers'))) response.headers.set(name, value)
    }
    const seconds = (performance.now() - startedAt) / 1_000
    // The route's pattern, never the path: a path may hold a credential.
    const route = c.get('route') ?? 'unknown'
    parts.answered(c.req.method, route, response.status, seconds)
    const operation = c.get('operation')
    parts.log[QUIET.has(route) ? 'debug' : 'info'](
      {
        request_id: requestId,
        method: c.req.method,
        route,
        status: response.status,
        ms: Math.round(seconds * 1_000),
        ...(operation === undefined ? {} : { kind: operation.kind, operation_id: operation.id }),
      },
      'Request answered',
    )
    return response
  }
}

function answerError(error: unknown, c: Context<Env>, { log, clock }: AttendParts): Response {
  const { refusal, headers, problems, unexpected } = answerTo(error)
  const requestId = c.get('requestId')
  if (unexpected !== undefined) {
    log[refusal.status === 503 ? 'warn' : 'error'](
      { err: unexpected, request_id: requestId, route: c.get('route') },
      'Request failed',
    )
  }
  for (const [name, value] of Object.entries(headers)) addHeader(c, name, value)
  if (refusal.status === 401) addHeader(c, 'WWW-Authenticate', c.get('challenge') ?? 'Bearer')
  // What was not read of a body must not be taken for the next request on this connection.
  if (refusal.status === 413) addHeader(c, 'Connection', 'close')
  const about = { at: clock.now(), requestId, ...(problems === undefined ? {} : { problems }) }
  return reply(c, errorBody(refusal, about), refusal.status)
}
