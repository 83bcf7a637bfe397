import type { Findings } from './findings.ts'
import type { Machine } from './machine.ts'
import type { Options } from './options.ts'

/** What one run has shown: `latest.json`. */
export interface Results extends Findings {
  /** When the run began, ISO. */
  readonly at: string
  readonly tookSeconds: number
  readonly machine: Machine
  readonly options: Pick<Options, 'seconds' | 'rounds' | 'connections' | 'rows' | 'backends'>
  readonly sections: readonly SectionResults[]
}

export interface SectionResults extends Findings {
  readonly name: string
  readonly doc: string
  /** Why it could not be measured. */
  readonly failed?: string
}
