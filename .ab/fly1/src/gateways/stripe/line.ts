import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { setTimeout as pause } from 'node:timers/promises'
import Stripe from 'stripe'
import { assert } from '../../kit/assert.ts'
import type { Secret } from '../../kit/secret.ts'
import { NOT_SENT } from '../http.ts'
import type { NotSent, Unknown } from '../port.ts'
import { withoutSecrets } from './redaction.ts'

/** Stripe understood, and said no: nothing was done. */
export interface Refused {
  readonly outcome: 'refused'
  readonly status: number
  /** The narrowest name that Stripe gives: a decline code, else the error's code, else its type. */
  readonly code: string
  readonly message: string
  /** Which field it is about: `payment_method`. */
  readonly param: string | undefined
  /** What the card's network advises: `do_not_try_again`. */
  readonly advice: string | undefined
  /** What the refused payment is called, where one was made: `pi_…`. */
  readonly payment: Stripe.PaymentIntent | undefined
}

export type Heard<T> = { readonly outcome: 'heard'; readonly value: T } | Refused | NotSent | Unknown

/** Stripe's official client, asked with a time limit and without surprises. */
export interface Line {
  /** Never throws for what the network or Stripe does. A call that is repeated inside is repeated under its own key. */
  ask<T>(call: (stripe: Stripe) => Promise<T>): Promise<Heard<T>>
  /** Did it answer anything but a server error within a second? Never throws. */
  reachable(): Promise<boolean>
}

/** Milliseconds until a connection has to be there: longer than a lost packet or two takes. */
const CONNECT_MS = 5_000

/** A health check that takes longer than this, in milliseconds, is no news worth waiting for. */
const HEALTH_TIMEOUT_MS = 1_000

