import { type Amount, amount } from '../../kit/money.ts'
import type { Sql } from '../../kit/sql.ts'
import type { LifeCycle } from '../../kit/states.ts'

export type HoldStatus = 'held' | 'captured' | 'released' | 'expired'

export const holdLife = {
  held: ['captured', 'released', 'expired'],
  captured: [],
  released: [],
  expired: [],
} as const satisfies LifeCycle<HoldStatus>

/** An amount set aside on an account until it is captured, released or expired. */
export interface Hold {
  readonly id: string
  readonly accountId: string
  readonly operationId: string
  readonly amount: Amount
  /** What was taken of it in the end; the rest was released. */
  readonly captured: bigint
  readonly status: HoldStatus
  readonly expiresAt: Date | undefined
}

/** The books' own, mutable side of a hold. Its account's lock protects it: holds are never locked themselves. */
export class BookHold implements Hold {
  readonly id: string
  readonly accountId: string
  readonly operationId: string
  readonly amount: Amount
  readonly expiresAt: Date | undefined
  captured: bigint
  status: HoldStatus
  /** As the database has it; undefined while it does not have the hold. */
  #stored: HoldStatus | undefined

  constructor(hold: Hold, stored: HoldStatus | undefined) {
    this.id = hold.id
    this.accountId = hold.accountId
    this.operationId = hold.operationId
    this.amount = hold.amount
    this.expiresAt = hold.expiresAt
    this.captured = hold.captured
    this.status = hold.status
    this.#stored = stored
  }

  get isNew(): boolean {
    return this.#stored === undefined
  }

  get hasChanged(): boolean {
    return this.#stored !== undefined && this.#stored !== this.status
  }

  /** The database has it like this now. */
  markStored(): void {
    this.#stored = this.status
  }
}

interface HoldRow {
  id: string
  account_id: string
  operation_id: string
  amount: string
  captured: string
  status: HoldStatus
  expires_at: Date | string | null
}

/** To be called after the holds' accounts have been locked. */
export async function loadHolds(sql: Sql, ids: readonly string[]): Promise<BookHold[]> {
  const rows = await sql.query<HoldRow>(
    `select id, account_id, operation_id, amount, captured, status, expires_at from hold where id = any($1::uuid[])`,
    [ids],
  )
  return rows.map(
    (row) =>
      new BookHold(
        {
          id: row.id,
          accountId: row.account_id,
          operationId: row.operation_id,
          amount: amount(row.amount),
          captured: BigInt(row.captured),
          status: row.status,
          expiresAt: row.expires_at === null ? undefined : new Date(row.expires_at),
        },
        row.status,
      ),
  )
}
