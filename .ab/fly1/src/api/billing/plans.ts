import { z } from '@hono/zod-openapi'
import { cycles, plansByCode, priceModels } from '../../domain/pricing/reads.ts'
import { reply } from '../reply.ts'
import type { Router } from '../route.ts'
import { AS_IN_KIND, submission } from '../submission.ts'
import type { BillingRouteParts } from './parts.ts'

const tag = 'Plans'

const planSchema = z
  .object({
    plan: z.string().openapi({ example: 'pro' }),
    name: z.string(),
    cycle: z.enum(cycles),
    features: z.string(),
    prices: z.array(
      z.object({
        metric: z.string().nullable().openapi({ description: 'None: the plan’s own fee.' }),
        label: z.string(),
        currency: z.string(),
        starts_on: z.string().openapi({ example: '2026-12-01' }),
        model: z.enum(priceModels),
        terms: z.record(z.string(), z.unknown()),
      }),
    ),
  })
  .openapi('Plan')

/** What plans there are, and what they cost. */
export function planRoutes(router: Router, parts: BillingRouteParts): void {
  router.route(
    {
      method: 'get',
      path: '/api/v1/billing/plans',
      tag,
      summary: 'Every plan with its prices',
      access: 'caller',
      answers: {
        200: { says: 'Prices of past and coming months, too', schema: z.object({ plans: z.array(planSchema) }) },
      },
    },
    async ({ c }) => {
      const plans = await plansByCode(parts.reads)
      return reply(c, {
        plans: [...plans.values()].map(({ code, prices, ...plan }) => ({
          plan: code,
          ...plan,
          prices: prices.map(({ startsOn, ...price }) => ({ ...price, starts_on: startsOn })),
        })),
      })
    },
  )
  submission(router, parts, {
    kind: 'plan.set',
    method: 'put',
    path: '/api/v1/billing/plans/{plan}',
    tag,
    summary: 'Make a plan, or change its words',
    access: ['admin'],
    fromPath: { plan: AS_IN_KIND },
  })
  submission(router, parts, {
    kind: 'price.set',
    method: 'post',
    path: '/api/v1/billing/plans/{plan}/prices',
    tag,
    summary: 'Give a plan a price from a day on',
    access: ['admin'],
    fromPath: { plan: AS_IN_KIND },
  })
  submission(router, parts, {
    kind: 'metric.declare',
    method: 'put',
    path: '/api/v1/billing/metrics/{metric}',
    tag,
    summary: 'Declare what can be used',
    access: ['admin'],
    fromPath: { metric: AS_IN_KIND },
  })
}
