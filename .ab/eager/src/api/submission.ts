import { z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { type KindName, kindNamed } from '../jobs/catalogue.ts'
import type { Accepted, Intake } from '../jobs/intake.ts'
import type { Kind } from '../jobs/kind.ts'
import { type OperationStatus, operationStatuses } from '../jobs/operation.ts'
import type { OperationView } from '../jobs/operation-reads.ts'
import { openFields } from '../jobs/sealing.ts'
import type { Clock } from '../kit/clock.ts'
import type { Keyring } from '../kit/keyring.ts'
import type { Caller } from './access.ts'
import { doorRefusals } from './door-refusals.ts'
import { errorBody, errorSchema, Invalid } from './errors.ts'
import { preferredWait } from './prefer.ts'
import { addHeader, headerOf, reply } from './reply.ts'
import type { Access, Asked, Env, RouteDeclaration, Router } from './route.ts'
import type { Waiting } from './waiting.ts'

export interface SubmissionParts {
  readonly intake: Intake
  readonly waiting: Waiting
  readonly keyring: Keyring
  readonly clock: Clock
  /** Applied where the caller states no wait of their own, in seconds. */
  readonly defaultWaitSeconds: number
}

export const acceptedSchema = z
  .object({
    operation_id: z.uuid(),
    kind: z.string().openapi({ example: 'token.deduct' }),
    status: z.enum(operationStatuses),
    status_url: z.string(),
    submitted_at: z.iso.datetime(),
  })
  .openapi('Accepted')

export const submissionHeaders = z.object({
  prefer: z.string().optional().openapi({
    description: 'wait=N: answer with the outcome if there is one within N seconds (30 at most).',
    example: 'wait=10',
  }),
  'idempotency-key': z.string().min(1).max(255).optional().openapi({
    description: 'Makes a repeat safe: the same key and body always mean the first operation. Kept at least 30 days.',
  }),
})

/** A field that stands in the path just as the kind's schema has it. */
export const AS_IN_KIND = Symbol('as the kind has it')

export interface SubmissionRoute<Name extends KindName> {
  readonly kind: Name
  readonly method: 'post' | 'put' | 'delete'
  readonly path: string
  readonly tag: string
  readonly summary: string
  readonly access: Access
  readonly limits?: RouteDeclaration['limits']
  /** Fields of the kind's input that come from the path: how to read each of them. Everything else is the body. */
  readonly fromPath?: { readonly [field: string]: ((written: string) => Promise<string> | string) | typeof AS_IN_KIND }
  /** Fields of the kind's input that stand in the query and not in the body. */
  readonly fromQuery?: readonly string[]
  /** Fields that the door fills in over what was sent; those that the kind keeps `apart` are never read from the body. */
  readonly fill?: (
    asked: Asked<Record<string, unknown>, Record<string, unknown>, Record<string, unknown>>,
  ) => Record<string, unknown>
  /** What the door itself refuses here, by code, with its status. */
  readonly refuses?: Readonly<Record<string, number>>
  /** The field whose value is the caller's credential here, so that keys of different owners never meet. */
  readonly credential?: string
}

/** Declares the route of a kind: everything is derived from the kind's declaration. */
export function submission<Name extends KindName>(
  router: Router,
  parts: SubmissionParts,
  route: SubmissionRoute<Name>,
): void {
  const kind = kindNamed(route.kind)
  const inPath = Object.keys(route.fromPath ?? {})
  const filled = kind.apart ?? []
  const inQuery = route.fromQuery ?? []
  const elsewhere = new Set([...inPath, ...inQuery, ...filled])
  const bodyFields = Object.keys(kind.input.shape).filter((field) => !elsewhere.has(field))
  const body =
    bodyFields.length === 0
      ? undefined
      : z.object(Object.fromEntries(bodyFields.map((field) => [field, kind.input.shape[field]])))
  const query =
    inQuery.length === 0
      ? undefined
      : z.object(Object.fromEntries(inQuery.map((field) => [field, kind.input.shape[field]])))
  const inPathAs = (field: string) => (route.fromPath?.[field] === AS_IN_KIND ? kind.input.shape[field] : z.string())
  const params =
    inPath.length === 0 ? undefined : z.object(Object.fromEntries(inPath.map((field) => [field, inPathAs(field)])))

  router.route(
    {
      method: route.method,
      path: route.path,
      tag: route.tag,
      summary: route.summary,
      description: kind.doc,
      access: route.access,
      ...(route.limits === undefined ? {} : { limits: route.limits }),
      ...(params === undefined ? {} : { params }),
      ...(query === undefined ? {} : { query }),
      ...(body === undefined ? {} : { body }),
      headers: submissionHeaders,
      answers: submissionAnswers(kind, route.refuses),
    },
    async (asked: Asked<Record<string, unknown>, Record<string, unknown>, Record<string, unknown>>) => {
      const input: Record<string, unknown> = { ...asked.query, ...asked.sent, ...route.fill?.(asked) }
      for (const [field, read] of Object.entries(route.fromPath ?? {}))
        input[field] = read === AS_IN_KIND ? asked.params[field] : await read(String(asked.params[field]))
      const problems = kind.check?.(input) ?? []
      if (problems.length > 0)
        throw new Invalid(
          problems.map(({ field, message }) => ({ loc: ['body', field], msg: message, type: 'custom' })),
        )
      const credential = route.credential === undefined ? undefined : `${route.credential}:${input[route.credential]}`
      return submit(parts, asked, {
        kind: route.kind,
        input,
        scope: `${principal(asked.caller, credential)}\n${route.method} ${route.path}`,
      })
    },
  )
}

/** Whose an Idempotency-Key is. Each sort has its own prefix, so that no subject can be called like another's credential. */
const principal = ({ subject }: Caller, credential: string | undefined): string =>
  subject !== undefined ? `subject:${subject}` : credential !== undefined ? `credential:${credential}` : 'anybody'

/** Hands a request to the intake and answers as the contract says: 202 after the commit, or the outcome if it comes in time. */
export async function submit(
  parts: SubmissionParts,
  { c, caller, requestId }: Pick<Asked<unknown, unknown, unknown>, 'c' | 'caller' | 'requestId'>,
  wanted: { readonly kind: KindName; readonly input: Record<string, unknown>; readonly scope: string },
): Promise<Response> {
  const key = idempotencyKey(c)
  const accepted = await parts.intake.submit({
    kind: wanted.kind,
    input: wanted.input,
    submittedBy: caller.subject,
    requestId,
    idempotency: key === undefined ? undefined : { scope: wanted.scope, key },
  })
  c.set('operation', { id: accepted.id, kind: accepted.kind })
  addHeader(c, 'Vary', 'Prefer')
  if (accepted.replayed) addHeader(c, 'Idempotency-Replayed', 'true')

  const preferred = preferredWait(headerOf(c, 'prefer'))
  const seconds = preferred ?? parts.defaultWaitSeconds
  const outcome = seconds > 0 ? await parts.waiting.until(accepted.id, seconds * 1_000) : undefined
  if (outcome === undefined || outcome.status === 'stuck')
    return acceptedAnswer(c, accepted, outcome?.status ?? accepted.status)
  if (preferred !== undefined) addHeader(c, 'Preference-Applied', `wait=${preferred}`)
  return outcomeAnswer(c, parts, outcome)
}

const statusUrl = (id: string) => `/api/v1/operations/${id}`

function acceptedAnswer(c: Context<Env>, accepted: Accepted, status: OperationStatus): Response {
  addHeader(c, 'Location', statusUrl(accepted.id))
  addHeader(c, 'Retry-After', '1')
  return reply(
    c,
    {
      operation_id: accepted.id,
      kind: accepted.kind,
      status,
      status_url: statusUrl(accepted.id),
      submitted_at: accepted.submittedAt.toISOString(),
    },
    202,
  )
}

function outcomeAnswer(c: Context<Env>, parts: SubmissionParts, outcome: OperationView): Response {
  addHeader(c, 'Operation-Id', outcome.id)
  if (outcome.error !== null) {
    const about = { at: parts.clock.now(), requestId: c.get('requestId') }
    return reply(c, errorBody(outcome.error, about), outcome.error.http_status)
  }
  return reply(c, openFields(kindNamed(outcome.kind), 'result', parts.keyring, outcome.id, outcome.result))
}

const KEY = /^[\x20-\x7e]{1,255}$/

/** Bare or quoted, as the draft standard and as practice have it. */
function idempotencyKey(c: Context): string | undefined {
  const header = headerOf(c, 'idempotency-key')
  if (header === undefined) return undefined
  const [, quoted] = /^"(.*)"$/.exec(header.trim()) ?? []
  const key = quoted ?? header.trim()
  if (!KEY.test(key)) throw doorRefusals.invalidKey()
  return key
}

/** What the route of a kind may answer: accepted, done, or refused, at the door or by the outcome. */
export function submissionAnswers(
  kind: Kind,
  atTheDoor: Readonly<Record<string, number>> = {},
): RouteDeclaration['answers'] {
  const outcome = ['Operation-Id', 'Preference-Applied', 'Idempotency-Replayed', 'Vary'] as const
  const codes = Object.entries({ 'request.invalidKey': 400, 'intake.keyReused': 422, ...atTheDoor, ...kind.refusals })
  const refused = [...Map.groupBy(codes, ([, status]) => status)].map(([status, refusals]) => [
    status,
    { says: `Refused: ${refusals.map(([code]) => code).join(', ')}`, schema: errorSchema, headers: outcome },
  ])
  return {
    200: { says: 'Done within the time that the caller preferred to wait', schema: kind.result, headers: outcome },
    202: {
      says: 'Accepted: it will be done exactly once. Poll status_url.',
      schema: acceptedSchema,
      headers: ['Location', 'Retry-After', 'Idempotency-Replayed', 'Vary'],
    },
    ...Object.fromEntries(refused),
  }
}
