import {
  createPostgresBackend,
  createRedisBackend,
  type JobsOptions,
  type Queue,
  type Telemetry,
  UnrecoverableError,
  withBackend,
} from 'bullmq'
import pg from 'pg'
import { Fault } from '../kit/fault.ts'
import { isWell, openRedis } from './redis.ts'

/** A job as the spine knows it, whichever backend carries it. */
export interface JobMessage<Data> {
  readonly id: string
  readonly kind: string
  readonly data: Data
}

export interface OutgoingJob<Data> {
  readonly id: string
  readonly kind: string
  readonly data: Data
  readonly attempts: number
}

export interface RunningWorker {
  /** Takes no more jobs and resolves when those in work are done. */
  close(): Promise<void>
}

export type Depths = Record<string, number>

/** Everything that Bursar needs of BullMQ. One factory, two backends; nothing else knows which one is there. */
export interface QueueSystem<Name extends string, Data> {
  readonly backend: 'redis' | 'postgres'
  send(queue: Name, jobs: readonly OutgoingJob<Data>[]): Promise<void>
  fates(queue: Name, jobIds: readonly string[]): Promise<Map<string, 'live' | 'failed'>>
  /** Resolves when sending may begin: what a Redis that is still away is sent, it gets when it comes. */
  ready(): Promise<void>
  work(queue: Name, options: WorkOptions<Data>): Promise<RunningWorker>
  /** Jobs by state. */
  depths(queue: Name): Promise<Depths>
  reachable(): Promise<boolean>
  /** The queues themselves, for the board. */
  boardQueues(): readonly Queue[]
  close(): Promise<void>
}

export interface WorkOptions<Data> {
  readonly concurrency: number
  /** Throws to have the job tried again; `GiveUp` to have it shown as failed at once. */
  readonly handle: (job: JobMessage<Data>) => Promise<unknown>
  /** Milliseconds until the next try of a kind, after so many. */
  readonly backoff: (kind: string, attemptsMade: number) => number
  readonly onError: (error: Error) => void
}

/** Thrown by a handler whose job should be shown as failed and not be tried again by the queue. */
export class GiveUp extends Error {}

/** What begins a queue's keys in Redis. The braces keep them in one slot of a cluster, and other queues in other slots. */
const prefixOf = (name: string): string => `{bursar:${name}}`

/** A worker that was killed is noticed after this long; a living one renews twice as often. */
const LOCK_MS = 10_000

/** How often somebody looks for jobs whose worker is gone. */
const STALLED_EVERY_MS = 5_000

/** A job may lose its worker this often (a restart under load, a kill) before the queue gives it up to the relay. */
const MAX_STALLED = 5

/** What the board can show of the past: bounded by age (seconds) and count. */
export const KEPT_COMPLETED = { age: 3_600, count: 1_000 }
export const KEPT_FAILED = { age: 7 * 86_400, count: 5_000 }

/**
 * One job in so many, of those that a process sends to a queue, puts away what need not be kept as it completes. On
 * PostgreSQL that takes as long as all else of completing a job, and there are no more than so many too many meanwhile.
 */
export const CLEARS_EVERY = 16

/**
 * So many jobs are sent to PostgreSQL at once, fewer one by one: BullMQ makes and drops two temporary tables for each bulk,
 * which takes PostgreSQL as long as ten jobs (5 ms).
 */
const POSTGRES_BULK_FROM = 10

/** A worker that lost its queue asks again this often; BullMQ's own 15 s would keep a short outage going. */
const ASK_AGAIN_MS = 1_000

/** State look-ups on their way at once when the relay asks. */
const LOOKUPS = 32

const LIVE_STATES = new Set(['waiting', 'active', 'delayed', 'prioritized', 'waiting-children'])

export interface QueueSystemOptions<Name extends string> {
  readonly names: readonly Name[]
  readonly store: { readonly redisUrl: string } | { readonly postgresUrl: string; readonly schema: string }
  readonly telemetry?: Telemetry | undefined
  readonly onError: (error: Error) => void
}

