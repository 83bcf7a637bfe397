import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Context, Hono } from 'hono'
import { z } from 'zod'

/*
 * A stand-in for a voice service that is spoken to over HTTP:
 *
 *   POST /verify {"voice_id"}   {"verified": true}, unless the id says otherwise (see `MODES`)
 *   GET /limits/{voice_id}      404, unless the id asks for its own: limits_<transaction>_<daily>_<monthly>_anything
 *   GET /health                 {"status":"ok"}
 *
 * and, for whoever tests against it:
 *
 *   GET /_calls                 {"verifies","limits","voices"} in all since it started
 *   GET /_calls/{voice_id}      {"verifies","limits"} of one id
 *   PUT /_mood {"mode","delay_ms"?}   how everything above `_calls` answers: ok, down (503), hang (never), slow
 */

type Mode = 'ok' | 'down' | 'hang' | 'slow'

/** Verification by the beginning of the voice id. */
const MODES: ReadonlyArray<readonly [prefix: string, mode: Mode]> = [
  ['slow_', 'slow'],
  ['down_', 'down'],
  ['hang_', 'hang'],
]
const REJECTED = 'reject_'

/** At most 15 digits each, which JSON numbers hold exactly. */
const OWN_LIMITS = /^limits_(\d{1,15})_(\d{1,15})_(\d{1,15})(?:_|$)/

/** Milliseconds that `slow_` voices take: long enough to be felt, within what a client should wait for. */
const SLOW_MS = 5_000

/** Voices whose calls are counted one by one; beyond it the longest known is forgotten, so that memory stays flat. */
const MAX_VOICES = 10_000

const Verify = z.object({ voice_id: z.string().trim().min(1) })
const Mood = z.object({
  mode: z.enum(['ok', 'down', 'hang', 'slow']),
  delay_ms: z.int().min(0).max(60_000).optional(),
})

interface Calls {
  verifies: number
  limits: number
}

export function voiceSandbox(options: { slowMs?: number } = {}): Hono {
  const slowMs = options.slowMs ?? SLOW_MS
  let mood: z.infer<typeof Mood> = { mode: 'ok' }
  const total: Calls = { verifies: 0, limits: 0 }
  const byVoice = new Map<string, Calls>()

  function count(voiceId: string, call: keyof Calls): void {
    const calls = byVoice.get(voiceId) ?? { verifies: 0, limits: 0 }
    calls[call] += 1
    total[call] += 1
    byVoice.set(voiceId, calls)
    const [longestKnown] = byVoice.keys()
    if (byVoice.size > MAX_VOICES && longestKnown !== undefined) byVoice.delete(longestKnown)
  }

  const moodOf = () => ({ mode: mood.mode, delayMs: mood.delay_ms ?? slowMs })

  const app = new Hono()

  app.get('/_calls', (c) => c.json({ ...total, voices: byVoice.size }))
  app.get('/_calls/:voice_id', (c) => c.json(byVoice.get(c.req.param('voice_id')) ?? { verifies: 0, limits: 0 }))
  app.put('/_mood', async (c) => {
    const wanted = Mood.safeParse(await jsonOf(c))
    if (!wanted.success) return c.json({ detail: 'mode must be ok, down, hang or slow; delay_ms 0 to 60000' }, 422)
    mood = wanted.data
    return c.json(mood)
  })

  app.get('/health', async (c) => (await illness(c, moodOf())) ?? c.json({ status: 'ok' }))

  app.post('/verify', async (c) => {
    const body = Verify.safeParse(await jsonOf(c))
    if (!body.success) return c.json({ detail: 'voice_id must be a text that is not empty' }, 422)
    const voiceId = body.data.voice_id
    count(voiceId, 'verifies')
    const mode = MODES.find(([prefix]) => voiceId.startsWith(prefix))?.[1] ?? 'ok'
    return (
      (await illness(c, moodOf())) ??
      (await illness(c, { mode, delayMs: slowMs })) ??
      c.json({ verified: !voiceId.startsWith(REJECTED) })
    )
  })

  app.get('/limits/:voice_id', async (c) => {
    const voiceId = c.req.param('voice_id')
    count(voiceId, 'limits')
    const ill = await illness(c, moodOf())
    if (ill !== undefined) return ill
    const own = OWN_LIMITS.exec(voiceId)
    if (own === null) return c.json({ detail: 'No limits of its own' }, 404)
    const [transaction_limit, daily_limit, monthly_limit] = own.slice(1).map(Number)
    return c.json({ transaction_limit, daily_limit, monthly_limit })
  })

  return app
}

/** What a service in that mode answers instead of its proper answer, if anything. Whoever hangs up ends the waiting. */
async function illness(c: Context, { mode, delayMs }: { mode: Mode; delayMs: number }): Promise<Response | undefined> {
  const { signal } = c.req.raw
  switch (mode) {
    case 'ok':
      return undefined
    case 'down':
      return c.json({ detail: 'Service unavailable' }, 503)
    case 'slow':
      await sleep(delayMs, undefined, { signal }).catch(() => {})
      return undefined
    case 'hang':
      if (!signal.aborted) await once(signal, 'abort')
      return c.body(null, 503)
  }
}

const jsonOf = (c: Context): Promise<unknown> => c.req.json().catch(() => undefined)
