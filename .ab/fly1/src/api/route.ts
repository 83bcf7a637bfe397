import { type OpenAPIHono, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import type { Clock } from '../kit/clock.ts'
import type { Limit, RateLimiter } from '../platform/rate-limit.ts'
import { type Authenticator, type Caller, holds, type Role, requireCaller, requireRole } from './access.ts'
import type { Attend } from './attend.ts'
import { type JsonBody, jsonBody } from './body.ts'
import { addressForLimits } from './client-address.ts'
import { type DocumentedAnswer, documentedAnswers } from './documented-answers.ts'
import { doorRefusals } from './door-refusals.ts'
import { BASIC_CHALLENGE, Invalid, type Problem, RefusalWithHeaders } from './errors.ts'
import { rateLimitHeaders } from './rate-limit-headers.ts'
import { rawCardPath } from './raw-card.ts'
import { addHeader, headerOf } from './reply.ts'

/**
 * Who may call a route. `anyone`: no token is asked for (the route's own credential is). `caller`: somebody known.
 * A list: one of these roles.
 */
export type Access = 'anyone' | 'caller' | readonly Role[]

/** By the caller's address; `user`: by their subject, back ends not counted, since they ask for many. */
export interface RouteLimit extends Limit {
  readonly by?: 'user'
}

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
  /** Limits of the route's own. */
  readonly limits?: readonly RouteLimit[]
  readonly answers: { readonly [status: number]: DocumentedAnswer }
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
    /** How a caller without valid credentials may prove who they are; a bearer token unless told. */
    challenge: string | undefined
    /** Of the answer. */
    headers: Record<string, string>
    /** Whether the answer was made by `reply`, and so has these headers. */
    replied: boolean | undefined
  }
}

export interface RouterParts {
  readonly app: OpenAPIHono<Env>
  readonly attend: Attend
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
    const fields = Object.keys(declared.body?.shape ?? {})
    this.parts.app.on(declared.method.toUpperCase(), pattern, (c) =>
      this.parts.attend(c, async () => {
        c.set('route', declared.path)
        const caller = await this.#admit(c, declared)
        const asked = await parse(c, declared, fields)
        return answer({ c, caller, requestId: c.get('requestId'), ...asked } as Asked<
          z.output<Params>,
          z.output<Query>,
          z.output<Body>
        >)
      }),
    )
  }

  /** The methods that a path answers to, when it is one of ours. */
  methodsOf(path: string): string[] {
    return this.routes.filter((route) => patternOf(route.path).test(path)).map(({ method }) => method.toUpperCase())
  }

  async #admit(c: Context<Env>, declared: RouteDeclaration): Promise<Caller> {
    if (declared.basic === true) c.set('challenge', BASIC_CHALLENGE)
    const caller = await this.parts.authenticator.authenticate(headerOf(c, 'authorization'), {
      basic: declared.basic === true,
    })
    c.set('caller', caller)
    if (declared.access === 'caller') requireCaller(caller)
    else if (declared.access !== 'anyone') requireRole(caller, ...declared.access)
    const address = () => `address:${addressForLimits(c.get('address'))}`
    for (const limit of declared.limits ?? []) {
      if (limit.by === undefined) await this.#consume(c, address(), limit)
      else if (!holds(caller, 'service')) await this.#consume(c, `subject:${caller.subject}`, limit)
    }
    if (this.parts.generalLimit !== undefined) {
      const key = caller.subject === undefined ? address() : `subject:${caller.subject}`
      await this.#consume(c, key, this.parts.generalLimit)
    }
    return caller
  }

  async #consume(c: Context<Env>, key: string, limit: Limit): Promise<void> {
    const verdict = await this.parts.limiter.consume(key, limit)
    const headers = rateLimitHeaders(verdict)
    if (!verdict.allowed) {
      throw new RefusalWithHeaders(doorRefusals.tooMany({ seconds: Math.max(verdict.resetSeconds, 1) }), headers)
    }
    for (const [name, value] of Object.entries(headers)) addHeader(c, name, value)
  }

  #document(declared: RouteDeclaration): void {
    const { method, path, tag, summary, description, params, query, headers, body, access, basic } = declared
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
      responses: documentedAnswers(declared),
    })
  }
}

const patternOf = (path: string) => new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`)

/** Checks everything of a request, and tells of every problem at once. `fields` are those of the body's schema. */
async function parse(c: Context<Env>, declared: RouteDeclaration, fields: readonly string[]) {
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
  const sent = declared.body === undefined ? NO_BODY : await jsonBody(c)
  const params = check('path', declared.params, () => withoutCards(c.req.param()))
  const query = check('query', declared.query, () => withoutCards(c.req.query()))
  problems.push(...sent.problems)
  const body = check('body', declared.body, () => sent.fields)
  if (problems.length > 0) throw new Invalid(problems)
  return { params, query, body, sent: only(fields, sent.fields) }
}

/** Ids from a path or a query are stored and answered: a card number has no business there either. */
function withoutCards(params: Record<string, string>): Record<string, string> {
  const cardAt = rawCardPath(JSON.stringify(params), params)
  if (cardAt !== undefined) throw doorRefusals.rawCardData({ path: cardAt.join('.') })
  return params
}

const NO_BODY: JsonBody = { fields: {}, problems: [] }

function only(names: readonly string[], fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const known: Record<string, unknown> = {}
  for (const name of names) if (Object.hasOwn(fields, name)) known[name] = fields[name]
  return known
}

const keyOf = (key: PropertyKey): string | number => (typeof key === 'symbol' ? String(key) : key)
