import { z } from '@hono/zod-openapi'
import { FIRST_PLAN, plansByCode, rate } from '../../domain/pricing/reads.ts'
import {
  aggregate,
  aggregations,
  customerTerms,
  dailyUsage,
  metricsByCode,
  rolledUpUntil,
} from '../../domain/usage/reads.ts'
import { MAX_ID, plainText } from '../../jobs/text.ts'
import { metricCode } from '../../jobs/usage.ts'
import { assert } from '../../kit/assert.ts'
import { type Asset, toDecimal } from '../../kit/money.ts'
import { monthOf, monthSpan } from '../../kit/months.ts'
import { holds } from '../access.ts'
import type { Caller } from '../caller.ts'
import { errorSchema } from '../errors.ts'
import { paged, pageQuery } from '../paging.ts'
import { userMeant } from '../payments/acting.ts'
import { reply } from '../reply.ts'
import type { Router } from '../route.ts'
import { submission } from '../submission.ts'
import type { BillingRouteParts } from './parts.ts'

const tag = 'Usage'

const monthText = z
  .string()
  .regex(/^2[01]\d\d-(0[1-9]|1[0-2])$/, 'must be a month such as 2026-11')
  .openapi({ example: '2026-11' })

const metricFields = {
  metric: z.string().openapi({ example: 'api_calls' }),
  aggregation: z.enum(aggregations),
  unit: z.string().openapi({ example: 'call' }),
}

const usageSchema = z
  .object({
    user_id: z.string(),
    month: z.string().openapi({ example: '2026-11' }),
    from: z.iso.datetime().openapi({ description: 'The month begins then, in the issuer’s zone.' }),
    until: z.iso.datetime().openapi({ description: 'Not included.' }),
    plan: z.string().openapi({ example: 'pro' }),
    currency: z.string().openapi({ example: 'USD' }),
    metrics: z.array(
      z.object({
        ...metricFields,
        quantity: z.number(),
        events: z.int(),
        below_zero: z.number().optional().openapi({ description: 'How far corrections went below 0; counted as 0.' }),
        late: z
          .object({ month: z.string(), before: z.number() })
          .optional()
          .openapi({ description: 'Of events that came late: the invoiced month that they change, and what it was.' }),
      }),
    ),
    lines: z.array(
      z.object({
        metric: z.string().nullable().openapi({ description: 'None: the plan’s fee.' }),
        month: z.string(),
        description: z.string(),
        quantity: z.number(),
        unit_price: z.number().nullable().openapi({ description: 'None where tiers make it several.' }),
        amount: z.number(),
      }),
    ),
    expected_cost: z.number().openapi({ description: 'Before discounts and tax.', example: 25.5 }),
  })
  .openapi('Usage')

/** The last one of a page: a day and a metric. */
const CURSOR = /^([\d-]{10})\.([a-z][a-z0-9_]{0,63})$/

const dailyQuery = pageQuery(CURSOR).extend({
  user_id: plainText(MAX_ID).optional().openapi({ description: 'Left out by the user whom it would name.' }),
  metric: metricCode.optional(),
  from: z.iso.date().optional().openapi({ description: 'A day of the issuer’s, included.', example: '2026-11-01' }),
  to: z.iso.date().optional().openapi({ description: 'Included.', example: '2026-11-30' }),
})

const dailySchema = z
  .object({
    user_id: z.string(),
    as_of: z.iso.datetime().nullable().openapi({
      description:
        'Everything that was recorded before is in the sums; what came later may be missing until the next hour. None before the first time.',
    }),
    days: z.array(
      z.object({
        day: z.string().openapi({ description: 'Of the issuer’s zone.', example: '2026-11-21' }),
        ...metricFields,
        quantity: z.number().openapi({
          description: 'Of this day’s events alone; below 0 where they take back what was on another day.',
        }),
        events: z.int(),
      }),
    ),
    next_cursor: z.string().nullable(),
  })
  .openapi('DailyUsage')

const lastOf = (cursor: string): { day: string; metric: string } => {
  const [, day = '', metric = ''] = CURSOR.exec(cursor) ?? []
  return { day, metric }
}

/** Days are shown to operators, too: they have to answer for what is summed. */
const whoseDays = (caller: Caller, named: string | undefined): string =>
  named !== undefined && holds(caller, 'operator') ? named : userMeant(caller, named)

