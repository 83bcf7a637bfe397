import type { Outcome } from '../../jobs/operation.ts'
import type { WorkContext } from '../context.ts'

/** The code that does a kind's work. Faults are thrown; refusals and bugs are among the outcomes. */
export interface Processor {
  /** Operations of several jobs may be run together, in one transaction. */
  readonly together?: boolean
  /** Does the work of these operations, as far as they are still open. Running it twice gives the same answer. */
  run(context: WorkContext, operationIds: readonly string[]): Promise<readonly Outcome[]>
}
