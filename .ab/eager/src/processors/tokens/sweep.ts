import { platformAccount } from '../../domain/ledger/platform-accounts.ts'
import { closeTokens, overdueTokens } from '../../domain/tokens/batch.ts'
import { sweepTokens } from '../../jobs/tokens.ts'
import { amount, toJsonInteger } from '../../kit/money.ts'
import { transact } from '../shapes/transact.ts'

/** Tokens expired in one transaction: their accounts stay locked until it ends. The rest has a sweep of its own right after. */
const MAX_SWEPT = 5_000

const issuance = platformAccount('issuance', 'BUDGET')

export const tokenSweep = transact(sweepTokens, {
  async perform({ sql, input, books: open, operation, now, followUp }) {
    const overdue = await overdueTokens(sql, now, MAX_SWEPT)
    const books = await open(overdue.map(({ accountId }) => accountId))
    let returned = 0n
    const expired: string[] = []
    for (const { id, accountId } of overdue) {
      const account = books.account(accountId)
      // Read after the lock: it may have been revoked, or swept by another period's run, while we waited.
      if (account.closed) continue
      const rest = amount(account.available)
      if (rest > 0n)
        books.post('token.expire', { debit: account, credit: issuance, amount: rest, operationId: operation.id })
      books.close(account)
      returned += rest
      expired.push(id)
    }
    await closeTokens(sql, expired, 'expired', now)
    if (overdue.length === MAX_SWEPT) followUp({ kind: 'token.sweep', input })
    return { expired: expired.length, returned: toJsonInteger(returned) }
  },
})
