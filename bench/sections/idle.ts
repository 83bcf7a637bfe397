import { answerTimes } from '../answer-times.ts'
import { alone, designs, startDesign } from '../contestant.ts'
import { type Measure, median, percentile, withinMs } from '../findings.ts'
import type { Backend } from '../options.ts'
import { backendsOf, onBackend, withAll } from './backends.ts'
import type { Section } from './section.ts'

const PROMISED_MS: Record<Backend, number> = { redis: 15, postgres: 30 }

/** Requests of a round, one after another. */
const ASKED = 100

export const idle: Section = {
  name: 'idle',
  doc: 'One caller who waits for the outcome (Prefer: wait) of one deduction after another, the whole request counted',
  async run(stage) {
    const backends = backendsOf(stage)
    const starting = backends.map((backend) => () => startDesign(stage, designs.bursar(backend), { tokens: 1 }))
    const measures = await withAll(starting, async (all) => {
      for (const one of all) await alone(one, all, () => answerTimes(one, ASKED))
      const rounds = new Map(all.map((one): [typeof one, number[][]] => [one, []]))
      for (let turn = 0; turn < stage.options.rounds; turn++) {
        for (const one of all) rounds.get(one)?.push(await alone(one, all, () => answerTimes(one, ASKED)))
      }
      return all.map((one): Measure => {
        const times = rounds.get(one) ?? []
        const p50 = median(times.map((round) => percentile(round, 0.5)))
        const p99 = median(times.map((round) => percentile(round, 0.99)))
        stage.say(`  ${one.name}: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`)
        return { what: one.name, condition: 'idle, request to outcome', latency: { p50, p99 } }
      })
    })
    const verdicts = backends.map((backend, index) =>
      withinMs(PROMISED_MS[backend], {
        id: `idle.${backend}`,
        what: `an idle system answers with the outcome, p50, ${onBackend(backend)}`,
        against: '–',
        brief: `idle answer, p50, ${onBackend(backend)}`,
        measured: measures[index]?.latency?.p50 ?? Number.NaN,
      }),
    )
    return { measures, verdicts }
  },
}
