import type { MiddlewareHandler } from 'hono'
import { Hono } from 'hono'
import { matchedRoutes } from 'hono/route'

/** Counts what a stand-in is asked: `GET /_calls` answers {"POST /charges": 3, "GET /charges/:id": 1}. */
export class Calls {
  readonly #counts = new Map<string, number>()

  /** Stands before a gateway's own routes, so that what a mood swallows is counted too. */
  middleware(): MiddlewareHandler {
    return (c, next) => {
      const path = matchedRoutes(c).findLast((route) => !route.path.endsWith('*'))?.path ?? c.req.path
      const call = `${c.req.method} ${path}`
      this.#counts.set(call, (this.#counts.get(call) ?? 0) + 1)
      return next()
    }
  }

  routes(): Hono {
    const app = new Hono()
    app.get('/_calls', (c) => c.json(Object.fromEntries(this.#counts)))
    return app
  }
}