export function openQueues<Name extends string, Data>(options: QueueSystemOptions<Name>): QueueSystem<Name, Data> {
  const backend = 'redisUrl' in options.store ? redisBackend(options.store.redisUrl) : postgresBackend(options.store)
  const shared = (name: Name) => ({
    prefix: prefixOf(name),
    ...(options.telemetry ? { telemetry: options.telemetry } : {}),
  })
  const queues = new Map<Name, Queue>()
  for (const name of options.names) {
    const queue = new backend.Queue(name, { ...shared(name), connection: backend.sending() })
    queue.on('error', options.onError)
    queues.set(name, queue)
  }
  const queueNamed = (name: Name): Queue => {
    const queue = queues.get(name)
    if (queue === undefined) throw new Error(`No queue is called ${name}`)
    return queue
  }
  const workers = new Set<RunningWorker>()

  const sent = new Map<Name, number>()
  /** Counted for each queue: among several that are sent in turns one might never have its own. */
  const isTurn = (name: Name): boolean => {
    const before = sent.get(name) ?? 0
    sent.set(name, before + 1)
    return before % CLEARS_EVERY === 0
  }

  /** On PostgreSQL BullMQ keeps to its first answer for ever, and a worker that got none spins on it: better not to start. */
  const firstAnswer = async (one: { waitUntilReady(): Promise<unknown> }) => {
    if (backend.kind === 'postgres') await one.waitUntilReady()
  }

  return {
    backend: backend.kind,
    async ready() {
      await Promise.all([...queues.values()].map(firstAnswer))
    },
    async send(name, jobs) {
      const queue = queueNamed(name)
      const opts = jobs.map((job) => jobOptions(job, isTurn(name)))
      if (jobs.length < backend.bulkFrom)
        await Promise.all(jobs.map((job, at) => queue.add(job.kind, job.data, opts[at])))
      else await queue.addBulk(jobs.map((job, at) => ({ name: job.kind, data: job.data, opts: opts[at] })))
    },
    async fates(name, jobIds) {
      const queue = queueNamed(name)
      // One that has not been there since we started would not answer at all.
      if (!(await backend.reachable())) throw new Fault('The queue cannot be reached')
      const fates = new Map<string, 'live' | 'failed'>()
      for (let at = 0; at < jobIds.length; at += LOOKUPS) {
        await Promise.all(
          jobIds.slice(at, at + LOOKUPS).map(async (id) => {
            const state = await queue.getJobState(id)
            if (LIVE_STATES.has(state)) fates.set(id, 'live')
            else if (state === 'failed') fates.set(id, 'failed')
          }),
        )
      }
      return fates
    },
    async work(name, { concurrency, handle, backoff, onError }) {
      const inWork = new Set<Promise<unknown>>()
      const worker = new backend.Worker(
        name,
        async (job) => {
          const working = handle({ id: job.id ?? '', kind: job.name, data: job.data })
          inWork.add(working)
          try {
            return await working
          } catch (error) {
            throw error instanceof GiveUp ? new UnrecoverableError(error.message) : error
          } finally {
            inWork.delete(working)
          }
        },
        {
          ...shared(name),
          connection: backend.working(concurrency),
          concurrency,
          lockDuration: LOCK_MS,
          stalledInterval: STALLED_EVERY_MS,
          maxStalledCount: MAX_STALLED,
          runRetryDelay: ASK_AGAIN_MS,
          // Whole milliseconds: PostgreSQL's queue accepts no fractions.
          settings: { backoffStrategy: (made, _type, _error, job) => Math.round(backoff(job?.name ?? '', made)) },
        },
      )
      worker.on('error', onError)
      const running: RunningWorker = {
        async close() {
          await Promise.race([worker.close(), quiet(inWork)])
          workers.delete(running)
        },
      }
      workers.add(running)
      try {
        await firstAnswer(worker)
      } catch (error) {
        void worker.close(true)
        throw error
      }
      return running
    },
    depths: (name) => queueNamed(name).getJobCounts('waiting', 'active', 'delayed', 'failed', 'completed'),
    reachable: () => backend.reachable(),
    boardQueues: () => [...queues.values()],
    async close() {
      await Promise.all([...workers].map((worker) => worker.close()))
      await Promise.all([...queues.values()].map((queue) => queue.close()))
      await backend.close()
    },
  }
}

