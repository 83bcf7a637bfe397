import { z } from '@hono/zod-openapi'
import { kind, LEDGER_RETRY } from './kind.ts'
import { plainText } from './text.ts'

const MAX_NOTE = 500

export const reviewFraud = kind({
  name: 'fraud.review',
  doc: 'An operator’s decision on a request that was stopped as suspicious. Approved, its user may repeat it, up to its amount, for 24 hours.',
  queue: 'ledger',
  input: z.object({
    review_id: z.string().max(64).openapi({ example: 'rev_0198c9f24d5e7c3aa1b2c3d4e5f60718' }),
    decision: z.enum(['approve', 'reject']),
    note: plainText(MAX_NOTE).openapi({ example: 'Called back on the number on file' }),
    client: z.object({ ip: z.string().nullable(), device: z.string().nullable() }).optional(),
  }),
  result: z.object({
    success: z.literal(true),
    id: z.string(),
    decision: z.enum(['approved', 'rejected']),
    passes_until: z.iso.datetime().nullable(),
  }),
  retry: LEDGER_RETRY,
  batch: 1,
  refusals: { 'fraud.notFound': 404, 'fraud.notInReview': 409 },
  apart: ['client'],
})
