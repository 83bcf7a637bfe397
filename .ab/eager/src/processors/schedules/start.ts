import { isKindName } from '../../jobs/catalogue.ts'
import { startSchedule } from '../../jobs/schedules.ts'
import { assert } from '../../kit/assert.ts'
import { newId } from '../../kit/ids.ts'
import { transact } from '../shapes/transact.ts'

/** Claims the period as the clock does: whoever has it first starts it, and everybody is told the same operation. */
export const scheduleStart = transact(startSchedule, {
  async perform({ sql, input, now, followUp }) {
    const { schedule, kind } = input
    assert(isKindName(kind), `No kind is called ${kind}`)
    const period = new Date(input.period)
    const id = newId()
    const claimed = await sql.query(
      `insert into schedule_run (schedule, period, operation_id, started_at) values ($1, $2, $3, $4)
       on conflict do nothing returning 1`,
      [schedule, period, id, now],
    )
    const started = claimed.length > 0
    if (started) followUp({ id, kind, input: { period: period.toISOString() } })
    const [known] = await sql.query<{ operation_id: string }>(
      'select operation_id from schedule_run where schedule = $1 and period = $2',
      [schedule, period],
    )
    assert(known, 'A period that is claimed is not there')
    return {
      success: true as const,
      schedule,
      period: period.toISOString(),
      operation_id: known.operation_id,
      status_url: `/api/v1/operations/${known.operation_id}`,
      started,
    }
  },
})
