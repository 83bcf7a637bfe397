import fc from 'fast-check'
import type { DocumentedRoute } from './openapi.ts'

/** What is written on a connection, and is hardly HTTP. */
export interface Bytes {
  readonly what: string
  readonly bytes: Buffer
  /** Whether the sender goes away before the end. */
  readonly hangUp: boolean
}

/** A request that no route accepts, in parts that can be written wrongly. */
interface Parts {
  readonly method: string
  readonly target: string
  readonly headers: readonly string[]
  readonly body: string
}

const BODY = '{"nothing":"of use"}'

function partsOf(route: DocumentedRoute): Parts {
  const hasBody = route.body !== undefined
  return {
    method: route.method,
    target: route.path.replaceAll(/\{\w+\}/g, 'nobody'),
    headers: ['Host: bursar', 'Connection: close', ...(hasBody ? ['Content-Type: application/json'] : [])],
    body: hasBody ? BODY : '',
  }
}

type Writing = (parts: Parts) => { text: string; hangUp?: boolean }

const written = ({ method, target, headers, body }: Parts, version = 'HTTP/1.1', length = true): string =>
  `${method} ${target} ${version}\r\n${headers.map((header) => `${header}\r\n`).join('')}` +
  `${length && body !== '' ? `Content-Length: ${body.length}\r\n` : ''}\r\n${body}`

const withHeaders = (...headers: string[]): Writing => {
  return (parts) => ({ text: written({ ...parts, headers: [...parts.headers, ...headers] }) })
}
const withTarget = (change: (target: string) => string): Writing => {
  return (parts) => ({ text: written({ ...parts, target: change(parts.target) }) })
}
const withMethod = (method: string): Writing => {
  return (parts) => ({ text: written({ ...parts, method }) })
}
const withHosts = (...hosts: string[]): Writing => {
  return (parts) => ({
    text: written({ ...parts, headers: [...hosts.map((host) => `Host: ${host}`), ...parts.headers.slice(1)] }),
  })
}
/** In place of the length: other headers, and what follows them. */
const withBody = (headers: string[], body: string, hangUp = false): Writing => {
  return (parts) => ({
    text: written({ ...parts, headers: [...parts.headers, ...headers], body }, 'HTTP/1.1', false),
    hangUp,
  })
}

const MEBIBYTE = 1_048_576

