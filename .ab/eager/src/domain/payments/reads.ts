import type { Sql } from '../../kit/sql.ts'
import { type KycLevel, type Limits, type LimitUse, limitsOf, limitUse, periodsIn } from './limits.ts'
import type { Currency, GatewayName, PaymentMethod } from './names.ts'
import {
  PAYMENT_METHOD,
  type PaymentStatus,
  type PaymentType,
  paymentTypes,
  statusOnWire,
  TRANSACTION,
  walletOwner,
} from './payment.ts'
import { paymentRefusals } from './refusals.ts'

export { type Currency, currencies } from './names.ts'
export { PAYMENT_METHOD, paymentRefusals, paymentTypes, statusOnWire, TRANSACTION }

export interface WalletBalance {
  readonly balance: bigint
  readonly held: bigint
  readonly limits: Limits
  readonly used: LimitUse
}

/** A wallet that was never used is empty, and has its limits all the same. */
export async function walletBalance(sql: Sql, userId: string, currency: Currency, now: Date): Promise<WalletBalance> {
  const [row] = await sql.query<{ balance: string | null; held: string | null; time_zone: string | null }>(
    `select balance, held, (select time_zone from wallet_holder where user_id = $2) as time_zone
     from (values (1)) one left join account on owner = $1 and purpose = 'wallet' and asset = $3`,
    [walletOwner(userId), userId, currency],
  )
  const [limits, used] = await Promise.all([
    limitsOf(sql, userId, currency, now),
    limitUse(sql, userId, currency, periodsIn(row?.time_zone ?? 'UTC', now)),
  ])
  return { balance: BigInt(row?.balance ?? 0), held: BigInt(row?.held ?? 0), limits, used }
}

export interface PaymentView {
  readonly id: string
  readonly userId: string
  readonly type: PaymentType
  readonly status: PaymentStatus
  readonly currency: Currency
  readonly amount: bigint
  readonly fee: bigint
  readonly method: PaymentMethod
  readonly gateway: GatewayName | null
  readonly description: string | null
  readonly originalId: string | null
  readonly refunded: bigint
  readonly failureCode: string | null
  readonly failureMessage: string | null
  readonly gatewayOrderId: string | null
  readonly gatewayTransactionId: string | null
  readonly createdAt: Date
  readonly completedAt: Date | null
}

interface PaymentRow {
  id: string
  user_id: string
  type: PaymentType
  status: PaymentStatus
  currency: Currency
  amount: string
  fee: string
  method: PaymentMethod
  gateway: GatewayName | null
  description: string | null
  original_id: string | null
  refunded: string
  failure_code: string | null
  failure_message: string | null
  gateway_id: string | null
  moved_id: string | null
  created_at: Date
  completed_at: Date | null
}

/** With what the gateway calls it, from the question that was asked last. */
const VIEW = `
  payment.id, payment.user_id, payment.type, payment.status, payment.currency, payment.amount, payment.fee, payment.method,
  payment.gateway, payment.description, payment.original_id, payment.refunded, payment.failure_code,
  payment.failure_message, payment.created_at, payment.completed_at, asked.gateway_id, asked.moved_id`
const LAST_ASKED = `
  left join lateral (
    select gateway_id, moved_id from gateway_attempt
    where payment_id = payment.id and asked_at is not null order by position desc limit 1
  ) asked on true`

const view = (row: PaymentRow): PaymentView => ({
  id: row.id,
  userId: row.user_id,
  type: row.type,
  status: row.status,
  currency: row.currency,
  amount: BigInt(row.amount),
  fee: BigInt(row.fee),
  method: row.method,
  gateway: row.gateway,
  description: row.description,
  originalId: row.original_id,
  refunded: BigInt(row.refunded),
  failureCode: row.failure_code,
  failureMessage: row.failure_message,
  gatewayOrderId: row.gateway_id,
  gatewayTransactionId: row.moved_id,
  createdAt: row.created_at,
  completedAt: row.completed_at,
})

/** Refuses with `notFound`, also for somebody else's; `userId` left out reads anybody's. */
export async function paymentOf(
  sql: Sql,
  id: string | undefined,
  userId: string | undefined,
  type?: PaymentType,
): Promise<PaymentView> {
  const [row] =
    id === undefined
      ? []
      : await sql.query<PaymentRow>(
          `select ${VIEW} from payment ${LAST_ASKED}
           where payment.id = $1 and ($2::text is null or user_id = $2) and ($3::text is null or type = $3)`,
          [id, userId ?? null, type ?? null],
        )
  if (row === undefined) throw paymentRefusals.notFound()
  return view(row)
}

export interface PaymentFilter {
  readonly userId: string
  readonly currency?: Currency | undefined
  readonly types?: readonly PaymentType[] | undefined
  readonly statuses?: readonly PaymentStatus[] | undefined
  readonly skip: number
  readonly limit: number
}

/** One page, newest first, and how many there are in all. */
export async function paymentsOf(sql: Sql, filter: PaymentFilter): Promise<{ rows: PaymentView[]; total: number }> {
  const where = `payment.user_id = $1 and ($2::text is null or currency = $2) and ($3::text[] is null or type = any($3))
    and ($4::text[] is null or payment.status = any($4))`
  const given = [filter.userId, filter.currency ?? null, filter.types ?? null, filter.statuses ?? null]
  const [count] = await sql.query<{ total: string }>(`select count(*) as total from payment where ${where}`, given)
  const rows = await sql.query<PaymentRow>(
    `select ${VIEW} from (
       select * from payment where ${where} order by id desc offset $5 limit $6
     ) payment ${LAST_ASKED} order by payment.id desc`,
    [...given, filter.skip, filter.limit],
  )
  return { rows: rows.map(view), total: Number(count?.total ?? 0) }
}

export interface MethodView {
  readonly id: string
  readonly type: PaymentMethod
  readonly gateway: GatewayName
  readonly lastFour: string | null
  readonly brand: string | null
  readonly expiryMonth: number | null
  readonly expiryYear: number | null
  readonly addedAt: Date
}

export async function methodsOf(sql: Sql, userId: string): Promise<MethodView[]> {
  return sql.query<MethodView>(
    `select id, type, gateway, last_four as "lastFour", brand, expiry_month as "expiryMonth",
       expiry_year as "expiryYear", added_at as "addedAt"
     from payment_method where user_id = $1 and status = 'active' order by id desc`,
    [userId],
  )
}

export interface KycView {
  readonly level: KycLevel
  readonly startsAt: Date | null
  readonly timeZone: string
}

export async function kycOf(sql: Sql, userId: string, now: Date): Promise<KycView> {
  const [row] = await sql.query<{ time_zone: string | null; level: KycLevel | null; starts_at: Date | null }>(
    `select (select time_zone from wallet_holder where user_id = $1) as time_zone, level, starts_at
     from (values (1)) one left join lateral (
       select level, starts_at from kyc_level where user_id = $1 and starts_at <= $2 order by starts_at desc limit 1
     ) kyc_level on true`,
    [userId, now],
  )
  return { level: row?.level ?? 'BASIC', startsAt: row?.starts_at ?? null, timeZone: row?.time_zone ?? 'UTC' }
}

export { type KycLevel, kycLevels, limitsOf } from './limits.ts'
export { isExpired } from './method.ts'
