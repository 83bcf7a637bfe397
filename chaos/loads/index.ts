import { Billing } from './billing.ts'
import type { Evidence, Load } from './load.ts'
import { Tokens } from './tokens.ts'
import { Wallets } from './wallets.ts'

/** Every load there is, new for each run. */
export const makeLoads = (evidence: Pick<Evidence, 'pool' | 'sandbox'>): Load[] => [
  new Tokens(),
  new Wallets(evidence.sandbox),
  new Billing(evidence),
]
