import { z } from '@hono/zod-openapi'
import { INVOICE_PAYMENT } from '../../domain/billing/reads.ts'
import { TRANSACTION } from '../../domain/payments/reads.ts'
import {
  clearingAccounts,
  type FollowedFinding,
  type ReportView,
  report,
  reports,
  waiting,
} from '../../domain/reconciliation/reads.ts'
import { isUuid, publicId } from '../../kit/ids.ts'
import { isAsset, toDecimal } from '../../kit/money.ts'
import { errorSchema } from '../errors.ts'
import { paged, pageQuery } from '../paging.ts'
import { reply } from '../reply.ts'
import type { Router } from '../route.ts'
import { submission } from '../submission.ts'
import { moneyText } from './amounts.ts'
import type { PaymentRouteParts } from './parts.ts'

const tag = 'Reconciliation'
const path = '/api/v1/payments/reconciliations'

/** Items shown of the clearing accounts, the oldest: whoever has more begins with these. */
const MAX_WAITING = 1_000

const reportSchema = z
  .object({
    id: z.uuid(),
    operation_id: z.uuid(),
    gateway: z.string(),
    from: z.iso.datetime(),
    until: z.iso.datetime(),
    status: z.enum(['listing', 'asking', 'done']),
    compared: z.int(),
    found: z.int(),
    for_person: z.int().openapi({ description: 'Findings that nobody but a person can put right.' }),
    started_at: z.iso.datetime(),
    finished_at: z.iso.datetime().nullable(),
  })
  .openapi('Reconciliation')

const side = z.object({ status: z.string(), amount: moneyText.nullable(), currency: z.string().nullable() }).nullable()

const findingSchema = z.object({
  what: z.enum(['missing', 'extra', 'different']),
  type: z.enum(['charge', 'refund', 'payout']),
  reference: z.string().nullable().openapi({ description: 'Ours, as the gateway knows it.' }),
  transaction_id: z.string().nullable(),
  gateway_id: z.string().nullable(),
  ours: side,
  theirs: side,
  says: z.string(),
  done: z
    .enum(['looked_up', 'listed', 'nothing'])
    .openapi({ description: 'looked_up: asked for at once, and believed. listed: none of ours.' }),
  operation_id: z.string().nullable().openapi({ description: 'The look-up.' }),
  operation_status: z.string().nullable(),
  for_person: z.boolean(),
})

const clearingSchema = z.object({
  accounts: z.array(
    z.object({
      purpose: z.enum(['suspense', 'dispute']),
      currency: z.string(),
      balance: moneyText,
      unexplained: moneyText.openapi({ description: 'What no item explains; anything but 0 needs a person.' }),
      items: z.int(),
      oldest: z.iso.datetime().nullable(),
    }),
  ),
  waiting: z.array(
    z.object({
      purpose: z.enum(['suspense', 'dispute']),
      transaction_id: z.string(),
      amount: moneyText,
      currency: z.string(),
      gateway: z.string().nullable(),
      because: z.string().openapi({ example: 'going_back' }),
      since: z.iso.datetime(),
      age_seconds: z.int(),
    }),
  ),
})

/** What operators compare and watch. */
export function reconciliationRoutes(router: Router, parts: PaymentRouteParts): void {
  const { reads, clock } = parts
  submission(router, parts, {
    kind: 'reconciliation.run',
    method: 'post',
    path,
    tag,
    summary: 'Compare a period with a gateway’s own list',
    access: ['operator'],
  })

  router.route(
    {
      method: 'get',
      path,
      tag,
      summary: 'Reconciliations, newest first',
      access: ['operator'],
      query: pageQuery(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/).extend({
        gateway: z.enum(['stripe', 'razorpay', 'paystack', 'mock']).optional(),
      }),
      answers: {
        200: {
          says: 'One page',
          schema: z.object({ reconciliations: z.array(reportSchema), next_cursor: z.string().nullable() }),
        },
      },
    },
    async ({ c, query }) => {
      const rows = await reports(reads, { gateway: query.gateway, before: query.cursor, limit: query.limit + 1 })
      const { page, next } = paged(rows, query.limit, ({ id }) => id)
      return reply(c, { reconciliations: page.map(reportBody), next_cursor: next })
    },
  )

  router.route(
    {
      method: 'get',
      path: `${path}/{id}`,
      tag,
      summary: 'One reconciliation, with its findings',
      access: ['operator'],
      params: z.object({ id: z.string() }),
      answers: {
        200: {
          says: 'What needs a person comes first; the first thousand findings',
          schema: reportSchema.extend({ findings: z.array(findingSchema) }),
        },
        404: { says: 'Refused: report.notFound', schema: errorSchema },
      },
    },
    async ({ c, params }) => {
      const found = await report(reads, isUuid(params.id) ? params.id : undefined)
      return reply(c, { ...reportBody(found), findings: found.findings.map(findingBody) })
    },
  )

  router.route(
    {
      method: 'get',
      path: '/api/v1/payments/clearing',
      tag,
      summary: 'Money that waits in suspense and in disputes, oldest first',
      access: ['operator'],
      answers: { 200: { says: 'Accounts that hold something, and what it is', schema: clearingSchema } },
    },
    async ({ c }) => {
      const [accounts, items] = await Promise.all([clearingAccounts(reads), waiting(reads, MAX_WAITING)])
      const now = clock.now().getTime()
      return reply(c, {
        accounts: accounts.map(({ balance, unexplained, oldest, ...account }) => ({
          ...account,
          balance: decimal(balance, account.currency),
          unexplained: decimal(unexplained, account.currency),
          oldest: oldest?.toISOString() ?? null,
        })),
        waiting: items.map(({ paymentId, amount, since, ...item }) => ({
          ...item,
          transaction_id: publicId(item.because === 'invoice_review' ? INVOICE_PAYMENT : TRANSACTION, paymentId),
          amount: decimal(amount, item.currency),
          since: since.toISOString(),
          age_seconds: Math.floor((now - since.getTime()) / 1_000),
        })),
      })
    },
  )
}

const decimal = (amount: bigint, currency: string): string =>
  isAsset(currency) ? toDecimal(amount, currency) : amount.toString()

const reportBody = (view: ReportView): z.input<typeof reportSchema> => ({
  id: view.id,
  operation_id: view.operationId,
  gateway: view.gateway,
  from: view.from.toISOString(),
  until: view.until.toISOString(),
  status: view.status,
  compared: view.compared,
  found: view.found,
  for_person: view.forPerson,
  started_at: view.startedAt.toISOString(),
  finished_at: view.finishedAt?.toISOString() ?? null,
})

const findingBody = (finding: FollowedFinding): z.input<typeof findingSchema> => ({
  what: finding.what,
  type: finding.type,
  reference: finding.attempt_id,
  transaction_id: finding.payment_id === null ? null : publicId(TRANSACTION, finding.payment_id),
  gateway_id: finding.gateway_id,
  ours: finding.ours,
  theirs: finding.theirs,
  says: finding.says,
  done: finding.done,
  operation_id: finding.operation_id,
  operation_status: finding.looked_up,
  for_person: finding.for_person,
})
