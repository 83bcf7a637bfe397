import { z } from '@hono/zod-openapi'
import type { Registry } from 'prom-client'
import type { Router } from './route.ts'

export function metricsRoute(router: Router, registry: Registry): void {
  router.route(
    {
      method: 'get',
      path: '/metrics',
      tag: 'Oversight',
      summary: 'Metrics in Prometheus’ format',
      access: ['operator'],
      basic: true,
      answers: { 200: { says: 'Metrics', schema: z.string(), type: 'text/plain' } },
    },
    async ({ c }) => c.body(await registry.metrics(), 200, { 'Content-Type': registry.contentType }),
  )
}
