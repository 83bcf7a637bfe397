import { type Asset, toDecimal } from '../../kit/money.ts'
import { refusals } from '../../kit/refusal.ts'

interface Money {
  amount: bigint
  currency: Asset
}

const money = ({ amount, currency }: Money): string => `${toDecimal(amount, currency)} ${currency}`

/** Every no of wallets and gateways. `seedCode` is what their first clients read. */
export const paymentRefusals = refusals('payment', {
  belowMinimum: {
    status: 400,
    error: 'InvalidAmount',
    seedCode: 'PAY_001',
    says: (d: { minimum: Money }) => `The least that can be moved this way is ${money(d.minimum)}.`,
  },
  invalidAmount: {
    status: 422,
    error: 'InvalidAmount',
    seedCode: 'PAY_001',
    says: (d: { problem: string }) => `The amount ${d.problem}.`,
  },
  insufficient: {
    status: 400,
    error: 'InsufficientBalance',
    seedCode: 'PAY_002',
    says: (d: { wanted: Money; available: bigint }) =>
      `Insufficient wallet balance: ${money(d.wanted)} wanted, ${toDecimal(d.available, d.wanted.currency)} available.`,
  },
  methodNotFound: {
    status: 404,
    error: 'PaymentMethodNotFound',
    seedCode: 'PAY_003',
    says: () => 'There is no such payment method. Add it first with POST /api/v1/payments/methods.',
  },
  methodExpired: {
    status: 400,
    error: 'PaymentMethodExpired',
    seedCode: 'PAY_003',
    says: (d: { month: number; year: number }) =>
      `The payment method expired at the end of ${String(d.month).padStart(2, '0')}/${d.year}. Add its successor.`,
  },
  methodKnown: {
    status: 409,
    error: 'PaymentMethodExists',
    seedCode: 'PAY_003',
    says: () => 'This payment method has been added before: GET /api/v1/payments/methods lists it.',
  },
  methodUnusable: {
    status: 400,
    error: 'PaymentMethodUnusable',
    seedCode: 'PAY_003',
    says: (d: { gateway: string }) => `${d.gateway} does not know this token. Ask the gateway for a new one.`,
  },
  methodUnsupported: {
    status: 400,
    error: 'PaymentMethodUnsupported',
    seedCode: 'PAY_003',
    says: (d: { does: 'charges' | 'payouts'; method: string; currency: string; gateway?: string | undefined }) =>
      `${d.gateway ?? 'No configured gateway'} ${d.gateway === undefined ? 'offers' : 'does not offer'} ${d.does} by ${d.method} in ${d.currency}.`,
  },
  declined: {
    status: 402,
    error: 'PaymentDeclined',
    seedCode: 'PAY_004',
    says: (d: { gateway: string; code: string; message: string }) =>
      `${d.gateway} declined it (${d.code}): ${d.message}`,
  },
  gatewayUnavailable: {
    status: 502,
    error: 'GatewayUnavailable',
    seedCode: 'PAY_004',
    says: () => 'No gateway could be reached, so nothing was moved. Try again later, or name another gateway.',
  },
  forged: {
    status: 400,
    error: 'InvalidSignature',
    seedCode: 'PAY_004',
    says: () => 'The signature in gateway_data is not the gateway’s own for this payment; nothing was credited.',
  },
  otherPayment: {
    status: 400,
    error: 'OtherPayment',
    seedCode: 'PAY_004',
    says: () => 'This gateway_payment_id belongs to another transaction; nothing was credited.',
  },
  overSingleLimit: {
    status: 400,
    error: 'LimitExceeded',
    seedCode: 'PAY_005',
    says: (d: { limit: Money; level: string }) =>
      `One transaction may be ${money(d.limit)} at most at KYC level ${d.level}.`,
  },
  overDailyLimit: {
    status: 400,
    error: 'LimitExceeded',
    seedCode: 'PAY_005',
    says: (d: { limit: Money; left: bigint }) =>
      `The daily limit is ${money(d.limit)}, of which ${toDecimal(d.left, d.limit.currency)} is left today.`,
  },
  overMonthlyLimit: {
    status: 400,
    error: 'LimitExceeded',
    seedCode: 'PAY_005',
    says: (d: { limit: Money; left: bigint }) =>
      `The monthly limit is ${money(d.limit)}, of which ${toDecimal(d.left, d.limit.currency)} is left this month.`,
  },
  suspicious: {
    status: 403,
    error: 'SuspiciousActivity',
    seedCode: 'PAY_006',
    says: (d: { indicators: readonly string[] }) =>
      `Additional verification is required (${d.indicators.join(', ')}). Nothing was moved; after a review you may repeat it.`,
  },
  notFound: {
    status: 404,
    error: 'TransactionNotFound',
    says: () => 'There is no such transaction of this user.',
  },
  notConfirmable: {
    status: 409,
    error: 'NotConfirmable',
    says: (d: { status: string }) => `This transaction is ${d.status}: there is nothing to confirm any more.`,
  },
  notRefundable: {
    status: 409,
    error: 'NotRefundable',
    says: (d: { status: string }) => `This transaction is ${d.status}: only a completed deposit can be refunded.`,
  },
  overRefundable: {
    status: 400,
    error: 'RefundTooLarge',
    seedCode: 'PAY_001',
    says: (d: { left: Money }) => `${money(d.left)} of this deposit can still be refunded.`,
  },
  undecidable: {
    status: 409,
    error: 'Undecidable',
    says: (d: { decision: string; type: string }) =>
      `A ${d.type} of this kind cannot be answered with ${d.decision}: of a deposit in another currency nothing can be credited, and what has left cannot be called back.`,
  },
  notInReview: {
    status: 409,
    error: 'NotInReview',
    says: (d: { status: string }) => `This is ${d.status}: there is nothing to decide.`,
  },
})
