import { closeCopy, copyOf } from '../../domain/billing/copy.ts'
import type { Held } from '../../domain/billing/correct.ts'
import { receivePayment } from '../../domain/billing/pay.ts'
import {
  addPayment,
  type InvoicePayment,
  movePayment,
  openPayment,
  paymentMoved,
} from '../../domain/billing/payment.ts'
import { platformAccount } from '../../domain/ledger/platform-accounts.ts'
import type { Issued } from '../../gateways/stripe/invoices.ts'
import type { Kind } from '../../jobs/kind.ts'
import { amount } from '../../kit/money.ts'
import type { Work } from '../shapes/work.ts'

export type Believing = Pick<Work<Kind>, 'sql' | 'now' | 'operation' | 'books'>

/**
 * Believes Stripe that an invoice is paid there, once, whoever brings the news: the answer, a webhook or a look-up. Where
 * Stripe took exactly what was asked for it pays the invoice. Anything else pays nothing: it waits for a person, its money
 * in suspense. The invoice is locked.
 */
export async function believePaid(work: Believing, held: Held, issued: Issued): Promise<InvoicePayment> {
  const { sql, now } = work
  const { invoice } = held
  // Paid outside Stripe it has no payment of Stripe's, and is known by the invoice.
  const movedId = issued.paymentId ?? issued.id
  const known = await paymentMoved(sql, 'stripe', movedId)
  if (known !== undefined) return known

  const asked = (await copyOf(sql, invoice.id)).amount ?? invoice.due
  const payment =
    (await openPayment(sql, invoice.id)) ??
    (await addPayment(work, {
      invoiceId: invoice.id,
      gateway: 'stripe',
      // Void or settled meanwhile, nothing was asked for any more: what came is what it was paid with.
      amount: amount(asked > 0n ? asked : issued.amount),
      source: null,
    }))
  const moved = { amount: issued.paymentId === undefined ? 0n : issued.paid, currency: issued.currency }
  await closeCopy(sql, invoice.id, issued)
  if (moved.amount === payment.amount && moved.currency === invoice.currency) {
    await receivePayment(work, held, { gateway: 'stripe', amount: amount(moved.amount), currency: invoice.currency })
    return movePayment(work, payment, { status: 'succeeded', gatewayId: movedId, moved })
  }

  if (moved.amount > 0n) {
    const books = await work.books([])
    books.post('suspense.receive', {
      debit: platformAccount('gateway', issued.currency, 'stripe'),
      credit: platformAccount('suspense', issued.currency),
      amount: amount(moved.amount),
      operationId: work.operation.id,
      memo: invoice.number ?? undefined,
    })
  }
  const message =
    issued.paymentId === undefined
      ? 'Stripe was told that it is paid outside Stripe'
      : `Stripe took ${moved.amount} ${moved.currency}, ${payment.amount} ${invoice.currency} was asked (minor units)`
  await sql.query('update invoice set last_failure = $2, dunning_at = null where id = $1', [invoice.id, message])
  return movePayment({ sql, now }, payment, {
    status: 'review',
    gatewayId: movedId,
    moved,
    code: 'amount_mismatch',
    message,
  })
}
