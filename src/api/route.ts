import { type OpenAPIHono, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import type { Clock } from '../kit/clock.ts'
import type { Limit, RateLimiter } from '../platform/rate-limit.ts'
import { rateLimitHeaders } from '../platform/rate-limit.ts'
import { type Authenticator, type Caller, type Role, requireCaller, requireRole } from './access.ts'

import { jsonBody } from './body.ts'
import { addressForLimits } from './client-address.ts'
import { doorRefusals } from './door-refusals.ts'
import { errorSchema, Invalid, type Problem, RefusalWithHeaders } from './errors.ts'

/**
 * Who may call a route. `anyone`: no token is asked for (the route's own credential is). `caller`: somebody known.
 * A list: one of these roles.
 */
export type Access = 'anyone' | 'caller' | readonly Role[]

export interface RouteDeclaration<
  Params extends z.ZodObject = z.ZodObject,
  Query extends z.ZodObject = z.ZodObject,
  Body extends z.ZodObject = z.ZodObject,
> {
  readonly method: 'get' | 'post' | 'put' | 'delete'
  /** With `{name}` for what `params` reads. */
  readonly path: string
  readonly tag: string
  readonly summary: string
  readonly description?: string
  readonly access: Access
  /** Takes HTTP basic with the board's credentials, too. */
  readonly basic?: boolean
  readonly params?: Params
  readonly query?: Query
  readonly headers?: z.ZodObject
  readonly body?: Body
  /** A limit of the route's own, by the caller's address. */
  readonly limit?: Limit
  readonly answers: {
    readonly [status: number]: { readonly says: string; readonly schema?: z.ZodType; readonly type?: string }
  }
}

export interface Asked<Params, Query, Body> {
  readonly c: Context<Env>
  readonly caller: Caller
  readonly requestId: string
  readonly params: Params
  readonly query: Query
  /** What passed the schema. */
  readonly body: Body
  /** What was sent, reduced to the fields that the schema knows. */
  readonly sent: Readonly<Record<string, unknown>>
}

export interface Env {
  Variables: {
    requestId: string
    address: string
    caller: Caller
    /** The route's pattern, for logs and metrics: the path itself may hold a credential. */
    route: string
    operation: { id: string; kind: string } | undefined
  }
}

export interface RouterParts {
  readonly app: OpenAPIHono<Env>
  readonly authenticator: Authenticator
  readonly limiter: RateLimiter
  readonly clock: Clock
  /** The general limit of each caller, when one is configured. */
  readonly generalLimit: Limit | undefined
}

const nothing = z.object({})

/** Every route is declared here once: its check of access, limits and input, and its entry in the OpenAPI document. */
export class Router {
  readonly parts: RouterParts
  readonly routes: RouteDeclaration[] = []

  constructor(parts: RouterParts) {
    this.parts = parts
  }

  route<
    Params extends z.ZodObject = typeof nothing,
    Query extends z.ZodObject = typeof nothing,
    Body extends z.ZodObject = typeof nothing,
  >(
    declared: RouteDeclaration<Params, Query, Body>,
    answer: (asked: Asked<z.output<Params>, z.output<Query>, z.output<Body>>) => Response | Promise<Response>,
  ): void {
    this.routes.push(declared)
    this.#document(declared)
    const pattern = declared.path.replaceAll(/\{(\w+)\}/g, ':$1')
    this.parts.app.on(declared.method.toUpperCase(), pattern, async (c) => {
      c.set('route', declared.path)
      const caller = await this.#admit(c, declared)
      const { params, query, body, sent } = await parse(c, declared)
      return answer({ c, caller, requestId: c.get('requestId'), params, query, body, sent } as Asked<
        z.output<Params>,
        z.output<Query>,
        z.output<Body>
      >)
    })
  }

  /** The methods that a path answers to, when it is one of ours. */
  methodsOf(path: string): string[] {
    return this.routes.filter((route) => patternOf(route.path).test(path)).map(({ method }) => method.toUpperCase())
  }

  async #admit(c: Context<Env>, declared: RouteDeclaration): Promise<Caller> {
    const caller = await this.parts.authenticator.authenticate(c.req.header('authorization'), {
      basic: declared.basic === true,
    })
    c.set('caller', caller)
    if (declared.access === 'caller') requireCaller(caller)
    else if (declared.access !== 'anyone') requireRole(caller, ...declared.access)
    const address = addressForLimits(c.get('address'))
    if (declared.limit !== undefined) await this.#consume(c, `address:${address}`, declared.limit)
    if (this.parts.generalLimit !== undefined) {
      await this.#consume(
        c,
        caller.subject === undefined ? `address:${address}` : `subject:${caller.subject}`,
        this.parts.generalLimit,
      )
    }
    return caller
  }

  async #consume(c: Context<Env>, key: string, limit: Limit): Promise<void> {
    const verdict = await this.parts.limiter.consume(key, limit)
    const headers = rateLimitHeaders(verdict)
    if (!verdict.allowed) {
      throw new RefusalWithHeaders(doorRefusals.tooMany({ seconds: Math.max(verdict.resetSeconds, 1) }), headers)
    }
    for (const [name, value] of Object.entries(headers)) c.header(name, value)
  }

  #document(declared: RouteDeclaration): void {
    const { method, path, tag, summary, description, params, query, headers, body, answers, access, basic } = declared
    const security: Record<string, string[]>[] | undefined =
      access === 'anyone' ? undefined : [{ bearer: [] }, ...(basic === true ? [{ basic: [] }] : [])]
    this.parts.app.openAPIRegistry.registerPath({
      method,
      path,
      tags: [tag],
      summary,
      ...(description === undefined ? {} : { description }),
      ...(security === undefined ? {} : { security }),
      request: {
        ...(params === undefined ? {} : { params }),
        ...(query === undefined ? {} : { query }),
        ...(headers === undefined ? {} : { headers }),
        ...(body === undefined ? {} : { body: { required: true, content: { 'application/json': { schema: body } } } }),
      },
      responses: { ...documentedErrors(declared), ...documentedAnswers(answers) },
    })
  }
}

