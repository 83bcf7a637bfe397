import { z } from '@hono/zod-openapi'
import { type fraudDecisions, fraudRefusals, REVIEW, type ReviewView, reviews } from '../../domain/fraud/reads.ts'
import { TRANSACTION } from '../../domain/payments/reads.ts'
import { MAX_ID, plainText } from '../../jobs/text.ts'
import { fromPublicId, publicId } from '../../kit/ids.ts'
import { toDecimal } from '../../kit/money.ts'
import { paged, pageQuery } from '../paging.ts'
import { reply } from '../reply.ts'
import type { Router } from '../route.ts'
import { submission } from '../submission.ts'
import { clientOf } from './acting.ts'
import { moneyText } from './amounts.ts'
import type { PaymentRouteParts } from './parts.ts'

const tag = 'Review'

const CURSOR = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** How decisions are asked for. What rules let through can be read, too. */
const statuses = {
  open: 'review',
  approved: 'approved',
  rejected: 'rejected',
  observed: 'observed',
  allowed: 'allow',
} as const satisfies Record<string, (typeof fraudDecisions)[number]>

const statusNames = Object.keys(statuses) as [keyof typeof statuses, ...(keyof typeof statuses)[]]

const reviewSchema = z
  .object({
    id: z.string().openapi({ example: 'rev_0198c9f24d5e7c3aa1b2c3d4e5f60718' }),
    about: z.enum(['request', 'payment']).openapi({
      description:
        'request: stopped before anything was reserved; decide with POST /api/v1/payments/reviews/{review_id}. payment: its gateway moved another amount than was asked; decide with POST /api/v1/payments/transactions/{transaction_id}/decision.',
    }),
    status: z.enum(statusNames),
    user_id: z.string(),
    type: z.string().openapi({ example: 'DEPOSIT' }),
    amount: moneyText,
    currency: z.string(),
    indicators: z.array(z.string()).openapi({ example: ['rapid_successive_transactions', 'large_amount'] }),
    score: z.number().nullable().openapi({ description: 'Of a request: 0 to 1; from 0.6 on it is stopped.' }),
    reasons: z.array(z.object({ indicator: z.string(), weight: z.number(), says: z.string() })),
    ip_address: z.string().nullable(),
    transaction_id: z.string().nullable(),
    created_at: z.iso.datetime(),
    reviewed_by: z.string().nullable(),
    reviewed_at: z.iso.datetime().nullable(),
    note: z.string().nullable(),
    passes_until: z.iso.datetime().nullable(),
  })
  .openapi('Review')

/** What waits for a person who looks at it. */
export function reviewRoutes(router: Router, parts: PaymentRouteParts): void {
  router.route(
    {
      method: 'get',
      path: '/api/v1/payments/reviews',
      tag,
      summary: 'Suspicious requests and payments in review, newest first',
      access: ['operator'],
      query: pageQuery(CURSOR).extend({
        status: z.enum(statusNames).default('open'),
        user_id: plainText(MAX_ID).optional(),
      }),
      answers: {
        200: {
          says: 'One page',
          schema: z.object({ reviews: z.array(reviewSchema), next_cursor: z.string().nullable() }),
        },
      },
    },
    async ({ c, query }) => {
      const rows = await reviews(parts.reads, {
        decision: statuses[query.status],
        userId: query.user_id,
        before: query.cursor,
        limit: query.limit + 1,
      })
      const { page, next } = paged(rows, query.limit, ({ id }) => id)
      return reply(c, { reviews: page.map((view) => reviewBody(view, query.status)), next_cursor: next })
    },
  )

  submission(router, parts, {
    kind: 'fraud.review',
    method: 'post',
    path: '/api/v1/payments/reviews/{review_id}',
    tag,
    summary: 'Decide on a request that was stopped as suspicious',
    access: ['operator'],
    fromPath: { review_id: reviewMeant },
    fill: ({ c }) => ({ client: clientOf(c, parts.keyring) }),
  })
}

/** What never was a review is not found, without asking the database. */
function reviewMeant(written: string): string {
  const id = fromPublicId(REVIEW, written)
  if (id === undefined) throw fraudRefusals.notFound()
  return id
}

const reviewBody = (view: ReviewView, status: keyof typeof statuses): z.input<typeof reviewSchema> => ({
  id: publicId(view.about === 'payment' ? TRANSACTION : REVIEW, view.id),
  about: view.about,
  status,
  user_id: view.userId,
  type: view.type.toUpperCase(),
  amount: toDecimal(view.amount, view.currency),
  currency: view.currency,
  indicators: [...view.indicators],
  score: view.score,
  reasons: reasonsOf(view),
  ip_address: view.ip,
  transaction_id: view.paymentId === null ? null : publicId(TRANSACTION, view.paymentId),
  created_at: view.at.toISOString(),
  reviewed_by: view.reviewedBy,
  reviewed_at: view.reviewedAt?.toISOString() ?? null,
  note: view.note,
  passes_until: view.passesUntil?.toISOString() ?? null,
})

const reasonsOf = ({ reasons, says, indicators }: ReviewView) =>
  reasons?.rules?.map((rule) => ({ ...rule })) ??
  indicators.map((indicator) => ({ indicator, weight: 1, says: says ?? indicator }))
