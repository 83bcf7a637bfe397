import { setTimeout as pause } from 'node:timers/promises'
import { type QueueName, queueNames } from '../src/jobs/kind.ts'
import { type Depths, openQueues } from '../src/platform/queue.ts'
import type { Client } from './client.ts'
import type { ChaosDeployment } from './deployment.ts'

/** Milliseconds without any progress after which what is still open is called so: longer than any wait between tries but the last. */
const NO_PROGRESS_MS = 150_000

const LOOK_MS = 250

/** How often an operator tries an operation again before they call for help. */
const ROUNDS = 3

export interface Quiet {
  /** Operations that were stuck, and were given a second chance. */
  readonly retried: number
}

/** Waits until nobody works on anything any more, and gives what is stuck a second chance, as an operator would. */
export async function untilQuiet(
  deployment: ChaosDeployment,
  operator: { readonly client: Client; readonly authorization: string },
): Promise<Quiet> {
  let retried = 0
  for (let round = 0; ; round++) {
    await untilIdle(deployment)
    const { rows } = await deployment.pool.query<{ id: string }>(`select id from operation where status = 'stuck'`)
    if (rows.length === 0 || round === ROUNDS) return { retried }
    for (const { id } of rows) {
      retried += 1
      const { client, authorization } = operator
      await client.submit(
        { kind: 'operation.retry', method: 'POST', path: `/api/v1/operations/${id}/retry`, authorization },
        { wait: 5 },
      )
    }
  }
}

/** Waits until nobody works on anything any more, whatever becomes of it. */
export const untilIdle = (deployment: ChaosDeployment): Promise<void> =>
  untilNothingChanges(() => openOperations(deployment))

/** Where the queue lives, as whoever opens it is told. */
export type QueueStore = Parameters<typeof openQueues>[0]['store']

/** What the queues still mean to do, by queue, when they do nothing about it any more: nothing, if all is well. */
export async function jobsLeft(store: QueueStore): Promise<{ left: Record<string, Depths>; failed: number }> {
  const names = Object.keys(queueNames) as QueueName[]
  const queues = openQueues<QueueName, unknown>({ names, store, onError: () => {} })
  try {
    await queues.ready()
    const depths = async () => {
      const all = await Promise.all(names.map(async (name) => [name, await queues.depths(name)] as const))
      return new Map(all)
    }
    await untilNothingChanges(async () => [...(await depths()).values()].reduce((sum, depth) => sum + live(depth), 0))
    const all = await depths()
    return {
      left: Object.fromEntries([...all].filter(([, depth]) => live(depth) > 0)),
      failed: [...all.values()].reduce((sum, { failed = 0 }) => sum + failed, 0),
    }
  } finally {
    await queues.close()
  }
}

const live = ({ waiting = 0, active = 0, delayed = 0 }: Depths): number => waiting + active + delayed

async function openOperations({ pool }: ChaosDeployment): Promise<number> {
  const { rows } = await pool.query(
    `select count(*)::int as open from operation where status in ('queued', 'processing')`,
  )
  return rows[0].open
}

/** Resolves when it is 0, or has not changed for too long. */
async function untilNothingChanges(count: () => Promise<number>): Promise<void> {
  let last = Number.NaN
  let since = performance.now()
  for (;;) {
    const now = await count()
    if (now === 0) return
    if (now !== last) {
      last = now
      since = performance.now()
    }
    if (performance.now() - since > NO_PROGRESS_MS) return
    await pause(LOOK_MS)
  }
}
