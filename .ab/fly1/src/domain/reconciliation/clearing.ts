import type { Sql } from '../../kit/sql.ts'

/** Accounts on which money only waits: in suspense for a decision or its way back, in a dispute for a bank's. */
export const clearingPurposes = ['suspense', 'dispute'] as const
export type ClearingPurpose = (typeof clearingPurposes)[number]

/** What came in and has not left. */
export interface Waiting {
  readonly purpose: ClearingPurpose
  readonly currency: string
  readonly amount: bigint
  readonly paymentId: string
  readonly gateway: string | null
  /**
   * `going_back`, `not_taken_back`: its return failed; `review`: a person decides; `invoice_review`: the same, of a payment of
   * an invoice; else the dispute's own status.
   */
  readonly because: string
  readonly since: Date
}

/**
 * Money in suspense is a deposit under review or a return that is not completed, money in dispute is a dispute that is not
 * closed: each is written in the transaction that posts it, so one snapshot of both must add up.
 */
const ITEMS = `
  item as (
    select 'suspense' as purpose, back.currency, back.amount, back.original_id as payment_id, back.gateway,
      case when back.status in ('failed', 'returned', 'review') then 'not_taken_back' else 'going_back' end as because,
      back.created_at as since
    from payment back where back.type = 'return' and back.status <> 'completed'
    union all
    select 'suspense', attempt.moved_currency, attempt.moved, payment.id, attempt.gateway, 'review', attempt.answered_at
    from payment join gateway_attempt attempt on attempt.payment_id = payment.id and attempt.status = 'succeeded'
    where payment.status = 'review' and payment.type = 'deposit'
    union all
    select 'suspense', moved_currency, moved, id, gateway, 'invoice_review', answered_at
    from invoice_payment where status = 'review' and moved > 0
    union all
    select 'dispute', currency, amount, payment_id, gateway, status, opened_at from dispute where closed_at is null
  )`

export interface ClearingAccount {
  readonly purpose: ClearingPurpose
  readonly currency: string
  readonly balance: bigint
  /** Of the balance: what none of the items explains. Anything but 0 needs a person. */
  readonly unexplained: bigint
  readonly items: number
  readonly oldest: Date | null
}

/** Accounts that hold something, or of which something is expected. */
export async function clearingAccounts(sql: Sql): Promise<ClearingAccount[]> {
  const rows = await sql.query<{
    purpose: ClearingPurpose
    currency: string
    balance: string
    expected: string
    items: string
    oldest: Date | null
  }>(
    `with ${ITEMS}, standing as (
       select purpose, asset as currency,
         balance + coalesce((select sum(amount) from account_delta where account_id = account.id), 0) as balance
       from account where owner = 'platform' and purpose = any($1::text[])
     ), expected as (
       select purpose, currency, sum(amount) as amount, count(*) as items, min(since) as oldest from item group by 1, 2
     )
     select purpose, currency, balance, coalesce(amount, 0) as expected, coalesce(items, 0) as items, oldest
     from standing left join expected using (purpose, currency)
     where balance <> 0 or amount <> 0 order by purpose desc, currency`,
    [clearingPurposes],
  )
  return rows.map(({ purpose, currency, balance, expected, items, oldest }) => ({
    purpose,
    currency,
    balance: BigInt(balance),
    unexplained: BigInt(balance) - BigInt(expected),
    items: Number(items),
    oldest,
  }))
}

/** Oldest first. */
export async function waiting(sql: Sql, limit: number): Promise<Waiting[]> {
  const rows = await sql.query<Omit<Waiting, 'amount' | 'paymentId'> & { amount: string; payment_id: string }>(
    `with ${ITEMS} select * from item order by since, payment_id limit $1`,
    [limit],
  )
  return rows.map(({ purpose, currency, amount, payment_id, gateway, because, since }) => ({
    purpose,
    currency,
    amount: BigInt(amount),
    paymentId: payment_id,
    gateway,
    because,
    since,
  }))
}
