import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { kinds } from '../src/jobs/catalogue.ts'
import { Deployment } from './support/deployment.ts'

const Headers = z.record(
  z.string(),
  z.object({ description: z.string().min(1), schema: z.object({ type: z.string() }) }),
)

const Schema = z.record(z.string(), z.unknown())

const Content = z.record(z.string(), z.strictObject({ schema: Schema }))

const Operation = z.strictObject({
  tags: z.array(z.string()).length(1),
  summary: z.string().min(1),
  description: z.string().min(1).optional(),
  security: z.array(z.record(z.enum(['bearer', 'basic']), z.array(z.never()).optional())).optional(),
  parameters: z
    .array(
      z.strictObject({
        name: z.string(),
        in: z.enum(['path', 'query', 'header']),
        required: z.boolean(),
        description: z.string().optional(),
        schema: Schema,
      }),
    )
    .optional(),
  requestBody: z.strictObject({ required: z.literal(true), content: Content }).optional(),
  responses: z.record(
    z.string().regex(/^[2-5]\d\d$/),
    z.strictObject({ description: z.string().min(1), headers: Headers, content: Content.optional() }),
  ),
})

/** What of OpenAPI 3.1 our document uses; anything else in it is a mistake. */
const Document = z.strictObject({
  openapi: z.literal('3.1.0'),
  info: z.strictObject({ title: z.string(), version: z.string(), description: z.string() }),
  components: z.strictObject({
    securitySchemes: z.strictObject({
      bearer: z.strictObject({ type: z.literal('http'), scheme: z.literal('bearer'), bearerFormat: z.literal('JWT') }),
      basic: z.strictObject({ type: z.literal('http'), scheme: z.literal('basic') }),
    }),
    schemas: z.record(z.string().regex(/^[\w.-]+$/), Schema),
    parameters: z.strictObject({}).optional(),
  }),
  webhooks: z.strictObject({}).optional(),
  paths: z.record(z.string().startsWith('/'), z.partialRecord(z.enum(['get', 'post', 'put', 'delete']), Operation)),
})

type Document = z.infer<typeof Document>
type Operation = z.infer<typeof Operation>

let bursar: Deployment
let document: Document
beforeAll(async () => {
  bursar = await Deployment.start({ workers: false })
  document = Document.parse((await bursar.get('/openapi.json')).body)
})
afterAll(() => bursar.stop())

/** Every operation of the document by its route. */
const operations = (): [route: string, operation: Operation][] =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, Operation] => [`${method} ${path}`, operation]),
  )

const operation = (route: string): Operation => {
  const [, found] = operations().find(([name]) => name === route) ?? []
  if (found === undefined) throw new Error(`${route} is not in the document`)
  return found
}

/** Everything in it, at any depth. */
function* within(value: unknown): Generator<object> {
  if (typeof value !== 'object' || value === null) return
  yield value
  for (const inner of Object.values(value)) yield* within(inner)
}

/** Gateways bring their own names for repeats, and wait for nothing. */
const isWebhook = (route: string): boolean => route.includes('/webhooks/')

/** Whoever submits the form of a page is shown a page. */
const isPage = (route: string): boolean => route.startsWith('post /invoices/')

