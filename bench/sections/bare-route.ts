import { designs, startDesign, startEcho } from '../contestant.ts'
import { inTurns, times } from '../drive.ts'
import { atLeast } from '../findings.ts'
import { backendsOf, onBackend, withAll } from './backends.ts'
import type { Section } from './section.ts'

/** Accounts that the deductions are spread over: many callers, none of them hot. */
export const TOKENS = 100

export const bareRoute: Section = {
  name: 'bare-route',
  doc: 'Durable deductions through HTTP, queue and ledger, beside a route that remembers nothing',
  async run(stage) {
    const backends = backendsOf(stage)
    const bursars = backends.map((backend) => () => startDesign(stage, designs.bursar(backend), { tokens: TOKENS }))
    const measures = await withAll([() => startEcho(stage), ...bursars], (all) => inTurns(stage, all))
    const [echo, ...ours] = measures
    const verdicts = backends.map((backend, index) =>
      atLeast(0.33, {
        id: `bare-route.${backend}`,
        what: `durable deductions through HTTP → queue → ledger, ${onBackend(backend)}`,
        against: 'a bare Hono route that echoes the JSON',
        brief: `share of a bare route, ${onBackend(backend)}`,
        measured: times(ours[index], echo),
      }),
    )
    return { measures, verdicts }
  },
}
