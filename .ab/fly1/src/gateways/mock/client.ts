import { z } from 'zod'
import { Fault } from '../../kit/fault.ts'
import type { Secret } from '../../kit/secret.ts'
import { NotReached, remote } from '../http.ts'
import type { NotSent, Unknown } from '../port.ts'

/** What the mock gateway said, sorted by what it says about the request. */
export type Reply =
  | { readonly outcome: 'answered'; readonly body: unknown }
  /** It understood, and did nothing. */
  | { readonly outcome: 'refused'; readonly status: number; readonly code: string; readonly message: string }
  | NotSent
  | Unknown

export interface Client {
  ask(request: { method: 'GET' | 'POST'; path: string; body?: unknown; key?: string }): Promise<Reply>
  reachable(): Promise<boolean>
}

/** Milliseconds. */
const TIMEOUT_MS = 15_000

const Refusal = z.object({ error: z.object({ code: z.string(), message: z.string() }) })

export function mockClient(options: { key: Secret; apiBase: string; timeoutMs?: number | undefined }): Client {
  const service = remote({
    name: 'The mock gateway',
    url: options.apiBase,
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    headers: { authorization: `Bearer ${options.key.reveal()}` },
  })

  return {
    async ask({ key, ...request }) {
      try {
        const headers: Record<string, string> = key === undefined ? {} : { 'idempotency-key': key }
        const { status, body } = await service.ask({ ...request, headers })
        if (status >= 200 && status < 300) return { outcome: 'answered', body }
        const refusal = Refusal.safeParse(body)
        const code = refusal.success ? `, ${refusal.data.error.code}` : ''
        const reason = `The mock gateway answered with status ${status}${code}`
        if (status === 401 || status === 403 || status === 429) return { outcome: 'not_sent', reason }
        // Without its own form of error it may have come from something in between.
        if (status < 400 || status >= 500 || !refusal.success) return { outcome: 'unknown', reason }
        return { outcome: 'refused', status, ...refusal.data.error }
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        return { outcome: error instanceof NotReached ? 'not_sent' : 'unknown', reason: error.message }
      }
    },
    reachable: () => service.reachable('/health'),
  }
}

/** A question that was not answered leaves open what was done before it, also when the question itself was never sent. */
export const asUnknown = (reply: NotSent | Unknown): Unknown => ({ outcome: 'unknown', reason: reply.reason })
