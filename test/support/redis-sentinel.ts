import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { freePort } from './port.ts'
import { RedisProcess } from './redis-process.ts'

const MASTER = 'bursar'
const SENTINELS = 3

/** Sentinels that have to agree that the master is gone. */
const QUORUM = 2

/** Milliseconds of silence that make a master dead to one sentinel, and within which a failover is done or begun anew. */
const SILENCE_MS = 1_000
const FAILOVER_MS = 5_000

const LOOK_EVERY_MS = 50
const DONE_WITHIN_MS = 60_000

/** A master with a replica, without persistence, and three sentinels that watch them. */
export class RedisSentinel {
  /** As `REDIS_URL` has it: all sentinels. */
  readonly url: string
  readonly #servers: readonly RedisProcess[]
  readonly #sentinels: readonly RedisProcess[]

  private constructor(servers: readonly RedisProcess[], sentinels: readonly RedisProcess[]) {
    this.#servers = servers
    this.#sentinels = sentinels
    this.url = `redis+sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${MASTER}`
  }

  static async start(): Promise<RedisSentinel> {
    const master = new RedisProcess(await freePort(), () => QUICK)
    const replica = new RedisProcess(await freePort(), () => [...QUICK, '--replicaof', '127.0.0.1', `${master.port}`])
    const peers: { id: string; port: number }[] = []
    for (let n = 0; n < SENTINELS; n++) peers.push({ id: randomBytes(20).toString('hex'), port: await freePort() })
    const sentinels = peers.map(
      (self) => new RedisProcess(self.port, (home) => [written(home, self, peers, master, replica), '--sentinel']),
    )
    const all = new RedisSentinel([master, replica], sentinels)
    try {
      await Promise.all([master, replica].map((server) => server.start()))
      await all.#until(async () => String(await master.ask('info', 'replication')).includes('state=online'))
      await Promise.all(sentinels.map((sentinel) => sentinel.start()))
      await all.#until(() => all.#agreed(master.port))
      return all
    } catch (error) {
      await all.stop()
      throw error
    }
  }

  /** Kills the process that is master now, and waits for nothing else. */
  async killMaster(): Promise<void> {
    const port = await this.#masterPort(this.#sentinels[0])
    const master = this.#servers.find((server) => server.port === port)
    if (master?.running !== true) throw new Error('There is no master to kill')
    await master.kill()
  }

  /** Resolves when every sentinel names a living master, and it thinks so too. */
  awaitFailover(): Promise<void> {
    return this.#until(async () => {
      const living = this.#servers.find((server) => server.running)
      return living !== undefined && (await this.#agreed(living.port))
    })
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#sentinels, ...this.#servers].map((one) => one.remove()))
  }

  async #agreed(port: number): Promise<boolean> {
    const named = await Promise.all(this.#sentinels.map((sentinel) => this.#masterPort(sentinel)))
    if (named.some((one) => one !== port)) return false
    const role = await this.#servers.find((server) => server.port === port)?.ask('role')
    return Array.isArray(role) && role[0] === 'master'
  }

  async #masterPort(sentinel: RedisProcess | undefined): Promise<number> {
    const address = await sentinel?.ask('sentinel', 'get-master-addr-by-name', MASTER)
    return Array.isArray(address) ? Number(address[1]) : 0
  }

  async #until(holds: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + DONE_WITHIN_MS
    while (!(await holds())) {
      if (performance.now() > deadline) throw new Error('The sentinels do not agree')
      await pause(LOOK_EVERY_MS)
    }
  }
}

const QUICK = ['--appendonly', 'no', '--save', '', '--repl-diskless-sync-delay', '0']

/** A sentinel's configuration, with everybody introduced: by themselves they take seconds to meet. */
function written(
  home: string,
  self: { id: string; port: number },
  peers: readonly { id: string; port: number }[],
  master: RedisProcess,
  replica: RedisProcess,
): string {
  const file = join(home, 'sentinel.conf')
  const lines = [
    `sentinel myid ${self.id}`,
    `sentinel monitor ${MASTER} 127.0.0.1 ${master.port} ${QUORUM}`,
    `sentinel down-after-milliseconds ${MASTER} ${SILENCE_MS}`,
    `sentinel failover-timeout ${MASTER} ${FAILOVER_MS}`,
    `sentinel known-replica ${MASTER} 127.0.0.1 ${replica.port}`,
    ...peers
      .filter(({ id }) => id !== self.id)
      .map(({ id, port }) => `sentinel known-sentinel ${MASTER} 127.0.0.1 ${port} ${id}`),
  ]
  writeFileSync(file, `${lines.join('\n')}\n`)
  return file
}
