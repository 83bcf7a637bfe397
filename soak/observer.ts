import { QUEUE_SCHEMA } from '../src/commands/migrate.ts'
import { type QueueName, queueNames } from '../src/jobs/kind.ts'
import { openQueues, type QueueSystem } from '../src/platform/queue.ts'
import type { SoakDeployment } from './deployment.ts'
import { familyOf, residentOf } from './memory.ts'
import type { Sample } from './trend.ts'
import type { Measure } from './verdict.ts'

/** Something of one process that is looked at again and again. */
export interface Series {
  readonly process: string
  readonly what: string
  readonly measure: Measure
  readonly samples: Sample[]
}

/** Looks at every process, and at what the queue keeps of finished jobs. */
export class Observer {
  readonly series: Series[] = []
  /** The most finished jobs that any queue was seen to keep. */
  readonly mostFinished = { completed: 0, failed: 0 }
  readonly #deployment: SoakDeployment
  readonly #queues: QueueSystem<QueueName, unknown>
  readonly #startedAt = performance.now()

  constructor(deployment: SoakDeployment) {
    this.#deployment = deployment
    const { REDIS_URL: redisUrl, DATABASE_URL: postgresUrl = '' } = deployment.env
    this.#queues = openQueues<QueueName, unknown>({
      names: Object.keys(queueNames) as QueueName[],
      store: redisUrl === undefined ? { postgresUrl, schema: QUEUE_SCHEMA } : { redisUrl },
      onError: () => {},
    })
  }

  get seconds(): number {
    return (performance.now() - this.#startedAt) / 1_000
  }

  async look(): Promise<void> {
    const { processes, postgresPid, redis, pool } = this.#deployment
    for (const one of processes) {
      this.#note(one.name, 'heap', 'heap', await one.heap())
      this.#note(one.name, 'resident', 'resident', residentOf(one.pid))
    }
    this.#note('postgresql', 'resident', 'resident', familyOf(postgresPid))
    if (redis !== undefined) {
      const [, used] = /used_memory:(\d+)/.exec(await redis.client.info('memory')) ?? []
      this.#note('redis', 'data', 'heap', Number(used))
      this.#note('redis', 'resident', 'resident', residentOf(redis.pid))
      this.#note('redis', 'keys', 'rows', await redis.client.dbsize())
    } else {
      const { rows } = await pool.query<{ jobs: string; events: string }>(
        `select (select count(*) from ${QUEUE_SCHEMA}.job) as jobs, (select count(*) from ${QUEUE_SCHEMA}.event) as events`,
      )
      this.#note('queue', 'jobs', 'rows', Number(rows[0]?.jobs))
      this.#note('queue', 'events', 'rows', Number(rows[0]?.events))
    }
    for (const name of Object.keys(queueNames) as QueueName[]) {
      const { completed = 0, failed = 0 } = await this.#queues.depths(name)
      this.mostFinished.completed = Math.max(this.mostFinished.completed, completed)
      this.mostFinished.failed = Math.max(this.mostFinished.failed, failed)
    }
  }

  close(): Promise<void> {
    return this.#queues.close()
  }

  #note(process: string, what: string, measure: Measure, value: number): void {
    let series = this.series.find((one) => one.process === process && one.what === what)
    if (series === undefined) {
      series = { process, what, measure, samples: [] }
      this.series.push(series)
    }
    series.samples.push({ at: this.seconds, value })
  }
}
