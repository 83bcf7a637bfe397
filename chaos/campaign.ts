import { setTimeout as pause } from 'node:timers/promises'
import { SignJWT } from 'jose'
import { developmentSecrets } from '../src/platform/config/variables.ts'
import { auditAll, type KindReport } from './audit.ts'
import { Client } from './client.ts'
import { type Backend, ChaosDeployment } from './deployment.ts'
import { type FaultName, faultNamed } from './faults.ts'
import type { Finding } from './finding.ts'
import { makeLoads } from './loads/index.ts'
import type { Load } from './loads/load.ts'
import { untilIdle, untilQuiet } from './quiet.ts'
import { Dice } from './random.ts'
import { Records } from './records.ts'
import { type PlannedFault, planFaults } from './schedule.ts'
import { askForUpkeep } from './upkeep.ts'

export interface CampaignOptions {
  readonly backend: Backend
  readonly faults: number
  readonly seed: number
  readonly clients: number
  /** Steps of all clients together, in a second; fewer while they wait for answers. */
  readonly rate: number
  /** How close faults follow each other: 1 as planned, less is closer. */
  readonly pace?: number
  readonly progress: (line: string) => void
}

/** One fault as it happened. */
export interface Injected extends PlannedFault {
  /** Milliseconds from its heal until something asked for after it was done. */
  readonly recoveredMs?: number
  /** Why it did not happen, for instance because another fault had made it impossible. */
  readonly missed?: string
}

export interface CampaignReport {
  readonly backend: Backend
  readonly seed: number
  readonly seconds: { readonly load: number; readonly quiet: number; readonly all: number }
  readonly faults: readonly Injected[]
  readonly kinds: Readonly<Record<string, KindReport>>
  readonly figures: Readonly<Record<string, number>>
  readonly findings: readonly Finding[]
  /** Where the logs are, if anybody has to read them. */
  readonly logs: string | undefined
}

/** How often the progress is told, in milliseconds. */
const PROGRESS_MS = 1_000

/** Milliseconds of load before the first fault and after the last one. */
const CALM_MS = 1_000

/**
 * On a machine that cannot keep up, faults wait while so many are not recovered from, but no longer than this (milliseconds):
 * a deployment that is never up proves nothing.
 */
const MAX_UNRECOVERED = 4
const LONGEST_WAIT_MS = 10_000

/** How often time is helped along: a look-up may bring a refund, which is looked up, which brings the end. */
const ROUNDS_OF_TIME = 12

/** What the clock asks for, as soon as time is helped along. */
const UPKEEP = ['payment.follow', 'webhook.unpark', 'invoice.overdue', 'invoice.dun', 'invoice.follow'] as const

/** A deployment, a load and faults; then quiet, and the audit. */
export async function campaign(options: CampaignOptions): Promise<CampaignReport> {
  const startedAt = performance.now()
  options.progress(`${options.backend}: starting PostgreSQL and five processes`)
  const deployment = await ChaosDeployment.start(options.backend)
  let sound = false
  // PostgreSQL outlives us if nobody stops it.
  const abandon = () => void deployment.remove({ keepLogs: true }).finally(() => process.exit(1))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, abandon)
  try {
    const report = await new Campaign(deployment, options).run(startedAt)
    sound = report.findings.length === 0
    return report
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeListener(signal, abandon)
    await deployment.remove({ keepLogs: !sound })
  }
}

class Campaign {
  readonly #deployment: ChaosDeployment
  readonly #options: CampaignOptions
  readonly #dice: Dice
  readonly #records = new Records()
  readonly #loads: readonly Load[]
  readonly #injected: Injected[] = []
  readonly #busy = new Map<string, Promise<unknown>>()
  readonly #now = new Set<string>()
  #clients = 0
  #loading = true
  #phase = 'load'

  constructor(deployment: ChaosDeployment, options: CampaignOptions) {
    this.#deployment = deployment
    this.#options = options
    this.#dice = new Dice(options.seed)
    this.#loads = makeLoads(deployment)
  }

