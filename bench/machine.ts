import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os'
import { VERSION } from '../src/start/foundation.ts'
import type { Stage } from './stage.ts'

/** Whose versions the figures depend on. */
const PACKAGES = ['@hono/node-server', 'bullmq', 'graphile-worker', 'hono', 'ioredis', 'pg', 'pg-boss']

/** Without these a commit is not on the disk when it is told. */
const DURABLE = ['fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers', 'max_wal_size']

export interface Machine {
  readonly cpus: number
  readonly model: string
  readonly memoryGiB: number
  readonly system: string
  /** Processes that wanted the processor in the minute before: more than a little means that others are at work. */
  readonly loadBefore: number
  readonly versions: Readonly<Record<string, string>>
  readonly postgresSettings: Readonly<Record<string, string>>
}

export async function describeMachine(stage: Stage): Promise<Machine> {
  const settings: [string, string][] = []
  for (const name of DURABLE) settings.push([name, await stage.show(name)])
  return {
    cpus: availableParallelism(),
    model: cpus()[0]?.model ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()}`,
    loadBefore: Math.round((loadavg()[0] ?? 0) * 10) / 10,
    versions: {
      bursar: VERSION,
      node: process.versions.node,
      postgres: await stage.show('server_version'),
      ...Object.fromEntries(PACKAGES.map((name) => [name, versionOf(name)])),
    },
    postgresSettings: Object.fromEntries(settings),
  }
}

function versionOf(name: string): string {
  const manifest = new URL(`../node_modules/${name}/package.json`, import.meta.url)
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version
}
