import { z } from '@hono/zod-openapi'
import {
  spendableBalance,
  standingAt,
  tokenBalance,
  tokenRefusals,
  tokenSpending,
  tokenTransactions,
} from '../domain/tokens/reads.ts'
import type { Clock } from '../kit/clock.ts'
import { isUuid } from '../kit/ids.ts'
import { toJsonInteger } from '../kit/money.ts'
import type { Sql } from '../kit/sql.ts'
import { errorSchema } from './errors.ts'
import { paged, pageQuery } from './paging.ts'
import { reply } from './reply.ts'
import type { Router } from './route.ts'
import { type SubmissionParts, submission } from './submission.ts'

/** Reads the signed and encrypted form of a token. */
export interface ReadsSignedForm {
  read(text: string): Promise<{ id: string } | 'invalid' | 'expired'>
}

export interface TokenRouteParts extends SubmissionParts {
  readonly reads: Sql
  readonly clock: Clock
  readonly signedForm: ReadsSignedForm
  readonly issuesPerMinute: number
}

const tag = 'Payment tokens'
const tokenParam = z.object({
  token_id: z
    .string()
    .openapi({ description: 'The token id, or its signed form.', example: '550e8400-e29b-41d4-a716-446655440000' }),
})
const unknownToken = { says: 'Refused: token.notFound', schema: errorSchema }
const overToken = { says: 'Refused: token.expired, token.revoked', schema: errorSchema }

const transactionSchema = z.object({
  transaction_id: z.uuid(),
  amount: z.int(),
  description: z.string(),
  timestamp: z.iso.datetime(),
})

/** Everything about payment tokens. The token id is the credential, so none of these asks for another. */
export function tokenRoutes(router: Router, parts: TokenRouteParts): void {
  const { reads, clock } = parts

  /** The plain id, whichever form was sent. What was never a token is not found, without asking the database. */
  async function tokenIdOf(written: string): Promise<string> {
    if (isUuid(written)) return written.toLowerCase()
    const form = await parts.signedForm.read(written)
    if (form === 'expired') throw tokenRefusals.expired()
    if (form === 'invalid') throw tokenRefusals.notFound()
    return form.id
  }

  submission(router, parts, {
    kind: 'token.issue',
    method: 'post',
    path: '/token',
    tag,
    summary: 'Issue a payment token',
    access: 'anyone',
    limits: [{ name: 'token.issue', points: parts.issuesPerMinute, seconds: 60 }],
  })

  submission(router, parts, {
    kind: 'token.deduct',
    method: 'post',
    path: '/token/{token_id}/deduct',
    tag,
    summary: 'Deduct from a token’s budget',
    access: 'anyone',
    fromPath: { token_id: tokenIdOf },
    credential: 'token_id',
  })

  submission(router, parts, {
    kind: 'token.revoke',
    method: 'delete',
    path: '/token/{token_id}',
    tag,
    summary: 'Revoke a token',
    access: 'anyone',
    fromPath: { token_id: tokenIdOf },
    credential: 'token_id',
  })

  router.route(
    {
      method: 'get',
      path: '/balance/{token_id}',
      tag,
      summary: 'What is left of a token’s budget',
      access: 'anyone',
      params: tokenParam,
      answers: {
        200: { says: 'The balance, never negative', schema: z.object({ balance: z.int() }) },
        404: unknownToken,
        410: overToken,
      },
    },
    async ({ c, params }) => {
      const token = await spendableBalance(reads, await tokenIdOf(params.token_id), clock.now())
      return reply(c, { balance: Math.max(0, toJsonInteger(token.balance)) })
    },
  )

  router.route(
    {
      method: 'get',
      path: '/token/{token_id}/report',
      tag,
      summary: 'How a token’s budget was spent',
      description: 'Answers after the token has ended, too: what was spent stays spent.',
      access: 'anyone',
      params: tokenParam,
      answers: {
        200: {
          says: 'The budget report',
          schema: z.object({
            token_id: z.uuid(),
            status: z.enum(['active', 'expired', 'revoked']),
            total_allocated: z.int(),
            remaining: z.int().openapi({ description: 'What may still be spent: nothing once the token has ended.' }),
            consumed: z.int(),
            utilization_rate: z.number().openapi({ description: 'consumed / total_allocated' }),
            transaction_count: z.int(),
            last_transaction: transactionSchema.nullable(),
            expires_at: z.iso.datetime(),
          }),
        },
        404: unknownToken,
        410: overToken,
      },
    },
    async ({ c, params }) => {
      const id = await tokenIdOf(params.token_id)
      const { consumed, count, last, ...token } = await tokenSpending(reads, id)
      const status = standingAt(token, clock.now())
      return reply(c, {
        token_id: id,
        status,
        total_allocated: toJsonInteger(token.budget),
        remaining: status === 'active' ? toJsonInteger(token.balance) : 0,
        consumed: toJsonInteger(consumed),
        utilization_rate: toJsonInteger(consumed) / toJsonInteger(token.budget),
        transaction_count: count,
        last_transaction: last === undefined ? null : transactionBody(last),
        expires_at: token.expiresAt.toISOString(),
      })
    },
  )

  router.route(
    {
      method: 'get',
      path: '/token/{token_id}/transactions',
      tag,
      summary: 'A token’s deductions, newest first',
      access: 'anyone',
      params: tokenParam,
      query: pageQuery(/^\d{1,18}$/),
      answers: {
        200: {
          says: 'One page',
          schema: z.object({ transactions: z.array(transactionSchema), next_cursor: z.string().nullable() }),
        },
        404: unknownToken,
        410: overToken,
      },
    },
    async ({ c, params, query }) => {
      const token = await tokenBalance(reads, await tokenIdOf(params.token_id))
      const before = query.cursor === undefined ? undefined : BigInt(query.cursor)
      const rows = await tokenTransactions(reads, token.accountId, { limit: query.limit + 1, before })
      const { page, next } = paged(rows, query.limit, ({ entry }) => String(entry))
      return reply(c, { transactions: page.map(transactionBody), next_cursor: next })
    },
  )
}

const transactionBody = (transaction: { id: string; amount: bigint; description: string | undefined; at: Date }) => ({
  transaction_id: transaction.id,
  amount: toJsonInteger(transaction.amount),
  description: transaction.description ?? '',
  timestamp: transaction.at.toISOString(),
})