  async run(startedAt: number): Promise<CampaignReport> {
    const deployment = this.#deployment
    const { backend, seed, faults, clients, pace = 1 } = this.#options
    const telling = setInterval(() => this.#tell(), PROGRESS_MS)
    try {
      for (const load of this.#loads) await load.setUp(this.#client())
      const loadedAt = performance.now()
      const load = Promise.all(Array.from({ length: clients }, () => this.#keepAsking()))
      await pause(CALM_MS)
      await this.#inject(planFaults(new Dice(seed), { backend, count: faults, pace }))
      await pause(CALM_MS)
      this.#loading = false
      await load
      const quietAt = performance.now()

      this.#phase = 'waiting for quiet'
      const missing = await deployment.missing()
      const operator = { client: this.#client(), authorization: `Bearer ${await operatorsToken()}` }
      const { retried } = await untilQuiet(deployment, operator)
      await this.#passTime(operator)
      await deployment.role('scheduler-1').stop()
      await untilQuiet(deployment, operator)
      await deployment.shutDoors()
      await untilIdle(deployment)

      this.#phase = 'audit'
      const auditedAt = performance.now()
      const general = await auditAll(deployment, this.#records.all)
      const evidence = { pool: deployment.pool, told: this.#records.all, sandbox: deployment.sandbox }
      const audits = await Promise.all(this.#loads.map((load) => load.audit(evidence)))
      const unwilling = await deployment.stopRoles()
      const failedStarts = [...deployment.roles.values()].reduce((sum, role) => sum + role.failedStarts, 0)
      const findings = [
        ...this.#records.findings,
        ...general.findings,
        ...audits.flatMap((audit) => audit.findings),
        ...missing.map((name): Finding => ({ sort: 'crash', says: `${name} did not come up again` })),
        ...unwilling.map((says): Finding => ({ sort: 'crash', says })),
      ]
      return {
        backend,
        seed,
        seconds: {
          load: seconds(quietAt - loadedAt),
          quiet: seconds(auditedAt - quietAt),
          all: seconds(performance.now() - startedAt),
        },
        faults: this.#injected.toSorted((a, b) => a.at - b.at),
        kinds: general.kinds,
        figures: Object.assign(
          { stuckRetried: retried, failedJobs: general.failedJobs, failedStarts },
          ...audits.map(({ figures }) => figures),
        ),
        findings,
        logs: findings.length > 0 ? deployment.logs : undefined,
      }
    } finally {
      this.#loading = false
      clearInterval(telling)
    }
  }

  #client(): Client {
    this.#clients += 1
    return new Client({
      doors: this.#deployment.doors,
      records: this.#records,
      dice: this.#dice.for(`client ${this.#clients}`),
    })
  }

  /** One client, who takes its time between two steps, and asks on until the load ends. */
  async #keepAsking(): Promise<void> {
    const client = this.#client()
    const everyMs = (1_000 * this.#options.clients) / this.#options.rate
    await pause(client.dice.next() * everyMs)
    while (this.#loading) {
      const next = performance.now() + everyMs
      await client.dice.weighted(this.#loads).step(client)
      const early = next - performance.now()
      if (early > 0) await pause(early)
    }
  }

  /** Resolves when every fault is healed and everything works again. */
  async #inject(planned: readonly PlannedFault[]): Promise<void> {
    const unrecovered = new Set<Promise<void>>()
    let slept = 0
    for (const one of planned) {
      await pause(one.at - slept)
      slept = one.at
      if (unrecovered.size >= MAX_UNRECOVERED) await Promise.race([...unrecovered, pause(LONGEST_WAIT_MS)])
      // Two faults of one target wait for each other: a dead process cannot be stopped.
      const before = this.#busy.get(one.target) ?? Promise.resolve()
      const healed = before.then(() => this.#injectOne(one))
      this.#busy.set(one.target, healed)
      const recovered = healed.then((untilRecovered) => untilRecovered())
      unrecovered.add(recovered)
      void recovered.finally(() => unrecovered.delete(recovered))
    }
    await Promise.all(unrecovered)
  }

  /** What would end within hours ends now, as far as it ends at all: what does not is the audits' to find. */
  async #passTime(operator: Parameters<typeof untilQuiet>[1]): Promise<void> {
    const { pool, sandbox } = this.#deployment
    for (let round = 0; round < ROUNDS_OF_TIME; round++) {
      const open = await Promise.all(this.#loads.map((load) => load.passTime?.({ pool, sandbox }) ?? 0))
      if (round > 0 && open.every((count) => count === 0)) return
      await askForUpkeep(this.#deployment, UPKEEP)
      await untilQuiet(this.#deployment, operator)
    }
  }

  /** Answers, once it is healed, with what waits until it is recovered from. */
  async #injectOne(planned: PlannedFault): Promise<() => Promise<void>> {
    const { fault, target, lasts, force } = planned
    const name = `${fault} ${target}`
    this.#now.add(name)
    try {
      const heal = await faultNamed(fault).inject(this.#deployment, target, force)
      await pause(lasts)
      await heal()
    } catch (error) {
      this.#injected.push({ ...planned, missed: error instanceof Error ? error.message : String(error) })
      return async () => {}
    } finally {
      this.#now.delete(name)
    }
    const healedAt = performance.now()
    return async () => {
      const client = this.#client()
      await Promise.all(this.#loads.map((load) => load.probe?.(client)))
      this.#injected.push({ ...planned, recoveredMs: Math.round(performance.now() - healedAt) })
    }
  }

  #tell(): void {
    const { backend, faults } = this.#options
    const { all, findings } = this.#records
    const accepted = all.filter(({ operationId }) => operationId !== undefined).length
    const known = all.filter(({ outcome }) => outcome !== undefined).length
    const wrong = findings.length === 0 ? '' : `, ${findings.length} WRONG`
    const now = this.#phase === 'load' ? [...this.#now].join(', ') : this.#phase
    this.#options.progress(
      `${backend}: ${this.#injected.length}/${faults} faults, ${accepted} accepted, ${known} outcomes told${wrong} | ${now}`,
    )
  }
}

const seconds = (ms: number): number => Math.round(ms / 100) / 10

const operatorsToken = (): Promise<string> =>
  new SignJWT({ roles: ['operator'] })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject('chaos operator')
    .setExpirationTime('2h')
    .sign(new TextEncoder().encode(developmentSecrets.JWT_SECRET_KEY))

/** How many of each fault a report has. */
export const byFault = (faults: readonly Injected[]): Map<FaultName, Injected[]> =>
  Map.groupBy(faults, ({ fault }) => fault)
