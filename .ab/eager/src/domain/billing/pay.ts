import { assert } from '../../kit/assert.ts'
import { type Amount, type Asset, amount, smallest } from '../../kit/money.ts'
import { move } from '../../kit/states.ts'
import { type GATEWAYS, MONEY } from '../ledger/movements.ts'
import { platformAccount } from '../ledger/platform-accounts.ts'
import { type Held, recover } from './correct.ts'
import { invoiceCycle } from './invoice.ts'
import type { Desk } from './issue.ts'

/** Money that a gateway says came for an invoice. Each payment is received once: whoever calls makes sure of that. */
export interface Received {
  readonly gateway: (typeof GATEWAYS)[number]
  readonly amount: Amount
  readonly currency: Asset
  /** It is in suspense: a person has decided that it is for what is due first, or all for the customer's wallet. */
  readonly waits?: 'for_invoice' | 'for_wallet'
}

/**
 * Believes what came, as the gateway says it, whatever was asked for: it pays what is due, and the invoice is paid once
 * nothing is. What is beyond it, as of an invoice that was paid twice or is void, is the customer's: it goes into their
 * wallet. Money in another currency than the invoice's waits in suspense for a person.
 */
export async function receivePayment(
  desk: Desk,
  held: Held,
  received: Received,
): Promise<{ readonly applied: bigint; readonly surplus: bigint; readonly paid: boolean }> {
  const { invoice } = held
  const { currency } = invoice
  const about = { operationId: desk.operation.id, memo: invoice.number ?? undefined }
  const came = MONEY.find((one) => one === received.currency)
  if (came === undefined) throw new Error(`${received.gateway} moved ${received.currency}, which nobody is billed in`)
  const waited = received.waits !== undefined
  const debit = waited ? platformAccount('suspense', came) : platformAccount('gateway', came, received.gateway)
  if (came !== currency) {
    assert(!waited, 'What waits in another currency is not decided on here')
    const books = await desk.books([])
    const credit = platformAccount('suspense', came)
    books.post('suspense.receive', { ...about, debit, credit, amount: received.amount })
    return { applied: 0n, surplus: received.amount, paid: invoice.status === 'paid' }
  }

  const payable = (invoice.status === 'open' || invoice.status === 'uncollectible') && received.waits !== 'for_wallet'
  const applied = payable ? smallest(received.amount, invoice.due) : 0n
  const surplus = received.amount - applied
  const { books, account } = surplus > 0n ? await held.wallet() : { books: await desk.books([]), account: undefined }
  if (applied > 0n) {
    if (invoice.status === 'uncollectible') recover(books, invoice, desk.operation.id)
    books.post(waited ? 'invoice.settle' : 'invoice.pay', {
      ...{ ...about, debit, credit: platformAccount('receivable', currency), amount: amount(applied) },
    })
    await settleDue(desk, held, applied)
  }
  if (account !== undefined)
    books.post(waited ? 'suspense.credit' : 'invoice.overpay', {
      ...about,
      debit,
      credit: account,
      amount: amount(surplus),
    })
  return { applied, surplus, paid: invoice.status === 'paid' || (applied > 0n && applied === invoice.due) }
}

async function settleDue({ sql, now }: Desk, { invoice }: Held, applied: bigint): Promise<void> {
  const whole = applied === invoice.due
  // One that was given up is open again by the part that came.
  const status = whole
    ? move(invoiceCycle, invoice.status, 'paid')
    : invoice.status === 'open'
      ? 'open'
      : move(invoiceCycle, invoice.status, 'open')
  await sql.query(
    `update invoice set amount_paid = amount_paid + $2, status = $3, paid_at = case when $4 then $5::timestamptz end,
       overdue = overdue and not $4, dunning_at = case when $4 then null else dunning_at end,
       last_failure = case when $4 then null else last_failure end,
       closed_at = null
     where id = $1`,
    [invoice.id, applied, status, whole, now],
  )
}
