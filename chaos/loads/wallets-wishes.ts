import {
  addMethod,
  confirmDeposit,
  initiateDeposit,
  initiateWithdrawal,
  refundDeposit,
  setKyc,
} from '../../src/jobs/payments.ts'
import type { Wish } from '../records.ts'

const PAYMENTS = '/api/v1/payments'

/** Who asks. */
export interface Asking {
  readonly authorization: string
}

const post = (kind: string, path: string, body: unknown, { authorization }: Asking): Wish => ({
  kind,
  method: 'POST',
  path: PAYMENTS + path,
  body,
  authorization,
})

export interface DepositBody {
  readonly user_id: string
  readonly amount: string
  readonly currency: string
  readonly gateway?: string
  readonly payment_method_id?: string
  readonly email: string
}

export const deposit = (body: DepositBody, asking: Asking): Wish =>
  post(initiateDeposit.name, '/deposits/initiate', body, asking)

export const confirm = (
  body: { transaction_id: string; gateway_payment_id: string; gateway_data: Record<string, string> },
  asking: Asking,
): Wish => post(confirmDeposit.name, '/deposits/confirm', body, asking)

export const refund = (transaction: string, body: { amount?: string; reason: string }, asking: Asking): Wish =>
  post(refundDeposit.name, `/deposits/${transaction}/refund`, body, asking)

export const withdraw = (
  body: { user_id: string; amount: string; currency: string; payment_method_id: string },
  asking: Asking,
): Wish => post(initiateWithdrawal.name, '/withdrawals/initiate', body, asking)

export const method = (body: { user_id: string; type: string; gateway: string; token: string }, asking: Asking): Wish =>
  post(addMethod.name, '/methods', body, asking)

export const verify = (user: string, { authorization }: Asking): Wish => ({
  kind: setKyc.name,
  method: 'PUT',
  path: `/api/v1/users/${user}/kyc`,
  body: { level: 'ADVANCED' },
  authorization,
})
