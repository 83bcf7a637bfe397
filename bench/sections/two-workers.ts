import { designs, startDesign } from '../contestant.ts'
import { inTurns, times } from '../drive.ts'
import { atLeast, type Measure, type Verdict } from '../findings.ts'
import { backendsOf, onBackend, withAll } from './backends.ts'
import type { Section } from './section.ts'

export const twoWorkers: Section = {
  name: 'two-workers',
  doc: 'All deductions on one hot account, decided by one worker process and by two',
  async run(stage) {
    const measures: Measure[] = []
    const verdicts: Verdict[] = []
    for (const backend of backendsOf(stage)) {
      const starting = [1, 2].map((workers) => async () => {
        const started = await startDesign(stage, designs.bursar(backend), { tokens: 1, workers })
        return { ...started, name: `${started.name}, ${workers === 1 ? 'one worker' : 'two workers'}` }
      })
      const [one, two] = await withAll(starting, (all) => inTurns(stage, all))
      measures.push(...[one, two].flatMap((measure) => (measure ? { ...measure, condition: 'one hot account' } : [])))
      verdicts.push(
        atLeast(1, {
          id: `two-workers.${backend}`,
          what: `two worker processes on one hot account, ${onBackend(backend)}`,
          against: 'one worker process',
          brief: `two workers beside one, ${onBackend(backend)}`,
          measured: times(two, one),
        }),
      )
    }
    return { measures, verdicts }
  },
}
