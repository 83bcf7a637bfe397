import { randomUUID } from 'node:crypto'
import type { Deliveries } from '../deliveries.ts'
import type { Elapsed } from '../elapsed.ts'
import { type Fate, LATER_SECONDS } from '../fate.ts'
import { type Referenced, referenced } from '../referenced.ts'
import type { Collection, Store } from '../store.ts'
import type { Charge, Dispute, Payout, Refund } from './rows.ts'
import { webhookSignature } from './signature.ts'
import { chargeOut, disputeOut, payoutOut, refundOut } from './wire.ts'

/** The seed's example is the first: mock_payment_123. */
const FIRST_PAYMENT = 123

/** What the mock gateway has on its books. Each change is one write, and says so to the caller's webhook. */
export class Bank {
  readonly charges: Referenced<Charge>
  readonly refunds: Referenced<Refund>
  readonly payouts: Referenced<Payout>
  readonly disputes: Collection<Dispute>
  readonly #deliveries: Deliveries
  readonly #webhookSecret: string
  readonly #elapsed: Elapsed
  readonly #now: () => Date

  constructor(options: {
    store: Store
    deliveries: Deliveries
    elapsed: Elapsed
    webhookSecret: string
    now: () => Date
  }) {
    this.charges = referenced<Charge>(options.store, 'charges')
    this.refunds = referenced<Refund>(options.store, 'refunds')
    this.payouts = referenced<Payout>(options.store, 'payouts')
    this.disputes = options.store.collection<Dispute>('disputes')
    this.#deliveries = options.deliveries
    this.#webhookSecret = options.webhookSecret
    this.#elapsed = options.elapsed
    this.#now = options.now
    options.elapsed.onPassing = () => this.#settle()
  }

  readonly nextChargeId = (): string => `mock_payment_${FIRST_PAYMENT + this.charges.size}`
  readonly nextRefundId = (): string => `mock_refund_${this.refunds.size + 1}`
  readonly nextPayoutId = (): string => `mock_payout_${this.payouts.size + 1}`
  readonly nextDisputeId = (): string => `mock_dispute_${this.disputes.size + 1}`

  /** What every new movement starts with. */
  fresh<Status>(amount: number, fate: Fate<Status>) {
    return {
      amount: fate.wrongAmount ? amount + 1 : amount,
      status: fate.status,
      code: fate.said,
      createdAt: this.#now().toISOString(),
      sequence: this.charges.size + this.refunds.size + this.payouts.size + 1,
      later: fate.later && {
        status: fate.later.status,
        code: fate.later.said,
        atSeconds: this.#elapsed.seconds + LATER_SECONDS,
      },
    }
  }

  putCharge(charge: Charge): Charge {
    this.#say(`charge.${charge.status}`, chargeOut(charge, ''))
    return this.charges.put(charge)
  }

  putRefund(refund: Refund): Refund {
    this.refunds.put(refund)
    const charge = this.charges.get(refund.chargeId)
    if (charge !== undefined) this.charges.put({ ...charge, refunded: this.refundedOf(charge.id) })
    this.#say(`refund.${refund.status}`, refundOut(refund))
    return refund
  }

  putPayout(payout: Payout): Payout {
    this.#say(`payout.${payout.status}`, payoutOut(payout))
    return this.payouts.put(payout)
  }

  putDispute(dispute: Dispute): Dispute {
    this.#say(`dispute.${this.disputes.get(dispute.id) === undefined ? 'opened' : 'updated'}`, disputeOut(dispute))
    return this.disputes.put(dispute)
  }

  /** Given back or about to be, minor units. */
  refundedOf(chargeId: string): number {
    return this.refunds
      .values()
      .filter((refund) => refund.chargeId === chargeId && refund.status !== 'failed')
      .reduce((sum, { amount }) => sum + amount, 0)
  }

  #settle(): void {
    const due = <Row extends Charge | Refund | Payout>(row: Row): Row[] => {
      if (row.later === undefined || row.later.atSeconds > this.#elapsed.seconds) return []
      return [{ ...row, status: row.later.status, code: row.later.code, later: undefined }]
    }
    for (const row of this.charges.values().flatMap(due)) this.putCharge(row)
    for (const row of this.refunds.values().flatMap(due)) this.putRefund(row)
    for (const row of this.payouts.values().flatMap(due)) this.putPayout(row)
  }

  #say(type: string, object: unknown): void {
    const event = { id: `mock_event_${randomUUID()}`, type, created_at: this.#now().toISOString(), data: object }
    const body = JSON.stringify(event)
    const headers = () => ({ 'x-mock-signature': webhookSignature(this.#webhookSecret, body, this.#now()) })
    this.#deliveries.send({ path: 'mock', body, headers })
  }
}
