import { Hono } from 'hono'
import { z } from 'zod'
import type { Store } from './store.ts'

/*
 * Time as a stand-in counts it for what takes days outside, such as a bank that sends money back: it stands still unless it is
 * told to pass, so that a test sees the moment before and the moment after.
 *
 *   POST /_time {"advance_seconds": 60}    {"elapsed_seconds"}
 */

const Advance = z.object({ advance_seconds: z.int().min(0).max(1_000_000_000) })

export class Elapsed {
  readonly #rows
  /** Called when time has passed. */
  onPassing: () => void = () => {}

  constructor(store: Store) {
    this.#rows = store.collection<{ readonly id: string; readonly seconds: number }>('elapsed')
  }

  get seconds(): number {
    return this.#rows.get('elapsed')?.seconds ?? 0
  }

  routes(): Hono {
    const app = new Hono()
    app.post('/_time', async (c) => {
      const wanted = Advance.safeParse(await c.req.json().catch(() => undefined))
      if (!wanted.success) return c.json({ error: z.prettifyError(wanted.error) }, 422)
      this.#rows.put({ id: 'elapsed', seconds: this.seconds + wanted.data.advance_seconds })
      this.onPassing()
      return c.json({ elapsed_seconds: this.seconds })
    })
    return app
  }
}
