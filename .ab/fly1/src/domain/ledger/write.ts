import { arrayLiteral } from '../../kit/array-literal.ts'
import { assert } from '../../kit/assert.ts'
import { newId } from '../../kit/ids.ts'
import type { Amount, Asset } from '../../kit/money.ts'
import type { Sql } from '../../kit/sql.ts'
import type { Account, LockedAccount } from './account.ts'
import type { Hold } from './hold.ts'
import type { Movement } from './movements.ts'

/** One side of a transfer: the account's balance and entry number after it, null on a platform account. */
export interface Side {
  readonly id: string
  readonly balance: bigint | null
  readonly entry: bigint | null
}

export interface DraftTransfer {
  readonly id: string
  readonly movement: Movement
  readonly operationId: string
  readonly position: number
  readonly asset: Asset
  readonly amount: Amount
  readonly debit: Side
  readonly credit: Side
  readonly memo: string | null
}

export interface Draft {
  readonly opened: readonly Account[]
  readonly changed: readonly LockedAccount[]
  readonly transfers: readonly DraftTransfer[]
  readonly placed: readonly Hold[]
  readonly ended: readonly Hold[]
  readonly now: Date
}

/** What a batch has moved on one platform account. */
interface Delta {
  readonly id: string
  readonly accountId: string
  amount: bigint
  entries: number
}

/** A column of an `unnest`: its name, its type, and a row's value. */
type Columns<Row> = readonly (readonly [name: string, type: string, value: (row: Row, now: Date) => unknown])[]

const accountColumns: Columns<Account> = [
  ['id', 'uuid', ({ id }) => id],
  ['balance', 'bigint', ({ balance }) => balance],
  ['held', 'bigint', ({ held }) => held],
  ['entries', 'bigint', ({ entries }) => entries],
  ['closed', 'boolean', ({ closed }) => closed],
]

/** What was seen under the lock. If it is not there any more, somebody wrote without the lock, or from other books. */
const seenColumns: Columns<LockedAccount> = [
  ['seen_entries', 'bigint', ({ stored }) => stored?.entries],
  ['seen_held', 'bigint', ({ stored }) => stored?.held],
]

const openedColumns: Columns<Account> = [
  ...accountColumns,
  ['owner', 'text', ({ owner }) => owner],
  ['purpose', 'text', ({ purpose }) => purpose],
  ['asset', 'text', ({ asset }) => asset],
  ['floor', 'bigint', ({ floor }) => floor],
]

const transferColumns: Columns<DraftTransfer> = [
  ['id', 'uuid', ({ id }) => id],
  ['movement', 'text', ({ movement }) => movement],
  ['operation_id', 'uuid', ({ operationId }) => operationId],
  ['position', 'integer', ({ position }) => position],
  ['asset', 'text', ({ asset }) => asset],
  ['amount', 'bigint', ({ amount }) => amount],
  ['debit_id', 'uuid', ({ debit }) => debit.id],
  ['debit_balance', 'bigint', ({ debit }) => debit.balance],
  ['debit_entry', 'bigint', ({ debit }) => debit.entry],
  ['credit_id', 'uuid', ({ credit }) => credit.id],
  ['credit_balance', 'bigint', ({ credit }) => credit.balance],
  ['credit_entry', 'bigint', ({ credit }) => credit.entry],
  ['memo', 'text', ({ memo }) => memo],
]

const placedColumns: Columns<Hold> = [
  ['id', 'uuid', ({ id }) => id],
  ['account_id', 'uuid', ({ accountId }) => accountId],
  ['operation_id', 'uuid', ({ operationId }) => operationId],
  ['amount', 'bigint', ({ amount }) => amount],
  ['captured', 'bigint', ({ captured }) => captured],
  ['status', 'text', ({ status }) => status],
  ['expires_at', 'timestamptz', ({ expiresAt }) => expiresAt ?? null],
  ['ended_at', 'timestamptz', ({ status }, now) => (status === 'held' ? null : now)],
]

const endedColumns: Columns<Hold> = [
  ['id', 'uuid', ({ id }) => id],
  ['captured', 'bigint', ({ captured }) => captured],
  ['status', 'text', ({ status }) => status],
]

const deltaColumns: Columns<Delta> = [
  ['id', 'uuid', ({ id }) => id],
  ['account_id', 'uuid', ({ accountId }) => accountId],
  ['amount', 'bigint', ({ amount }) => amount],
  ['entries', 'bigint', ({ entries }) => entries],
]

/**
 * One statement for a whole batch. Each part reads its own arrays and none joins another's rows: the planner knows how
 * long an array is, but nothing about what another part returns.
 */