describe('The OpenAPI document', () => {
  test('has every route that there is, and no other', () => {
    const routes = bursar.door.router.routes.map(({ method, path }) => `${method} ${path}`)
    expect(
      operations()
        .map(([route]) => route)
        .toSorted(),
    ).toEqual(routes.toSorted())
  })

  test('leads every reference to something', () => {
    const references = [...within(document)].flatMap((part) => ('$ref' in part ? [String(part.$ref)] : []))
    expect(references.length).toBeGreaterThan(20)
    const known = Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`)
    for (const reference of references) expect(known).toContain(reference)
  })

  test('uses types of JSON Schema, and names every field that it requires', () => {
    for (const part of within(document)) {
      if ('type' in part && 'properties' in part) expect([part.type].flat()).toContain('object')
      if (!('required' in part) || !Array.isArray(part.required) || !('properties' in part)) continue
      for (const field of part.required) expect(Object.keys(Object(part.properties))).toContain(field)
    }
  })

  test('names each parameter of a path, and no parameter twice', () => {
    for (const [route, { parameters = [] }] of operations()) {
      const inPath = [...route.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      expect(parameters.filter((one) => one.in === 'path').map(({ name }) => name)).toEqual(inPath)
      for (const parameter of parameters) if (parameter.in === 'path') expect(parameter.required).toBe(true)
      expect(new Set(parameters.map((one) => `${one.in} ${one.name}`)).size).toBe(parameters.length)
    }
  })

  test('gives every error the one body', () => {
    for (const [route, { responses }] of operations()) {
      for (const [status, { content }] of Object.entries(responses)) {
        if (Number(status) < 400 || route === 'get /health') continue
        expect([route, status, content?.['application/json']?.schema]).toEqual([
          route,
          status,
          { $ref: '#/components/schemas/Error' },
        ])
      }
    }
  })

  test('tells of every status that follows from what a route is', () => {
    for (const declared of bursar.door.router.routes) {
      const { responses } = operation(`${declared.method} ${declared.path}`)
      const wanted = [
        ...Object.keys(declared.answers),
        '401',
        '429',
        '503',
        ...(Array.isArray(declared.access) ? ['403'] : []),
        ...(declared.body === undefined ? [] : ['400', '413', '415', '422']),
        ...(declared.query === undefined ? [] : ['422']),
      ]
      expect(Object.keys(responses)).toEqual(expect.arrayContaining(wanted))
    }
  })

  test('tells of every refusal of a kind, at its route', () => {
    const routes = { 'token.issue': 'post /token', 'token.deduct': 'post /token/{token_id}/deduct' } as const
    for (const [kind, route] of Object.entries(routes)) {
      const { responses } = operation(route)
      const refusals = Object.entries(kinds).find(([name]) => name === kind)?.[1]
      const declared = refusals !== undefined && 'refusals' in refusals ? Object.entries(refusals.refusals ?? {}) : []
      expect(declared.length).toBeGreaterThan(2)
      for (const [code, status] of declared) expect(responses[String(status)]?.description).toContain(code)
    }
  })

  test('says who may ask', () => {
    expect(operation('post /token').security).toBeUndefined()
    expect(operation('get /api/v1/operations').security).toEqual([{ bearer: [] }])
    expect(operation('get /metrics').security).toEqual([{ bearer: [] }, { basic: [] }])
  })

  test('tells of the headers that callers may send with everything that changes something', () => {
    for (const [route, { parameters = [] }] of operations()) {
      if (route.startsWith('get ') || isWebhook(route) || isPage(route)) continue
      const sent = parameters.filter((one) => one.in === 'header').map(({ name, required }) => `${name} ${required}`)
      expect([route, sent]).toEqual([route, ['prefer false', 'idempotency-key false']])
    }
    expect(operation('get /api/v1/operations/{id}').parameters?.map(({ name }) => name)).toContain('prefer')
  })

  test('tells of the headers that come back', () => {
    const headers = (route: string, status: string) => Object.keys(operation(route).responses[status]?.headers ?? {})
    for (const [route, { responses }] of operations()) {
      for (const status of Object.keys(responses)) expect(headers(route, status)).toContain('X-Request-Id')
      expect(headers(route, '401')).toContain('WWW-Authenticate')
      expect(headers(route, '429')).toEqual(
        expect.arrayContaining(['Retry-After', 'RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset']),
      )
      expect(headers(route, '503')).toContain('Retry-After')
      if (route.startsWith('get ') || isWebhook(route) || isPage(route)) continue
      expect(headers(route, '202')).toEqual(
        expect.arrayContaining(['Location', 'Retry-After', 'Vary', 'Idempotency-Replayed']),
      )
      expect(headers(route, '200')).toEqual(
        expect.arrayContaining(['Operation-Id', 'Preference-Applied', 'Vary', 'Idempotency-Replayed']),
      )
    }
  })

  test('shows the seed’s example and its bounds', () => {
    const body = JSON.stringify(operation('post /token').requestBody)
    expect(body).toContain('"minimum":1')
    expect(body).toContain('voice_researcher_001')
  })

  test('answers as it says: a submission and its operation fit their schemas', async () => {
    const { body } = await bursar.ask('POST', '/token', { body: { budget: 1, voice_id: 'voice_fits' } })
    const required = (name: string) =>
      z.object({ required: z.array(z.string()) }).parse(document.components.schemas[name]).required
    expect(Object.keys(body).toSorted()).toEqual(required('Accepted').toSorted())
    const polled = await bursar.get(body.status_url)
    expect(Object.keys(polled.body)).toEqual(expect.arrayContaining(required('Operation')))
    const refused = await bursar.get('/nothing')
    expect(Object.keys(refused.body).toSorted()).toEqual(required('Error').toSorted())
  })
})

describe('The reference', () => {
  test('loads nothing from elsewhere, and everything that it loads is there', async () => {
    const page = await bursar.get('/docs')
    expect(page.status).toBe(200)
    expect(page.headers.get('content-type')).toMatch(/^text\/html/)
    const loaded = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url]) => String(url))
    expect(loaded).toContain('/docs/swagger-ui-bundle.js')
    for (const url of loaded) {
      expect(url).toMatch(/^\/[^/]/)
      expect((await bursar.get(url)).status).toBe(200)
    }
    const start = await bursar.get('/docs/start.js')
    expect(start.body).toContain(`url: '/openapi.json'`)
    expect(start.body).toContain('validatorUrl: null')
  })

  test('could not load anything from elsewhere if it wanted to', async () => {
    const policy = (await bursar.get('/docs')).headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).not.toMatch(/https?:|\*|unsafe-eval|script-src[^;]*unsafe/)
  })

  test('serves the files that it needs, and no others', async () => {
    for (const file of ['package.json', 'index.html', '..%2fpackage.json', '%2e%2e/package.json', 'swagger-ui.css.map'])
      expect((await bursar.get(`/docs/${file}`)).status).toBe(404)
    const style = await bursar.get('/docs/swagger-ui.css')
    expect(style.headers.get('content-type')).toMatch(/^text\/css/)
    expect(style.body.replaceAll(/url\((["']?)data:/g, '')).not.toMatch(/url\(\s*["']?(https?:)?\/\//)
  })
})
