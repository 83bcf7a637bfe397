import { setTimeout as pause } from 'node:timers/promises'
import { freePort } from './port.ts'
import { RedisProcess } from './redis-process.ts'

/** Slots of a cluster, by Redis's own definition. */
const SLOTS = 16_384

const MASTERS = 3

/** Milliseconds until the others hold a silent node for dead: short for a failover, long for a machine under load. */
const NODE_TIMEOUT_MS = 2_000

/** How often the nodes are asked whether they agree. */
const LOOK_EVERY_MS = 50

const AGREED_WITHIN_MS = 60_000

interface View {
  readonly port: number
  readonly flags: readonly string[]
  readonly slots: boolean
}

/** A Redis Cluster of three masters with a replica each on this machine, without persistence. */
export class RedisCluster {
  /** As `REDIS_URL` has it: all nodes. */
  readonly url: string
  /** The first three began as the masters of a third of the slots each; the fourth replicates the first, and so on. */
  readonly nodes: readonly RedisProcess[]

  private constructor(nodes: readonly RedisProcess[]) {
    this.nodes = nodes
    this.url = nodes.map((node) => node.url).join(',')
  }

  static async start(): Promise<RedisCluster> {
    const nodes: RedisProcess[] = []
    for (let n = 0; n < 2 * MASTERS; n++) nodes.push(new RedisProcess(await freePort(), await clusterArgs()))
    const cluster = new RedisCluster(nodes)
    try {
      await Promise.all(nodes.map((node) => node.start()))
      await cluster.#form()
      return cluster
    } catch (error) {
      await cluster.stop()
      throw error
    }
  }

  /** Kills the process that is master of this third of the slots now (0, 1 or 2), and waits for nothing else. */
  async killMaster(third: number): Promise<void> {
    await (await this.#master(third)).kill()
  }

  /** Stops it without ending it, so that connections to it stay open. */
  async silenceMaster(third: number): Promise<void> {
    ;(await this.#master(third)).silence()
  }

  async #master(third: number): Promise<RedisProcess> {
    const [view = []] = await this.#views()
    const masters = view
      .filter(({ flags, slots }) => flags.includes('master') && slots && !flags.includes('fail'))
      .map(({ port }) => this.nodes.findIndex((node) => node.port === port && node.running))
    const master = this.nodes[masters.find((n) => n >= 0 && n % MASTERS === third) ?? -1]
    if (master === undefined) throw new Error(`Nobody is master of the third ${third}`)
    return master
  }

  /** Resolves when every living node sees a living master for every slot. */
  awaitFailover(): Promise<void> {
    return this.#until(async () => {
      const living = this.nodes.filter((node) => node.running)
      const states = await Promise.all(living.map((node) => node.ask('cluster', 'info')))
      if (!states.every((state) => String(state).includes('cluster_state:ok'))) return false
      const ports = new Set(living.map(({ port }) => port))
      return (await this.#views()).every((view) => {
        const masters = view.filter(({ slots, flags }) => slots && !flags.includes('fail'))
        return masters.length === MASTERS && masters.every(({ port }) => ports.has(port))
      })
    })
  }

  /** Starts what was killed or silenced again, and resolves when every master has a replica that is in step with it. */
  async revive(): Promise<void> {
    await Promise.all(this.nodes.filter((node) => !node.running).map((node) => node.start()))
    await this.awaitFailover()
    await this.#replicated()
  }

  /** Every key of every master is gone. */
  async flush(): Promise<void> {
    for (const node of this.nodes) {
      if (!node.running) continue
      const role = await node.ask('role')
      if (Array.isArray(role) && role[0] === 'master') await node.ask('flushall')
    }
  }

  /** All keys, with the master that holds each. */
  async keys(): Promise<{ key: string; port: number }[]> {
    const found: { key: string; port: number }[] = []
    for (const node of this.nodes) {
      if (!node.running) continue
      const role = await node.ask('role')
      if (!Array.isArray(role) || role[0] !== 'master') continue
      const keys = await node.ask('keys', '*')
      if (Array.isArray(keys)) found.push(...keys.map((key) => ({ key: String(key), port: node.port })))
    }
    return found
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.remove()))
  }

  async #form(): Promise<void> {
    const [first] = this.nodes
    for (const [n, node] of this.nodes.entries()) {
      await node.ask('cluster', 'set-config-epoch', n + 1)
      if (n >= MASTERS) continue
      const from = Math.floor((n * SLOTS) / MASTERS)
      const to = Math.floor(((n + 1) * SLOTS) / MASTERS) - 1
      await node.ask('cluster', 'addslotsrange', from, to)
    }
    for (const node of this.nodes)
      if (first !== undefined && node !== first)
        await node.ask('cluster', 'meet', '127.0.0.1', first.port, await busPort(first))
    await this.#until(async () => (await this.#views()).every((view) => view.length === this.nodes.length))
    for (const [n, node] of this.nodes.entries())
      if (n >= MASTERS) await node.ask('cluster', 'replicate', await idOf(this.nodes[n - MASTERS]))
    await this.awaitFailover()
    await this.#replicated()
  }

  /** Resolves when every living replica has its master's data, and everybody knows whose replica it is. */
  #replicated(): Promise<void> {
    return this.#until(async () => {
      const views = await this.#views()
      if (!views.every((view) => view.filter(({ flags }) => flags.includes('slave')).length === MASTERS)) return false
      const roles = await Promise.all(this.nodes.filter((node) => node.running).map((node) => node.ask('role')))
      return roles.every((role) => Array.isArray(role) && (role[0] === 'master' || role[3] === 'connected'))
    })
  }

  /** How each living node sees the others. */
  #views(): Promise<View[][]> {
    return Promise.all(this.nodes.filter((node) => node.running).map(viewOf))
  }

  async #until(holds: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + AGREED_WITHIN_MS
    while (!(await holds())) {
      if (performance.now() > deadline) throw new Error('The nodes of the cluster do not agree')
      await pause(LOOK_EVERY_MS)
    }
  }
}

async function clusterArgs(): Promise<() => readonly string[]> {
  const bus = await freePort()
  return () => [
    ...['--cluster-enabled', 'yes', '--cluster-port', String(bus), '--cluster-announce-ip', '127.0.0.1'],
    ...['--cluster-node-timeout', String(NODE_TIMEOUT_MS), '--cluster-replica-validity-factor', '0'],
    ...['--appendonly', 'no', '--save', '', '--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'],
  ]
}

async function idOf(node: RedisProcess | undefined): Promise<string> {
  return String(await node?.ask('cluster', 'myid'))
}

const busPort = async (node: RedisProcess): Promise<string> => {
  const [, port = ''] = (await node.ask('config', 'get', 'cluster-port')) as string[]
  return port
}

/** `CLUSTER NODES`, a line for each node: id, address, flags, master, four times and states, slots. */
async function viewOf(node: RedisProcess): Promise<View[]> {
  return String(await node.ask('cluster', 'nodes'))
    .trim()
    .split('\n')
    .map((line) => {
      const [, address = '', flags = '', , , , , , ...slots] = line.split(' ')
      const port = Number(/:(\d+)@/.exec(address)?.[1])
      return { port, flags: flags.split(','), slots: slots.length > 0 }
    })
}
