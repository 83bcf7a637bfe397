import { bareRoute } from './bare-route.ts'
import { engine } from './engine.ts'
import { fixedRate } from './fixed-rate.ts'
import { growth } from './growth.ts'
import { idle } from './idle.ts'
import { invoiceRun } from './invoice-run.ts'
import { peers } from './peers.ts'
import type { Section } from './section.ts'
import { twoWorkers } from './two-workers.ts'
import { usage } from './usage.ts'
import { webhooks } from './webhooks.ts'

/** Every section, in the order in which they run. A new one is a file and a line here. */
export const sections: readonly Section[] = [
  bareRoute,
  peers,
  engine,
  idle,
  twoWorkers,
  fixedRate,
  webhooks,
  usage,
  invoiceRun,
  growth,
]
