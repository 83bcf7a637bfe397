import type { KindName } from '../src/jobs/catalogue.ts'
import { Dispatcher } from '../src/jobs/dispatch.ts'
import type { JobData } from '../src/jobs/envelope.ts'
import { insertFollowUps } from '../src/jobs/followup.ts'
import { type QueueName, queueNames } from '../src/jobs/kind.ts'
import { Keyring } from '../src/kit/keyring.ts'
import { Secret } from '../src/kit/secret.ts'
import { developmentSecrets } from '../src/platform/config/variables.ts'
import { inTransaction } from '../src/platform/database.ts'
import { openQueues } from '../src/platform/queue.ts'
import type { Audited } from './audit.ts'

/** Has upkeep done as its schedule would in a minute, and leaves it to the workers. */
export async function askForUpkeep(
  deployment: Pick<Audited, 'pool' | 'queueStore'>,
  kinds: readonly KindName[],
): Promise<void> {
  const names = Object.keys(queueNames) as QueueName[]
  const queues = openQueues<QueueName, JobData>({ names, store: deployment.queueStore, onError: () => {} })
  try {
    await queues.ready()
    const now = new Date()
    const followUps = kinds.map((kind) => ({ kind, input: { period: now.toISOString() } }))
    const jobs = await inTransaction(deployment.pool, (sql) => insertFollowUps(sql, keyring, followUps, now))
    await new Dispatcher(queues, { warn() {} }).send(jobs)
  } finally {
    await queues.close()
  }
}

const keyring = new Keyring(new Secret(developmentSecrets.ENCRYPTION_KEY))
