import { z } from 'zod'
import { NOT_SENT } from '../http.ts'
import type { Declined, NotSent, Unknown } from '../port.ts'
import { declined } from './declines.ts'

const ErrorBody = z.object({
  error: z.object({
    code: z.string().nullish(),
    description: z.string().nullish(),
    reason: z.string().nullish(),
    metadata: z.object({ payment_id: z.string().nullish() }).nullish().catch(undefined),
  }),
})

/** Why there is nothing of Razorpay's to read. A value, not an error: nothing throws for what a gateway does. */
export class Problem {
  /** `refused`: it understood, did nothing, and says why. */
  readonly kind: 'not_sent' | 'unknown' | 'refused'
  /** For operators. */
  readonly reason: string
  readonly #declined: Declined | undefined

  constructor(kind: Problem['kind'], reason: string, because?: Declined) {
    this.kind = kind
    this.reason = reason
    this.#declined = because
  }

  /** The answer of a call that would have moved money. */
  get answer(): Declined | NotSent | Unknown {
    if (this.kind === 'not_sent') return { outcome: 'not_sent', reason: this.reason }
    return this.#declined ?? this.asUnknown
  }

  /** The answer of a look-up: that *it* was not sent says nothing about what it was to find. */
  get asUnknown(): Unknown {
    return { outcome: 'unknown', reason: this.reason }
  }

  /** Razorpay answers 400, not 404, for an id that it does not know. */
  get isAbsence(): boolean {
    return (
      this.kind === 'refused' &&
      /does not exist|not a valid id|no db records found/i.test(this.#declined?.message ?? '')
    )
  }
}

/** Statuses whose request did nothing: our key is refused, or there were too many requests. */
const NOTHING_DONE: ReadonlySet<number> = new Set([401, 403, 429])

/** Statuses of a request whose fate is open: too slow, or another one with the same key is still under way. */
const OPEN: ReadonlySet<number> = new Set([408, 409])

/** Also comes with status 400. */
const KEY_REFUSED = /^(the api key provided is invalid|authentication failed$)/i

/** What an HTTP answer other than a success means. `clean` takes out what no operator may read. */
export function problemOfAnswer(status: number, body: unknown, clean: (text: string) => string): Problem {
  const { error } = ErrorBody.safeParse(body).data ?? {}
  const said = error?.description ? `: ${clean(error.description)}` : ''
  const reason = `Razorpay answered ${status}${said}`
  if (NOTHING_DONE.has(status) || (status === 400 && KEY_REFUSED.test(error?.description ?? '')))
    return new Problem('not_sent', reason)
  // A no that does not read as Razorpay's may be a proxy's, which knows nothing of what Razorpay did.
  if (status < 400 || status >= 500 || OPEN.has(status) || error === undefined) return new Problem('unknown', reason)
  return new Problem(
    'refused',
    reason,
    declined({
      id: error?.metadata?.payment_id ?? undefined,
      code: codeOf(error?.reason, error?.description) ?? error?.code?.toLowerCase(),
      message: error?.description ? clean(error.description) : undefined,
    }),
  )
}

/** What a network error means, by its name such as ECONNREFUSED. */
export function problemOfNetwork(code: string | undefined): Problem {
  if (code !== undefined && NOT_SENT.has(code))
    return new Problem('not_sent', `Razorpay could not be reached (${code})`)
  return new Problem('unknown', `Razorpay gave no answer (${code ?? 'no connection'})`)
}

/** An answer with a good status that is none of Razorpay's, such as a proxy's page. */
export const unreadable = (what: string): Problem =>
  new Problem('unknown', `Razorpay answered a request for ${what} with something else`)

/**
 * Razorpay writes `NA` or `null` for a reason that it does not have. That our balance there is too low, or that our account may
 * not do something at all, it only says in words.
 */
function codeOf(reason: string | null | undefined, description: string | null | undefined): string | undefined {
  if (/not have enough balance/i.test(description ?? '')) return 'low_balance'
  if (/^the requested url was not found/i.test(description ?? '')) return 'feature_not_enabled'
  return reason === null || reason === undefined || /^(na|null|)$/i.test(reason) ? undefined : reason
}
