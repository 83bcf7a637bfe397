import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { isUuid, newId } from '../../src/kit/ids.ts'
import { STARTED } from '../processes.ts'
import type { Deduction } from './ledger.ts'

/** Connections of a peer's door: commits of single rows share the disk's time best when many are on their way. */
export const DOOR_CONNECTIONS = 32

/** Deductions that a peer's worker has in work at once: as many as the promise's plain transactions. */
export const WORKER_CONCURRENCY = 32

/** A peer's API: checks the body, hands the deduction on, and answers 202 when it is safe. Nobody is authenticated or limited. */
export function openDoor(accept: (deduction: Deduction) => Promise<unknown>): void {
  const app = new Hono()
  app.post('/token/:token/deduct', async (c) => {
    const tokenId = c.req.param('token')
    const { amount } = await c.req.json<{ amount?: unknown }>()
    if (!isUuid(tokenId) || typeof amount !== 'number' || !Number.isSafeInteger(amount) || amount < 1)
      return c.json({ error: 'ValidationError' }, 422)
    const deduction = { id: newId(), tokenId, amount }
    await accept(deduction)
    return c.json({ operation_id: deduction.id, status: 'queued' }, 202)
  })
  serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(process.env.PORT) }, started)
}

/** Tells whoever started this process that it is ready, in the words that Bursar's log has for it. */
export function started(): void {
  process.stdout.write(`{${STARTED}}\n`)
}

/** Which of its two roles this process was started as, and what it works on. */
export const role = process.argv[2] === 'door' ? 'door' : 'worker'
export const databaseUrl = process.env.DATABASE_URL ?? ''
export const redisUrl = process.env.REDIS_URL
