import fc from 'fast-check'
import { arbitraryOf } from './fuzz-arbitrary.ts'
import { encoding, hostileHeader, hostileText, hostileValue, textMutation } from './fuzz-hostile.ts'
import type { DocumentedRoute, OpenApi } from './openapi.ts'

/** A request, made and not yet sent. */
export interface Shot {
  readonly route: DocumentedRoute
  /** Who asks; `undefined`: nobody. */
  readonly caller: string | undefined
  readonly segments: Readonly<Record<string, string>>
  readonly query: readonly (readonly [string, string])[]
  readonly headers: readonly (readonly [string, string])[]
  readonly body: Buffer | undefined
  /** Sent in chunks, without a length. */
  readonly chunked: boolean
}

export interface Ammunition {
  readonly document: OpenApi
  /** By the name of a path's parameter: what exists. */
  readonly existing: Readonly<Record<string, readonly string[]>>
  readonly callers: readonly string[]
}

/** Requests that the document allows, by a caller who may do everything, about things that exist. */
export function validShot(ammunition: Ammunition, route: DocumentedRoute): fc.Arbitrary<Shot> {
  const { document, existing } = ammunition
  const parametersIn = (where: string) => route.parameters.filter((parameter) => parameter.in === where)
  const valid = ({ name, schema }: { name: string; schema: Parameters<typeof arbitraryOf>[1] }) =>
    arbitraryOf(document, schema).map((value) => [name, String(value)] as const)
  return fc.record({
    route: fc.constant(route),
    caller: fc.constant('admin'),
    segments: fc.record(
      Object.fromEntries(
        parametersIn('path').map(({ name, schema }) => {
          const known = existing[name] ?? []
          // A dot is no name, but a way.
          const made = arbitraryOf(document, schema).map((value) => String(value).replace(/^\.{0,2}$/, 'a'))
          return [name, known.length === 0 ? made : fc.constantFrom(...known)]
        }),
      ),
      { noNullPrototype: true },
    ),
    query: fc
      .tuple(...parametersIn('query').map((parameter) => fc.option(valid(parameter), { nil: undefined })))
      .map(present),
    headers: fc.constant([]),
    body:
      route.body === undefined
        ? fc.constant(undefined)
        : arbitraryOf(document, route.body).map((value) => Buffer.from(JSON.stringify(value))),
    chunked: fc.boolean(),
  })
}

const present = <Item>(items: readonly (Item | undefined)[]): Item[] => items.filter((item) => item !== undefined)

/** Requests of every kind: valid, nearly valid, and hostile in one place or in several. */
export function anyShot(ammunition: Ammunition, route: DocumentedRoute): fc.Arbitrary<Shot> {
  const { document, existing, callers } = ammunition
  const parametersIn = (where: string) => route.parameters.filter((parameter) => parameter.in === where)
  const segment = (name: string): fc.Arbitrary<string> => {
    const known = existing[name] ?? []
    return fc.oneof(
      { weight: known.length === 0 ? 0 : 4, arbitrary: fc.constantFrom(...known, '') },
      { weight: 1, arbitrary: fc.uuid() },
      { weight: 4, arbitrary: hostileText },
    )
  }
  return fc.record({
    route: fc.constant(route),
    caller: fc.constantFrom(undefined, ...callers),
    segments: fc.record(Object.fromEntries(parametersIn('path').map(({ name }) => [name, segment(name)])), {
      noNullPrototype: true,
    }),
    query: fc
      .tuple(
        ...parametersIn('query').map(({ name, schema }) =>
          fc.option(
            fc.oneof(hostileText, arbitraryOf(document, schema).map(String)).map((value) => [name, value] as const),
            { nil: undefined },
          ),
        ),
        fc.option(fc.tuple(hostileText, hostileText), { nil: undefined, freq: 9 }),
      )
      .map(present),
    headers: fc.array(hostileHeader, { maxLength: 3 }),
    body: route.body === undefined ? fc.constant(undefined) : bodyOf(document, route.body),
    chunked: fc.boolean(),
  })
}

