import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { type Context, Hono, type MiddlewareHandler } from 'hono'
import { z } from 'zod'

/*
 * How a stand-in is asked to misbehave, the same for every gateway:
 *
 *   POST   /_moods {"on": "POST /v1/refunds", "does": "lose_answer", "times": 1, "delay_ms": 0}
 *   GET    /_moods     those that are still waiting for their request
 *   DELETE /_moods     behave again
 *
 * `on` is a method and the beginning of a path, `*` for every request. Each request takes the oldest mood that fits.
 */

export const misbehaviours = [
  /** Answers properly, after `delay_ms`. */
  'slow',
  /** Hangs up before anything is done. */
  'hang_up',
  /** Does it, then hangs up: the caller never learns. */
  'lose_answer',
  /** Does it, then answers 500. */
  'fail_after',
  /** Answers 500 and does nothing. */
  'fail',
  /** Answers 429 and does nothing. */
  'limit',
  /** Never answers, and does nothing. */
  'hang',
  /** Takes one minor unit more than was asked. */
  'wrong_amount',
  /** Says yes or «pending» now; it fails when `POST /_time {"advance_seconds"}` says that time has passed. */
  'late_failure',
  /** Stays pending until `POST /_time` passes. */
  'stay_pending',
] as const

export type Misbehaviour = (typeof misbehaviours)[number]

const Mood = z.object({
  on: z.string().default('*'),
  does: z.enum(misbehaviours),
  times: z.int().min(1).max(1_000_000).default(1),
  delay_ms: z.int().min(0).max(600_000).default(0),
})

type Mood = z.infer<typeof Mood>

/** The moods of one stand-in. */
export class Moods {
  #waiting: Mood[] = []

  /** Routes with which a test asks for a mood. */
  routes(): Hono {
    const app = new Hono()
    app.post('/_moods', async (c) => {
      const wanted = Mood.safeParse(await c.req.json().catch(() => undefined))
      if (!wanted.success) return c.json({ error: z.prettifyError(wanted.error) }, 422)
      this.#waiting.push(wanted.data)
      return c.json(wanted.data, 201)
    })
    app.get('/_moods', (c) => c.json(this.#waiting))
    app.delete('/_moods', (c) => {
      this.#waiting = []
      return c.body(null, 204)
    })
    return app
  }

  /** Is this what the request was to be met with? Each time asked for is used up by one request. */
  take(request: string, ...wanted: Misbehaviour[]): Mood | undefined {
    const mood = this.#waiting.find(({ on, does }) => wanted.includes(does) && (on === '*' || request.startsWith(on)))
    if (mood === undefined) return undefined
    mood.times -= 1
    if (mood.times <= 0) this.#waiting = this.#waiting.filter((one) => one !== mood)
    return mood
  }

  /** To stand around a gateway's own routes. What is about the thing asked for, such as `wrong_amount`, is the gateway's. */
  middleware(path: (c: Context) => string, failure: (c: Context, status: 429 | 500) => Response): MiddlewareHandler {
    return async (c, next) => {
      const mood = this.take(
        `${c.req.method} ${path(c)}`,
        'slow',
        'hang_up',
        'lose_answer',
        'fail_after',
        'fail',
        'limit',
        'hang',
      )
      switch (mood?.does) {
        case 'hang_up':
          return hangUp(c)
        case 'fail':
          return failure(c, 500)
        case 'limit':
          return failure(c, 429)
        case 'hang':
          if (!c.req.raw.signal.aborted) await once(c.req.raw.signal, 'abort')
          return c.body(null, 503)
        case 'slow':
          await pause(mood.delay_ms, undefined, { signal: c.req.raw.signal }).catch(() => {})
          return next()
        case 'lose_answer':
          await next()
          c.res = hangUp(c)
          return
        case 'fail_after':
          await next()
          c.res = failure(c, 500)
          return
        default:
          return next()
      }
    }
  }
}

/** Ends the connection without a word. */
function hangUp(c: Context): Response {
  const { incoming } = c.env as { incoming?: { socket: { destroy(): void } } }
  // The socket: a request that was read to its end is over, and destroying it ends nothing.
  incoming?.socket.destroy()
  return c.body(null, 503)
}