/** Milliseconds that a queue may take to let a worker go that has nothing in work: one that is away never answers. */
const LETTING_GO_MS = 3_000

/** Resolves when nothing has been in work for that long. */
async function quiet(inWork: ReadonlySet<Promise<unknown>>): Promise<void> {
  do {
    await Promise.allSettled(inWork)
    await new Promise((resolve) => setTimeout(resolve, LETTING_GO_MS).unref())
  } while (inWork.size > 0)
}

const jobOptions = (job: OutgoingJob<unknown>, clears: boolean): JobsOptions => ({
  jobId: job.id,
  attempts: job.attempts,
  backoff: { type: 'kind' },
  removeOnComplete: clears ? KEPT_COMPLETED : false,
  removeOnFail: KEPT_FAILED,
})

function redisBackend(url: string) {
  // Sending fails soon while Redis is away: the relay brings it later.
  const sending = openRedis(url, 'brief')
  const working = openRedis(url, 'patient')
  const { Queue, Worker } = withBackend(createRedisBackend)
  return {
    kind: 'redis' as const,
    bulkFrom: 2,
    Queue,
    Worker,
    sending: () => sending,
    working: (_concurrency: number) => working,
    reachable: () => answers(isWell(sending)),
    async close() {
      sending.disconnect()
      working.disconnect()
    },
  }
}

function postgresBackend({ postgresUrl, schema }: { postgresUrl: string; schema: string }) {
  const pools: pg.Pool[] = []
  // Of our own making: BullMQ hears a connection's errors only a moment after it is there, and one that PostgreSQL ends in
  // that moment, because it is about to restart, would end the process.
  const pool = (max: number) => {
    const one = new pg.Pool({
      connectionString: postgresUrl,
      // A job is a message that may be lost: what a crash of PostgreSQL takes the relay brings. So none waits for the disk.
      options: `-c search_path=${schema} -c synchronous_commit=off`,
      max,
      keepAlive: true,
      connectionTimeoutMillis: 3_000,
    })
    one.on('connect', (client) => client.on('error', () => {}))
    one.on('error', () => {})
    pools.push(one)
    return one as never
  }
  // The two backends' classes differ in their type arguments only; the calls above are the same on both.
  const { Queue, Worker } = withBackend(createPostgresBackend) as unknown as ReturnType<typeof redisClasses>
  return {
    kind: 'postgres' as const,
    bulkFrom: POSTGRES_BULK_FROM,
    Queue,
    Worker,
    sending: () => pool(SENDING_CONNECTIONS),
    // One for each job in work, one to fetch the next, one to listen.
    working: (concurrency: number) => pool(Math.min(concurrency + 1, MAX_WORKING_CONNECTIONS) + 1),
    // The same server as the database's, which has a look-up of its own.
    reachable: async () => true,
    async close() {
      const ended = Promise.all(pools.map((one) => one.end()))
      const late = new Promise((resolve) => setTimeout(resolve, LETTING_GO_MS).unref())
      await Promise.race([ended, late])
    },
  }
}

const redisClasses = () => withBackend(createRedisBackend)

const SENDING_CONNECTIONS = 3
const MAX_WORKING_CONNECTIONS = 10

/** Longer than any healthy Redis takes to answer. */
const PING_MS = 1_000

async function answers(question: Promise<boolean>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, PING_MS, false)
  })
  return Promise.race([question.catch(() => false), late]).finally(() => clearTimeout(timer))
}
