import type { Asset } from '../../kit/money.ts'
import type { Sql } from '../../kit/sql.ts'
import type { FraudDecision } from './decision.ts'

export { fraudDecisions } from './decision.ts'

/** What a review is called: `rev_…`. */
export const REVIEW = 'rev'

/** A line of the operators' queue: a request that rules stopped, or a payment whose gateway moved another amount than asked. */
export interface ReviewView {
  readonly id: string
  readonly about: 'request' | 'payment'
  readonly userId: string
  readonly type: string
  readonly currency: Asset
  readonly amount: bigint
  readonly decision: FraudDecision
  readonly indicators: readonly string[]
  readonly score: number | null
  readonly reasons: { readonly rules?: readonly { indicator: string; weight: number; says: string }[] } | null
  readonly says: string | null
  readonly ip: string | null
  readonly paymentId: string | null
  readonly at: Date
  readonly reviewedBy: string | null
  readonly reviewedAt: Date | null
  readonly note: string | null
  readonly passesUntil: Date | null
}

export interface ReviewFilter {
  readonly decision: FraudDecision
  readonly userId: string | undefined
  /** The last id of the page before. */
  readonly before: string | undefined
  readonly limit: number
}

/** Newest first. Payments in review are there as long as they are open: then they have statuses of their own. */
export async function reviews(sql: Sql, { decision, userId, before, limit }: ReviewFilter): Promise<ReviewView[]> {
  const rows = await sql.query<Omit<ReviewView, 'amount'> & { amount: string }>(
    `(
       select id, 'request' as about, user_id as "userId", type, currency, amount, decision, indicators, score, reasons,
         null as says, client_ip as ip, payment_id as "paymentId", decided_at as at, reviewed_by as "reviewedBy",
         reviewed_at as "reviewedAt", note, passes_until as "passesUntil"
       from fraud_decision
       where decision = $1 and ($2::text is null or user_id = $2) and ($3::uuid is null or id < $3)
       order by id desc limit $4
     ) union all (
       select id, 'payment', user_id, type, currency, amount, 'review', array[coalesce(failure_code, 'review')], null, null,
         failure_message, client_ip, id, created_at, null, null, null, null
       from payment
       where status = 'review' and $1 = 'review' and ($2::text is null or user_id = $2) and ($3::uuid is null or id < $3)
       order by id desc limit $4
     )
     order by id desc limit $4`,
    [decision, userId ?? null, before ?? null, limit],
  )
  return rows.map((row) => ({ ...row, amount: BigInt(row.amount) }))
}
export { fraudRefusals } from './refusals.ts'
