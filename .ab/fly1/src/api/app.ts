import { OpenAPIHono } from '@hono/zod-openapi'
import type { Limit, RateLimiter } from '../platform/rate-limit.ts'
import type { Authenticator } from './access.ts'
import { type AttendParts, attending } from './attend.ts'
import { doorRefusals } from './door-refusals.ts'
import { RefusalWithHeaders } from './errors.ts'
import { type Env, Router } from './route.ts'

export interface AppParts extends AttendParts {
  readonly authenticator: Authenticator
  readonly limiter: RateLimiter
  readonly generalLimit: Limit | undefined
}

/** An app that names, times and logs every request, and gives every error the one body. Routes are added by its router. */
export function makeApp(parts: AppParts): { app: OpenAPIHono<Env>; router: Router } {
  const app = new OpenAPIHono<Env>()
  const attend = attending(parts)
  const router = new Router({ ...parts, app, attend })
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
  })
  app.openAPIRegistry.registerComponent('securitySchemes', 'basic', { type: 'http', scheme: 'basic' })

  app.onError((error, c) =>
    attend(c, () => {
      throw error
    }),
  )
  app.notFound((c) =>
    attend(c, () => {
      const allowed = [...new Set(router.methodsOf(c.req.path))].join(', ')
      if (allowed === '') throw doorRefusals.notFound()
      throw new RefusalWithHeaders(doorRefusals.methodNotAllowed({ allowed }), { Allow: allowed })
    }),
  )
  return { app, router }
}
