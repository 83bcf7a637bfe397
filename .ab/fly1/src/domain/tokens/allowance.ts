import type { Amount } from '../../kit/money.ts'
import { covers } from '../../kit/money.ts'
import type { Sql } from '../../kit/sql.ts'
import { tokenRefusals } from './refusals.ts'

/** What a verified voice may have, in whole budget units. */
export interface VoiceLimits {
  readonly transaction: Amount
  readonly daily: Amount
  readonly monthly: Amount
}

/** The UTC day and month that an instant belongs to, as they are keyed: `2026-11-20`, `2026-11`. */
export const periodsOf = (instant: Date): { day: string; month: string } => {
  const iso = instant.toISOString()
  return { day: iso.slice(0, 10), month: iso.slice(0, 7) }
}

/**
 * Takes a budget out of a voice's transaction, daily and monthly limits, or refuses. What was budgeted counts, spent or
 * not: a token that expires unused does not give its allowance back. The rows are locked in key order and stay locked
 * until the transaction ends, so that two concurrent requests cannot pass together what one could not.
 */
export async function takeAllowance(
  sql: Sql,
  asked: { voiceDigest: Uint8Array; budget: Amount; limits: VoiceLimits; now: Date },
): Promise<void> {
  const { budget, limits } = asked
  if (!covers(limits.transaction, budget)) throw tokenRefusals.overTransactionLimit({ limit: limits.transaction })

  const { day, month } = periodsOf(asked.now)
  const digest = Buffer.from(asked.voiceDigest)
  // Sorted, `2026-11` before `2026-11-20`: everybody locks the month first.
  await sql.query(
    `insert into voice_allowance (voice_digest, period, used) values ($1, $2, 0), ($1, $3, 0) on conflict do nothing`,
    [digest, month, day],
  )
  const rows = await sql.query<{ period: string; used: string }>(
    `select period, used from voice_allowance where voice_digest = $1 and period in ($2, $3) order by period for no key update`,
    [digest, month, day],
  )
  const used = (period: string) => BigInt(rows.find((row) => row.period === period)?.used ?? 0)

  const leftToday = limits.daily - used(day)
  if (!covers(leftToday, budget))
    throw tokenRefusals.overDailyLimit({ limit: limits.daily, left: atLeastZero(leftToday) })
  const leftThisMonth = limits.monthly - used(month)
  if (!covers(leftThisMonth, budget)) {
    throw tokenRefusals.overMonthlyLimit({ limit: limits.monthly, left: atLeastZero(leftThisMonth) })
  }
  await sql.query(`update voice_allowance set used = used + $4 where voice_digest = $1 and period in ($2, $3)`, [
    digest,
    month,
    day,
    budget,
  ])
}

/** A limit that was lowered below what is used leaves nothing, not less than nothing. */
const atLeastZero = (value: bigint): bigint => (value < 0n ? 0n : value)
