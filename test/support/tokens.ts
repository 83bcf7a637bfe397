import { expect } from 'vitest'
import { Dispatcher } from '../../src/jobs/dispatch.ts'
import { insertFollowUps } from '../../src/jobs/followup.ts'
import { newId } from '../../src/kit/ids.ts'
import { inTransaction } from '../../src/platform/database.ts'
import type { MovableClock } from './clock.ts'
import type { Answer, Deployment } from './deployment.ts'

export const OPERATOR = { as: 'olga', roles: ['operator'] } as const

/** The stand-in for the voice service, as whoever tests against it may see and change it. */
export const voiceOf = ({ foundation }: Deployment) => ({
  async mood(mode: 'ok' | 'down' | 'hang'): Promise<void> {
    const response = await fetch(`${foundation.voiceUrl}/_mood`, {
      method: 'PUT',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ mode }),
    })
    expect(response.status).toBe(200)
  },
  /** How often it was asked about a voice. */
  async verified(voiceId: string): Promise<number> {
    const calls: unknown = await (await fetch(`${foundation.voiceUrl}/_calls/${voiceId}`)).json()
    return (calls as { verifies: number }).verifies
  },
})

/** Has the tokens swept whose time is over, as the schedule does every minute, and answers with what came of it. */
export async function sweep(bursar: Deployment): Promise<{ expired: number; returned: number }> {
  const { foundation, clock } = bursar
  const id = newId()
  const now = clock.now()
  const period = now.toISOString()
  const jobs = await inTransaction(bursar.pool, (sql) =>
    insertFollowUps(sql, foundation.keyring, [{ id, kind: 'token.sweep', input: { period } }], now),
  )
  new Dispatcher(foundation.queues, foundation.log).send(jobs)
  const { status, result } = await bursar.settled(id, OPERATOR)
  expect(status).toBe('succeeded')
  return result
}

/** What all transfers of one movement have moved together. */
export async function moved(bursar: Deployment, movement: string): Promise<number> {
  const { rows } = await bursar.pool.query(
    'select coalesce(sum(amount), 0)::int as total from transfer where movement = $1',
    [movement],
  )
  return rows[0].total
}

/** How many answers had which status. */
export const tally = (answers: readonly Answer[]): Record<number, number> =>
  Object.fromEntries([...Map.groupBy(answers, ({ status }) => status)].map(([status, all]) => [status, all.length]))

/** Moves a clock on to an instant. */
export const moveTo = (clock: MovableClock, instant: Date): void =>
  clock.advance({ seconds: (instant.getTime() - clock.now().getTime()) / 1_000 })

/** Moves a clock on to noon of the tenth of the next month (UTC), so that neither day nor month ends while a test runs. */
export function moveToMidMonth(clock: MovableClock): void {
  const now = clock.now()
  moveTo(clock, new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 10, 12)))
}