/** What was used, and what it will cost. */
export function usageRoutes(router: Router, parts: BillingRouteParts): void {
  const { reads, clock, invoicing } = parts

  submission(router, parts, {
    kind: 'usage.record',
    method: 'post',
    path: '/api/v1/billing/usage',
    tag,
    summary: 'Record what was used',
    access: 'caller',
    fill: ({ caller, sent }) => {
      for (const named of namedIn(sent.events)) userMeant(caller, named)
      return { user_id: userMeant(caller, sent.user_id) }
    },
  })

  router.route(
    {
      method: 'get',
      path: '/api/v1/billing/usage',
      tag,
      summary: 'A month’s usage, and what it is expected to cost',
      access: 'caller',
      query: z.object({
        user_id: plainText(MAX_ID).optional().openapi({ description: 'Left out by the user whom it would name.' }),
        month: monthText.optional().openapi({ description: 'This month, unless told.' }),
      }),
      answers: {
        200: { says: 'As far as it has been recorded', schema: usageSchema },
        403: { says: 'Somebody else’s usage', schema: errorSchema },
      },
    },
    async ({ c, caller, query }) => {
      const month = query.month ?? monthOf(clock.now(), invoicing.timeZone)
      return reply(c, await usageOf(parts, userMeant(caller, query.user_id), month))
    },
  )

  router.route(
    {
      method: 'get',
      path: '/api/v1/billing/usage/daily',
      tag,
      summary: 'Usage by day, newest first',
      access: 'caller',
      query: dailyQuery,
      answers: {
        200: { says: 'One page, as far as days are summed', schema: dailySchema },
        403: { says: 'Somebody else’s usage', schema: errorSchema },
      },
    },
    async ({ c, caller, query }) => {
      const userId = whoseDays(caller, query.user_id)
      // Read before the days: what is summed in between is more than it promises.
      const asOf = await rolledUpUntil(reads)
      const [rows, metrics] = await Promise.all([
        dailyUsage(reads, {
          ...{ customerId: userId, metric: query.metric, from: query.from, to: query.to, limit: query.limit + 1 },
          after: query.cursor === undefined ? undefined : lastOf(query.cursor),
        }),
        metricsByCode(reads),
      ])
      const { page, next } = paged(rows, query.limit, (last) => `${last.day}.${last.metric}`)
      return reply(c, {
        user_id: userId,
        as_of: asOf?.toISOString() ?? null,
        days: page.map((one) => ({
          ...one,
          aggregation: metrics.get(one.metric)?.aggregation ?? 'sum',
          unit: metrics.get(one.metric)?.unit ?? '',
        })),
        next_cursor: next,
      })
    },
  )

  router.route(
    {
      method: 'get',
      path: '/api/v1/billing/metrics',
      tag,
      summary: 'What can be used, and how it is counted',
      access: 'caller',
      answers: {
        200: {
          says: 'Every metric that is declared',
          schema: z.object({ metrics: z.array(z.object({ ...metricFields, description: z.string() })) }),
        },
      },
    },
    async ({ c }) => {
      const metrics = await metricsByCode(reads)
      return reply(c, { metrics: [...metrics.values()].map(({ code, ...metric }) => ({ metric: code, ...metric })) })
    },
  )
}

/** The users that events name, whatever was sent in their place. */
const namedIn = (events: unknown): string[] =>
  !Array.isArray(events)
    ? []
    : [...new Set(events.map((event) => (event as { user_id?: unknown }).user_id))].filter(
        (named) => typeof named === 'string',
      )

async function usageOf(
  { reads, invoicing }: BillingRouteParts,
  userId: string,
  month: string,
): Promise<z.input<typeof usageSchema>> {
  const zone = invoicing.timeZone
  const { from, until } = monthSpan(month, zone)
  const [terms, plans, metrics, byCustomer] = await Promise.all([
    customerTerms(reads, userId),
    plansByCode(reads),
    metricsByCode(reads),
    aggregate(reads, { customerIds: [userId], from, until, late: { month, zone } }),
  ])
  const {
    plan: code,
    currency,
    startsOn,
  } = terms ?? { plan: FIRST_PLAN, currency: invoicing.currency, startsOn: month }
  const plan = plans.get(code)
  assert(plan !== undefined, `No plan is called ${code}`)
  const aggregates = (byCustomer.get(userId) ?? []).toSorted(
    (a, b) => (a.late?.month ?? '').localeCompare(b.late?.month ?? '') || a.metric.localeCompare(b.metric),
  )
  const lines = rate({ prices: plan.prices, aggregates, month, currency, fee: { cycle: plan.cycle, since: startsOn } })
  return {
    user_id: userId,
    month,
    from: from.toISOString(),
    until: until.toISOString(),
    plan: code,
    currency,
    metrics: aggregates.map(({ metric, quantity, events, clamped, late }) => ({
      metric,
      aggregation: metrics.get(metric)?.aggregation ?? 'sum',
      unit: metrics.get(metric)?.unit ?? '',
      quantity: Number(quantity),
      events,
      ...(clamped === undefined ? {} : { below_zero: Number(clamped) }),
      ...(late === undefined ? {} : { late: { month: late.month, before: Number(late.before) } }),
    })),
    lines: lines.map((line) => ({
      metric: line.metric,
      month: line.month,
      description: line.description,
      quantity: Number(line.quantity),
      unit_price: line.unitPrice === null ? null : Number(line.unitPrice),
      amount: money(line.amount, currency),
    })),
    expected_cost: money(
      lines.reduce((sum, line) => sum + line.amount, 0n),
      currency,
    ),
  }
}

const money = (amount: bigint, currency: Asset): number => Number(toDecimal(amount, currency))
