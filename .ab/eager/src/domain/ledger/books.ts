import { assert } from '../../kit/assert.ts'
import { newId } from '../../kit/ids.ts'
import { type Amount, type Asset, covers } from '../../kit/money.ts'
import type { Sql } from '../../kit/sql.ts'
import { move } from '../../kit/states.ts'
import { type Account, LockedAccount, lockAccounts } from './account.ts'
import { BookHold, type Hold, holdLife, loadHolds } from './hold.ts'
import { type Movement, movements, type Purpose, rulesOf } from './movements.ts'
import type { PlatformAccount } from './platform-accounts.ts'
import { type DraftTransfer, type Side, writeDraft } from './write.ts'

export type { Account } from './account.ts'
export type { Hold } from './hold.ts'

export interface Posting {
  readonly debit: Account | PlatformAccount
  readonly credit: Account | PlatformAccount
  readonly amount: Amount
  readonly operationId: string
  /** A line for whoever reads the statement. */
  readonly memo?: string | undefined
  /**
   * Which transfer of its operation this is, when the operation posts in more than one transaction. Otherwise the
   * transfers of an operation are numbered from 0, and that is what keeps it from being posted twice.
   */
  readonly position?: number
}

export interface Transfer {
  readonly id: string
  readonly movement: Movement
  readonly operationId: string
  readonly asset: Asset
  readonly amount: Amount
}

/** A place in the books to come back to. */
export interface Mark {
  readonly writes: number
  readonly steps: number
}

/**
 * Locks these accounts until the transaction ends, and opens books on them. Holds that are named must be on these
 * accounts. `now` is written beside everything that is posted.
 */
export async function openBooks(
  sql: Sql,
  accountIds: readonly string[],
  now: Date,
  options: { holds?: readonly string[] } = {},
): Promise<Books> {
  const ids = [...new Set(accountIds)]
  const holdIds = [...new Set(options.holds)]
  const accounts = ids.length === 0 ? [] : await lockAccounts(sql, ids)
  const holds = holdIds.length === 0 ? [] : await loadHolds(sql, holdIds)
  return new Books(accounts, holds, now)
}

/**
 * Some accounts, locked, and everything that is being posted on them: in memory until `write`. A noun asks first
 * whether a movement is covered and refuses in its own words; what reaches the books and does not fit is a bug.
 */
export class Books {
  readonly #now: Date
  readonly #accounts = new Map<string, LockedAccount>()
  readonly #holds = new Map<string, BookHold>()
  readonly #transfers: DraftTransfer[] = []
  /** Per operation, the position of its next transfer. */
  readonly #positions = new Map<string, number>()
  /** How to take back every step since the last write, newest at the end. */
  readonly #steps: (() => void)[] = []
  #writes = 0

