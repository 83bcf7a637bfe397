import { type Amount, amount, covers } from '../../kit/money.ts'
import type { Sql } from '../../kit/sql.ts'
import type { Holder } from './holder.ts'
import type { Currency } from './names.ts'
import type { Payment } from './payment.ts'
import { paymentRefusals } from './refusals.ts'

export const kycLevels = ['BASIC', 'INTERMEDIATE', 'ADVANCED'] as const
export type KycLevel = (typeof kycLevels)[number]

/** What a user may move, minor units. Deposits and withdrawals count together. */
export interface Limits {
  readonly level: KycLevel
  readonly single: Amount
  readonly daily: Amount
  readonly monthly: Amount
}

/** The user's own day and month, as they are keyed: `2026-11-20`, `2026-11`. */
export function periodsIn(timeZone: string, instant: Date): { day: string; month: string } {
  const day = new Intl.DateTimeFormat('en-CA', { timeZone, dateStyle: 'short' }).format(instant)
  return { day, month: day.slice(0, 7) }
}

/** As they stand at an instant: levels and limits have the day from which they hold. */
export async function limitsOf(sql: Sql, userId: string, currency: Currency, at: Date): Promise<Limits> {
  const [row] = await sql.query<{ level: KycLevel; single: string; daily: string; monthly: string }>(
    `select kyc_limit.level, single, daily, monthly
     from kyc_limit
     where currency = $2 and starts_at <= $3 and level = coalesce(
       (select level from kyc_level where user_id = $1 and starts_at <= $3 order by starts_at desc limit 1), 'BASIC')
     order by starts_at desc limit 1`,
    [userId, currency, at],
  )
  if (row === undefined) throw new Error(`No limits are tabled for ${currency}`)
  return { level: row.level, single: amount(row.single), daily: amount(row.daily), monthly: amount(row.monthly) }
}

export interface LimitUse {
  readonly daily: bigint
  readonly monthly: bigint
}

export async function limitUse(
  sql: Sql,
  userId: string,
  currency: Currency,
  { day, month }: { day: string; month: string },
): Promise<LimitUse> {
  const rows = await sql.query<{ period: string; used: string }>(
    `select period, used from limit_use where user_id = $1 and currency = $2 and period in ($3, $4)`,
    [userId, currency, day, month],
  )
  const used = (period: string) => BigInt(rows.find((row) => row.period === period)?.used ?? 0)
  return { daily: used(day), monthly: used(month) }
}

/**
 * Takes an amount out of the user's single, daily and monthly limits, or refuses. The holder must be locked, so that two
 * requests at once cannot pass together what one could not. Answers with the periods that it was taken from.
 */
export async function takeLimit(
  sql: Sql,
  holder: Holder,
  asked: { currency: Currency; amount: Amount; now: Date },
): Promise<{ day: string; month: string }> {
  const { currency, now } = asked
  const limits = await limitsOf(sql, holder.userId, currency, now)
  const told = (limit: Amount) => ({ amount: limit, currency })
  if (!covers(limits.single, asked.amount))
    throw paymentRefusals.overSingleLimit({ limit: told(limits.single), level: limits.level })

  const periods = periodsIn(holder.timeZone, now)
  const used = await limitUse(sql, holder.userId, currency, periods)
  const leftToday = limits.daily - used.daily
  if (!covers(leftToday, asked.amount))
    throw paymentRefusals.overDailyLimit({ limit: told(limits.daily), left: atLeastZero(leftToday) })
  const leftThisMonth = limits.monthly - used.monthly
  if (!covers(leftThisMonth, asked.amount))
    throw paymentRefusals.overMonthlyLimit({ limit: told(limits.monthly), left: atLeastZero(leftThisMonth) })

  await sql.query(
    `insert into limit_use (user_id, currency, period, used) values ($1, $2, $3, $5), ($1, $2, $4, $5)
     on conflict (user_id, currency, period) do update set used = limit_use.used + excluded.used`,
    [holder.userId, currency, periods.month, periods.day, asked.amount],
  )
  return periods
}

/** Gives back what a payment that came to nothing had taken, once, to the periods that it was taken from. */
export async function giveBackLimit(sql: Sql, payment: Payment): Promise<void> {
  const { userId, currency, amount: taken, limitDay, limitMonth } = payment
  if (limitDay === null || limitMonth === null || limitDay === undefined || limitMonth === undefined) return
  await sql.query(
    // An operator's decision may have changed the amount since: never below nothing.
    `update limit_use set used = greatest(used - $5, 0) where user_id = $1 and currency = $2 and period in ($3, $4)`,
    [userId, currency, limitMonth, limitDay, taken],
  )
  payment.limitDay = null
  payment.limitMonth = null
}

/** A limit that was lowered below what is used leaves nothing, not less than nothing. */
export const atLeastZero = (value: bigint): bigint => (value < 0n ? 0n : value)
