import type { KindName } from '../jobs/catalogue.ts'
import type { Processor } from './shapes/processor.ts'
import { tokenDeduct } from './tokens/deduct.ts'
import { tokenIssue } from './tokens/issue.ts'
import { tokenMirror } from './tokens/mirror.ts'
import { tokenRevoke } from './tokens/revoke.ts'
import { tokenSweep } from './tokens/sweep.ts'
import { ledgerCheck } from './upkeep/check-ledger.ts'
import { operationPrune } from './upkeep/prune-operations.ts'
import { operationRetry } from './upkeep/retry-operations.ts'
import { ledgerSeal } from './upkeep/seal-ledger.ts'
import { ledgerTidy } from './upkeep/tidy-ledger.ts'

/** How each kind is done. A kind without a line here does not compile. */
export const processors: { readonly [Name in KindName]: Processor } = {
  'token.issue': tokenIssue,
  'token.deduct': tokenDeduct,
  'token.revoke': tokenRevoke,
  'token.sweep': tokenSweep,
  'token.mirror': tokenMirror,
  'ledger.check': ledgerCheck,
  'ledger.tidy': ledgerTidy,
  'ledger.seal': ledgerSeal,
  'operation.prune': operationPrune,
  'operation.retry': operationRetry,
}
