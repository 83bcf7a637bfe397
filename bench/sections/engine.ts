import { cpuSeconds } from '../cpu.ts'
import { times } from '../drive.ts'
import type { EngineOrder, EngineReport } from '../engine.ts'
import { atLeast, type Measure, median } from '../findings.ts'
import { ask } from '../processes.ts'
import { seedTokens } from '../seed.ts'
import type { Stage } from '../stage.ts'
import type { Section } from './section.ts'

const CASES = [
  { id: 'hot', tokens: 1, condition: 'one hot account', atLeast: 10 },
  { id: 'spread', tokens: 10_000, condition: '10,000 accounts', atLeast: 3 },
]

const CONTESTANTS = [
  { what: 'ledger engine, in batches', script: 'engine.ts' },
  { what: 'plain transactions, 32 connections', script: 'peers/plain.ts' },
]

export const engine: Section = {
  name: 'engine',
  doc: 'Intake row, balance check, transfer and outcome in one process, without HTTP and without a queue',
  async run(stage) {
    const measures: Measure[] = []
    const verdicts = []
    for (const one of CASES) {
      const [ours, plain] = await measure(stage, one)
      measures.push(...[ours, plain].filter((measure) => measure !== undefined))
      verdicts.push(
        atLeast(one.atLeast, {
          id: `engine.${one.id}`,
          what: `ledger engine, ${one.condition}`,
          against: 'the same statements, one transaction each, 32 connections',
          brief: `engine beside plain transactions, ${one.condition}`,
          measured: times(ours, plain),
        }),
      )
    }
    return { measures, verdicts }
  },
}

async function measure(stage: Stage, { tokens, condition }: (typeof CASES)[number]): Promise<Measure[]> {
  const databases = await Promise.all(CONTESTANTS.map(() => stage.database()))
  const seeded = await Promise.all(databases.map((database) => seedTokens(database, tokens)))
  const rates: number[][] = CONTESTANTS.map(() => [])
  const cpu: { node: number; postgres: number }[][] = CONTESTANTS.map(() => [])
  for (let turn = 0; turn < stage.options.rounds; turn++) {
    for (const [index, { what, script }] of CONTESTANTS.entries()) {
      const postgresBefore = postgresSeconds(stage)
      const order: EngineOrder = {
        tokenIds: seeded[index]?.tokenIds ?? [],
        seconds: stage.options.seconds,
      }
      const report = await ask<EngineReport>(script, order, { DATABASE_URL: databases[index]?.url ?? '' })
      const perSecond = report.done / report.seconds
      rates[index]?.push(perSecond)
      cpu[index]?.push({
        node: (report.cpuSeconds / report.done) * 1e6,
        postgres: ((postgresSeconds(stage) - postgresBefore) / report.done) * 1e6,
      })
      stage.say(`  ${what}, ${condition}: ${Math.round(perSecond)} done/s`)
    }
  }
  for (const database of databases) await database.drop()
  return CONTESTANTS.map(({ what }, index) => ({
    what,
    condition,
    perSecond: Math.round(median(rates[index] ?? [])),
    range: [Math.round(Math.min(...(rates[index] ?? []))), Math.round(Math.max(...(rates[index] ?? [])))],
    cpuMicros: {
      node: Math.round(median(cpu[index]?.map(({ node }) => node) ?? [])),
      // With its warm-up and the process's own start: a little more than the counted operations cost.
      ...(stage.postmaster === undefined
        ? {}
        : { postgres: Math.round(median(cpu[index]?.map(({ postgres }) => postgres) ?? [])) }),
    },
  }))
}

const postgresSeconds = ({ postmaster }: Stage): number => (postmaster === undefined ? 0 : cpuSeconds(postmaster))
