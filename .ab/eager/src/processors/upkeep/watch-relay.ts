import { lostOf, openOperations, RELAY_GRACE_MS } from '../../jobs/relay.ts'
import { watchRelay } from '../../jobs/upkeep.ts'
import { staged } from '../shapes/staged.ts'

/** How many times its grace the relay may take: it looks every two seconds, and one that is well has seen to it long ago. */
const PATIENCE = 12

/** The queue is asked between two transactions. The oldest page of what is open says enough: this is the alarm, not the relay. */
export const relayWatch = staged(watchRelay, {
  async begin({ sql, now }, { overdueSchedules }) {
    const before = new Date(now.getTime() - PATIENCE * RELAY_GRACE_MS)
    return { now, open: await openOperations(sql, { before }), schedules: [...(await overdueSchedules(sql, now))] }
  },

  async call({ begun: { open } }, services) {
    const { unknown, failed } = await lostOf(services, open)
    return [...unknown, ...failed]
  },

  async finish({ sql }, { begun: { now, schedules }, answer: lost }) {
    // Without those that were brought, or came to their end, while the queue was asked.
    const [left] = await sql.query<{ open: number; oldest: Date | null; stuck: number }>(
      `select count(*)::int as open, min(submitted_at) as oldest,
         (select count(*)::int from operation where status = 'stuck') as stuck
       from operation join unnest($1::uuid[], $2::text[]) as seen (id, job_id)
         on seen.id = operation.id and seen.job_id = operation.job_id
       where status in ('queued', 'processing')`,
      [lost.map(({ id }) => id), lost.map(({ job_id }) => job_id)],
    )
    const { open = 0, oldest, stuck = 0 } = left ?? {}
    const seconds = oldest == null ? 0 : (now.getTime() - oldest.getTime()) / 1_000
    await sql.query(
      `insert into relay_watch (watched_at, left_behind, oldest_seconds, stuck, overdue) values ($1, $2, $3, $4, $5)
       on conflict (one) do update set watched_at = excluded.watched_at, left_behind = excluded.left_behind,
         oldest_seconds = excluded.oldest_seconds, stuck = excluded.stuck, overdue = excluded.overdue
       where relay_watch.watched_at <= excluded.watched_at`,
      [now, open, seconds, stuck, schedules.length],
    )
    return { open, oldest_seconds: seconds, stuck, overdue: schedules.length, schedules }
  },
})
