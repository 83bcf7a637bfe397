import { createHash } from 'node:crypto'
import type { MiddlewareHandler } from 'hono'
import { canonicalForm } from './form.ts'
import { Problem } from './problem.ts'
import type { World } from './world.ts'

/** What was answered to a key. */
interface Remembered {
  readonly id: string
  readonly digest: string
  readonly at: number
  readonly status: number
  readonly body: unknown
}

/** Milliseconds for which a key is known, and its longest form, by https://docs.stripe.com/api/idempotent_requests. */
const KEY_LIFE_MS = 24 * 3_600_000
const MAX_KEY = 255

/** Header by which a route says that nothing was begun, so that the key stays unused. */
export const NOT_BEGUN = 'x-not-begun'

/** The same key and parameters get the first answer again; other parameters, or while the first is at work, a «no». */
export function idempotency(world: World): MiddlewareHandler {
  const remembered = world.store.collection<Remembered>('keys')
  const atWork = new Set<string>()

  return async (c, next) => {
    const key = c.req.header('idempotency-key')
    if (c.req.method !== 'POST' || key === undefined) return next()
    if (key.length > MAX_KEY)
      throw new Problem(400, {
        type: 'invalid_request_error',
        message: 'Idempotency keys have at most 255 characters.',
      })
    const id = `${c.req.header('stripe-account') ?? ''} ${key}`
    const request = `${c.req.path}\n${canonicalForm(await c.req.text())}`
    const digest = createHash('sha256').update(request).digest('hex')
    const known = remembered.get(id)

    if (atWork.has(id))
      throw new Problem(409, {
        type: 'idempotency_error',
        code: 'idempotency_key_in_use',
        message: `There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the other request is still going through): ${key}.`,
      })
    if (known !== undefined && world.now() - known.at < KEY_LIFE_MS) {
      if (known.digest !== digest)
        throw new Problem(400, {
          type: 'idempotency_error',
          message: `Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '${key}' if you meant to execute a different request.`,
        })
      c.header('idempotent-replayed', 'true')
      c.header('idempotency-key', key)
      return c.json(known.body, known.status as 200)
    }

    atWork.add(id)
    try {
      await next()
    } finally {
      atWork.delete(id)
    }
    c.header('idempotency-key', key)
    if (c.res.headers.has(NOT_BEGUN) || c.res.status >= 500) return
    remembered.put({ id, digest, at: world.now(), status: c.res.status, body: await c.res.clone().json() })
  }
}
