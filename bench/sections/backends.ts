import type { Backend } from '../options.ts'
import type { Stage } from '../stage.ts'

/** The backends that were asked for and can be had here. */
export const backendsOf = ({ options, hasRedis }: Stage): Backend[] =>
  options.backends.filter((backend) => backend === 'postgres' || hasRedis)

export const onBackend = (backend: Backend): string => `on ${backend === 'redis' ? 'Redis' : 'PostgreSQL'}`

/** Starts all, and whatever happens then, stops all. */
export async function withAll<One extends { stop(): Promise<void> }, Result>(
  starting: readonly (() => Promise<One>)[],
  work: (all: readonly One[]) => Promise<Result>,
): Promise<Result> {
  const all: One[] = []
  try {
    for (const start of starting) all.push(await start())
    return await work(all)
  } finally {
    for (const one of all) await one.stop()
  }
}
