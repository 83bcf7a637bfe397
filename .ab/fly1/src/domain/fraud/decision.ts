import { newId } from '../../kit/ids.ts'
import type { Sql } from '../../kit/sql.ts'
import { learned, type Profile } from './anomaly.ts'
import { type Attempted, hourIn, networkOf } from './facts.ts'
import type { Verdict } from './rules.ts'

/**
 * `allow`: nothing held against it, or an operator's approval is at hand. `observed`: suspicious, and let through because
 * rules only observe. `review`: stopped until an operator decides. `approved`, `rejected`: decided by one.
 */
export const fraudDecisions = ['allow', 'observed', 'review', 'approved', 'rejected'] as const
export type FraudDecision = (typeof fraudDecisions)[number]

/** Keeps what was decided about a request, with its reasons. `paymentId` of one that was let through. */
export async function keepDecision(
  sql: Sql,
  asked: Attempted,
  verdict: Verdict,
  kept: { decision: 'allow' | 'observed' | 'review'; paymentId?: string; approved?: boolean },
): Promise<string> {
  const id = newId()
  await sql.query(
    `insert into fraud_decision (
       id, operation_id, user_id, payment_id, type, currency, amount, method, client_ip, network, device, hour,
       indicators, score, reasons, decision, decided_at
     ) values ($1, $2, $3, $4, $5, $6, $7, $8, $9::text, ${networkOf('$9::text')}, $10, $11, $12, $13, $14, $15, $16)`,
    [
      id,
      asked.operationId,
      asked.userId,
      kept.paymentId ?? null,
      asked.type,
      asked.currency,
      asked.amount,
      asked.method,
      asked.ip,
      asked.device,
      hourIn(asked.timeZone, asked.now),
      verdict.reasons.map(({ indicator }) => indicator),
      verdict.score,
      JSON.stringify({
        rules: verdict.reasons,
        anomaly: rounded(verdict.anomaly),
        ...(kept.approved === true ? { approved: true } : {}),
      }),
      kept.decision,
      asked.now,
    ],
  )
  return id
}

const rounded = ({ score, z, seen }: Verdict['anomaly']) => ({
  score: Number(score.toFixed(4)),
  z: Number(z.toFixed(4)),
  seen,
})

/** Learns from a payment that was let through. The user must be locked, so that no two teach at once. */
export async function learn(sql: Sql, { userId, type, currency, amount }: Attempted, profile: Profile): Promise<void> {
  const { seen, mean, squares } = learned(profile, amount)
  await sql.query(
    `insert into fraud_profile (user_id, type, currency, seen, mean, squares) values ($1, $2, $3, $4, $5, $6)
     on conflict (user_id, type, currency)
       do update set seen = excluded.seen, mean = excluded.mean, squares = excluded.squares`,
    [userId, type, currency, seen, mean, squares],
  )
}

/** A request that waits for an operator, locked; undefined when there is none of this id. */
export interface Review {
  readonly id: string
  readonly decision: FraudDecision
  readonly userId: string
  readonly type: Attempted['type']
  readonly currency: Attempted['currency']
  readonly amount: bigint
  readonly indicators: readonly string[]
}

export async function lockReview(sql: Sql, id: string): Promise<Review | undefined> {
  const [row] = await sql.query<Omit<Review, 'amount'> & { amount: string }>(
    `select id, decision, user_id as "userId", type, currency, amount, indicators
     from fraud_decision where id = $1 for no key update`,
    [id],
  )
  return row === undefined ? undefined : { ...row, amount: BigInt(row.amount) }
}

export async function decideReview(
  sql: Sql,
  id: string,
  decided: {
    decision: 'approved' | 'rejected'
    by: string
    note: string
    now: Date
    passesUntil: Date | null
  },
): Promise<void> {
  await sql.query(
    `update fraud_decision set decision = $2, reviewed_by = $3, note = $4, reviewed_at = $5, passes_until = $6 where id = $1`,
    [id, decided.decision, decided.by, decided.note, decided.now, decided.passesUntil],
  )
}
