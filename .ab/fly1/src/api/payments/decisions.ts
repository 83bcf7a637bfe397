import type { Router } from '../route.ts'
import { submission } from '../submission.ts'
import { clientOf, transactionMeant } from './acting.ts'
import type { PaymentRouteParts } from './parts.ts'

/** What only a person may decide. */
export function decisionRoutes(router: Router, parts: PaymentRouteParts): void {
  submission(router, parts, {
    kind: 'payment.decide',
    method: 'post',
    path: '/api/v1/payments/transactions/{transaction_id}/decision',
    tag: 'Review',
    summary: 'Decide on a transaction whose gateway moved another amount than was asked',
    access: ['operator'],
    fromPath: { transaction_id: transactionMeant },
    fill: ({ c }) => ({ client: clientOf(c, parts.keyring) }),
  })
}
