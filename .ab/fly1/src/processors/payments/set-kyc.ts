import { recordAudit } from '../../domain/audit/record.ts'
import { lockHolder } from '../../domain/payments/holder.ts'
import { setKyc } from '../../jobs/payments.ts'
import { transact } from '../shapes/transact.ts'

/** The last word for an instant wins; what was used under another level stays used. */
export const kycSet = transact(setKyc, {
  async perform({ sql, input, operation, now }) {
    const holder = await lockHolder(sql, input.user_id, now)
    const startsAt = input.starts_at === undefined ? now : new Date(input.starts_at)
    const timeZone = input.time_zone ?? holder.timeZone
    await sql.query(
      `insert into kyc_level (user_id, starts_at, level, set_by, operation_id) values ($1, $2, $3, $4, $5)
       on conflict (user_id, starts_at) do update set level = excluded.level, set_by = excluded.set_by, operation_id = excluded.operation_id`,
      [input.user_id, startsAt, input.level, operation.submittedBy ?? '', operation.id],
    )
    await sql.query('update wallet_holder set time_zone = $2 where user_id = $1', [input.user_id, timeZone])
    await recordAudit({ sql, now }, { type: 'kyc_changed', userId: input.user_id, ip: input.client?.ip ?? null })
    return { user_id: input.user_id, level: input.level, starts_at: startsAt.toISOString(), time_zone: timeZone }
  },
})
