import { platformAccount } from '../../domain/ledger/platform-accounts.ts'
import { type IssuedTokens, spendable } from '../../domain/tokens/batch.ts'
import { tokenRefusals } from '../../domain/tokens/refusals.ts'
import { deductToken } from '../../jobs/tokens.ts'
import { covers, toJsonInteger } from '../../kit/money.ts'
import { decide } from '../shapes/decide.ts'
import { namedToken } from './named-token.ts'

const revenue = platformAccount('revenue', 'BUDGET')

/** Hundreds of these are decided in one transaction. */
export const tokenDeduct = decide<typeof deductToken, IssuedTokens>(deductToken, {
  ...namedToken,

  decide({ input, operation, subjects, account: locked, books, now }) {
    const { account } = spendable(subjects, input.token_id, locked, now)
    if (!covers(account.available, input.amount)) {
      throw tokenRefusals.insufficient({ wanted: input.amount, available: account.available })
    }
    const transfer = books.post('token.deduct', {
      debit: account,
      credit: revenue,
      amount: input.amount,
      operationId: operation.id,
      memo: input.description,
    })
    return {
      success: true,
      token_id: input.token_id,
      amount: toJsonInteger(input.amount),
      remaining: toJsonInteger(account.available),
      transaction_id: transfer.id,
    }
  },

  measured(done, { measures }) {
    for (const { result } of done) measures.budgetConsumed(result.amount)
  },
})
