import {
  addMethod,
  confirmDeposit,
  initiateDeposit,
  initiateWithdrawal,
  refundDeposit,
} from '../../src/jobs/payments.ts'
import type { Told } from '../records.ts'

/**
 * How a wish may end, whatever happens on the way: `succeeded`, or the code of a refusal that it can have deserved. That a
 * gateway could not be reached is deserved by everybody in a run like this.
 */
export function endsOf({ kind, body }: Told): readonly string[] {
  const { user_id: user, amount } = (body ?? {}) as Partial<Record<string, string>>
  switch (kind) {
    case initiateDeposit.name:
      if (user === 'wallet_unverified') return ['payment.overSingleLimit']
      return ['succeeded', 'payment.declined', 'payment.gatewayUnavailable']
    case initiateWithdrawal.name:
      if (amount === '90000.00') return ['payment.insufficient']
      return ['succeeded', 'payment.insufficient', 'payment.declined', 'payment.gatewayUnavailable']
    case refundDeposit.name:
      return [
        'succeeded',
        'payment.notRefundable',
        'payment.overRefundable',
        'payment.insufficient',
        'payment.declined',
        'payment.gatewayUnavailable',
      ]
    case confirmDeposit.name:
      return ['succeeded', 'payment.notConfirmable', 'payment.declined']
    case addMethod.name:
      return ['succeeded', 'payment.gatewayUnavailable']
    default:
      return ['succeeded']
  }
}
