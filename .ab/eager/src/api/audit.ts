import { z } from '@hono/zod-openapi'
import { auditEvents, auditLine, securityEvents, securityLine, securityTypes } from '../domain/audit/reads.ts'
import { MAX_ID, plainText } from '../jobs/text.ts'
import type { Sql } from '../kit/sql.ts'
import { paged, pageQuery } from './paging.ts'
import { reply } from './reply.ts'
import type { Router } from './route.ts'

const tag = 'Audit'

const CURSOR = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

const auditSchema = z
  .object({
    timestamp: z.iso.datetime(),
    event_type: z.string().openapi({ example: 'deposit_initiated' }),
    user_id: z.string().nullable(),
    transaction_id: z.string().nullable().openapi({ example: 'txn_0198c9f24d5e7c3aa1b2c3d4e5f60718' }),
    amount: z.number().nullable().openapi({ example: 1000 }),
    currency: z.string().nullable(),
    gateway: z.string().nullable().openapi({ example: 'razorpay' }),
    ip_address: z.string().nullable(),
    audit_hash: z.string().openapi({
      description:
        'SHA-256, in hexadecimal, of the other fields as JSON with sorted keys and no spaces. Blocks chain these hashes; npm run audit:verify checks them.',
    }),
  })
  .openapi('AuditEvent')

const securitySchema = z
  .object({
    timestamp: z.iso.datetime(),
    event_type: z.enum(securityTypes),
    user_id: z.string().nullable(),
    indicators: z.array(z.string()),
    ip_address: z.string().nullable(),
    action_taken: z.string().openapi({ example: 'additional_verification_required' }),
  })
  .openapi('SecurityEvent')

const about = {
  user_id: plainText(MAX_ID).optional(),
  type: z
    .string()
    .regex(/^[a-z_]{1,64}$/, 'must be a type of event, such as deposit_initiated')
    .optional(),
}

/** What was done, and what was suspicious, for operators. */
export function auditRoutes(router: Router, { reads }: { readonly reads: Sql }): void {
  router.route(
    {
      method: 'get',
      path: '/api/v1/audit',
      tag,
      summary: 'The audit log, newest first',
      access: ['operator'],
      query: pageQuery(CURSOR).extend(about),
      answers: {
        200: {
          says: 'One page',
          schema: z.object({ events: z.array(auditSchema), next_cursor: z.string().nullable() }),
        },
      },
    },
    async ({ c, query }) => {
      const rows = await auditEvents(reads, filterOf(query))
      const { page, next } = paged(rows, query.limit, ({ id }) => id)
      return reply(c, { events: page.map(({ fields, hash }) => auditLine(fields, hash)), next_cursor: next })
    },
  )

  router.route(
    {
      method: 'get',
      path: '/api/v1/security-events',
      tag,
      summary: 'The security log, newest first',
      access: ['operator'],
      query: pageQuery(CURSOR).extend(about),
      answers: {
        200: {
          says: 'One page',
          schema: z.object({ events: z.array(securitySchema), next_cursor: z.string().nullable() }),
        },
      },
    },
    async ({ c, query }) => {
      const rows = await securityEvents(reads, filterOf(query))
      const { page, next } = paged(rows, query.limit, ({ id }) => id)
      return reply(c, { events: page.map(({ fields }) => securityLine(fields)), next_cursor: next })
    },
  )
}

const filterOf = (query: {
  user_id?: string | undefined
  type?: string | undefined
  cursor?: string | undefined
  limit: number
}) => ({
  userId: query.user_id,
  type: query.type,
  before: query.cursor,
  limit: query.limit + 1,
})
