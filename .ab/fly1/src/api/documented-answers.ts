import type { z } from '@hono/zod-openapi'
import { errorSchema } from './errors.ts'
import type { RouteDeclaration } from './route.ts'

/** The headers that our answers may carry, as the document describes them. */
const headers = {
  'X-Request-Id': 'Names this request in our logs.',
  'WWW-Authenticate': 'How to say who is asking.',
  'Retry-After': 'Seconds after which to come back.',
  'RateLimit-Limit': 'Requests in one window.',
  'RateLimit-Remaining': 'Requests left in this window.',
  'RateLimit-Reset': 'Seconds until the window is over.',
  Location: 'Where to ask how the operation stands.',
  'Operation-Id': 'The operation whose outcome this is.',
  'Preference-Applied': 'The wait that was applied, after clamping.',
  'Idempotency-Replayed': '«true»: the key was used before, and this is the first operation.',
  Vary: 'The answer depends on the header Prefer.',
} as const

export type HeaderName = keyof typeof headers

export interface DocumentedAnswer {
  readonly says: string
  readonly schema?: z.ZodType
  readonly type?: string
  readonly headers?: readonly HeaderName[]
}

type Listed = readonly [status: number, answer: DocumentedAnswer]

/** Every answer that a route can give: those that it declares, and the errors that follow from what it is. */
export function documentedAnswers(declared: RouteDeclaration) {
  const listed = Object.entries(declared.answers).map(([status, answer]): Listed => [Number(status), answer])
  const byStatus = Map.groupBy([...implied(declared), ...listed], ([status]) => status)
  return Object.fromEntries(
    [...byStatus].map(([status, answers]) => [status, described(answers.map(([, answer]) => answer))]),
  )
}

/** One status may have several reasons; the last one's body is the most telling. */
function described(answers: readonly DocumentedAnswer[]) {
  const names = new Set<HeaderName>(['X-Request-Id', ...answers.flatMap((answer) => answer.headers ?? [])])
  const { schema, type = 'application/json' } = answers.at(-1) ?? {}
  return {
    description: answers.map(({ says }) => says).join('. '),
    headers: Object.fromEntries(
      [...names].map((name) => [name, { description: headers[name], schema: { type: 'string' as const } }]),
    ),
    ...(schema === undefined ? {} : { content: { [type]: { schema } } }),
  }
}

/** The errors that follow from what a route is, so that no route forgets to list them. */
function implied({ access, params, query, body }: RouteDeclaration): Listed[] {
  const error = (status: number, says: string, ...names: HeaderName[]): Listed => [
    status,
    { says, schema: errorSchema, headers: names },
  ]
  const errors = [
    error(
      401,
      access === 'anyone' ? 'A token was sent, and it is not valid' : 'Who is asking is not known',
      'WWW-Authenticate',
    ),
    error(429, 'Too many requests', 'Retry-After', 'RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset'),
    error(503, 'The database cannot be reached, or more is waiting than can be taken in', 'Retry-After'),
  ]
  if (Array.isArray(access)) errors.push(error(403, 'The caller lacks the role'))
  if (access === 'caller') errors.push(error(403, 'The caller may not act for somebody else'))
  if (params !== undefined || query !== undefined || body !== undefined)
    errors.push(error(422, 'The request has problems; «detail» lists every one of them'))
  if (body !== undefined) {
    errors.push(
      error(400, 'The body is not JSON, broke off, or nests too deep'),
      error(413, 'The body is too large'),
      error(415, 'The body is of another content type'),
    )
  }
  return errors
}
