import { z } from 'zod'
import { Fault } from '../../kit/fault.ts'
import type { Secret } from '../../kit/secret.ts'
import { NotReached, remote } from '../http.ts'
import type { NotSent, Unknown } from '../port.ts'

/** What Paystack said, sorted by what it says about the request. */
export type Reply =
  | { readonly outcome: 'answered'; readonly data: unknown; readonly meta: unknown }
  /** It understood, and did nothing. */
  | { readonly outcome: 'refused'; readonly code: string; readonly message: string }
  | NotSent
  | Unknown

export interface Client {
  ask(method: 'GET' | 'POST', path: string, body?: unknown): Promise<Reply>
  reachable(): Promise<boolean>
}

const HOST = 'https://api.paystack.co'

/** Milliseconds. */
const TIMEOUT_MS = 15_000

/** Letters of a message of theirs that are passed on. */
const MAX_MESSAGE = 200

/** `status` says that the request was understood, nothing about the payment. */
const Envelope = z.object({
  status: z.boolean(),
  message: z.string().default(''),
  code: z.string().optional(),
  data: z.unknown().optional(),
  meta: z.unknown().optional(),
})

export function paystackClient(options: {
  secretKey: Secret
  apiBase?: string | undefined
  timeoutMs?: number | undefined
}): Client {
  const key = options.secretKey.reveal()
  const service = remote({
    name: 'Paystack',
    url: options.apiBase ?? HOST,
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    headers: { authorization: `Bearer ${key}` },
  })
  /** A message may quote what was sent. */
  const tame = (message: string): string => message.replaceAll(key, '<redacted>').slice(0, MAX_MESSAGE)

  return {
    async ask(method, path, body) {
      try {
        const answer = await service.ask({ method, path, body })
        const { data: envelope } = Envelope.safeParse(answer.body)
        const said = envelope === undefined ? '' : `: ${tame(envelope.message)}`
        const reason = `Paystack answered with status ${answer.status}${said}`
        const { status } = answer
        if (status === 401 || status === 403 || status === 429) return { outcome: 'not_sent', reason }
        // Anything that is not Paystack's own envelope may come from somebody in between.
        if (status < 200 || status >= 500 || status === 408 || envelope === undefined)
          return { outcome: 'unknown', reason }
        if (status < 300 && envelope.status) return { outcome: 'answered', data: envelope.data, meta: envelope.meta }
        if (envelope.status || status < 400) return { outcome: 'unknown', reason }
        return { outcome: 'refused', code: envelope.code ?? 'refused', message: tame(envelope.message) }
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        return { outcome: error instanceof NotReached ? 'not_sent' : 'unknown', reason: error.message }
      }
    },
    reachable: () => service.reachable('/balance'),
  }
}

/** A question that was not answered leaves open what was done before it, also when the question itself was never sent. */
export const asUnknown = (reply: NotSent | Unknown): Unknown => ({ outcome: 'unknown', reason: reply.reason })

export const unusable = (wanted: string): Unknown => ({
  outcome: 'unknown',
  reason: `Paystack gave no usable answer about a ${wanted}`,
})
