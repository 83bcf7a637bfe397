import { z } from '@hono/zod-openapi'
import { isKindName, kindNamed, kinds } from '../jobs/catalogue.ts'
import { operationStatuses } from '../jobs/operation.ts'
import { type OperationView, operationById, operationsPage } from '../jobs/operation-reads.ts'
import { operationRefusals } from '../jobs/operation-refusals.ts'
import { progressBody, progressOf, progressSchema } from '../jobs/runs.ts'
import { openFields } from '../jobs/sealing.ts'
import type { Clock } from '../kit/clock.ts'
import { isUuid } from '../kit/ids.ts'
import type { Keyring } from '../kit/keyring.ts'
import type { Sql } from '../kit/sql.ts'
import { type Caller, holds, type KnownCaller } from './access.ts'
import { errorBody, errorSchema } from './errors.ts'
import { paged, pageQuery } from './paging.ts'
import { preferredWait } from './prefer.ts'
import { addHeader, headerOf, reply } from './reply.ts'
import type { Router } from './route.ts'
import { type SubmissionParts, submissionAnswers, submissionHeaders, submit } from './submission.ts'

const operationSchema = z
  .object({
    operation_id: z.uuid(),
    kind: z.string(),
    status: z.enum(operationStatuses),
    result: z.unknown().openapi({ description: 'The documented body of the kind, once it has succeeded.' }),
    error: z.object({ ...errorSchema.shape, http_status: z.int() }).nullable(),
    progress: progressSchema.optional().openapi({ description: 'Of runs and their chunks.' }),
    attempts: z.int(),
    submitted_at: z.iso.datetime(),
    started_at: z.iso.datetime().nullable(),
    finished_at: z.iso.datetime().nullable(),
  })
  .openapi('Operation')

const tag = 'Operations'
const notFound = { says: 'Refused: operation.notFound', schema: errorSchema }

export function operationRoutes(router: Router, parts: SubmissionParts & { readonly reads: Sql }): void {
  const { reads } = parts

  router.route(
    {
      method: 'get',
      path: '/api/v1/operations/{id}',
      tag,
      summary: 'How an operation stands',
      description:
        'For its submitter and operators; one that was submitted without authentication is for whoever knows its id. With Prefer: wait=N a long poll.',
      access: 'anyone',
      params: z.object({ id: z.string() }),
      headers: z.object({ prefer: z.string().optional() }),
      answers: {
        200: { says: 'The operation', schema: operationSchema, headers: ['Preference-Applied', 'Vary'] },
        404: notFound,
      },
    },
    async ({ c, caller, params }) => {
      const operation = isUuid(params.id) ? await operationById(reads, params.id) : undefined
      if (operation === undefined || !mayRead(caller, operation)) throw operationRefusals.notFound()
      c.set('operation', { id: operation.id, kind: operation.kind })
      addHeader(c, 'Vary', 'Prefer')
      const seconds = preferredWait(headerOf(c, 'prefer'))
      if (seconds === undefined || isSettled(operation)) return reply(c, await operationShown(parts, operation))
      addHeader(c, 'Preference-Applied', `wait=${seconds}`)
      const settled = await parts.waiting.until(operation.id, seconds * 1_000)
      const latest = settled ?? (await operationById(reads, operation.id)) ?? operation
      return reply(c, await operationShown(parts, latest))
    },
  )

  router.route(
    {
      method: 'get',
      path: '/api/v1/operations',
      tag,
      summary: 'One’s own operations, newest first; all of them for operators',
      access: 'caller',
      query: pageQuery(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/).extend({
        kind: z.enum(Object.keys(kinds) as [string, ...string[]]).optional(),
        status: z.enum(operationStatuses).optional(),
      }),
      answers: {
        200: {
          says: 'One page',
          schema: z.object({ operations: z.array(operationSchema), next_cursor: z.string().nullable() }),
        },
      },
    },
    async ({ c, caller, query }) => {
      const rows = await operationsPage(reads, {
        submittedBy: holds(caller, 'operator') ? undefined : (caller as KnownCaller).subject,
        kind: query.kind,
        status: query.status,
        before: query.cursor,
        limit: query.limit + 1,
      })
      const { page, next } = paged(rows, query.limit, ({ id }) => id)
      return reply(c, { operations: await operationBodies(parts, page), next_cursor: next })
    },
  )

  router.route(
    {
      method: 'post',
      path: '/api/v1/operations/{id}/retry',
      tag,
      summary: 'Give a stuck operation a second chance',
      access: ['operator'],
      params: z.object({ id: z.string() }),
      headers: submissionHeaders,
      answers: { ...submissionAnswers(kinds['operation.retry']), 404: notFound },
    },
    async (asked) => {
      const { id } = asked.params
      if (!isUuid(id)) throw operationRefusals.notFound()
      return submit(parts, asked, {
        kind: 'operation.retry',
        input: { operation_ids: [id] },
        scope: `subject:${asked.caller.subject}\npost /api/v1/operations/{id}/retry`,
      })
    },
  )
}

const isSettled = ({ status }: OperationView): boolean => status !== 'queued' && status !== 'processing'

const mayRead = (caller: Caller, operation: OperationView): boolean =>
  operation.submitted_by === null || operation.submitted_by === caller.subject || holds(caller, 'operator')

interface Showing {
  readonly reads: Sql
  readonly keyring: Keyring
  readonly clock: Clock
}

async function operationShown(showing: Showing, operation: OperationView) {
  const [body] = await operationBodies(showing, [operation])
  return body
}

/** Runs and their chunks with how far they are; nobody else is looked up for that. */
async function operationBodies({ reads, keyring, clock }: Showing, operations: readonly OperationView[]) {
  const runs = operations.filter(({ kind }) => isKindName(kind) && kindNamed(kind).queue === 'runs')
  const progress = await progressOf(
    reads,
    runs.map(({ id }) => id),
    clock.now(),
  )
  return operations.map((operation) => {
    const one = progress.get(operation.id)
    return { ...operationBody(operation, keyring), ...(one === undefined ? {} : { progress: progressBody(one) }) }
  })
}

function operationBody(operation: OperationView, keyring: Keyring) {
  const { id, kind, status, attempts, result, error, finished_at, submitted_at, started_at, request_id } = operation
  const about = { at: finished_at ?? started_at ?? submitted_at, requestId: request_id }
  return {
    operation_id: id,
    kind,
    status,
    result: isKindName(kind) ? openFields(kindNamed(kind), 'result', keyring, id, result) : result,
    error: error === null ? null : { ...errorBody(error, about), http_status: error.http_status },
    attempts,
    submitted_at: submitted_at.toISOString(),
    started_at: started_at?.toISOString() ?? null,
    finished_at: finished_at?.toISOString() ?? null,
  }
}
