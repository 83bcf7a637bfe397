import { platformAccount } from '../../domain/ledger/platform-accounts.ts'
import { closeTokens, overdueTokens } from '../../domain/tokens/batch.ts'
import { sweepTokens } from '../../jobs/tokens.ts'
import { amount, toJsonInteger } from '../../kit/money.ts'
import { transact } from '../shapes/transact.ts'

/** Tokens expired in one transaction. What is left over waits for the next minute's sweep: nobody can spend it meanwhile. */
const MAX_SWEPT = 5_000

const issuance = platformAccount('issuance', 'BUDGET')

export const tokenSweep = transact(sweepTokens, {
  async perform({ sql, books: open, operation, now }) {
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
    return { expired: expired.length, returned: toJsonInteger(returned) }
  },
})
