import { z } from '@hono/zod-openapi'
import { isFault } from '../kit/fault.ts'
import { Refusal } from '../kit/refusal.ts'
import { doorRefusals } from './door-refusals.ts'

/** One problem of a request, as the seeds' clients read it. */
export interface Problem {
  readonly loc: readonly (string | number)[]
  readonly msg: string
  readonly type: string
}

/** A refusal that lists every problem of a request. */
export class Invalid extends Error {
  readonly refusal: Refusal
  readonly problems: readonly Problem[]
  constructor(problems: readonly Problem[]) {
    const refusal = doorRefusals.invalid({ problems: problems.length })
    super(refusal.message)
    this.refusal = refusal
    this.problems = problems
  }
}

/** A refusal with headers that tell the caller what to do, such as Retry-After or Allow. */
export class RefusalWithHeaders extends Error {
  readonly refusal: Refusal
  readonly headers: Readonly<Record<string, string>>
  constructor(refusal: Refusal, headers: Readonly<Record<string, string>>) {
    super(refusal.message)
    this.refusal = refusal
    this.headers = headers
  }
}

/** The one body of every error, everywhere. */
export const errorSchema = z
  .object({
    error: z.string().openapi({ example: 'InsufficientBudget' }),
    code: z.string().openapi({ example: 'token.insufficient', description: 'Stable; made for programs.' }),
    message: z.string().openapi({ example: 'Insufficient budget: 30 wanted, 20 available' }),
    detail: z.union([
      z.string(),
      z.array(z.object({ loc: z.array(z.union([z.string(), z.int()])), msg: z.string(), type: z.string() })),
    ]),
    timestamp: z.iso.datetime(),
    request_id: z.string().nullable(),
    refusal: z.string().optional().openapi({
      example: 'wallet.insufficient',
      description: 'Our own code, where `code` is one that older clients know, such as PAY_002.',
    }),
  })
  .openapi('Error')

export type ErrorBody = z.input<typeof errorSchema>

export function errorBody(
  says: {
    readonly error: string
    readonly code: string
    readonly message: string
    readonly seedCode?: string | undefined
    readonly refusal?: string | undefined
  },
  about: { readonly at: Date; readonly requestId: string | null; readonly problems?: readonly Problem[] },
): ErrorBody {
  const refusal = says.seedCode === undefined ? says.refusal : says.code
  return {
    error: says.error,
    code: says.seedCode ?? says.code,
    message: says.message,
    detail: about.problems?.map(({ loc, msg, type }) => ({ loc: [...loc], msg, type })) ?? says.message,
    timestamp: about.at.toISOString(),
    request_id: about.requestId,
    ...(refusal === undefined ? {} : { refusal }),
  }
}

/** For routes that a browser may open: it asks for the password only when it is told that there is one. */
export const BASIC_CHALLENGE = 'Basic realm="Bursar", charset="UTF-8"'

/** Seconds after which a caller may try again when we are overloaded or without a database. */
const RETRY_AFTER_SECONDS = '1'

export interface Answer {
  readonly refusal: Refusal
  readonly headers: Readonly<Record<string, string>>
  readonly problems?: readonly Problem[]
  /** Set when it is not the caller's doing, and must be logged. */
  readonly unexpected?: unknown
}

/** What an error means to the caller. Anything unforeseen says nothing of its inside. */
export function answerTo(error: unknown): Answer {
  if (error instanceof Invalid) return { refusal: error.refusal, headers: {}, problems: error.problems }
  if (error instanceof RefusalWithHeaders) return { refusal: error.refusal, headers: error.headers }
  if (error instanceof Refusal) {
    if (error.status === 503) return { refusal: error, headers: { 'Retry-After': RETRY_AFTER_SECONDS } }
    return { refusal: error, headers: {} }
  }
  if (isFault(error)) {
    return { refusal: doorRefusals.unavailable(), headers: { 'Retry-After': RETRY_AFTER_SECONDS }, unexpected: error }
  }
  return { refusal: doorRefusals.broken(), headers: {}, unexpected: error }
}
