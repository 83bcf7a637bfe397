import type { Misbehaviour } from '../src/sandbox/moods.ts'
import { type Backend, type ChaosDeployment, links, roleNames, roles } from './deployment.ts'
import { askGateway, type GatewayName, gateways } from './gateways.ts'
import type { Weather } from './link.ts'

/** Something that goes wrong. A new fault is one entry in the table below. */
export interface FaultKind {
  readonly says: string
  /** How often it is chosen, beside the others. */
  readonly weight: number
  /** Milliseconds until it is healed: the shortest and the longest. */
  readonly lasts: readonly [shortest: number, longest: number]
  /** Whom it may hit; nobody in a deployment that has none of them. */
  targets(backend: Backend): readonly string[]
  /** Makes it so. `force` says how bad it is, from 0 to 1. Answers with what makes it well again. */
  inject(deployment: ChaosDeployment, target: string, force: number): Promise<() => Promise<void> | void>
}

const rolesOf = (role: string) => () => roleNames.filter((name) => roles[name] === role)
const on = (backend: Backend, target: string) => (asked: Backend) => (asked === backend ? [target] : [])
const scaled = (force: number, from: number, to: number) => Math.round(from + force * (to - from))

const killed = (role: string, weight: number): FaultKind => ({
  says: `kill -9 of a ${role} process`,
  weight,
  lasts: [100, 2_000],
  targets: rolesOf(role),
  async inject(deployment, target) {
    await deployment.role(target).kill()
    return () => void deployment.role(target).start()
  },
})

const stopped = (role: string, weight: number, lasts: FaultKind['lasts']): FaultKind => ({
  says: `SIGSTOP of a ${role} process, which wakes up late`,
  weight,
  lasts,
  targets: rolesOf(role),
  async inject(deployment, target) {
    deployment.role(target).signal('SIGSTOP')
    return () => deployment.role(target).signal('SIGCONT')
  },
})

const weather = (
  options: { says: string; weight: number; lasts: FaultKind['lasts'] },
  turned: (force: number) => Weather,
): FaultKind => ({
  ...options,
  targets: links,
  async inject(deployment, target, force) {
    deployment.link(target).turn(turned(force))
    return () => deployment.link(target).heal()
  },
})

const voice = (mode: string, weight: number): FaultKind => ({
  says: `the voice service ${mode === 'down' ? 'answers 503' : mode === 'hang' ? 'never answers' : 'answers slowly'}`,
  weight,
  lasts: [500, 3_000],
  targets: () => ['voice'],
  async inject({ sandbox }, _target, force) {
    const turn = (mood: object) =>
      fetch(`${sandbox.voiceUrl}/_mood`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(mood),
      })
    await turn({ mode, delay_ms: scaled(force, 100, 3_000) })
    return async () => void (await turn({ mode: 'ok' }))
  },
})

/** Requests of one gateway that move money, or all of its requests, are met with this. */
const mood = (
  does: Misbehaviour,
  options: { says: string; weight: number; lasts: FaultKind['lasts']; on?: string; delayMs?: number },
): FaultKind => ({
  says: options.says,
  weight: options.weight,
  lasts: options.lasts,
  targets: () => gateways,
  async inject({ sandbox }, target, force) {
    const gateway = target as GatewayName
    const wanted = {
      on: options.on ?? 'POST ',
      does,
      times: 1_000_000,
      delay_ms: scaled(force, 0, options.delayMs ?? 0),
    }
    await askGateway(sandbox, gateway, 'POST', '/_moods', wanted)
    return async () => void (await askGateway(sandbox, gateway, 'DELETE', '/_moods'))
  },
})

/** A gateway's webhooks come otherwise than they were sent. */
const webhooks = (
  options: { says: string; weight: number },
  turned: { readonly mode?: 'hold' | 'drop'; readonly copies?: number },
): FaultKind => ({
  ...options,
  lasts: [500, 4_000],
  targets: () => gateways,
  async inject({ sandbox }, target, force) {
    const gateway = target as GatewayName
    await askGateway(sandbox, gateway, 'PUT', '/_webhooks', turned)
    return async () => {
      await askGateway(sandbox, gateway, 'PUT', '/_webhooks', { mode: 'send', copies: 1 })
      // Answered when all were delivered, which may take as long as a door is dead.
      const order = force < 0.5 ? 'reversed' : 'shuffled'
      if (turned.mode === 'hold')
        void askGateway(sandbox, gateway, 'POST', '/_webhooks/release', { order }).catch(() => {})
    }
  },
})

