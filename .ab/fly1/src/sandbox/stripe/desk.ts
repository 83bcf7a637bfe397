import type { Hono, MiddlewareHandler } from 'hono'
import { z } from 'zod'
import type { Transfer } from './rows.ts'
import type { World } from './world.ts'

/** Ids in a path, so that calls are counted by their template. */
const ID = /\/(?:pi|ch|py|re|du|pm|cus|acct|ba|card|tr|po|evt|in|ii)_[^/]+/g

const Time = z.object({
  advance_seconds: z
    .int()
    .min(0)
    .max(10 * 366 * 86_400),
})

/** What really moved, how often was asked, and time: for whoever tests against the stand-in. */
export function desk(app: Hono, world: World): MiddlewareHandler {
  const calls = new Map<string, number>()

  app.get('/_calls', (c) => c.json(Object.fromEntries([...calls].toSorted())))
  app.post('/_time', async (c) => {
    const wanted = Time.safeParse(await c.req.json().catch(() => undefined))
    if (!wanted.success) return c.json({ error: z.prettifyError(wanted.error) }, 422)
    world.advance(wanted.data.advance_seconds)
    return c.json({ now: new Date(world.now()).toISOString() })
  })
  app.get('/_done', (c) =>
    c.json({
      charges: world.charges
        .values()
        .filter(({ status, captured }) => status === 'succeeded' && captured)
        .map((one) => line(one, world.charges.values().filter(isCharged), one.payment_intent, one.amount_captured)),
      refunds: world.refunds.values().map((one) =>
        line(
          one,
          world.refunds.values().filter(({ status }) => status !== 'failed'),
          one.id,
          one.amount,
        ),
      ),
      payouts: world.payouts
        .values()
        .filter(({ original_payout }) => original_payout === null)
        .map((one) => line(one, world.payouts.values().filter(isPaidOut), one.id, one.amount)),
      transfers: world.transfers
        .values()
        .map((one) => line(withStatus(one), world.transfers.values().map(withStatus), one.id, one.amount)),
    }),
  )

  return async (c, next) => {
    const call = `${c.req.method} ${c.req.path.replaceAll(ID, '/{id}')}`
    calls.set(call, (calls.get(call) ?? 0) + 1)
    return next()
  }
}

interface Moved {
  readonly status: string
  readonly currency: string
  readonly metadata: Readonly<Record<string, string>>
}

const isCharged = ({ status, captured }: { status: string; captured: boolean }): boolean =>
  status === 'succeeded' && captured
const isPaidOut = ({ status, original_payout }: { status: string; original_payout: string | null }): boolean =>
  status !== 'failed' && status !== 'canceled' && original_payout === null

/** A transfer has no status of its own. */
const withStatus = (one: Transfer): Transfer & { status: string } => ({
  ...one,
  status: one.reversed ? 'reversed' : 'made',
})

/** One thing that moved money, and how often money moved for its reference. */
const line = (one: Moved, all: readonly Moved[], id: string, amount: number) => ({
  reference: one.metadata.reference ?? null,
  id,
  amount,
  currency: one.currency,
  status: one.status,
  times:
    one.metadata.reference === undefined
      ? 1
      : all.filter(({ metadata }) => metadata.reference === one.metadata.reference).length,
})
