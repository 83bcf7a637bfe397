import type { Router } from '../route.ts'
import { decisionRoutes } from './decisions.ts'
import { kycRoutes } from './kyc.ts'
import { methodRoutes } from './methods.ts'
import { movementRoutes } from './movements.ts'
import type { PaymentRouteParts } from './parts.ts'
import { reconciliationRoutes } from './reconciliation.ts'
import { reviewRoutes } from './review.ts'
import { walletRoutes } from './wallet.ts'

/** Wallets, and money in and out of them. */
export function paymentRoutes(router: Router, parts: PaymentRouteParts): void {
  walletRoutes(router, parts)
  movementRoutes(router, parts)
  methodRoutes(router, parts)
  kycRoutes(router, parts)
  decisionRoutes(router, parts)
  reviewRoutes(router, parts)
  reconciliationRoutes(router, parts)
}
