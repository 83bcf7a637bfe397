import { createHmac, randomBytes } from 'node:crypto'
import { assert } from '../../kit/assert.ts'
import type { Deliveries } from '../deliveries.ts'
import type { Elapsed } from '../elapsed.ts'
import { type Fate, LATER_SECONDS } from '../fate.ts'
import type { Collection, Store } from '../store.ts'
import type { Dispute, Later, Recipient, Refund, Transaction, Transfer } from './rows.ts'
import { disputeOut, refundEventOut, transactionOut, transferOut } from './wire.ts'

/** Ids go on from here: as long as Paystack's own. */
const FIRST_NUMBER = 4_099_260_516

/** What Paystack's stand-in has on its books. Each change is one write, and those that Paystack announces are announced. */
export class Books {
  readonly transactions: Collection<Transaction>
  readonly refunds: Collection<Refund>
  readonly transfers: Collection<Transfer>
  readonly recipients: Collection<Recipient>
  readonly disputes: Collection<Dispute>
  readonly #deliveries: Deliveries
  readonly #secretKey: string
  readonly #elapsed: Elapsed
  readonly now: () => Date

  constructor(options: {
    store: Store
    deliveries: Deliveries
    elapsed: Elapsed
    secretKey: string
    now: () => Date
  }) {
    this.transactions = options.store.collection<Transaction>('transactions')
    this.refunds = options.store.collection<Refund>('refunds')
    this.transfers = options.store.collection<Transfer>('transfers')
    this.recipients = options.store.collection<Recipient>('recipients')
    this.disputes = options.store.collection<Dispute>('disputes')
    this.#deliveries = options.deliveries
    this.#secretKey = options.secretKey
    this.#elapsed = options.elapsed
    this.now = options.now
    options.elapsed.onPassing = () => this.#settle()
  }

  nextNumber(): number {
    const made = this.transactions.size + this.refunds.size + this.transfers.size + this.disputes.size
    return FIRST_NUMBER + made
  }

  later<Status>(fate: Fate<Status>): Later<Status> | undefined {
    return fate.later && { ...fate.later, atSeconds: this.#elapsed.seconds + LATER_SECONDS }
  }

  /** By reference, by number, or by the access code of its page. */
  transaction(name: string): Transaction | undefined {
    const number = Number(name)
    return (
      this.transactions.get(name) ??
      this.transactions.values().find((row) => row.number === number || row.accessCode === name)
    )
  }

  transactionOf({ transaction }: { transaction: string }): Transaction {
    const row = this.transactions.get(transaction)
    assert(row !== undefined, 'A refund or dispute of nothing')
    return row
  }

  /** Recipients that a test names by what they do need not be made first. */
  recipient(code: string, currency = 'NGN'): Recipient {
    return (
      this.recipients.get(code) ?? {
        id: code,
        name: 'Ada Obi',
        type: 'nuban',
        currency,
        accountNumber: '0123456789',
        bankCode: '058',
      }
    )
  }

  /** Lets the customer's bank decide. */
  charge(row: Transaction, fate: Fate<Transaction['status']>): Transaction {
    const paid = fate.status === 'success'
    return this.putTransaction({
      ...row,
      amount: fate.wrongAmount ? row.requestedAmount + 1 : row.requestedAmount,
      status: fate.status,
      said: fate.said ?? '',
      later: this.later(fate),
      paidAt: paid ? this.now().toISOString() : undefined,
      authorization: row.authorization ?? (paid ? `AUTH_${randomBytes(5).toString('hex')}` : undefined),
    })
  }

  putTransaction(row: Transaction): Transaction {
    const before = this.transactions.get(row.id)?.status
    this.transactions.put(row)
    if (row.status !== before && (row.status === 'success' || row.status === 'failed'))
      this.#say(`charge.${row.status}`, transactionOut(row))
    return row
  }

  putRefund(row: Refund): Refund {
    this.refunds.put(row)
    const transaction = this.transactionOf(row)
    const returned = this.refundedOf(transaction.id, ({ status }) => status === 'processed')
    if (transaction.status === 'success' && returned >= transaction.amount)
      this.putTransaction({ ...transaction, status: 'reversed' })
    if (transaction.status === 'reversed' && returned < transaction.amount)
      this.transactions.put({ ...transaction, status: 'success' })
    this.#say(`refund.${row.status}`, refundEventOut(row, transaction))
    return row
  }

  putTransfer(row: Transfer): Transfer {
    const before = this.transfers.get(row.id)?.status
    this.transfers.put(row)
    if (row.status !== before && (row.status === 'success' || row.status === 'failed' || row.status === 'reversed'))
      this.#say(`transfer.${row.status}`, transferOut(row, this.recipient(row.recipient, row.currency)))
    return row
  }

  putDispute(row: Dispute): Dispute {
    const known = this.disputes.get(row.id) !== undefined
    this.disputes.put(row)
    const happens = row.status === 'resolved' ? 'resolve' : known ? 'remind' : 'create'
    this.#say(`charge.dispute.${happens}`, disputeOut(row, this.transactionOf(row)))
    return row
  }

  /** Minor units. */
  refundedOf(reference: string, counts: (refund: Refund) => boolean): number {
    return this.refunds
      .values()
      .filter((refund) => refund.transaction === reference && counts(refund))
      .reduce((sum, { amount }) => sum + amount, 0)
  }

  #settle(): void {
    const due = ({ later }: { later: Later<unknown> | undefined }): boolean =>
      later !== undefined && later.atSeconds <= this.#elapsed.seconds
    for (const row of this.transactions.values().filter(due))
      if (row.later !== undefined) this.charge(row, { status: row.later.status, said: row.later.said ?? row.said })
    for (const row of this.refunds.values().filter(due))
      this.putRefund({ ...row, status: row.later?.status ?? row.status, later: undefined })
    for (const row of this.transfers.values().filter(due))
      this.putTransfer({ ...row, status: row.later?.status ?? row.status, said: row.later?.said, later: undefined })
  }

  #say(event: string, data: unknown): void {
    const body = JSON.stringify({ event, data })
    const signature = createHmac('sha512', this.#secretKey).update(body).digest('hex')
    this.#deliveries.send({ path: 'paystack', body, headers: () => ({ 'x-paystack-signature': signature }) })
  }
}
