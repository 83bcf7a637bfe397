import { setTimeout as pause } from 'node:timers/promises'
import { SignJWT } from 'jose'
import { newId } from '../../src/kit/ids.ts'
import { developmentSecrets } from '../../src/platform/config/variables.ts'
import { alone, type Contestant, designs, startDesign } from '../contestant.ts'
import { type Measure, median, perSecond } from '../findings.ts'
import { ask } from '../processes.ts'
import type { Stage } from '../stage.ts'
import type { UsageOrder, UsageReport } from '../usage-load.ts'
import { backendsOf, onBackend, withAll } from './backends.ts'
import type { Section } from './section.ts'

const PROMISED = 10_000

const USERS = 1_000

/** What a back end sends that gathers its events for a moment, and what one sends that does not. */
const CASES = [
  { eventsEach: 100, condition: '100 events in a request', connections: 32 },
  { eventsEach: 1, condition: 'one event in a request', connections: 256 },
] as const
type Case = (typeof CASES)[number]

/** Of the warm-up; later rounds have as many as the one before recorded within `seconds`. */
const FIRST_EVENTS = 20_000

const LOOK_MS = 20
const QUIET_WITHIN_MS = 300_000

interface Round {
  readonly perSecond: number
  readonly acceptedPerSecond: number
  readonly p50: number
  readonly p99: number
  readonly cpuMicros: Readonly<Record<string, number>>
}

export const usage: Section = {
  name: 'usage',
  doc: 'Usage events through HTTP, queue and worker, each on disk once; counted in events',
  async run(stage) {
    const backends = backendsOf(stage)
    const jwt = await backEndsJwt()
    const starting = backends.map((backend) => () => startDesign(stage, designs.bursar(backend), { tokens: 1 }))
    const measures = await withAll(starting, async (all) => {
      const measured: Measure[][] = all.map(() => [])
      for (const one of CASES)
        for (const [index, measure] of (await inTurns(stage, all, one, jwt)).entries()) measured[index]?.push(measure)
      return measured
    })
    const verdicts = backends.map((backend, index) =>
      perSecond(PROMISED, {
        id: `usage.${backend}`,
        what: `usage events recorded, ${CASES[0].condition}, ${onBackend(backend)}`,
        against: 'the clock, from the first request until the last event is on disk',
        brief: `usage events, ${onBackend(backend)}`,
        measured: measures[index]?.[0]?.perSecond ?? Number.NaN,
      }),
    )
    return { measures: measures.flat(), verdicts }
  },
}

const backEndsJwt = () =>
  new SignJWT({ roles: ['service'] })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject('bench')
    .setExpirationTime('1d')
    .sign(new TextEncoder().encode(developmentSecrets.JWT_SECRET_KEY))

async function inTurns(stage: Stage, all: readonly Contestant[], one: Case, jwt: string): Promise<Measure[]> {
  const { seconds, rounds } = stage.options
  const measured = new Map(all.map((contestant): [Contestant, Round[]] => [contestant, []]))
  const pace = new Map<Contestant, number>()
  // The first is a warm-up, and shows how many fill a round.
  for (let turn = 0; turn <= rounds; turn++) {
    for (const contestant of all) {
      const events = pace.has(contestant) ? (pace.get(contestant) ?? 0) * seconds : FIRST_EVENTS
      const round = await alone(contestant, all, () => play(contestant, { ...one, events, jwt }))
      pace.set(contestant, round.perSecond)
      if (turn > 0) measured.get(contestant)?.push(round)
      stage.say(`  ${contestant.name}, ${one.condition}: ${described(round)}`)
    }
  }
  return all.map((contestant) => measureOf(contestant.name, one.condition, measured.get(contestant) ?? []))
}

/** From the first request until everything is recorded. Throws when an event was lost or doubled. */
async function play(contestant: Contestant, asked: Case & { events: number; jwt: string }): Promise<Round> {
  const before = { cpu: contestant.cpu(), events: await recorded(contestant) }
  const order: UsageOrder = {
    url: contestant.url,
    jwt: asked.jwt,
    users: USERS,
    eventsEach: asked.eventsEach,
    connections: asked.connections,
    requests: Math.ceil(asked.events / asked.eventsEach),
    round: newId(),
  }
  const report = await ask<UsageReport>('usage-load.ts', order)
  const events = report.answered * asked.eventsEach
  const last = await quiet(contestant)
  const found = (await recorded(contestant)) - before.events
  if (report.refused > 0 || found !== events)
    throw new Error(`${contestant.name}: ${report.refused} refused, ${found} of ${events} events are recorded`)
  const used = contestant.cpu()
  const each = ([name, seconds]: [string, number]) => [
    name,
    Math.round(((seconds - (before.cpu[name] ?? 0)) / events) * 1e6),
  ]
  return {
    perSecond: events / ((Math.max(last, report.endedAt) - report.startedAt) / 1_000),
    acceptedPerSecond: events / ((report.endedAt - report.startedAt) / 1_000),
    p50: report.p50,
    p99: report.p99,
    cpuMicros: {
      ...Object.fromEntries(Object.entries(used).map(each)),
      load: Math.round((report.cpuSeconds / events) * 1e6),
    },
  }
}

async function recorded({ database }: Contestant): Promise<number> {
  const { rows } = (await database?.client.query('select count(*)::int from usage_event')) ?? { rows: [] }
  return rows[0]?.count ?? 0
}

/** Unix milliseconds of the last outcome. */
async function quiet({ name, database }: Contestant): Promise<number> {
  const deadline = Date.now() + QUIET_WITHIN_MS
  for (;;) {
    const { rows } = (await database?.client.query(
      `select count(*) filter (where status in ('queued', 'processing'))::int as open,
         count(*) filter (where status in ('failed', 'stuck'))::int as bad, max(finished_at) as last
       from operation where kind = 'usage.record'`,
    )) ?? { rows: [] }
    if (rows[0]?.bad > 0) throw new Error(`${name}: ${rows[0].bad} operations failed`)
    if (rows[0]?.open === 0) return rows[0].last?.getTime() ?? 0
    if (Date.now() > deadline) throw new Error(`${name}: events are left after ${QUIET_WITHIN_MS / 1_000} s`)
    await pause(LOOK_MS)
  }
}

function measureOf(what: string, condition: string, rounds: readonly Round[]): Measure {
  const of = (figure: (round: Round) => number) => Math.round(median(rounds.map(figure)))
  const rates = rounds.map((round) => Math.round(round.perSecond))
  return {
    what,
    condition,
    perSecond: of((round) => round.perSecond),
    range: [Math.min(...rates), Math.max(...rates)],
    acceptedPerSecond: of((round) => round.acceptedPerSecond),
    latency: { p50: of((round) => round.p50), p99: of((round) => round.p99) },
    cpuMicros: Object.fromEntries(
      Object.keys(rounds[0]?.cpuMicros ?? {}).map((name) => [name, of((round) => round.cpuMicros[name] ?? 0)]),
    ),
  }
}

function described({ perSecond: done, acceptedPerSecond, p50, p99, cpuMicros }: Round): string {
  const cpu = Object.entries(cpuMicros).map(([name, micros]) => `${name} ${micros}`)
  return `${Math.round(done)} events/s, ${Math.round(acceptedPerSecond)} accepted/s, p50 ${p50} ms, p99 ${p99} ms; µs each: ${cpu.join(', ')}`
}
