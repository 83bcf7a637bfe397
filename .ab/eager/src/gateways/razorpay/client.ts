import Razorpay from 'razorpay'
import { z } from 'zod'
import { Fault } from '../../kit/fault.ts'
import type { Secret } from '../../kit/secret.ts'
import { NotReached, type Remote, remote } from '../http.ts'
import { Problem, problemOfAnswer, problemOfNetwork, unreadable } from './problem.ts'

export const API_BASE = 'https://api.razorpay.com'

/** Milliseconds. Razorpay waits for banks, which take seconds; beyond this a look-up is the better way to learn. */
const TIMEOUT_MS = 15_000

/** Letters of a gateway's own sentence that are kept. */
const MAX_SENTENCE = 300

/** Bytes of an answer that are read: a page of 100 payments takes about 100 KiB. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024

export interface RazorpayOptions {
  /** Not a secret: Checkout shows it to every customer's browser. */
  readonly keyId: string
  readonly keySecret: Secret
  /** The RazorpayX account that payouts are paid from; without it there are none. */
  readonly accountNumber?: Secret | undefined
  readonly apiBase?: string | undefined
  readonly timeoutMs?: number | undefined
}

/** Razorpay's two ways to be asked, each with an answer for everything that can go wrong. */
export interface Client {
  /** Through the official SDK: orders, payments, refunds, customers, tokens. */
  sdk<One extends z.ZodType>(
    what: string,
    shape: One,
    call: (razorpay: Razorpay) => Promise<unknown>,
  ): Promise<z.infer<One> | Problem>
  /** Over HTTP: RazorpayX, which the SDK does not have. */
  http<One extends z.ZodType>(
    what: string,
    shape: One,
    request: Parameters<Remote['ask']>[0],
  ): Promise<z.infer<One> | Problem>
  reachable(): Promise<boolean>
}

export function razorpayClient(options: RazorpayOptions): Client {
  const { keyId, keySecret, accountNumber } = options
  const apiBase = (options.apiBase ?? API_BASE).replace(/\/+$/, '')
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS

  const credentials = Buffer.from(`${keyId}:${keySecret.reveal()}`).toString('base64')

  const razorpay = new Razorpay({ key_id: keyId, key_secret: keySecret.reveal() })
  prepare(razorpay, { apiBase, timeoutMs })
  const service = remote({
    name: 'Razorpay',
    url: apiBase,
    timeoutMs,
    headers: { authorization: `Basic ${credentials}` },
  })

  const secrets = [credentials, ...[keySecret, accountNumber].flatMap((secret) => secret?.reveal() ?? [])]
  const clean = (text: string): string =>
    secrets.reduce((so, secret) => so.replaceAll(secret, '<redacted>'), text).slice(0, MAX_SENTENCE)

  return {
    async sdk(what, shape, call) {
      try {
        return read(what, shape, await call(razorpay))
      } catch (error) {
        return problemOfSdk(error, clean)
      }
    },

    async http(what, shape, request) {
      try {
        const { status, body } = await service.ask(request)
        return status >= 200 && status < 300 ? read(what, shape, body) : problemOfAnswer(status, body, clean)
      } catch (error) {
        if (error instanceof NotReached) return new Problem('not_sent', error.message)
        if (error instanceof Fault) return new Problem('unknown', error.message)
        throw error
      }
    },

    reachable: () => service.reachable('/v1/orders?count=1'),
  }
}

function read<One extends z.ZodType>(what: string, shape: One, said: unknown): z.infer<One> | Problem {
  const known = shape.safeParse(said)
  return known.success ? known.data : unreadable(what)
}

/** What the SDK hides inside: an axios instance. */
interface Transport {
  readonly defaults: Record<string, unknown>
  readonly interceptors: {
    readonly request: { use(change: (request: TransportRequest) => TransportRequest): void }
    readonly response: { use(answer: undefined, failure: (error: unknown) => never): void }
  }
}
interface TransportRequest {
  readonly url?: string
  readonly data?: unknown
  readonly headers: { set(name: string, value: string): void }
}

const Failure = z.object({
  code: z.string().optional(),
  response: z.object({ status: z.int(), data: z.unknown() }).optional(),
})

/**
 * The SDK takes neither a base URL nor a time limit nor a header of its own choice, and turns every network error into a
 * TypeError that says nothing (version 2.9.8): all of that is put right in the axios instance underneath.
 */
function prepare(razorpay: Razorpay, { apiBase, timeoutMs }: { apiBase: string; timeoutMs: number }): void {
  const { rq } = razorpay.api as unknown as { rq: Transport }
  Object.assign(rq.defaults, {
    baseURL: apiBase,
    timeout: timeoutMs,
    maxContentLength: MAX_ANSWER_BYTES,
    // Followed blindly, a redirect would carry our credentials to another host.
    maxRedirects: 0,
    // As `fetch` does: both ways to Razorpay take the same route.
    proxy: false,
  })
  rq.interceptors.request.use((request) => {
    const { data } = z.object({ data: z.object({ receipt: z.string() }) }).safeParse(request).data ?? {}
    if (data !== undefined && request.url?.endsWith('/refund')) request.headers.set(REFUND_KEY, data.receipt)
    return request
  })
  rq.interceptors.response.use(undefined, (error) => {
    const { code, response } = Failure.safeParse(error).data ?? {}
    // Only this goes on: the error itself holds the request with its credentials.
    const data = response
      ? z.object({ error: z.unknown() }).catch({ error: undefined }).parse(response.data)
      : undefined
    throw { response: { status: response?.status ?? 0, data: data ?? { error: { code } } } }
  })
}

/** Ten characters at least; the same key with another body is refused. */
const REFUND_KEY = 'X-Refund-Idempotency'

const SdkFailure = z.object({ statusCode: z.int(), error: z.unknown() })
const NetworkFailure = z.object({ code: z.string() })

function problemOfSdk(thrown: unknown, clean: (text: string) => string): Problem {
  const { statusCode, error } = SdkFailure.safeParse(thrown).data ?? {}
  if (statusCode === undefined || statusCode === 0) return problemOfNetwork(NetworkFailure.safeParse(error).data?.code)
  return problemOfAnswer(statusCode, { error }, clean)
}
