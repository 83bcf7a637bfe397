import { setTimeout as pause } from 'node:timers/promises'
import { Hono } from 'hono'
import { z } from 'zod'

/*
 * How stand-ins send their webhooks, and how they are asked to send them badly:
 *
 *   PUT  /_webhooks {"url"?, "copies"?, "mode"?}    where to; how often each; `send`, `hold` (until asked) or `drop`
 *   POST /_webhooks/release {"order"?}              sends what was held: `same`, `reversed` or `shuffled`
 *   GET  /_webhooks                                 {"url","copies","mode","held","sent","failed"}
 */

/** Tries for one delivery, and milliseconds before the second, doubled each time: about two minutes in all. */
const TRIES = 10
const AGAIN_MS = 250

/** A receiver that takes longer counts as failed, as the real ones have it. */
const TIMEOUT_MS = 10_000

export interface Webhook {
  /** Under the receiver's base: `stripe`. */
  readonly path: string
  readonly body: string
  /** Made anew for each try: some sign the time of sending. */
  readonly headers: () => Record<string, string>
}

const Wanted = z.object({
  url: z.httpUrl().or(z.url()).optional(),
  copies: z.int().min(1).max(10).optional(),
  mode: z.enum(['send', 'hold', 'drop']).optional(),
})
const Release = z.object({ order: z.enum(['same', 'reversed', 'shuffled']).default('same') })

export class Deliveries {
  #url: string | undefined
  #copies = 1
  #mode: 'send' | 'hold' | 'drop' = 'send'
  #held: Webhook[] = []
  #sent = 0
  #failed = 0
  #stopped = false
  readonly #ending = new AbortController()

  /** The base to which webhooks go, such as `http://127.0.0.1:8001/webhooks`; not set, nothing is sent. */
  to(url: string): void {
    this.#url = url.replace(/\/+$/, '')
  }

  send(webhook: Webhook): void {
    if (this.#mode === 'drop') return
    if (this.#mode === 'hold') {
      this.#held.push(webhook)
      return
    }
    for (let copy = 0; copy < this.#copies; copy++) void this.#deliver(webhook)
  }

  routes(): Hono {
    const app = new Hono()
    const state = () => ({
      url: this.#url ?? null,
      copies: this.#copies,
      mode: this.#mode,
      held: this.#held.length,
      sent: this.#sent,
      failed: this.#failed,
    })
    app.get('/_webhooks', (c) => c.json(state()))
    app.put('/_webhooks', async (c) => {
      const wanted = Wanted.safeParse(await c.req.json().catch(() => undefined))
      if (!wanted.success) return c.json({ error: z.prettifyError(wanted.error) }, 422)
      if (wanted.data.url !== undefined) this.to(wanted.data.url)
      this.#copies = wanted.data.copies ?? this.#copies
      this.#mode = wanted.data.mode ?? this.#mode
      return c.json(state())
    })
    app.post('/_webhooks/release', async (c) => {
      const wanted = Release.safeParse(await c.req.json().catch(() => ({})))
      if (!wanted.success) return c.json({ error: z.prettifyError(wanted.error) }, 422)
      const held = inOrder(this.#held, wanted.data.order)
      this.#held = []
      for (const webhook of held) for (let copy = 0; copy < this.#copies; copy++) await this.#deliver(webhook)
      return c.json(state())
    })
    return app
  }

  stop(): void {
    this.#stopped = true
    this.#ending.abort()
  }

  async #deliver({ path, body, headers }: Webhook): Promise<void> {
    for (let attempt = 0; attempt < TRIES && !this.#stopped; attempt++) {
      if (this.#url === undefined) return
      if (await this.#post(`${this.#url}/${path}`, body, headers())) {
        this.#sent += 1
        return
      }
      await pause(AGAIN_MS * 2 ** attempt, undefined, { signal: this.#ending.signal, ref: false }).catch(() => {})
    }
    this.#failed += 1
  }

  async #post(url: string, body: string, headers: Record<string, string>): Promise<boolean> {
    try {
      const signal = AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), this.#ending.signal])
      const answer = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
        signal,
      })
      await answer.arrayBuffer()
      return answer.ok
    } catch {
      return false
    }
  }
}

function inOrder(held: readonly Webhook[], order: z.infer<typeof Release>['order']): Webhook[] {
  if (order === 'reversed') return held.toReversed()
  if (order === 'shuffled')
    return held
      .map((webhook) => ({ webhook, at: Math.random() }))
      .toSorted((a, b) => a.at - b.at)
      .map(({ webhook }) => webhook)
  return [...held]
}
