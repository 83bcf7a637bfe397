import { newId } from '../../kit/ids.ts'
import { isAsset, toDecimal } from '../../kit/money.ts'
import type { Sql } from '../../kit/sql.ts'

interface Row {
  id: string
  movement: string
  asset: string
  amount: string
  debit_owner: string
  debit_purpose: string
  credit_owner: string
  credit_purpose: string
  balance: string | null
}

/** Tells each time which transfers of a wallet, or through suspense, are new since the last time. */
export class LedgerRows {
  readonly #sql: Sql
  readonly #owner: string
  #after = newId()

  constructor(sql: Sql, owner: string) {
    this.#sql = sql
    this.#owner = owner
  }

  async fresh(): Promise<string[]> {
    const rows = await this.#sql.query<Row>(
      `select transfer.id, movement, transfer.asset, amount, debit.owner as debit_owner, debit.purpose as debit_purpose,
         credit.owner as credit_owner, credit.purpose as credit_purpose, coalesce(debit_balance, credit_balance) as balance
       from transfer join account debit on debit.id = debit_id join account credit on credit.id = credit_id
       where transfer.id > $1 and ($2 in (debit.owner, credit.owner) or 'suspense' in (debit.purpose, credit.purpose))
       order by transfer.id`,
      [this.#after, this.#owner],
    )
    this.#after = rows.at(-1)?.id ?? this.#after
    return rows.map((row) => {
      const decimal = (amount: string) => (isAsset(row.asset) ? toDecimal(BigInt(amount), row.asset) : amount)
      const from = place(row.debit_owner, row.debit_purpose)
      const to = place(row.credit_owner, row.credit_purpose)
      const left = row.balance === null ? '' : `   wallet then ${decimal(row.balance)}`
      return `${row.movement.padEnd(18)} ${`${from} → ${to}`.padEnd(22)} ${decimal(row.amount).padStart(8)} ${row.asset}${left}`
    })
  }
}

/** `platform:stripe` with the purpose `gateway` is what we have at Stripe. */
const place = (owner: string, purpose: string): string =>
  purpose === 'gateway' ? (owner.split(':').at(1) ?? purpose) : purpose
