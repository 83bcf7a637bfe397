import type { Currency } from '../../domain/payments/reads.ts'
import type { Sql } from '../../kit/sql.ts'
import type { RouteLimit } from '../route.ts'
import type { SubmissionParts } from '../submission.ts'

export interface PaymentRouteParts extends SubmissionParts {
  readonly reads: Sql
  /** Of requests that name none. */
  readonly walletCurrency: Currency
  /** What each user may ask of all payment routes together, where that is configured. */
  readonly paymentLimits: readonly RouteLimit[]
}
