/*
 * Wallets as a random test reckons them, from what was asked for and what the gateway's own record says became of it. It
 * knows neither operations nor webhooks nor books.
 */

/** `open`: it may still come to something, so that it is set aside and counts. */
type Fate = 'open' | 'moved' | 'nothing' | 'review'

export interface Movement {
  readonly type: 'deposit' | 'withdrawal' | 'refund'
  readonly id: string
  /** Minor units. */
  readonly amount: number
  /** What the gateway knows it by. */
  readonly reference: string
  readonly original: Movement | undefined
  readonly orderId: string | undefined
  fate: Fate
  /** A deposit that was refunded before it was paid: what still comes goes back by itself. */
  calledOff?: true
  chargeId?: string
  dispute?: Dispute
}

interface Dispute {
  readonly amount: number
  status: DisputeStatus
  taken: number
}

type DisputeStatus = 'needs_response' | 'under_review' | 'won' | 'lost'

export interface GatewayRecord {
  readonly id: string
  readonly status: string
  readonly amount: number
}

const FATES: Readonly<Record<string, Fate>> = {
  captured: 'moved',
  succeeded: 'moved',
  paid: 'moved',
  declined: 'nothing',
  failed: 'nothing',
  canceled: 'nothing',
  returned: 'nothing',
}

export class User {
  readonly id: string
  readonly cards: ReadonlyMap<string, string>
  readonly accounts: ReadonlyMap<string, string>
  readonly movements: Movement[] = []

  constructor(id: string, cards: ReadonlyMap<string, string>, accounts: ReadonlyMap<string, string>) {
    this.id = id
    this.cards = cards
    this.accounts = accounts
  }

  /** Reads what became of everything. What the gateway never received is in doubt, until it is given up. */
  learn(records: ReadonlyMap<string, GatewayRecord>, doubts: { given?: 'up' } = {}): void {
    for (const movement of this.movements) {
      const record = records.get(movement.reference)
      const before = movement.fate
      if (record === undefined) movement.fate = doubts.given === 'up' ? 'nothing' : 'open'
      else {
        movement.fate = FATES[record.status] ?? 'open'
        if (movement.fate === 'moved' && record.amount !== movement.amount) movement.fate = 'review'
        movement.chargeId = record.id
      }
      if (movement.calledOff === true) movement.fate = 'nothing'
      if (movement.type === 'refund' && before !== 'nothing' && movement.fate === 'nothing') this.#recovered(movement)
    }
  }

  get balance(): number {
    const moved = (type: Movement['type']) =>
      sum(this.movements.filter((one) => one.type === type && one.fate === 'moved'))
    const taken = this.movements.reduce(
      (total, { dispute }) => total + (dispute === undefined || dispute.status === 'won' ? 0 : dispute.taken),
      0,
    )
    return moved('deposit') - moved('withdrawal') - moved('refund') - taken
  }

  get held(): number {
    return sum(this.movements.filter(({ type, fate }) => type !== 'deposit' && fate === 'open'))
  }

  /** What deposits and withdrawals have used of the limits together. */
  get used(): number {
    return sum(this.movements.filter(({ type, fate }) => type !== 'refund' && fate !== 'nothing'))
  }

  refundedOf(deposit: Movement): number {
    return sum(this.movements.filter(({ original, fate }) => original === deposit && fate !== 'nothing'))
  }

  /** News of a dispute while nothing else is happening. */
  disputed(deposit: Movement, status: DisputeStatus, amount: number): void {
    if (deposit.dispute === undefined) {
      const refundable = Math.max(0, deposit.amount - this.refundedOf(deposit))
      const available = Math.max(0, this.balance - this.held)
      deposit.dispute = { amount, status, taken: Math.min(amount, refundable, available) }
    } else if (deposit.dispute.status !== 'won' && deposit.dispute.status !== 'lost') deposit.dispute.status = status
  }

  /** What a refund leaves in the wallet makes up for what was advanced to the bank. */
  #recovered({ original, amount }: Movement): void {
    const dispute = original?.dispute
    if (dispute === undefined || dispute.status === 'won') return
    dispute.taken += Math.min(dispute.amount - dispute.taken, amount)
  }
}

const sum = (movements: readonly Movement[]): number => movements.reduce((total, { amount }) => total + amount, 0)

/** Rupees of so many paise. */
export const decimal = (minor: number): string => (minor / 100).toFixed(2)
