import { z } from '@hono/zod-openapi'
import {
  type Currency,
  type PaymentView,
  paymentOf,
  paymentsOf,
  paymentTypes,
  statusOnWire,
  TRANSACTION,
  walletBalance,
} from '../../domain/payments/reads.ts'
import { transactionStatuses } from '../../jobs/payments.ts'
import { fromPublicId, publicId } from '../../kit/ids.ts'
import { errorSchema } from '../errors.ts'
import { reply } from '../reply.ts'
import type { Router } from '../route.ts'
import { ownerMeant, perUser, userMeant } from './acting.ts'
import { decimalOf, moneyText, remaining, walletQuery } from './amounts.ts'
import type { PaymentRouteParts } from './parts.ts'

const tag = 'Wallets'

/** A page that a screen can show; `skip` is bounded, since deep pages read what they skip. */
const MAX_LIMIT = 100
const MAX_SKIP = 100_000

const balanceSchema = z.object({
  balance: moneyText,
  locked_balance: moneyText,
  available_balance: moneyText,
  daily_limit: moneyText,
  daily_used: moneyText,
  daily_remaining: moneyText,
  monthly_limit: moneyText,
  monthly_used: moneyText,
  monthly_remaining: moneyText,
  single_transaction_limit: moneyText,
  kyc_level: z.string(),
  currency: z.string(),
})

export const transactionSchema = z
  .object({
    id: z.string().openapi({ example: 'txn_0198c9f24d5e7c3aa1b2c3d4e5f60718' }),
    user_id: z.string(),
    amount: moneyText,
    fee: moneyText,
    net_amount: moneyText,
    refunded_amount: moneyText,
    currency: z.string(),
    type: z.string().openapi({ example: 'DEPOSIT' }),
    status: z.enum(transactionStatuses),
    method: z.string(),
    description: z.string().nullable(),
    reference_id: z.string().nullable().openapi({ description: 'Of a refund: the deposit that it gives back.' }),
    gateway: z.string().nullable(),
    gateway_order_id: z.string().nullable(),
    gateway_transaction_id: z.string().nullable(),
    failure_code: z.string().nullable(),
    failure_reason: z.string().nullable(),
    created_at: z.iso.datetime(),
    completed_at: z.iso.datetime().nullable(),
  })
  .openapi('Transaction')

export function transactionBody(view: PaymentView): z.input<typeof transactionSchema> {
  const decimal = decimalOf(view.currency)
  return {
    id: publicId(TRANSACTION, view.id),
    user_id: view.userId,
    amount: decimal(view.amount),
    fee: decimal(view.fee),
    net_amount: decimal(view.amount - view.fee),
    refunded_amount: decimal(view.refunded),
    currency: view.currency,
    type: view.type.toUpperCase(),
    status: statusOnWire[view.status],
    method: view.method.toUpperCase(),
    description: view.description,
    reference_id: view.originalId === null ? null : publicId(TRANSACTION, view.originalId),
    gateway: view.gateway?.toUpperCase() ?? null,
    gateway_order_id: view.gatewayOrderId,
    gateway_transaction_id: view.gatewayTransactionId,
    failure_code: view.failureCode,
    failure_reason: view.failureMessage,
    created_at: view.createdAt.toISOString(),
    completed_at: view.completedAt?.toISOString() ?? null,
  }
}

const upper = <const Names extends readonly [string, ...string[]]>(names: Names) =>
  z
    .string()
    .trim()
    .toUpperCase()
    .pipe(z.enum(names))
    .openapi({ type: 'string', enum: [...names] })

const types = paymentTypes.map((type) => type.toUpperCase()) as [string, ...string[]]

export function walletRoutes(router: Router, parts: PaymentRouteParts): void {
  const { reads, clock, walletCurrency, paymentLimits } = parts
  const wallet = (currency: Currency | undefined): Currency => currency ?? walletCurrency

  router.route(
    {
      method: 'get',
      path: '/api/v1/payments/wallet/balance',
      tag,
      summary: 'What a user has, may spend now, and may still move today and this month',
      access: 'caller',
      limits: [perUser('wallet.balance', 100, 1), ...paymentLimits],
      query: z.object(walletQuery),
      answers: {
        200: { says: 'The wallet', schema: balanceSchema },
        403: { says: 'Somebody else’s wallet', schema: errorSchema },
      },
    },
    async ({ c, caller, query }) => {
      const currency = wallet(query.currency)
      const { balance, held, limits, used } = await walletBalance(
        reads,
        userMeant(caller, query.user_id),
        currency,
        clock.now(),
      )
      const decimal = decimalOf(currency)
      return reply(c, {
        balance: decimal(balance),
        locked_balance: decimal(held),
        available_balance: decimal(balance - held),
        daily_limit: decimal(limits.daily),
        daily_used: decimal(used.daily),
        daily_remaining: decimal(remaining(limits.daily, used.daily)),
        monthly_limit: decimal(limits.monthly),
        monthly_used: decimal(used.monthly),
        monthly_remaining: decimal(remaining(limits.monthly, used.monthly)),
        single_transaction_limit: decimal(limits.single),
        kyc_level: limits.level,
        currency,
      })
    },
  )

  router.route(
    {
      method: 'get',
      path: '/api/v1/payments/wallet/transactions',
      tag,
      summary: 'A user’s transactions, newest first',
      access: 'caller',
      limits: [perUser('wallet.transactions', 50, 1), ...paymentLimits],
      query: z.object({
        ...walletQuery,
        skip: z.coerce
          .number()
          .int()
          .min(0)
          .max(MAX_SKIP)
          .default(0)
          .openapi({ type: 'integer', minimum: 0, maximum: MAX_SKIP }),
        limit: z.coerce.number().int().min(1).max(MAX_LIMIT).default(20),
        type: upper(types).optional(),
        status: upper(transactionStatuses).optional(),
      }),
      answers: {
        200: {
          says: 'One page',
          schema: z.object({ transactions: z.array(transactionSchema), total: z.int(), has_more: z.boolean() }),
        },
        403: { says: 'Somebody else’s wallet', schema: errorSchema },
      },
    },
    async ({ c, caller, query }) => {
      const { skip, limit } = query
      const { rows, total } = await paymentsOf(reads, {
        userId: userMeant(caller, query.user_id),
        currency: query.currency,
        types: paymentTypes.filter((type) => query.type === undefined || type.toUpperCase() === query.type),
        statuses: statuses.filter((status) => query.status === undefined || statusOnWire[status] === query.status),
        skip,
        limit,
      })
      return reply(c, {
        transactions: rows.map(transactionBody),
        total,
        has_more: skip + rows.length < total,
      })
    },
  )

  router.route(
    {
      method: 'get',
      path: '/api/v1/payments/wallet/transactions/{transaction_id}',
      tag,
      summary: 'One transaction',
      access: 'caller',
      limits: [perUser('wallet.transactions', 50, 1), ...paymentLimits],
      params: z.object({ transaction_id: z.string() }),
      answers: {
        200: { says: 'The transaction', schema: transactionSchema },
        404: { says: 'Refused: payment.notFound', schema: errorSchema },
      },
    },
    async ({ c, caller, params }) => {
      const id = fromPublicId(TRANSACTION, params.transaction_id)
      return reply(c, transactionBody(await paymentOf(reads, id, ownerMeant(caller, undefined))))
    },
  )
}

const statuses = Object.keys(statusOnWire) as (keyof typeof statusOnWire)[]
