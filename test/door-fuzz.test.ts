import { randomInt, randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { errorSchema } from '../src/api/errors.ts'
import { type Answer, Deployment } from './support/deployment.ts'

/*
 * Whatever is sent to any route of our own document: never a 5xx, always a status that the document names for the route,
 * and every refusal has the one body. A failure prints the seed; SEED=… repeats it.
 */

const SEED = Number(process.env.SEED ?? randomInt(2 ** 31))

/** In all, spread over the routes, as many as are promised; FUZZ_REQUESTS asks for another number. */
const REQUESTS = Number(process.env.FUZZ_REQUESTS ?? 10_000)

/** Asked at once: one at a time would leave both cores idle. */
const AT_ONCE = 25

const OpenApi = z.object({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({
        parameters: z.array(z.object({ name: z.string(), in: z.enum(['path', 'query', 'header']) })).default([]),
        requestBody: z
          .object({
            content: z.object({
              'application/json': z.object({ schema: z.object({ properties: z.record(z.string(), z.unknown()) }) }),
            }),
          })
          .optional(),
        responses: z.record(z.string(), z.unknown()),
      }),
    ),
  ),
})

interface Route {
  readonly method: string
  readonly path: string
  readonly query: readonly string[]
  readonly fields: readonly string[]
  readonly statuses: readonly string[]
}

let bursar: Deployment
let routes: Route[]
let token: string
let doomed: string
let operation: string

beforeAll(async () => {
  bursar = await Deployment.start()
  token = await bursar.issue(500)
  doomed = await bursar.issue(5)
  const { body } = await bursar.ask('POST', `/token/${token}/deduct`, { body: { amount: 1 } })
  operation = body.operation_id
  const document = OpenApi.parse((await bursar.get('/openapi.json')).body)
  routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters, requestBody, responses }]) => ({
      method: method.toUpperCase(),
      path,
      query: parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name),
      fields: Object.keys(requestBody?.content['application/json'].schema.properties ?? {}),
      statuses: Object.keys(responses),
    })),
  )
})
afterAll(() => bursar.stop())

const odd = fc.constantFrom(
  '',
  '0',
  '-1',
  'null',
  '%',
  '%00',
  '..',
  '%2e%2e%2f',
  "'",
  '{{7*7}}',
  '💸',
  '4242424242424242',
  '00000000-0000-4000-8000-000000000000',
  '9'.repeat(40),
  'x'.repeat(3_000),
)
const text = fc.oneof(odd, fc.string({ unit: 'binary', maxLength: 40 }), fc.string({ maxLength: 600 }))
const number = fc.oneof(fc.integer(), fc.double(), fc.constantFrom(0, -0, 1, 2 ** 53, 1e308, -1, 0.1))
const value = fc.oneof(
  { weight: 3, arbitrary: text },
  { weight: 3, arbitrary: number },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 5 }) },
  { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 4 }) },
)

/** A body that is nearly right, one that is anything, or bytes that are no JSON at all. */
const bodyOf = ({ fields }: Route) =>
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record(Object.fromEntries(fields.map((field) => [field, value])), { requiredKeys: [] }).map(json),
    },
    { weight: 2, arbitrary: fc.jsonValue().map(json) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 100 }) },
    { weight: 1, arbitrary: fc.constantFrom('', '{', '[[[[', '{"a":1,"a":2}', '{"__proto__":1}', '[]', 'null') },
  )
const json = (any: unknown): string => JSON.stringify(any)

const headers = fc.record(
  {
    Prefer: fc.constantFrom('wait=1', 'wait=0', 'wait=x', 'wait="', ',;=', 'respond-async'),
    'Idempotency-Key': fc.constantFrom('a', '""', '"', 'k'.repeat(300), randomUUID()),
    'Content-Type': fc.constantFrom('application/json', 'text/plain', '', 'application/json;;;'),
    'X-Request-Id': fc.constantFrom('a', '💸'.normalize('NFKD').length.toString(), 'x'.repeat(500)),
    'X-Forwarded-For': fc.constantFrom('::1', 'a, b, c', ',,,', '999.1.1.1'),
    Authorization: fc.constantFrom('Bearer', 'Bearer x', 'Basic eDp5', 'Bearer a.b.c', 'Digest x', '   '),
  },
  { requiredKeys: [] },
)

const caller = fc.constantFrom(undefined, 'user', 'service', 'operator', 'admin')

const segment = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('token', 'operation') },
  { weight: 4, arbitrary: text },
)

const requestOf = (route: Route) =>
  fc.record({
    route: fc.constant(route),
    segment,
    query: fc.record(Object.fromEntries(route.query.map((name) => [name, text])), { requiredKeys: [] }),
    body: bodyOf(route),
    headers,
    caller,
  })

type Request = Parameters<Parameters<ReturnType<typeof requestOf>['map']>[0]>[0]

function send({ route, segment, query, body, headers, caller }: Request): Promise<Answer> {
  const written =
    segment === 'operation' ? operation : segment !== 'token' ? segment : route.method === 'DELETE' ? doomed : token
  const path = route.path.replaceAll(/\{\w+\}/g, () => encodeURIComponent(written.toWellFormed()))
  const search = new URLSearchParams(
    Object.entries(query).map(([name, text]): [string, string] => [name, String(text).toWellFormed()]),
  )
  const bodyless = route.method === 'GET'
  return bursar.ask(route.method, `${path}${search.size > 0 ? `?${search}` : ''}`, {
    ...(bodyless ? {} : { body: body.toWellFormed() }),
    ...(caller === undefined ? {} : { as: 'fuzz', roles: [caller] }),
    headers,
  })
}

/** A path that holds nothing where its parameter should be, or a dot, is another path: it may be nobody's, or another route's. */
const isAnotherPath = ({ route, segment }: Request): boolean =>
  route.path.includes('{') && /^(|\.{1,2}|.*[/\\].*)$/.test(segment)

function expectProper(request: Request, { status, headers, body }: Answer): void {
  const { route, ...sent } = request
  const what = `${route.method} ${route.path} ${json(sent).slice(0, 2_000)} → ${status} ${json(body).slice(0, 300)}`
  expect(status, what).toBeLessThan(500)
  expect(headers.get('x-request-id'), what).not.toBeNull()
  if (status >= 400) expect(errorSchema.strict().safeParse(body).success, what).toBe(true)
  if (!isAnotherPath(request)) expect(route.statuses, what).toContain(String(status))
}

test(
  `nothing that is sent brings a route down (SEED=${SEED})`,
  async () => {
    // What takes a body has the most to get wrong.
    const any = fc.oneof(
      ...routes.map((route) => ({ weight: route.fields.length > 0 ? 6 : 2, arbitrary: requestOf(route) })),
    )
    const requests = fc.sample(any, { seed: SEED, numRuns: REQUESTS })
    for (let at = 0; at < requests.length; at += AT_ONCE) {
      const together = requests.slice(at, at + AT_ONCE)
      await Promise.all(together.map(async (request) => expectProper(request, await send(request))))
    }
    expect(new Set(requests.map(({ route }) => route.method + route.path)).size).toBe(routes.length)

    await bursar.quiet()
    expect((await bursar.pool.query(`select kind, error from operation where status = 'stuck'`)).rows).toEqual([])
    await bursar.expectCleanBooks()
    expect(bursar.logged.filter((line) => line.includes('"level":"error"'))).toEqual([])
  },
  30_000 + 20 * REQUESTS,
)
