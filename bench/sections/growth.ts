import { answerTimes } from '../answer-times.ts'
import { alone, type Contestant, designs, startDesign } from '../contestant.ts'
import { inTurns, round, times } from '../drive.ts'
import { atLeast, type Measure, median, percentile, type Verdict } from '../findings.ts'
import type { Backend } from '../options.ts'
import { growTables, type Seeded, seedTokens } from '../seed.ts'
import type { BenchDatabase, Stage } from '../stage.ts'
import { backendsOf, onBackend, withAll } from './backends.ts'
import type { Section } from './section.ts'

/** Accounts that the past and the load are spread over, so that every part of the indexes is used. */
const TOKENS = 10_000

/**
 * Deductions of each account before anything is measured. The fill ends with a checkpoint, after which PostgreSQL writes each page
 * whole that is touched for the first time: with a past, a page for each account; without one, a few for all. A checkpoint
 * comes every five minutes, so that a round of seconds after one would count for minutes what is paid once.
 */
const TOUCHES = 2

/** Requests of a round for the latency of an idle system. */
const ASKED = 100

/** Between two lines about a fill, in rows. */
const TELL_EVERY = 1_000_000

export const growth: Section = {
  name: 'growth',
  doc: 'Throughput and latency with many operations and transfers in the tables, beside the same with empty ones',
  async run(stage) {
    const levels = stage.options.rows.filter((rows) => rows > 0).toSorted((a, b) => a - b)
    const measures: Measure[] = []
    const verdicts: Verdict[] = []
    const grown = await stage.database()
    const seeded = await seedTokens(grown, TOKENS)
    let filled = 0
    for (const rows of levels) {
      await fill(stage, grown, seeded, { from: filled, to: rows })
      filled = rows
      for (const backend of backendsOf(stage)) {
        const [empty, full] = await compare(stage, backend, { grown, seeded, rows })
        measures.push(...[empty, full].filter((measure) => measure !== undefined))
        verdicts.push(
          atLeast(0.9, {
            id: `growth.${backend}.${rows}`,
            what: `throughput with ${counted(rows)} operations and transfers in the tables, ${onBackend(backend)}`,
            against: 'with empty tables',
            brief: `${counted(rows)} rows beside none, ${onBackend(backend)}`,
            measured: times(full, empty),
          }),
        )
      }
    }
    await grown.drop()
    return { measures, verdicts }
  },
}

async function fill(stage: Stage, grown: BenchDatabase, seeded: Seeded, span: { from: number; to: number }) {
  const startedAt = performance.now()
  const seconds = () => Math.round((performance.now() - startedAt) / 1_000)
  let told = span.from
  stage.say(`  filling the tables up to ${counted(span.to)} rows`)
  await growTables(grown, seeded, span, (rows) => {
    if (rows - told < TELL_EVERY) return
    told = rows
    stage.say(`    ${counted(rows)} after ${seconds()} s`)
  })
  stage.say(`    done, vacuumed and checkpointed after ${seconds()} s`)
}

async function compare(
  stage: Stage,
  backend: Backend,
  past: { grown: BenchDatabase; seeded: Seeded; rows: number },
): Promise<Measure[]> {
  const { grown: database, seeded, rows } = past
  const design = designs.bursar(backend)
  const starting = [
    () => startDesign(stage, design, { tokens: TOKENS }),
    () => startDesign(stage, design, { tokens: TOKENS, on: { database, seeded } }),
  ]
  const conditions = [`empty tables (beside ${counted(rows)} rows)`, `${counted(rows)} rows`]
  return withAll(starting, async (all) => {
    const named = all.map((one, index) => ({ ...one, name: `${one.name}, ${conditions[index]}` }))
    const touching = { connections: stage.options.connections, requests: TOUCHES * TOKENS }
    for (const one of named) await alone(one, named, () => round(one, touching))
    const idle = await idleTimes(stage, named)
    const measures = await inTurns(stage, named)
    return measures.map((measure, index) => ({
      ...measure,
      what: design.name,
      condition: conditions[index] ?? '',
      idleP50Ms: idle[index] ?? Number.NaN,
    }))
  })
}

/** Milliseconds that an idle system takes to answer with the outcome, at the median of each contestant. */
async function idleTimes(stage: Stage, all: readonly Contestant[]): Promise<number[]> {
  const rounds = all.map((): number[] => [])
  for (const one of all) await answerTimes(one, ASKED)
  for (let turn = 0; turn < stage.options.rounds; turn++) {
    for (const [index, one] of all.entries())
      rounds[index]?.push(percentile(await alone(one, all, () => answerTimes(one, ASKED)), 0.5))
  }
  return rounds.map((p50s) => median(p50s))
}

const counted = (rows: number): string => rows.toLocaleString('en')
