import type { Findings } from '../findings.ts'
import type { Stage } from '../stage.ts'

/** A part of the benchmark: what it compares, it compares within itself. */
export interface Section {
  readonly name: string
  /** One sentence for whoever reads the table. */
  readonly doc: string
  run(stage: Stage): Promise<Findings>
}