const writings: Readonly<Record<string, Writing>> = {
  'a head without end': (parts) => ({ text: written(parts).slice(0, 25), hangUp: true }),
  'a header without end': (parts) => ({ text: written(parts).replace(/\r\n\r\n.*/s, ''), hangUp: true }),
  'a body that breaks off': withBody(['Content-Length: 100'], '{"budget":', true),
  'a body that never begins': withBody(['Content-Length: 2'], '', true),
  'a chunk that breaks off': withBody(['Transfer-Encoding: chunked'], 'a\r\n{"bud', true),
  'chunks without end': withBody(['Transfer-Encoding: chunked'], '2\r\n{}\r\n', true),
  'a chunk of no size': withBody(['Transfer-Encoding: chunked'], 'zz\r\n{}\r\n0\r\n\r\n'),
  'a chunk of negative size': withBody(['Transfer-Encoding: chunked'], '-1\r\n{}\r\n0\r\n\r\n'),
  'a chunk larger than memory': withBody(['Transfer-Encoding: chunked'], 'ffffffffffffffff\r\n{}\r\n0\r\n\r\n', true),
  'a chunk with an extension': withBody(['Transfer-Encoding: chunked'], '2;a="b"\r\n{}\r\n0\r\n\r\n'),
  'a chunk with a trailer': withBody(['Transfer-Encoding: chunked'], '2\r\n{}\r\n0\r\nAuthorization: Bearer x\r\n\r\n'),
  'a length and chunks': withBody(['Content-Length: 2', 'Transfer-Encoding: chunked'], '2\r\n{}\r\n0\r\n\r\n'),
  'an unknown coding': withBody(['Transfer-Encoding: xchunked'], '2\r\n{}\r\n0\r\n\r\n'),
  'a coding under chunks': withBody(['Transfer-Encoding: gzip, chunked'], '2\r\n{}\r\n0\r\n\r\n'),
  'two lengths': withBody(['Content-Length: 2', 'Content-Length: 3'], '{}'),
  'a list of lengths': withBody(['Content-Length: 2, 2'], '{}'),
  'a signed length': withBody(['Content-Length: +2'], '{}'),
  'a negative length': withBody(['Content-Length: -2'], '{}'),
  'a hexadecimal length': withBody(['Content-Length: 0x2'], '{}'),
  'an endless length': withBody([`Content-Length: ${'9'.repeat(30)}`], '{}'),
  'a length of a tebibyte': withBody([`Content-Length: ${2 ** 40}`], '{}', true),
  'a body that is too large': withBody([`Content-Length: ${MEBIBYTE + 1}`], `"${'x'.repeat(MEBIBYTE - 1)}"`),
  'chunks that are too many': withBody(
    ['Transfer-Encoding: chunked'],
    `${(MEBIBYTE + 1).toString(16)}\r\n${'x'.repeat(MEBIBYTE + 1)}\r\n0\r\n\r\n`,
  ),
  'more than its length': withBody(['Content-Length: 2'], '{}GET /health HTTP/1.1\r\nHost: a\r\n\r\n'),
  'a request and garbage': (parts) => ({ text: `${written(parts)}garbage\r\n\r\n` }),
  'a header without a colon': withHeaders('nothing'),
  'a header without a name': withHeaders(': nothing'),
  'a space before the colon': withHeaders('Content-Length : 0'),
  'a folded header': withHeaders('X-Folded: a\r\n b'),
  'a NUL in a header': withHeaders('X-Nul: a\0b'),
  'a return in a header': withHeaders('X-Return: a\rb'),
  'a name that is no token': withHeaders('X(é): a'),
  'a header of 20,000 letters': withHeaders(`X-Long: ${'x'.repeat(20_000)}`),
  'a name of 20,000 letters': withHeaders(`${'x'.repeat(20_000)}: x`),
  'a thousand headers': withHeaders(...Array.from({ length: 1_000 }, (_, at) => `X-${at}: 1`)),
  'the same header a thousand times': withHeaders(...Array(1_000).fill('Authorization: x')),
  'two credentials': withHeaders('Authorization: Bearer a.b.c', 'Authorization: Basic eDp5'),
  'two content types': withHeaders('Content-Type: application/json', 'Content-Type: text/plain'),
  'an expectation': withHeaders('Expect: 100-continue'),
  'an expectation that nobody meets': withHeaders('Expect: miracles'),
  'an upgrade': withHeaders('Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Key: x'),
  'an upgrade to HTTP/2': withHeaders(
    'Upgrade: h2c',
    'Connection: Upgrade, HTTP2-Settings',
    'HTTP2-Settings: AAMAAABk',
  ),
  'no host': withHosts(),
  'an empty host': withHosts(''),
  'two hosts': withHosts('a', 'b'),
  'a host with spaces': withHosts('a b'),
  'a host with a port that is none': withHosts('a:99999'),
  'a host in short': withHosts('127.1:1'),
  'a host with a path': withHosts('a/../b'),
  'a host of other letters': withHosts('é\u{1f4b8}'),
  'a host with a user': withHosts('anna:secret@bursar'),
  'lines that end with LF': (parts) => ({ text: written(parts).replaceAll('\r\n', '\n') }),
  'lines that end with CR': (parts) => ({ text: written(parts).replaceAll('\r\n', '\r'), hangUp: true }),
  'empty lines before it': (parts) => ({ text: `\r\n\r\n${written(parts)}` }),
  'HTTP/1.0': (parts) => ({ text: written(parts, 'HTTP/1.0') }),
  'HTTP/0.9': (parts) => ({ text: `${parts.method} ${parts.target}\r\n\r\n` }),
  'HTTP/2': (parts) => ({ text: written(parts, 'HTTP/2.0') }),
  'HTTP/9.9': (parts) => ({ text: written(parts, 'HTTP/9.9') }),
  'no version': (parts) => ({ text: written(parts, '') }),
  'the beginning of TLS': () => ({ text: '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' }),
  'the beginning of HTTP/2': () => ({ text: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' }),
  'a method in small letters': (parts) => withMethod(parts.method.toLowerCase())(parts),
  'an unknown method': withMethod('STEAL'),
  PATCH: withMethod('PATCH'),
  TRACE: withMethod('TRACE'),
  OPTIONS: withMethod('OPTIONS'),
  PROPFIND: withMethod('PROPFIND'),
  'a URL for a target': withTarget((target) => `http://elsewhere.example${target}`),
  'another scheme for a target': withTarget((target) => `file://${target}`),
  'a star for a target': withTarget(() => '*'),
  'a target without a slash': withTarget((target) => target.slice(1)),
  'a target of two slashes': withTarget((target) => `//${target.slice(1)}`),
  'a target with a fragment': withTarget((target) => `${target}#fragment`),
  'a target with a space': withTarget((target) => `${target}/a b`),
  'a target with a NUL': withTarget((target) => `${target}/\0`),
  'a target with a backslash': withTarget((target) => `${target}\\..\\x`),
  'a target in UTF-8': withTarget((target) => `${target}/é\u{1f4b8}`),
  'a target that goes up': withTarget((target) => `/../..${target}/%2e%2e/%2e%2e/x`),
  'a target that is badly encoded': withTarget((target) => `${target}/%E0%A4%A%zz%`),
  'a target of 15,000 letters': withTarget((target) => `${target}/${'x'.repeat(15_000)}`),
  'a target of 100,000 letters': withTarget((target) => `${target}/${'x'.repeat(100_000)}`),
  'a query of a thousand names': withTarget((target) => `${target}?${'a[b]=c&'.repeat(1_000)}`),
  'a query that is badly encoded': withTarget((target) => `${target}?limit=%&%E0%A4%A=%00&__proto__[x]=1`),
}

/** Every way of writing requests to these routes that hardly are any, in any order. */
export const bytesTo = (routes: readonly DocumentedRoute[]): fc.Arbitrary<Bytes> =>
  fc.tuple(fc.constantFrom(...routes), fc.constantFrom(...Object.entries(writings))).map(([route, [name, writing]]) => {
    const { text, hangUp = false } = writing(partsOf(route))
    return { what: `${name} to ${route.name}`, bytes: Buffer.from(text), hangUp }
  })
