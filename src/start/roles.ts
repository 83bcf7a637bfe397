import { migrate } from '../commands/migrate.ts'
import { type Config, ConfigError, EXIT_CONFIG } from '../platform/config.ts'
import { configuration } from './configuration.ts'
import { layFoundation, NotMigrated } from './foundation.ts'

const ROLES = ['api', 'worker', 'scheduler'] as const
type Role = (typeof ROLES)[number]

/** How a process ends that was called in a way it does not understand (EX_USAGE of sysexits.h). */
const EXIT_USAGE = 64

/** Longer than any request or job in work takes; containers are given 40 s. */
const STOP_DEADLINE_MS = 35_000

/** `node src/main.ts [api] [worker] [scheduler] | all | migrate` */
export async function main(words: readonly string[]): Promise<void> {
  try {
    await asAsked(words)
  } catch (error) {
    if (error instanceof ConfigError || error instanceof NotMigrated) {
      process.stderr.write(`${error.message}\n`)
      process.exit(EXIT_CONFIG)
    }
    process.stderr.write(`Bursar could not start: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(1)
  }
}

async function asAsked(words: readonly string[]): Promise<void> {
  const asked = understood(words)
  if (asked === undefined) {
    process.stderr.write(`Usage: node src/main.ts [${ROLES.join('] [')}] | all | migrate\n`)
    process.exitCode = EXIT_USAGE
    return
  }
  const config = await configuration()
  await (asked === 'migrate' ? migrateOnce(config) : run(config, asked))
}

/** Undefined for what nobody can have meant. */
function understood(words: readonly string[]): 'migrate' | ReadonlySet<Role> | undefined {
  const [only, ...more] = words
  if (more.length === 0 && only === 'migrate') return 'migrate'
  if (more.length === 0 && (only === undefined || only === 'all')) return new Set(ROLES)
  const isRole = (word: string): word is Role => ROLES.some((role) => role === word)
  return words.every(isRole) ? new Set(words) : undefined
}

async function run(config: Config, roles: ReadonlySet<Role>): Promise<void> {
  const foundation = await layFoundation(config)
  const { log } = foundation
  const running: { stop(): Promise<void> }[] = []
  const stop = async (why: string) => {
    log.info({ why }, 'Stopping: what is in work is finished first')
    setTimeout(() => {
      log.error('Not stopped in time')
      process.exit(1)
    }, STOP_DEADLINE_MS).unref()
    // The door first, so that nothing new comes in; the foundation last.
    for (const one of running) await one.stop()
    await foundation.close()
    log.info('Stopped')
  }
  try {
    // Each role loads its own code and no other's: it starts sooner, which is when it is missed, and in less memory.
    if (roles.has('worker')) {
      const { startWorkers } = await import('./worker.ts')
      running.unshift(await startWorkers(foundation))
    }
    if (roles.has('scheduler')) {
      const { startScheduler } = await import('./scheduler.ts')
      running.unshift(startScheduler(foundation))
    }
    if (roles.has('api')) {
      const { openDoor } = await import('./door.ts')
      const door = await openDoor(foundation)
      running.unshift(door)
      const { welcome } = await import('./welcome.ts')
      if (config.mode === 'development') process.stdout.write(welcome(door.url, config, foundation.sandbox?.mailUrl))
    }
    if (!roles.has('api') || config.metrics.port !== undefined) {
      const { openProbe } = await import('./probe.ts')
      running.push(await openProbe(foundation))
    }
    log.info({ roles: [...roles], queue: foundation.queues.backend }, 'Started')
  } catch (error) {
    await stop('start failed')
    throw error
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      stop(signal).then(
        () => process.exit(0),
        (error) => {
          log.error({ err: error }, 'Not stopped cleanly')
          process.exit(1)
        },
      )
    })
  }
}

async function migrateOnce(config: Config): Promise<void> {
  const url = config.databaseUrl?.reveal()
  if (url === undefined)
    throw new ConfigError(['DATABASE_URL is not set: the embedded database is migrated when it starts'])
  const applied = await migrate(url, { queue: config.redisUrl === undefined })
  process.stdout.write(applied.length === 0 ? 'The schema is up to date\n' : `Applied ${applied.join(', ')}\n`)
}
