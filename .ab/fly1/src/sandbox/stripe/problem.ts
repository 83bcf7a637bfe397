/** A «no» of Stripe's: its status and what stands under `error`. */
export class Problem extends Error {
  readonly status: 400 | 401 | 402 | 403 | 404 | 409 | 429 | 500
  readonly error: Readonly<Record<string, unknown>>

  constructor(status: Problem['status'], error: { type: string; message: string; [field: string]: unknown }) {
    super(error.message)
    this.status = status
    this.error = error
  }
}

const invalid = (status: 400 | 404, message: string, more: Record<string, unknown> = {}): Problem =>
  new Problem(status, { type: 'invalid_request_error', message, ...more })

/** A request that was understood and cannot be done. */
export const refused = (message: string, code?: string, param?: string): Problem =>
  invalid(400, message, {
    ...(code === undefined
      ? {}
      : { code, doc_url: `https://stripe.com/docs/error-codes/${code.replaceAll('_', '-')}` }),
    ...(param === undefined ? {} : { param }),
  })

/** The path names nothing (404), or a parameter does (400). */
export const noSuch = (what: string, id: string, param?: string): Problem =>
  invalid(param === undefined ? 404 : 400, `No such ${what}: '${id}'`, {
    code: 'resource_missing',
    doc_url: 'https://stripe.com/docs/error-codes/resource-missing',
    param: param ?? 'id',
  })

/** Parameters that do not parse. Nothing was begun, so that the idempotency key stays unused. */
export class ParameterProblem extends Problem {}

export const badParameter = (code: string, message: string, param: string): ParameterProblem =>
  new ParameterProblem(400, { type: 'invalid_request_error', code, message, param })

export const apiError = { type: 'api_error', message: 'An unknown error occurred' } as const
export const rateLimit = {
  type: 'invalid_request_error',
  code: 'rate_limit',
  message: 'Request rate limit exceeded.',
} as const