function bodyOf(document: OpenApi, schema: NonNullable<DocumentedRoute['body']>): fc.Arbitrary<Buffer> {
  const valid = arbitraryOf(document, schema)
  const fields = Object.keys((document.resolved(schema).properties ?? {}) as object)
  const nearly = fc
    .tuple(
      valid,
      fc.dictionary(fc.constantFrom(...fields), fc.option(hostileValue, { nil: undefined }), { minKeys: 1 }),
    )
    .map(([value, changed]) => ({ ...(value as object), ...changed }))
  const json = (value: unknown) => Buffer.from(JSON.stringify(value))
  return fc.oneof(
    { weight: 2, arbitrary: valid.map(json) },
    { weight: 6, arbitrary: nearly.map(json) },
    { weight: 1, arbitrary: fc.jsonValue().map(json) },
    {
      weight: 4,
      arbitrary: fc.tuple(valid, textMutation).map(([value, mutate]) => Buffer.from(mutate(JSON.stringify(value)))),
    },
    { weight: 1, arbitrary: fc.tuple(valid, encoding).map(([value, encode]) => encode(JSON.stringify(value))) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)) },
  )
}

/** By a request's own words, whether it may change something: not if it only asks, nor if the document does not allow it. */
export function mayChange(document: OpenApi, { route, segments, headers, body }: Shot): boolean {
  // Only a gateway's signature lets something in, and nobody here has one.
  if (route.method === 'GET' || route.path.includes('/webhooks/')) return false
  if (route.body === undefined) return Object.values(segments).every((value) => ID.test(value))
  // Node hears the first of several.
  const [, type = 'application/json'] = headers.find(([name]) => name === 'Content-Type') ?? []
  if (!/^application\/json\s*(;|$)/.test(type)) return false
  const sent = parsed(body)
  return sent !== undefined && document.problemsOf(route.body, sent).length === 0
}

/** Undefined for what is no JSON in UTF-8. */
function parsed(body: Buffer | undefined): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body))
  } catch {
    return undefined
  }
}

/** The forms that an id may have: anything else never was one. */
const ID = /^([0-9a-f-]{36}|[a-z]{2,3}_[0-9a-f]{32}|eyJ.*)$/i

/** A path with nothing, dots or slashes where its parameter should be is another path: nobody's, or another route's. */
export const isAnotherPath = ({ segments }: Shot): boolean =>
  Object.values(segments).some((value) => /^(|\.{1,2}|.*[/\\].*)$/s.test(value.toWellFormed()))

/** The whole request as it goes over the wire. */
export function bytesOf(shot: Shot, credentials: Readonly<Record<string, string>>): Buffer {
  const { caller, body, chunked, route } = shot
  const given = new Set(shot.headers.map(([name]) => name))
  const headers = [
    ...(given.has('Host') ? [] : [['Host', 'bursar']]),
    ...(body === undefined || given.has('Content-Type') ? [] : [['Content-Type', 'application/json']]),
    ...(caller === undefined || given.has('Authorization') ? [] : [['Authorization', credentials[caller]]]),
    ...shot.headers.filter(
      ([name], at) => name !== 'Host' || shot.headers.findIndex(([other]) => other === name) === at,
    ),
    ...(body === undefined ? [] : [chunked ? ['Transfer-Encoding', 'chunked'] : ['Content-Length', body.length]]),
  ]
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const head = Buffer.from(`${route.method} ${targetOf(shot)} HTTP/1.1\r\n${lines}\r\n`)
  if (body === undefined) return head
  return Buffer.concat([head, ...(chunked ? inChunks(body) : [body])])
}

export function targetOf({ route, segments, query }: Shot): string {
  const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name) =>
    encodeURIComponent((segments[name] ?? '').toWellFormed()),
  )
  const search = query.map(([name, value]) =>
    [name, value].map((word) => encodeURIComponent(word.toWellFormed())).join('='),
  )
  return search.length === 0 ? path : `${path}?${search.join('&')}`
}

function inChunks(body: Buffer): Buffer[] {
  const half = body.length >> 1
  const chunks = [body.subarray(0, half), body.subarray(half)].filter(({ length }) => length > 0)
  return [
    ...chunks.flatMap((chunk) => [Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')]),
    Buffer.from('0\r\n\r\n'),
  ]
}

/** What went over the wire, for whoever must see why it was answered so. */
export const described = ({ route, caller, headers, body, ...shot }: Shot): string =>
  `${route.method} ${targetOf({ route, caller, headers, body, ...shot }).slice(0, 400)} by ${caller ?? 'nobody'} ` +
  `${JSON.stringify(headers).slice(0, 600)} ${JSON.stringify(body?.toString('latin1').slice(0, 600) ?? '')}`
