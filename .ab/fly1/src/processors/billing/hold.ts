import type { Held } from '../../domain/billing/correct.ts'
import { lockCustomer } from '../../domain/billing/customer.ts'
import type { Currency } from '../../domain/billing/invoice.ts'
import { invoiceOf, lockInvoice } from '../../domain/billing/reads.ts'
import { lockHolder, walletAccount } from '../../domain/payments/holder.ts'
import { walletOwner } from '../../domain/payments/payment.ts'
import type { Kind } from '../../jobs/kind.ts'
import { assert } from '../../kit/assert.ts'
import type { Work } from '../shapes/work.ts'

/**
 * An invoice with everything that may be moved because of it, locked in the one order: the wallet's holder, the customer,
 * the invoice. Refuses with `notFound`, also for somebody else's.
 */
export async function holdInvoice<K extends Kind>(
  work: Pick<Work<K>, 'sql' | 'now' | 'books'>,
  id: number,
  customerId?: string | undefined,
): Promise<Held> {
  const { sql, now } = work
  const { customerId: owner } = await invoiceOf(sql, id, customerId)
  await lockHolder(sql, owner, now)
  const customer = await lockCustomer(sql, owner)
  assert(customer, `Invoice ${id} has no customer`)
  const invoice = await lockInvoice(sql, id)
  return { invoice, customer, wallet: () => walletOf(work, owner, invoice.currency) }
}

async function walletOf<K extends Kind>(work: Pick<Work<K>, 'sql' | 'books'>, userId: string, currency: Currency) {
  const known = await walletAccount(work.sql, userId, currency)
  const books = await work.books(known === undefined ? [] : [known])
  const account =
    known === undefined
      ? books.open({ owner: walletOwner(userId), purpose: 'wallet', asset: currency })
      : books.account(known)
  return { books, account }
}
