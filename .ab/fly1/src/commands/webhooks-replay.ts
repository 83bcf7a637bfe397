import { parseArgs } from 'node:util'
import { z } from 'zod'
import { receivedBetween } from '../domain/webhooks/reads.ts'
import { gatewayNames } from '../gateways/port.ts'
import { Dispatcher } from '../jobs/dispatch.ts'
import type { JobData } from '../jobs/envelope.ts'
import { insertFollowUps } from '../jobs/followup.ts'
import { type QueueName, queueNames } from '../jobs/kind.ts'
import { Keyring } from '../kit/keyring.ts'
import { type Config, ConfigError, EXIT_CONFIG } from '../platform/config.ts'
import { inTransaction, openPool, sqlOf } from '../platform/database.ts'
import { openQueues } from '../platform/queue.ts'
import { configuration } from '../start/configuration.ts'
import { QUEUE_SCHEMA } from './migrate.ts'
import { withDatabase } from './with-database.ts'

const USAGE =
  'Usage: npm run --silent webhooks:replay -- --gateway stripe --from 2026-11-20 --until 2026-11-21 [--status parked]'

/** How a process ends that was called in a way it does not understand (EX_USAGE of sysexits.h). */
const EXIT_USAGE = 64

/** Webhooks in one transaction: half a second of one connection, and enough jobs for the workers to begin with. */
const BATCH = 1_000

/** The caller of the command can mend this. */
class Misuse extends Error {}

const instant = z
  .string()
  .transform((written) => new Date(written))
  .refine((at) => !Number.isNaN(at.getTime()), {
    error: 'takes a day or an instant, such as 2026-11-20 or 2026-11-20T18:30:00Z',
  })

const Wanted = z
  .object({
    gateway: z.enum(gatewayNames, { error: `takes ${gatewayNames.join(', ')}` }).optional(),
    from: instant,
    until: instant,
    status: z
      .enum(['received', 'processed', 'parked', 'ignored'], { error: 'takes received, processed, parked or ignored' })
      .optional(),
  })
  .refine(({ from, until }) => from < until, { path: ['until'], error: 'must be after --from' })

/** Which webhooks are worked on once more: those that were received in [from, until). */
export type Wanted = z.output<typeof Wanted>

/**
 * Has webhooks that are on file worked on once more by the workers. Each is looked up at its gateway as it was the first time,
 * so that nothing is done twice by it. Answers with how many were asked for.
 */
export async function webhooksReplayCommand(
  config: Config,
  url: string,
  wanted: Wanted,
  print: (line: string) => void,
): Promise<number> {
  const pool = openPool({ url, name: 'bursar webhooks:replay', max: 1 })
  const redisUrl = config.redisUrl?.reveal()
  const queues = openQueues<QueueName, JobData>({
    names: Object.keys(queueNames) as QueueName[],
    store: redisUrl === undefined ? { postgresUrl: url, schema: QUEUE_SCHEMA } : { redisUrl },
    onError: () => {},
  })
  try {
    const keyring = new Keyring(config.encryption.current, config.encryption.previous)
    // What cannot be sent is brought by the relay.
    const dispatcher = new Dispatcher(queues, { warn: () => {} })
    const webhooks = await receivedBetween(sqlOf(pool), wanted)
    for (let first = 0; first < webhooks.length; first += BATCH) {
      const retries = webhooks
        .slice(first, first + BATCH)
        .map(({ id }) => ({ kind: 'webhook.retry' as const, input: { webhook_id: id } }))
      const jobs = await inTransaction(pool, (sql) => insertFollowUps(sql, keyring, retries, new Date()))
      await dispatcher.send(jobs)
    }
    print(`${webhooks.length} webhooks are worked on once more`)
    return webhooks.length
  } finally {
    await queues.close()
    await pool.end()
  }
}

/** Refuses, in words for whoever typed it, what the command does not understand. */
export function readWanted(written: string[]): Wanted {
  const read = Wanted.safeParse(parsed(written))
  if (read.success) return read.data
  const problems = read.error.issues.map(({ path, message }) => `--${path.join('.')} ${message}`)
  throw new Misuse(`${problems.join('\n')}\n${USAGE}`)
}

function parsed(written: string[]) {
  const text = { type: 'string' } as const
  try {
    return parseArgs({ args: written, options: { gateway: text, from: text, until: text, status: text } }).values
  } catch (error) {
    throw new Misuse(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`)
  }
}

if (import.meta.main) {
  try {
    const wanted = readWanted(process.argv.slice(2))
    const config = await configuration()
    await withDatabase(config, (url) =>
      webhooksReplayCommand(config, url, wanted, (line) => void process.stdout.write(`${line}\n`)),
    )
  } catch (error) {
    if (!(error instanceof Misuse || error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = error instanceof Misuse ? EXIT_USAGE : EXIT_CONFIG
  }
}
