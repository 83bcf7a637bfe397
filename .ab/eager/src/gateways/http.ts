import { assert } from '../kit/assert.ts'
import { Fault } from '../kit/fault.ts'

/** What somebody else answered. The body is parsed JSON, or undefined when it was none. */
export interface Answer {
  readonly status: number
  readonly body: unknown
}

/** Nothing was sent: whoever would have got it has not heard of it. */
export class NotReached extends Fault {}

/** Somebody else's HTTP service, asked with a time limit. */
export interface Remote {
  /** Throws a Fault when there is no answer to judge, a `NotReached` when nothing was sent; any status is an answer. */
  ask(request: {
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
    path: string
    body?: unknown
    headers?: Record<string, string>
  }): Promise<Answer>
  /** Did it answer anything but a server error within a second? Never throws. */
  reachable(path: string): Promise<boolean>
}

/** A health check that takes longer than this, in milliseconds, is no news worth waiting for. */
const HEALTH_TIMEOUT_MS = 1_000

/** Bytes of an answer that are read. Ours are a few hundred bytes, so that this only stops a stream without an end. */
const MAX_ANSWER_BYTES = 1024 * 1024

/**
 * `url` may hold a path and credentials (sent as HTTP basic, since `fetch` refuses them in its URL). Faults name `name` and
 * nothing of the URL, the headers or the body: they are shown to operators, and any of these may hold a secret.
 */
export function remote(options: {
  name: string
  url: string
  timeoutMs: number
  headers?: Record<string, string>
}): Remote {
  const { name, timeoutMs } = options
  const { base, authorization } = parse(name, options.url)
  const headers = { accept: 'application/json', ...authorization, ...options.headers }

  async function ask(
    request: { method: string; path: string; body?: unknown; headers?: Record<string, string> },
    patienceMs = timeoutMs,
  ): Promise<Answer> {
    const signal = AbortSignal.timeout(patienceMs)
    try {
      const response = await fetch(base + request.path, {
        method: request.method,
        headers: {
          ...headers,
          ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...request.headers,
        },
        body: request.body === undefined ? undefined : JSON.stringify(request.body),
        // Followed blindly, a redirect would carry our credentials to another host.
        redirect: 'manual',
        signal,
      })
      return { status: response.status, body: parseJson(await textOf(response, name)) }
    } catch (error) {
      if (error instanceof Fault) throw error
      if (signal.aborted) throw new Fault(`${name} did not answer within ${patienceMs} ms`)
      // Without the original error as its cause: undici's may quote the URL.
      const code = codeOf(error)
      throw new (NOT_SENT.has(code) ? NotReached : Fault)(`${name} could not be reached (${code})`)
    }
  }

  return {
    ask: (request) => ask(request),
    reachable: (path) =>
      ask({ method: 'GET', path }, HEALTH_TIMEOUT_MS).then(
        ({ status }) => status < 500,
        () => false,
      ),
  }
}

function parse(name: string, text: string): { base: string; authorization: Record<string, string> } {
  const url = URL.parse(text)
  assert(url !== null && /^https?:$/.test(url.protocol), `The URL of ${name} is not an http(s) URL`)
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  return {
    base: url.origin + url.pathname.replace(/\/+$/, ''),
    authorization: credentials === ':' ? {} : { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` },
  }
}

/** Reads to the end, so that the socket can carry the next request. */
async function textOf(response: Response, name: string): Promise<string> {
  if (response.body === null) return ''
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of response.body) {
    bytes += part.byteLength
    if (bytes > MAX_ANSWER_BYTES) throw new Fault(`${name} answered with more than ${MAX_ANSWER_BYTES} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What goes wrong before a connection is there. */
export const NOT_SENT: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
])

/** The name of what went wrong underneath `fetch failed`, such as ECONNREFUSED. */
function codeOf(error: unknown): string {
  const { cause } = error as { cause?: { code?: unknown } }
  return typeof cause?.code === 'string' ? cause.code : 'no connection'
}
