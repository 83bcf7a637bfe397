import { type Attempt, moveAttempt } from '../../domain/payments/attempt.ts'
import type { RetryPolicy } from '../../jobs/kind.ts'
import { TryLater } from '../shapes/staged.ts'

/**
 * What follows when every question came to nothing. As long as nobody could be reached and tries are left, they are asked
 * anew later; the last try ends the payment instead of leaving it to an operator, since nothing was moved for certain.
 */
export function overOrLater(
  operation: { readonly attempts: number },
  retry: RetryPolicy,
  attempts: readonly Attempt[],
): TryLater | undefined {
  if (!attempts.every(({ status }) => status === 'not_sent') || operation.attempts + 1 >= retry.attempts)
    return undefined
  for (const attempt of attempts) moveAttempt(attempt, 'created')
  return new TryLater('No gateway could be reached')
}