  constructor(accounts: readonly LockedAccount[], holds: readonly BookHold[], now: Date) {
    this.#now = now
    for (const account of accounts) this.#accounts.set(account.id, account)
    for (const hold of holds) {
      assert(this.#accounts.has(hold.accountId), `Hold ${hold.id} is on an account that is not locked in these books`)
      this.#holds.set(hold.id, hold)
    }
  }

  account(id: string): Account {
    const account = this.#accounts.get(id)
    assert(account, `Account ${id} is not in these books`)
    return account
  }

  placedHold(id: string): Hold {
    const hold = this.#holds.get(id)
    assert(hold, `Hold ${id} is not in these books`)
    return hold
  }

  open(names: { owner: string; purpose: Purpose; asset: Asset; floor?: bigint }): Account {
    const { owner, purpose, asset, floor = 0n } = names
    const rules = rulesOf(purpose)
    assert(!rules.platform, `${purpose} is a platform account: it is there already`)
    assert(rules.assets.includes(asset), `A ${purpose} account cannot be in ${asset}`)
    assert(floor <= 0n, 'An account starts empty, so its floor cannot be above 0')
    const account = new LockedAccount({ id: newId(), owner, purpose, asset, floor }, undefined)
    this.#accounts.set(account.id, account)
    this.#steps.push(() => this.#accounts.delete(account.id))
    return account
  }

  post(movement: Movement, posting: Posting): Transfer {
    const { debit, credit, amount, operationId } = posting
    assert(Object.hasOwn(movements, movement), `No such movement: ${movement}`)
    const permitted = movements[movement]
    assert(
      debit.purpose === permitted.debit && credit.purpose === permitted.credit,
      `${movement} cannot move from ${debit.purpose} to ${credit.purpose}`,
    )
    assert(debit.asset === credit.asset, `${movement} cannot turn ${debit.asset} into ${credit.asset}`)
    assert(debit.id !== credit.id, `${movement} cannot move from an account to itself`)
    assert(amount > 0n, `${movement} must move something`)
    const from = this.#movable(debit)
    const to = this.#movable(credit)
    assert(from === undefined || covers(from.available, amount), `Account ${debit.id} does not cover ${movement}`)

    if (from !== undefined) {
      from.balance -= amount
      from.entries += 1n
    }
    if (to !== undefined) {
      to.balance += amount
      to.entries += 1n
    }
    const position = posting.position ?? this.#positions.get(operationId) ?? 0
    const nextPosition = this.#positions.get(operationId)
    this.#positions.set(operationId, position + 1)
    const transfer: DraftTransfer = {
      id: newId(),
      movement,
      operationId,
      position,
      asset: debit.asset,
      amount,
      debit: sideOf(debit, from),
      credit: sideOf(credit, to),
      memo: posting.memo ?? null,
    }
    this.#transfers.push(transfer)
    this.#steps.push(() => {
      this.#transfers.pop()
      if (nextPosition === undefined) this.#positions.delete(operationId)
      else this.#positions.set(operationId, nextPosition)
      if (from !== undefined) {
        from.balance += amount
        from.entries -= 1n
      }
      if (to !== undefined) {
        to.balance -= amount
        to.entries -= 1n
      }
    })
    return transfer
  }

  /** Sets an amount aside: it stays in the balance, but nothing else can take it. */
  hold(account: Account, terms: { amount: Amount; operationId: string; expiresAt?: Date | undefined }): Hold {
    const own = this.#locked(account)
    assert(terms.amount > 0n, 'A hold must hold something')
    assert(covers(own.available, terms.amount), `Account ${account.id} does not cover the hold`)
    const hold = new BookHold(
      {
        id: newId(),
        accountId: own.id,
        operationId: terms.operationId,
        amount: terms.amount,
        captured: 0n,
        status: 'held',
        expiresAt: terms.expiresAt,
      },
      undefined,
    )
    own.held += terms.amount
    this.#holds.set(hold.id, hold)
    this.#steps.push(() => {
      own.held -= terms.amount
      this.#holds.delete(hold.id)
    })
    return hold
  }

  /** Takes what was set aside, or a part of it; the rest is released. */
  capture(hold: Hold, posting: Omit<Posting, 'debit'> & { readonly movement: Movement }): Transfer {
    const { movement, ...rest } = posting
    assert(rest.amount <= hold.amount, `Hold ${hold.id} holds less than is captured`)
    const account = this.#end(hold, 'captured', rest.amount)
    return this.post(movement, { ...rest, debit: account })
  }

  release(hold: Hold): void {
    this.#end(hold, 'released', 0n)
  }

  expire(hold: Hold): void {
    assert(hold.expiresAt !== undefined && hold.expiresAt <= this.#now, `Hold ${hold.id} has not expired`)
    this.#end(hold, 'expired', 0n)
  }

  /** For good: an empty account on which nothing will ever move again. */
  close(account: Account): void {
    const own = this.#locked(account)
    assert(own.balance === 0n && own.held === 0n, `Account ${account.id} is not empty`)
    own.closed = true
    this.#steps.push(() => {
      own.closed = false
    })
  }

  mark(): Mark {
    return { writes: this.#writes, steps: this.#steps.length }
  }

  /** Takes back everything since the mark: what a refused operation had done before it was refused. */
  undo(mark: Mark): void {
    assert(mark.writes === this.#writes && mark.steps <= this.#steps.length, 'What is written cannot be taken back')
    for (const takeBack of this.#steps.splice(mark.steps).reverse()) takeBack()
  }

  /** Writes what changed, in one statement. Without a change there is no statement. */
  async write(sql: Sql): Promise<void> {
    const accounts = [...this.#accounts.values()]
    const holds = [...this.#holds.values()]
    await writeDraft(sql, {
      opened: accounts.filter(({ isNew }) => isNew),
      changed: accounts.filter(({ hasChanged }) => hasChanged),
      transfers: this.#transfers,
      placed: holds.filter(({ isNew }) => isNew),
      ended: holds.filter(({ hasChanged }) => hasChanged),
      now: this.#now,
    })
    for (const account of accounts) account.markStored()
    for (const hold of holds) hold.markStored()
    this.#transfers.length = 0
    this.#steps.length = 0
    this.#writes += 1
  }

  #end(hold: Hold, status: 'captured' | 'released' | 'expired', captured: bigint): LockedAccount {
    const own = this.#holds.get(hold.id)
    assert(own === hold, `Hold ${hold.id} is not in these books`)
    const account = this.#accounts.get(own.accountId)
    assert(account, `Account ${own.accountId} is not in these books`)
    own.status = move(holdLife, own.status, status)
    own.captured = captured
    account.held -= own.amount
    this.#steps.push(() => {
      account.held += own.amount
      own.captured = 0n
      own.status = 'held'
    })
    return account
  }

  /** The locked side of a posting; undefined for a platform account, which has nothing to check and is not locked. */
  #movable(account: Account | PlatformAccount): LockedAccount | undefined {
    return 'platform' in account ? undefined : this.#locked(account)
  }

  #locked(account: Account): LockedAccount {
    const own = this.#accounts.get(account.id)
    assert(own === account, `Account ${account.id} is not locked in these books`)
    assert(!own.closed, `Account ${account.id} is closed`)
    return own
  }
}

const sideOf = (account: Account | PlatformAccount, own: LockedAccount | undefined): Side => ({
  id: account.id,
  balance: own?.balance ?? null,
  entry: own?.entries ?? null,
})
