import { followPayments } from '../../jobs/payments.ts'
import { transact } from '../shapes/transact.ts'

/** Look-ups asked for in one go; the rest has a turn of its own right after. */
const MAX_FOLLOWED = 1_000

/** Before the next look at the same attempt, should this one be lost: seconds. Each look says itself when the next is due. */
const AGAIN_SECONDS = 600

/** Whatever is open is looked after: nothing waits for a webhook that may never come. */
export const paymentFollow = transact(followPayments, {
  async perform({ sql, input, now, followUp }) {
    const due = await sql.query<{ id: string }>(
      `with due as (
         select attempt.id from gateway_attempt attempt where look_at <= $1
         union
         select attempt.id from payment join gateway_attempt attempt on attempt.payment_id = payment.id
         where payment.status = 'pending' and payment.expires_at <= $1 and attempt.look_at is not null
         limit $2
       ), locked as (
         select id from gateway_attempt where id in (select id from due) order by id for no key update skip locked
       )
       update gateway_attempt set look_at = $1::timestamptz + make_interval(secs => ${AGAIN_SECONDS})
       from locked where gateway_attempt.id = locked.id
       returning gateway_attempt.id`,
      [now, MAX_FOLLOWED],
    )
    for (const { id } of due) followUp({ kind: 'payment.lookup', input: { attempt_id: id } })
    if (due.length === MAX_FOLLOWED) followUp({ kind: 'payment.follow', input })
    return { look_ups: due.length }
  },
})
