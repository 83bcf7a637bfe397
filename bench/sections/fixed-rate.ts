import { alone, type Contestant, designs, startDesign } from '../contestant.ts'
import { inTurns } from '../drive.ts'
import { type LatencyMs, type Measure, median, percentile } from '../findings.ts'
import type { PaceOrder, PaceReport } from '../pace.ts'
import { ask } from '../processes.ts'
import type { Stage } from '../stage.ts'
import { backendsOf, withAll } from './backends.ts'
import { TOKENS } from './bare-route.ts'
import type { Section } from './section.ts'

/** Of the throughput that the closed loop has shown just before. */
const SHARE = 0.5

const CALLERS: readonly { condition: string; headers: Readonly<Record<string, string>> }[] = [
  { condition: 'until 202', headers: {} },
  { condition: 'until the outcome (Prefer: wait)', headers: { prefer: 'wait=30' } },
]

export const fixedRate: Section = {
  name: 'fixed-rate',
  doc: 'Latency at half of the measured throughput, from when each request was due, so that no wait is left out',
  async run(stage) {
    const starting = backendsOf(stage).map(
      (backend) => () => startDesign(stage, designs.bursar(backend), { tokens: TOKENS }),
    )
    const measures = await withAll(starting, async (all) => {
      const full = await inTurns(stage, all)
      const found: Measure[] = []
      for (const caller of CALLERS) {
        const rounds = new Map(all.map((one): [Contestant, LatencyMs[]] => [one, []]))
        const rates = all.map((_, index) => Math.max(1, Math.round((full[index]?.perSecond ?? 0) * SHARE)))
        for (let turn = 0; turn < stage.options.rounds; turn++) {
          for (const [index, one] of all.entries())
            rounds.get(one)?.push(await alone(one, all, () => paced(stage, one, caller.headers, rates[index] ?? 1)))
        }
        for (const [index, one] of all.entries()) {
          const latency = medianOf(rounds.get(one) ?? [])
          const condition = `${rates[index]} a second, ${caller.condition}`
          stage.say(
            `  ${one.name}, ${condition}: p50 ${latency.p50} ms, p99 ${latency.p99} ms, p99.9 ${latency.p999} ms`,
          )
          found.push({ what: one.name, condition, latency })
        }
      }
      return [...full, ...found]
    })
    return { measures, verdicts: [] }
  },
}

async function paced(
  { options }: Stage,
  { name, url, paths }: Contestant,
  headers: Readonly<Record<string, string>>,
  perSecond: number,
): Promise<LatencyMs> {
  const order: PaceOrder = {
    url,
    paths,
    headers,
    connections: options.connections,
    perSecond,
    seconds: options.seconds,
  }
  const { latencies, refused } = await ask<PaceReport>('pace.ts', order)
  if (refused > 0) throw new Error(`${name}: ${refused} requests were refused at ${perSecond} a second`)
  return { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99), p999: percentile(latencies, 0.999) }
}

const medianOf = (rounds: readonly LatencyMs[]): Required<LatencyMs> => ({
  p50: median(rounds.map(({ p50 }) => p50)),
  p99: median(rounds.map(({ p99 }) => p99)),
  p999: median(rounds.map(({ p999 = 0 }) => p999)),
})
