import { z } from '@hono/zod-openapi'
import type { Clock } from '../kit/clock.ts'
import { toJsonInteger } from '../kit/money.ts'
import { reply } from './reply.ts'
import type { Router } from './route.ts'

export interface HealthParts {
  readonly clock: Clock
  readonly version: string
  /** Rejects when the database cannot be reached. */
  readonly tokensInUse: () => Promise<{ active: number; budget: bigint }>
  /** Whether each of the others can be reached; none of them ever rejects. */
  readonly dependencies: { readonly [name: string]: () => Promise<boolean> }
}

/** Health is asked by many, often: one look serves everybody for this long. */
const LOOK_MS = 2_000

/** Whoever asks for health waits a few seconds at most. What has not answered by now is as good as away. */
const PATIENCE_MS = 2_000

interface Health {
  readonly database: boolean
  readonly tokens: { active: number; budget: bigint }
  readonly others: Record<string, boolean>
}

const healthSchema = z
  .object({
    status: z.enum(['healthy', 'degraded', 'unhealthy']).openapi({
      description: 'degraded: something else than the database is away; what is accepted waits for it.',
    }),
    version: z.string(),
    timestamp: z.iso.datetime(),
    active_tokens: z.int(),
    total_budget: z.int().openapi({ description: 'What is left on all active tokens together.' }),
    dependencies: z.record(z.string(), z.boolean()),
  })
  .openapi('Health')

export function healthRoute(router: Router, parts: HealthParts): void {
  let last: { at: number; health: Promise<Health> } | undefined
  const health = (): Promise<Health> => {
    const now = performance.now()
    if (last === undefined || now - last.at > LOOK_MS) last = { at: now, health: look(parts) }
    return last.health
  }
  router.route(
    {
      method: 'get',
      path: '/health',
      tag: 'Oversight',
      summary: 'Whether Bursar and what it depends on are well',
      access: 'anyone',
      answers: {
        200: { says: 'The database is there', schema: healthSchema },
        503: { says: 'The database is gone: nothing is accepted', schema: healthSchema },
      },
    },
    async ({ c }) => {
      const { database, tokens, others } = await health()
      const well = Object.values(others).every(Boolean)
      return reply(
        c,
        {
          status: database ? (well ? 'healthy' : 'degraded') : 'unhealthy',
          version: parts.version,
          timestamp: parts.clock.now().toISOString(),
          active_tokens: tokens.active,
          total_budget: toJsonInteger(tokens.budget),
          dependencies: { database, ...others },
        },
        database ? 200 : 503,
      )
    },
  )
}

async function look({ tokensInUse, dependencies }: HealthParts): Promise<Health> {
  const [tokens, ...others] = await Promise.all([
    soon(tokensInUse(), undefined),
    ...Object.entries(dependencies).map(async ([name, reachable]) => [name, await soon(reachable(), false)] as const),
  ])
  return {
    database: tokens !== undefined,
    tokens: tokens ?? { active: 0, budget: 0n },
    others: Object.fromEntries(others),
  }
}

/** The answer, if there is one in time. */
async function soon<Answer, Otherwise>(question: Promise<Answer>, otherwise: Otherwise): Promise<Answer | Otherwise> {
  const { promise: late, resolve } = Promise.withResolvers<Otherwise>()
  const timer = setTimeout(resolve, PATIENCE_MS, otherwise)
  return Promise.race([question.catch(() => otherwise), late]).finally(() => clearTimeout(timer))
}
