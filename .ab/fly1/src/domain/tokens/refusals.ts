import type { Amount } from '../../kit/money.ts'
import { refusals } from '../../kit/refusal.ts'

export const tokenRefusals = refusals('token', {
  notFound: {
    status: 404,
    error: 'TokenNotFound',
    says: () => 'Token not found',
  },
  expired: {
    status: 410,
    error: 'TokenExpired',
    says: () => 'Token expired',
  },
  revoked: {
    status: 410,
    error: 'TokenRevoked',
    says: () => 'Token revoked',
  },
  insufficient: {
    status: 400,
    error: 'InsufficientBudget',
    says: ({ wanted, available }: { wanted: Amount; available: bigint }) =>
      `Insufficient budget: ${wanted} wanted, ${available} available`,
  },
  voiceRejected: {
    status: 401,
    error: 'VoiceVerificationError',
    says: () => 'Voice authentication failed',
  },
  overTransactionLimit: {
    status: 400,
    error: 'BudgetLimitExceeded',
    says: ({ limit }: { limit: Amount }) => `Budget exceeds transaction limit of ${limit}`,
  },
  overDailyLimit: {
    status: 400,
    error: 'BudgetLimitExceeded',
    says: ({ limit, left }: { limit: Amount; left: bigint }) =>
      `Budget exceeds daily limit of ${limit}: ${left} left today (UTC)`,
  },
  overMonthlyLimit: {
    status: 400,
    error: 'BudgetLimitExceeded',
    says: ({ limit, left }: { limit: Amount; left: bigint }) =>
      `Budget exceeds monthly limit of ${limit}: ${left} left this month (UTC)`,
  },
})