export async function writeDraft(sql: Sql, draft: Draft): Promise<void> {
  const statement = new Statement(draft.now)
  statement.insert('account', openedColumns, inOneOrder(draft.opened), 'opened_at')
  statement.insert('transfer', transferColumns, draft.transfers, 'posted_at')
  statement.insert('hold', placedColumns, draft.placed, 'placed_at')
  statement.insert('account_delta', deltaColumns, deltasOf(draft.transfers))
  statement.update('hold', endedColumns, draft.ended, { stamp: 'ended_at', still: `hold.status = 'held'` })
  statement.update('account', accountColumns, draft.changed, {
    seen: seenColumns,
    still: 'account.entries = new.seen_entries and account.held = new.seen_held and not account.closed',
  })
  if (statement.isEmpty) return
  const [row] = await sql.query<{ updated: string }>(statement.text, statement.parameters)
  const expected = draft.changed.length + draft.ended.length
  assert(Number(row?.updated) === expected, 'The books were not written: what they had seen under the lock has changed')
}

/** By natural key, so that two processes which open the same accounts meet at the same one first. */
const inOneOrder = (accounts: readonly Account[]): Account[] =>
  [...accounts].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))

const keyOf = ({ owner, purpose, asset }: Account): string => `${owner}:${purpose}:${asset}`

/** One row for each platform account that was touched, however many transfers touched it. */
function deltasOf(transfers: readonly DraftTransfer[]): Delta[] {
  const deltas = new Map<string, Delta>()
  const add = (side: Side, amount: bigint) => {
    if (side.entry !== null) return
    const delta = deltas.get(side.id) ?? { id: newId(), accountId: side.id, amount: 0n, entries: 0 }
    delta.amount += amount
    delta.entries += 1
    deltas.set(side.id, delta)
  }
  for (const { debit, credit, amount } of transfers) {
    add(debit, -amount)
    add(credit, amount)
  }
  return [...deltas.values()]
}

/** Inserts and updates of many rows each, gathered into one round trip that answers how many rows were updated. */
class Statement {
  readonly #now: Date
  readonly #parts: string[] = []
  readonly #updates: string[] = []
  #stampedAs: string | undefined
  readonly parameters: unknown[] = []

  constructor(now: Date) {
    this.#now = now
  }

  get isEmpty(): boolean {
    return this.#parts.length === 0
  }

  get text(): string {
    const updated = this.#updates.map((part) => `(select count(*) from ${part})`).join(' + ')
    return `with ${this.#parts.join(', ')} select ${updated || '0'} as updated`
  }

  /** `stamp` is the column that gets the time of the books. */
  insert<Row>(table: string, columns: Columns<Row>, rows: readonly Row[], stamp?: string): void {
    if (rows.length === 0) return
    const [name, value] = stamp === undefined ? ['', ''] : [`, ${stamp}`, `, ${this.#stamp()}`]
    this.#parts.push(
      `new_${table} as (
         insert into ${table} (${names(columns)}${name})
         select ${names(columns)}${value} from ${this.#rows(columns, rows)}
       )`,
    )
  }

  /** The first column is the id, the others are set. `still` is what must be as it was seen. */
  update<Row>(
    table: string,
    columns: Columns<Row>,
    rows: readonly Row[],
    options: { stamp?: string; seen?: Columns<Row>; still: string },
  ): void {
    if (rows.length === 0) return
    const { stamp, seen = [], still } = options
    const sets = columns.slice(1).map(([name]) => `${name} = new.${name}`)
    if (stamp !== undefined) sets.push(`${stamp} = ${this.#stamp()}`)
    const ids = this.parameters.length + 1
    this.#updates.push(`changed_${table}`)
    // The ids are named twice, so that their rows are looked up in the index and not hashed from the whole table.
    this.#parts.push(
      `changed_${table} as (
         update ${table} set ${sets.join(', ')} from ${this.#rows([...columns, ...seen], rows)}
         where ${table}.id = any($${ids}::uuid[]) and ${table}.id = new.id and ${still} returning 1
       )`,
    )
  }

  /** The time of the books, sent once. */
  #stamp(): string {
    this.#stampedAs ??= `$${this.parameters.push(this.#now)}::timestamptz`
    return this.#stampedAs
  }

  #rows<Row>(columns: Columns<Row>, rows: readonly Row[]): string {
    const arrays = columns.map(([, type, value]) => {
      const values = rows.map((row) => value(row, this.#now))
      return `$${this.parameters.push(bare.has(type) ? arrayLiteral(values) : values)}::${type}[]`
    })
    return `unnest(${arrays.join(', ')}) as new (${names(columns)})`
  }
}

/** Types whose text needs no quotes inside an array literal. */
const bare = new Set(['uuid', 'bigint', 'integer', 'boolean'])

const names = <Row>(columns: Columns<Row>): string => columns.map(([name]) => name).join(', ')
