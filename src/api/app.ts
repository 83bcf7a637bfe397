import { randomUUID } from 'node:crypto'
import { getConnInfo } from '@hono/node-server/conninfo'
import { OpenAPIHono } from '@hono/zod-openapi'
import type { Context } from 'hono'
import type { Clock } from '../kit/clock.ts'
import type { Log } from '../platform/log.ts'
import type { Limit, RateLimiter } from '../platform/rate-limit.ts'
import type { Authenticator } from './access.ts'
import { clientAddress } from './client-address.ts'
import { doorRefusals } from './door-refusals.ts'
import { answerTo, errorBody, RefusalWithHeaders } from './errors.ts'
import { addHeader, headerOf, reply } from './reply.ts'
import { type Env, Router } from './route.ts'

export interface AppParts {
  readonly authenticator: Authenticator
  readonly limiter: RateLimiter
  readonly clock: Clock
  readonly log: Log
  readonly trustProxy: number
  readonly generalLimit: Limit | undefined
  readonly answered: (method: string, route: string, status: number, seconds: number) => void
}

/** Ids that callers may bring along: what fits a log line and nothing that breaks one. */
const REQUEST_ID = /^[\w.-]{1,64}$/

/** Routes that are asked every few seconds by machines: logged only where somebody debugs. */
const QUIET = new Set(['/health', '/metrics', '/admin/queues'])

/** An app that names, times and logs every request, and gives every error the one body. Routes are added by its router. */
export function makeApp(parts: AppParts): { app: OpenAPIHono<Env>; router: Router } {
  const app = new OpenAPIHono<Env>()
  const router = new Router({ ...parts, app })
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
  })
  app.openAPIRegistry.registerComponent('securitySchemes', 'basic', { type: 'http', scheme: 'basic' })

  app.use(async (c, next) => {
    const startedAt = performance.now()
    const given = headerOf(c, 'x-request-id')
    const requestId = given !== undefined && REQUEST_ID.test(given) ? given : randomUUID()
    c.set('requestId', requestId)
    c.set('address', clientAddress(remoteAddress(c), headerOf(c, 'x-forwarded-for'), parts.trustProxy))
    c.set('headers', { 'X-Request-Id': requestId, 'X-Content-Type-Options': 'nosniff' })
    await next()
    if (c.get('replied') !== true) for (const [name, value] of Object.entries(c.get('headers'))) c.header(name, value)
    const seconds = (performance.now() - startedAt) / 1_000
    // The route's pattern, never the path: a path may hold a credential.
    const route = c.get('route') ?? 'unknown'
    parts.answered(c.req.method, route, c.res.status, seconds)
    const operation = c.get('operation')
    parts.log[QUIET.has(route) ? 'debug' : 'info'](
      {
        request_id: requestId,
        method: c.req.method,
        route,
        status: c.res.status,
        ms: Math.round(seconds * 1_000),
        ...(operation === undefined ? {} : { kind: operation.kind, operation_id: operation.id }),
      },
      'Request answered',
    )
  })

  app.onError((error, c) => answerError(error, c, parts))
  app.notFound((c) => {
    const allowed = [...new Set(router.methodsOf(c.req.path))]
    const refusal =
      allowed.length === 0
        ? doorRefusals.notFound()
        : new RefusalWithHeaders(doorRefusals.methodNotAllowed({ allowed: allowed.join(', ') }), {
            Allow: allowed.join(', '),
          })
    return answerError(refusal, c, parts)
  })
  return { app, router }
}

function answerError(error: unknown, c: Context<Env>, { log, clock }: AppParts): Response {
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

/** Undefined where the app is asked without a socket, as tests may. */
function remoteAddress(c: Context): string | undefined {
  try {
    return getConnInfo(c).remote.address
  } catch {
    return undefined
  }
}
