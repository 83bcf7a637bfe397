import { z } from 'zod'
import { Fault } from '../kit/fault.ts'
import { type Amount, amount } from '../kit/money.ts'
import { type Answer, remote } from './http.ts'

/** How much a voice may be given: in one token, in a UTC day, in a UTC month. Whole units of BUDGET. */
export interface VoiceLimits {
  readonly transaction: Amount
  readonly daily: Amount
  readonly monthly: Amount
}

/** Who a voice belongs to is known elsewhere. Both questions may be asked again; no answer to judge is a Fault. */
export interface VoiceService {
  verify(voiceId: string): Promise<boolean>
  limits(voiceId: string): Promise<VoiceLimits>
  /** Never throws. */
  reachable(): Promise<boolean>
}

/** For voices about which the service says nothing. */
export const DEFAULT_VOICE_LIMITS: VoiceLimits = {
  transaction: amount(500),
  daily: amount(1_000),
  monthly: amount(10_000),
}

/** Milliseconds. A voice that has to be compared with many takes about 5 s, which is slow but no failure. */
const TIMEOUT_MS = 10_000

const Verification = z.object({ verified: z.boolean() })

const Limit = z.int().nonnegative()
const Limits = z.object({
  transaction_limit: Limit.optional(),
  daily_limit: Limit.optional(),
  monthly_limit: Limit.optional(),
})

export function voiceService(options: { url: string; timeoutMs?: number }): VoiceService {
  const service = remote({ name: 'The voice service', url: options.url, timeoutMs: options.timeoutMs ?? TIMEOUT_MS })

  return {
    async verify(voiceId) {
      const answer = await service.ask({ method: 'POST', path: '/verify', body: { voice_id: voiceId.toWellFormed() } })
      const verification = Verification.safeParse(answer.body)
      if (!verification.success || !isDecision(answer)) throw unusable(answer, 'a verification')
      if (isSuccess(answer)) return verification.data.verified
      // «No» may come with a status of its own such as 401; «yes» may not.
      if (verification.data.verified) throw unusable(answer, 'a verification')
      return false
    },

    async limits(voiceId) {
      // A URL cannot name these two: they would be taken as «here» and «one up».
      if (voiceId === '.' || voiceId === '..') return DEFAULT_VOICE_LIMITS
      const path = `/limits/${encodeURIComponent(voiceId.toWellFormed())}`
      const answer = await service.ask({ method: 'GET', path })
      if (answer.status === 404 || answer.status === 501) return DEFAULT_VOICE_LIMITS
      const limits = Limits.safeParse(answer.body)
      if (!isSuccess(answer) || !limits.success) throw unusable(answer, 'limits')
      const { transaction_limit, daily_limit, monthly_limit } = limits.data
      return {
        transaction: transaction_limit === undefined ? DEFAULT_VOICE_LIMITS.transaction : amount(transaction_limit),
        daily: daily_limit === undefined ? DEFAULT_VOICE_LIMITS.daily : amount(daily_limit),
        monthly: monthly_limit === undefined ? DEFAULT_VOICE_LIMITS.monthly : amount(monthly_limit),
      }
    },

    reachable: () => service.reachable('/health'),
  }
}

const isSuccess = ({ status }: Answer): boolean => status >= 200 && status < 300

/** Statuses with which the service can mean what it says: not a redirect, a time-out, «later», or a failure of its own. */
const isDecision = (answer: Answer): boolean =>
  isSuccess(answer) || (answer.status >= 400 && answer.status < 500 && answer.status !== 408 && answer.status !== 429)

const unusable = ({ status }: Answer, wanted: string): Fault =>
  new Fault(`The voice service gave no usable answer to a request for ${wanted} (status ${status})`)