export const faults = {
  'kill api': killed('api', 8),
  'kill worker': killed('worker', 14),
  'kill scheduler': killed('scheduler', 3),
  // Up to well beyond the ten seconds after which the queue gives its jobs to another.
  'stop worker': stopped('worker', 6, [1_000, 14_000]),
  'stop api': stopped('api', 2, [300, 3_000]),

  'kill postgres': {
    says: 'kill -9 of PostgreSQL, and a start with recovery',
    weight: 5,
    lasts: [0, 1_500],
    targets: () => ['postgres'],
    async inject({ postgres }) {
      await postgres.kill()
      return () => postgres.startAgain()
    },
  },
  'restart postgres': {
    says: 'a fast shutdown of PostgreSQL, and a start',
    weight: 3,
    lasts: [0, 1_500],
    targets: () => ['postgres'],
    async inject({ postgres }) {
      await postgres.stop()
      return () => postgres.startAgain()
    },
  },
  'slow disk': {
    says: 'each commit of PostgreSQL waits up to 100 ms for the disk, one after the other (commit_delay)',
    weight: 4,
    lasts: [1_000, 4_000],
    targets: () => ['postgres'],
    async inject({ pool }, _target, force) {
      // Slept while holding the lock under which the log is written, like an fsync that takes so long. Microseconds.
      await pool.query(`alter system set commit_delay = ${scaled(force, 20_000, 100_000)}`)
      await pool.query('alter system set commit_siblings = 0')
      await pool.query('select pg_reload_conf()')
      return async () => {
        await pool.query('alter system reset commit_delay')
        await pool.query('alter system reset commit_siblings')
        await pool.query('select pg_reload_conf()')
      }
    },
  },
  'hanging disk': {
    says: 'SIGSTOP of every process of PostgreSQL, as when the disk answers nobody for a while',
    weight: 4,
    lasts: [300, 3_000],
    targets: () => ['postgres'],
    async inject({ postgres }) {
      postgres.signalAll('SIGSTOP')
      return () => postgres.signalAll('SIGCONT')
    },
  },

  'flush queue': {
    says: 'FLUSHALL of Redis, or a truncation of the queue’s tables in PostgreSQL',
    weight: 6,
    lasts: [0, 0],
    targets: (backend) => [backend === 'postgres' ? 'postgres' : 'queue'],
    async inject(deployment) {
      await deployment.flushQueue()
      return () => {}
    },
  },
  'kill redis': {
    says: 'kill -9 of Redis, and a start from its append-only file',
    weight: 5,
    lasts: [0, 3_000],
    targets: on('redis', 'queue'),
    async inject({ redis }) {
      await redis?.kill()
      return () => redis?.start()
    },
  },
  'stop redis': {
    says: 'SIGSTOP of Redis, which keeps its connections and says nothing',
    weight: 3,
    lasts: [300, 4_000],
    targets: on('redis', 'queue'),
    async inject({ redis }) {
      redis?.signal('SIGSTOP')
      return () => redis?.signal('SIGCONT')
    },
  },
  'kill cluster master': {
    says: 'kill -9 of one master of the Redis Cluster, whose replica takes over; the node comes back as a replica',
    weight: 8,
    lasts: [2_000, 5_000],
    targets: on('cluster', 'queue'),
    async inject({ cluster }, _target, force) {
      await cluster?.killMaster(Math.min(2, Math.floor(force * 3)))
      return () => cluster?.revive()
    },
  },

  'cut link': {
    says: 'every connection of one link is reset',
    weight: 8,
    lasts: [0, 0],
    targets: links,
    async inject(deployment, target) {
      deployment.link(target).cut()
      return () => {}
    },
  },
  'half-close link': {
    says: 'one side of every connection of a link is told that the other has ended',
    weight: 5,
    lasts: [200, 2_000],
    targets: links,
    async inject(deployment, target, force) {
      deployment.link(target).halfClose(force < 0.5 ? 'asking' : 'answering')
      return () => deployment.link(target).heal()
    },
  },
  'late link': weather(
    { says: 'everything on one link comes up to 500 ms late', weight: 5, lasts: [500, 4_000] },
    (force) => ({ kind: 'late', ms: scaled(force, 20, 500) }),
  ),
  'refused link': weather({ says: 'one link refuses all connections', weight: 5, lasts: [300, 4_000] }, () => ({
    kind: 'refused',
  })),
  'answers lost': weather(
    { says: 'questions on one link arrive, answers do not', weight: 8, lasts: [100, 2_500] },
    () => ({
      kind: 'answersLost',
    }),
  ),
  'silent link': weather(
    { says: 'nothing on one link arrives on either side', weight: 4, lasts: [300, 3_000] },
    () => ({
      kind: 'silent',
    }),
  ),

  'voice down': voice('down', 2),
  'voice hangs': voice('hang', 2),
  'voice slow': voice('slow', 2),

  'gateway loses answers': mood('lose_answer', {
    says: 'a gateway does what it is asked, and hangs up before it says so',
    weight: 5,
    lasts: [300, 3_000],
  }),
  'gateway fails after': mood('fail_after', {
    says: 'a gateway does what it is asked, and answers 500',
    weight: 4,
    lasts: [300, 3_000],
  }),
  'gateway limits': mood('limit', {
    says: 'a gateway does nothing and answers 429, to look-ups, too',
    weight: 3,
    lasts: [300, 3_000],
    on: '*',
  }),
  'gateway hangs': mood('hang', {
    says: 'a gateway takes requests and never answers',
    weight: 2,
    lasts: [300, 2_000],
    on: '*',
  }),
  'gateway slow': mood('slow', {
    says: 'a gateway answers up to 3 s late',
    weight: 3,
    lasts: [300, 3_000],
    on: '*',
    delayMs: 3_000,
  }),
  'webhooks dropped': webhooks({ says: 'a gateway’s webhooks never come', weight: 4 }, { mode: 'drop' }),
  'webhooks disordered': webhooks(
    { says: 'a gateway’s webhooks come late and in another order', weight: 4 },
    { mode: 'hold' },
  ),
  'webhooks repeated': webhooks(
    { says: 'each of a gateway’s webhooks comes three times at once', weight: 4 },
    { copies: 3 },
  ),
} as const satisfies Readonly<Record<string, FaultKind>>

export type FaultName = keyof typeof faults
export const faultNames = Object.keys(faults) as FaultName[]

export const faultNamed = (name: FaultName): FaultKind => faults[name]
