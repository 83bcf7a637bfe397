import { refusals } from '../kit/refusal.ts'

/** What is refused before anything was looked at. */
export const doorRefusals = refusals('request', {
  malformedJson: {
    status: 400,
    error: 'MalformedJson',
    says: () => 'The body is not valid JSON. Send one JSON object.',
  },
  incomplete: {
    status: 400,
    error: 'IncompleteBody',
    says: () => 'The body broke off before its end. Nothing was accepted; send the request again.',
  },
  tooDeep: {
    status: 400,
    error: 'NestedTooDeep',
    says: () => 'The body nests deeper than 64 levels. No request needs more than a few.',
  },
  unsupportedMediaType: {
    status: 415,
    error: 'UnsupportedMediaType',
    says: () => 'Send the body as plain JSON, not compressed, with the header «Content-Type: application/json».',
  },
  tooLarge: {
    status: 413,
    error: 'PayloadTooLarge',
    says: ({ maxBytes }: { maxBytes: number }) => `The body is larger than ${maxBytes} bytes.`,
  },
  invalid: {
    status: 422,
    error: 'ValidationError',
    says: ({ problems }: { problems: number }) =>
      `The request has ${problems === 1 ? 'one problem' : `${problems} problems`}, listed in «detail».`,
  },
  rawCardData: {
    status: 422,
    error: 'RawCardData',
    says: ({ path }: { path: string }) =>
      `«${path}» holds a card number. Card numbers are neither taken nor stored here: send the token that your payment page got from the gateway.`,
  },
  invalidKey: {
    status: 400,
    error: 'InvalidIdempotencyKey',
    says: () => 'Idempotency-Key must have 1 to 255 printable characters.',
  },
  notFound: {
    status: 404,
    error: 'NotFound',
    says: () => 'There is nothing here. The routes are listed in /openapi.json and /docs.',
  },
  methodNotAllowed: {
    status: 405,
    error: 'MethodNotAllowed',
    says: ({ allowed }: { allowed: string }) => `This path answers to ${allowed}.`,
  },
  tooMany: {
    status: 429,
    error: 'TooManyRequests',
    says: ({ seconds }: { seconds: number }) => `Too many requests. Try again in ${seconds} s.`,
  },
  unavailable: {
    status: 503,
    error: 'DatabaseUnavailable',
    says: () => 'The database cannot be reached. Try again after the Retry-After time.',
  },
  broken: {
    status: 500,
    error: 'InternalError',
    says: () => 'Something is broken on our side. It was logged under this request_id.',
  },
})