const patternOf = (path: string) => new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}/?$`)

/** Checks everything of a request, and tells of every problem at once. */
async function parse(c: Context<Env>, declared: RouteDeclaration) {
  const problems: Problem[] = []
  const check = (where: string, schema: z.ZodObject | undefined, given: () => unknown): unknown => {
    if (schema === undefined) return {}
    const parsed = schema.safeParse(given())
    if (parsed.success) return parsed.data
    for (const issue of parsed.error.issues) {
      problems.push({ loc: [where, ...issue.path.map(keyOf)], msg: issue.message, type: issue.code })
    }
    return {}
  }
  const raw = declared.body === undefined ? {} : await jsonBody(c)
  const params = check('path', declared.params, () => c.req.param())
  const query = check('query', declared.query, () => c.req.query())
  const body = check('body', declared.body, () => raw)
  if (problems.length > 0) throw new Invalid(problems)
  const known = Object.keys(declared.body?.shape ?? {})
  const sent = Object.fromEntries(
    known.filter((field) => Object.hasOwn(raw, field)).map((field) => [field, raw[field]]),
  )
  return { params, query, body, sent }
}

const keyOf = (key: PropertyKey): string | number => (typeof key === 'symbol' ? String(key) : key)

const requestIdHeader = {
  'X-Request-Id': { description: 'Names this request in our logs.', schema: { type: 'string' as const } },
}

function documentedAnswers(answers: RouteDeclaration['answers']) {
  return Object.fromEntries(
    Object.entries(answers).map(([status, { says, schema, type }]) => [
      status,
      {
        description: says,
        headers: requestIdHeader,
        ...(schema === undefined ? {} : { content: { [type ?? 'application/json']: { schema } } }),
      },
    ]),
  )
}

/** The errors that follow from what a route is, so that no route forgets to list them. */
function documentedErrors(declared: RouteDeclaration) {
  const listed: [number, string][] = [
    [401, declared.access === 'anyone' ? 'A token was sent, and it is not valid' : 'Who is asking is not known'],
    ...(Array.isArray(declared.access) ? [[403, 'The caller lacks the role'] as [number, string]] : []),
    ...(declared.body === undefined
      ? []
      : ([
          [400, 'The body is not JSON'],
          [413, 'The body is too large'],
          [415, 'The body is of another content type'],
        ] as [number, string][])),
    [422, 'The request has problems; «detail» lists every one of them'],
    [429, 'Too many requests; Retry-After says when to come back'],
    [
      503,
      'The database cannot be reached, or more is waiting than can be taken in; Retry-After says when to come back',
    ],
  ]
  return Object.fromEntries(
    listed.map(([status, says]) => [
      status,
      { description: says, headers: requestIdHeader, content: { 'application/json': { schema: errorSchema } } },
    ]),
  )
}
