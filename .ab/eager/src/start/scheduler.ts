import { Dispatcher } from '../jobs/dispatch.ts'
import { inTransaction, openPool } from '../platform/database.ts'
import { Clockwork } from '../schedules/clockwork.ts'
import { inZone, schedules } from '../schedules/table.ts'
import type { Foundation } from './foundation.ts'

const CONNECTIONS = 2

export function startScheduler({ config, databaseUrl: url, keyring, clock, log, queues }: Foundation): {
  stop(): Promise<void>
} {
  const pool = openPool({ url, name: 'bursar scheduler', max: CONNECTIONS })
  const dispatcher = new Dispatcher(queues, log)
  const clockwork = new Clockwork(inZone(schedules, config.invoices.timeZone), {
    transaction: (work) => inTransaction(pool, work),
    keyring,
    clock,
    dispatch: (envelopes) => dispatcher.send(envelopes),
    onError: (error, schedule) =>
      log.warn({ err: error, schedule: schedule.name }, 'A schedule could not look; the next tick will'),
  })
  clockwork.start()
  return {
    async stop() {
      await clockwork.stop()
      await pool.end()
    },
  }
}
