import {
  addMethod,
  confirmDeposit,
  initiateDeposit,
  initiateWithdrawal,
  refundDeposit,
} from '../../src/jobs/payments.ts'
import type { Told } from '../records.ts'

/** Never verified, so that their single limit is soon reached. */
export const UNVERIFIED = 'wallet_unverified'

/** More than anybody has, and less than anybody's limit. */
export const TOO_MUCH = '90000.00'

/**
 * How a wish may end, whatever happens on the way: `succeeded`, or the code of a refusal that it can have deserved. That a
 * gateway could not be reached is deserved by everybody in a run like this.
 */
export function endsOf({ kind, body }: Told): readonly string[] {
  const { user_id: user, amount } = (body ?? {}) as Partial<Record<string, string>>
  switch (kind) {
    case initiateDeposit.name:
      if (user === UNVERIFIED) return ['payment.overSingleLimit']
      return ['succeeded', 'payment.declined', 'payment.gatewayUnavailable']
    case initiateWithdrawal.name:
      if (amount === TOO_MUCH) return ['payment.insufficient']
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
