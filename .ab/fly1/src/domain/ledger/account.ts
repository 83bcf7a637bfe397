import { assert } from '../../kit/assert.ts'
import { type Asset, assets } from '../../kit/money.ts'
import type { Sql } from '../../kit/sql.ts'
import { type Purpose, purposes } from './movements.ts'

/** An account that these books have locked, as it stands after everything posted in them so far. Minor units. */
export interface Account {
  readonly id: string
  readonly owner: string
  readonly purpose: Purpose
  readonly asset: Asset
  readonly balance: bigint
  /** Set aside by open holds. */
  readonly held: bigint
  /** What must stay: 0 for almost everybody, below 0 where credit is given. */
  readonly floor: bigint
  /** How many transfers it has seen. The next one gets the number after. */
  readonly entries: bigint
  /** Nothing moves any more. */
  readonly closed: boolean
  /** What may leave now: balance − held − floor. */
  readonly available: bigint
}

type State = Pick<Account, 'balance' | 'held' | 'entries' | 'closed'>

/** The books' own, mutable side of an account. Nobody outside of them gets to see it. */
export class LockedAccount implements Account {
  readonly id: string
  readonly owner: string
  readonly purpose: Purpose
  readonly asset: Asset
  readonly floor: bigint
  balance: bigint
  held: bigint
  entries: bigint
  closed: boolean
  /** As the database has it; undefined while it does not have the account. */
  #stored: State | undefined

  constructor(names: Pick<Account, 'id' | 'owner' | 'purpose' | 'asset' | 'floor'>, stored: State | undefined) {
    this.id = names.id
    this.owner = names.owner
    this.purpose = names.purpose
    this.asset = names.asset
    this.floor = names.floor
    this.balance = stored?.balance ?? 0n
    this.held = stored?.held ?? 0n
    this.entries = stored?.entries ?? 0n
    this.closed = stored?.closed ?? false
    this.#stored = stored
  }

  get available(): bigint {
    return this.balance - this.held - this.floor
  }

  get isNew(): boolean {
    return this.#stored === undefined
  }

  get hasChanged(): boolean {
    const stored = this.#stored
    return (
      stored !== undefined &&
      (stored.entries !== this.entries ||
        stored.held !== this.held ||
        stored.closed !== this.closed ||
        stored.balance !== this.balance)
    )
  }

  /** What the database had when it was read; writing makes sure that it still has. */
  get stored(): State | undefined {
    return this.#stored
  }

  /** The database has it like this now. */
  markStored(): void {
    this.#stored = { balance: this.balance, held: this.held, entries: this.entries, closed: this.closed }
  }
}

interface AccountRow {
  id: string
  owner: string
  purpose: string
  asset: string
  balance: string
  held: string
  floor: string | null
  entries: string
  closed: boolean
}

/**
 * Locks accounts in the order of their ids, which is the order everybody uses, so that nobody ever waits in a circle.
 * The rows are read after the lock: a balance seen before it may be gone by now.
 */
export async function lockAccounts(sql: Sql, ids: readonly string[]): Promise<LockedAccount[]> {
  const rows = await sql.query<AccountRow>(
    `select id, owner, purpose, asset, balance, held, floor, entries, closed
     from account where id = any($1::uuid[]) order by id for no key update`,
    [ids],
  )
  return rows.map((row) => {
    assert(row.floor !== null, `Account ${row.id} is a platform account: those are never locked`)
    return new LockedAccount(
      {
        id: row.id,
        owner: row.owner,
        purpose: knownPurpose(row.purpose),
        asset: knownAsset(row.asset),
        floor: BigInt(row.floor),
      },
      { balance: BigInt(row.balance), held: BigInt(row.held), entries: BigInt(row.entries), closed: row.closed },
    )
  })
}

function knownPurpose(text: string): Purpose {
  assert(Object.hasOwn(purposes, text), `No such purpose: ${text}`)
  return text as Purpose
}

function knownAsset(text: string): Asset {
  assert(Object.hasOwn(assets, text), `No such asset: ${text}`)
  return text as Asset
}