export function line(options: { secretKey: Secret; apiBase?: string | undefined; timeoutMs: number }): Line {
  const { timeoutMs } = options
  const base = URL.parse(options.apiBase ?? 'https://api.stripe.com')
  assert(base !== null && /^https?:$/.test(base.protocol), 'The base of the Stripe API is not an http(s) URL')
  // The SDK is told host and port only: a path would be dropped in silence.
  assert(/^\/*$/.test(base.pathname), 'The base of the Stripe API has a path')
  const protocol = base.protocol === 'http:' ? 'http' : 'https'
  const stripe = new Stripe(options.secretKey.reveal(), {
    host: base.hostname.replace(/^\[|\]$/g, ''),
    port: base.port === '' ? (protocol === 'http' ? 80 : 443) : Number(base.port),
    protocol,
    timeout: timeoutMs,
    maxNetworkRetries: 0,
    telemetry: false,
    httpClient: patient(protocol),
  })

  async function once<T>(call: (stripe: Stripe) => Promise<T>, deadline: Promise<Unknown>): Promise<Heard<T> | Lost> {
    const asked = call(stripe).then(
      (value) => (isOfStripe(value) ? ({ outcome: 'heard', value } as const) : noAnswer),
      judge,
    )
    return Promise.race([asked, deadline])
  }

  return {
    async ask(call) {
      const timer = new AbortController()
      // The SDK's own limit is one of silence: an answer that comes drop by drop would never end.
      const deadline = pause(timeoutMs, undefined, { signal: timer.signal, ref: false }).then(
        () => unknown(`Stripe did not answer within ${timeoutMs} ms`),
        () => unknown('Stripe was not waited for'),
      )
      try {
        const first = await once(call, deadline)
        if (first.outcome !== 'lost') return first
        // Usually a connection that Stripe had closed while it was idle. The same call carries the same key.
        const second = await once(call, deadline)
        // Whatever stopped the repetition says nothing about the first one.
        if (second.outcome === 'lost' || second.outcome === 'not_sent') return unknown(first.reason)
        return second
      } finally {
        timer.abort()
      }
    },

    reachable: () =>
      stripe.balance.retrieve({}, { timeout: HEALTH_TIMEOUT_MS }).then(
        () => true,
        (error: unknown) => {
          const status = error instanceof Stripe.errors.StripeError ? error.statusCode : undefined
          return status !== undefined && status < 500
        },
      ),
  }
}

/** The connection ended before an answer came. */
interface Lost {
  readonly outcome: 'lost'
  readonly reason: string
}

const notSent = (reason: string): NotSent => ({ outcome: 'not_sent', reason })
export const unknown = (reason: string): Unknown => ({ outcome: 'unknown', reason })

const noAnswer = unknown('Stripe gave no usable answer (not an object of the API)')

/** Everything that Stripe answers has an id or is a list. A success that is neither came from somebody in between. */
const isOfStripe = (value: unknown): boolean =>
  value === undefined || (value !== null && typeof value === 'object' && ('id' in value || 'data' in value))

/** What an error of the SDK says about the money. Whatever is not certain is unknown. */
function judge(error: unknown): Refused | NotSent | Unknown | Lost {
  // The SDK trips over an answer that is JSON and nothing of Stripe's, such as `null`.
  if (!(error instanceof Stripe.errors.StripeError)) return noAnswer
  if (error instanceof Stripe.errors.StripeConnectionError) return judgeConnection(error)
  const status = error.statusCode
  switch (status) {
    case 401:
    case 403:
      return notSent(`Stripe refused our key (status ${status})`)
    case 429:
      return notSent('Stripe limits our rate (status 429)')
    case 400:
    case 402:
    case 404:
      // Somebody used our key for something else: what became of that, this answer does not say.
      if (error instanceof Stripe.errors.StripeIdempotencyError)
        return unknown('Stripe knows this reference with other content (idempotency_error)')
      return {
        outcome: 'refused',
        status,
        code: withoutSecrets(error.decline_code || error.code || error.rawType || 'invalid_request_error'),
        message: withoutSecrets(error.message),
        param: error.param,
        advice: error.advice_code,
        payment: error.payment_intent,
      }
    default:
      // 409: another request with this key is at work. 5xx: it may have been done. No status: not the answer of an API.
      return unknown(`Stripe gave no usable answer (status ${status ?? 'none'})`)
  }
}

function judgeConnection(error: InstanceType<typeof Stripe.errors.StripeConnectionError>): NotSent | Unknown | Lost {
  const code = codeOf(error.detail)
  if (UNSENT.test(code) || NOT_SENT.has(code)) return notSent(`Stripe could not be reached (${code})`)
  if (code === 'ETIMEDOUT') return unknown('Stripe did not answer in time')
  if (code === 'ECONNRESET' || code === 'EPIPE') return { outcome: 'lost', reason: `Stripe hung up (${code})` }
  return unknown(`The connection to Stripe broke (${code})`)
}

/** Codes of a handshake in which Stripe did not show who it is: nothing was said to it. */
const UNSENT = /CERT|^UNABLE_TO_(GET|VERIFY)|^UND_ERR_CONNECT/

const codeOf = (error: unknown): string => {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code.replace(ONCE, '') : 'no code'
}

/** Put in front of a code, so that the SDK does not repeat by itself: it would not say so, and hide a request that was sent. */
const ONCE = /^once:/

/** Whatever goes wrong while a connection is made goes wrong before anything is sent. */
function failureOf(error: unknown): Error {
  const { syscall } = (error ?? {}) as { syscall?: unknown }
  const code = syscall === 'connect' && !NOT_SENT.has(codeOf(error)) ? 'UND_ERR_CONNECT' : codeOf(error)
  return Object.assign(new Error('The request failed'), { code: `once:${code}` })
}

/** The SDK's client on connections of its own, each with a time limit for being made. */
function patient(protocol: 'http' | 'https'): ReturnType<typeof Stripe.createNodeHttpClient> {
  const agent = withConnectLimit(protocol === 'http' ? new HttpAgent(KEEP) : new HttpsAgent(KEEP), protocol)
  const client = Stripe.createNodeHttpClient(agent)
  return {
    getClientName: () => client.getClientName(),
    makeRequest: (...request) =>
      client.makeRequest(...request).then(
        (response) => {
          const toJSON = response.toJSON.bind(response)
          // On JSON that is a bare text or number the SDK fails where nobody can catch it, which ends the process.
          response.toJSON = async () => {
            const value: unknown = await toJSON()
            if (value === null || typeof value !== 'object') throw new Error('Not an object')
            return value
          }
          return response
        },
        (error: unknown) => {
          throw failureOf(error)
        },
      ),
  }
}

/** Connections are kept for the next call. */
const KEEP = { keepAlive: true } as const

function withConnectLimit<A extends HttpAgent>(agent: A, protocol: 'http' | 'https'): A {
  const connect = agent.createConnection.bind(agent)
  agent.createConnection = (...args) => {
    const socket = connect(...args)
    if (socket === null || socket === undefined) return socket
    const tooLate = Object.assign(new Error('No connection in time'), { code: 'UND_ERR_CONNECT_TIMEOUT' })
    const timer = setTimeout(() => socket.destroy(tooLate), CONNECT_MS)
    const done = () => clearTimeout(timer)
    socket.once(protocol === 'http' ? 'connect' : 'secureConnect', done)
    socket.once('close', done)
    return socket
  }
  return agent
}
