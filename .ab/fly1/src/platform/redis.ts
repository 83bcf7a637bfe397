import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { type RedisTopology, redisTopology } from './config/redis-url.ts'

/** A connection to one Redis, to the master that sentinels name, or to all masters of a cluster. */
export type RedisClient = Redis | Cluster

/** What happens to a command while there is nobody to send it to. */
type Manner =
  /** It waits, however long that takes: a worker has nothing better to do. */
  | 'patient'
  /** It fails soon, so that nothing piles up in memory: somebody else takes care of it. */
  | 'brief'

/** Milliseconds between attempts to reconnect: quick at first, never slower than a second. */
const patiently = (times: number): number => Math.min(times * 50, 1_000)

/** How often a cluster is asked who is master of what, beside after every error that says so: notices a silent master. */
const ASK_FOR_MASTERS_EVERY_MS = 5_000

/** Milliseconds before a command is sent again whose master is gone, or while a cluster has none for its slot. */
const AGAIN_MS = 100

/** With the pause above: a worker waits some twenty-five seconds for a replica to take over, a sender one and a half. */
const REDIRECTIONS = { patient: 256, brief: 16 }

/** Milliseconds without an answer that make a connection dead: of one that may block for ten seconds, and of one that may not. */
const SILENCE_MS = { patient: 15_000, brief: 5_000 }

/** Connects to what a `REDIS_URL` names, and comes back whenever it is lost or somebody else has become master. */
export function openRedis(url: string, manner: Manner): RedisClient {
  const client = connected(redisTopology(url), manner)
  // Whoever sends hears of it from the command that failed.
  client.on('error', () => {})
  return client
}

function connected(topology: RedisTopology, manner: Manner): RedisClient {
  const waiting = {
    enableOfflineQueue: manner === 'patient',
    maxRetriesPerRequest: manner === 'patient' ? null : 1,
    retryStrategy: patiently,
    reconnectOnError: isReplicaNow,
    socketTimeout: SILENCE_MS[manner],
  } satisfies RedisOptions
  switch (topology.kind) {
    case 'single':
      return new Redis(topology.url, waiting)
    case 'sentinel':
      return new Redis({
        ...waiting,
        ...access(topology),
        sentinels: topology.sentinels.map((sentinel) => ({ ...sentinel })),
        name: topology.master,
        db: topology.database,
        ...given('sentinelUsername', topology.sentinelUsername),
        ...given('sentinelPassword', topology.sentinelPassword),
        ...(topology.tls ? { sentinelTLS: {}, enableTLSForSentinelMode: true } : {}),
        sentinelRetryStrategy: patiently,
        // Its news of a new master would end a connection that is just being made, and with it the client for good. A master
        // that falls silent is left after the time above, and one that became a replica says so.
        failoverDetector: false,
      })
    case 'cluster':
      return new Cluster(
        topology.nodes.map((node) => ({ ...node })),
        {
          enableOfflineQueue: waiting.enableOfflineQueue,
          clusterRetryStrategy: patiently,
          // It asks a node of its own choice and waits for it; one that hangs would keep us from all others.
          enableReadyCheck: false,
          retryDelayOnFailover: AGAIN_MS,
          retryDelayOnClusterDown: AGAIN_MS,
          maxRedirections: REDIRECTIONS[manner],
          slotsRefreshInterval: ASK_FOR_MASTERS_EVERY_MS,
          redisOptions: {
            ...access(topology),
            maxRetriesPerRequest: waiting.maxRetriesPerRequest,
            socketTimeout: waiting.socketTimeout,
          },
          // Certificates are for names: looked up here, they would be checked against addresses.
          ...(topology.tls ? { dnsLookup: (name, found) => found(null, name) } : {}),
        },
      )
  }
}

function access(topology: Exclude<RedisTopology, { kind: 'single' }>) {
  const { username, password, tls } = topology
  return { ...given('username', username), ...given('password', password), ...(tls ? { tls: {} } : {}) }
}

const given = <Name extends string>(name: Name, value: string | undefined) =>
  (value === undefined ? {} : { [name]: value }) as { [name in Name]?: string }

/** A master that became a replica under us: the next connection finds the new one. */
const isReplicaNow = (error: Error): boolean => error.message.includes('READONLY')

/** Whether it can be worked with: a cluster that has a master for every slot, or a Redis that answers at all. */
export async function isWell(client: RedisClient): Promise<boolean> {
  if (client instanceof Redis) return (await client.ping()) === 'PONG'
  return String(await client.cluster('INFO')).includes('cluster_state:ok')
}
