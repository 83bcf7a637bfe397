import { platformAccount } from '../../domain/ledger/platform-accounts.ts'
import { closeTokens, type IssuedTokens, spendable } from '../../domain/tokens/batch.ts'
import { revokeToken } from '../../jobs/tokens.ts'
import { amount, toJsonInteger } from '../../kit/money.ts'
import { decide } from '../shapes/decide.ts'
import { namedToken } from './named-token.ts'

const issuance = platformAccount('issuance', 'BUDGET')

/** Decided like a deduction, under the same lock, so that the rest is returned exactly once. */
export const tokenRevoke = decide<typeof revokeToken, IssuedTokens>(revokeToken, {
  ...namedToken,

  decide({ input, operation, subjects, account: locked, books, now }) {
    const { account } = spendable(subjects, input.token_id, locked, now)
    const rest = amount(account.available)
    if (rest > 0n) {
      books.post('token.revoke', { debit: account, credit: issuance, amount: rest, operationId: operation.id })
    }
    books.close(account)
    return { success: true, token_id: input.token_id, returned: toJsonInteger(rest) }
  },

  written: (sql, done, now) =>
    closeTokens(
      sql,
      done.map(({ input }) => input.token_id),
      'revoked',
      now,
    ),
})
