import { z } from '@hono/zod-openapi'
import { operationStatuses } from '../jobs/operation.ts'
import { lastRuns } from '../jobs/schedule-reads.ts'
import type { Sql } from '../kit/sql.ts'
import { Invalid } from './errors.ts'
import { reply } from './reply.ts'
import type { Router } from './route.ts'
import { scheduleRefusals } from './schedule-refusals.ts'
import { type SubmissionParts, submission } from './submission.ts'

/** A schedule as the door knows it: its row of the table, and what its clock says. */
export interface KnownSchedule {
  readonly name: string
  readonly kind: string
  readonly cron: string
  readonly timezone: string
  readonly catchUp: 'all' | 'last'
  readonly says: string
  /** The period that begins next. */
  next(after: Date): Date
  /** Whether a period begins at this instant. */
  beginsAt(instant: Date): boolean
}

const tag = 'Schedules'

const scheduleSchema = z
  .object({
    name: z.string().openapi({ example: 'invoice-month' }),
    kind: z.string().openapi({ example: 'invoice.run' }),
    says: z.string(),
    cron: z.string().openapi({ example: '0 0 1 * *' }),
    time_zone: z.string().openapi({ example: 'Europe/Berlin' }),
    catch_up: z
      .enum(['all', 'last'])
      .openapi({ description: 'After downtime: every missed period in order, or only the newest.' }),
    last: z
      .object({
        period: z.iso.datetime(),
        started_at: z.iso.datetime(),
        operation_id: z.uuid(),
        status: z.enum(operationStatuses).nullable().openapi({ description: 'None once it is forgotten.' }),
        finished_at: z.iso.datetime().nullable(),
      })
      .nullable(),
    next: z.iso.datetime(),
  })
  .openapi('Schedule')

/** What is asked for by the clock, for operators. */
export function scheduleRoutes(
  router: Router,
  parts: SubmissionParts & { readonly reads: Sql; readonly schedules: readonly KnownSchedule[] },
): void {
  const { reads, clock, schedules } = parts
  router.route(
    {
      method: 'get',
      path: '/api/v1/schedules',
      tag,
      summary: 'Every schedule, with its last and its next period',
      access: ['operator'],
      answers: { 200: { says: 'All of them', schema: z.object({ schedules: z.array(scheduleSchema) }) } },
    },
    async ({ c }) => {
      const now = clock.now()
      const last = await lastRuns(
        reads,
        schedules.map(({ name }) => name),
      )
      return reply(c, {
        schedules: schedules.map((schedule): z.input<typeof scheduleSchema> => {
          const run = last.get(schedule.name)
          return {
            ...{ name: schedule.name, kind: schedule.kind, says: schedule.says, cron: schedule.cron },
            time_zone: schedule.timezone,
            catch_up: schedule.catchUp,
            last:
              run === undefined
                ? null
                : {
                    period: run.period.toISOString(),
                    started_at: run.startedAt.toISOString(),
                    operation_id: run.operationId,
                    status: run.status,
                    finished_at: run.finishedAt?.toISOString() ?? null,
                  },
            next: schedule.next(now).toISOString(),
          }
        }),
      })
    },
  )

  submission(router, parts, {
    kind: 'schedule.start',
    method: 'post',
    path: '/api/v1/schedules/{schedule}/start',
    tag,
    summary: 'Start a period of a schedule',
    access: ['operator'],
    refuses: { 'schedules.notFound': 404 },
    fromPath: { schedule: (written) => known(written).name },
    fill: ({ sent, params }) => {
      const schedule = known(String(params.schedule))
      const period = new Date(String(sent.period))
      if (period < EARLIEST) throw invalid('is before there were periods')
      if (period > clock.now()) throw invalid('has not begun yet')
      if (!schedule.beginsAt(period))
        throw invalid(`is no period of ${schedule.name} (${schedule.cron} in ${schedule.timezone})`)
      // One instant is one period, however it was written.
      return { kind: schedule.kind, period: period.toISOString() }
    },
  })

  function known(name: string): KnownSchedule {
    const schedule = schedules.find((one) => one.name === name)
    if (schedule === undefined) throw scheduleRefusals.notFound()
    return schedule
  }
}

/** Earlier than anything that is done here. */
const EARLIEST = new Date('2000-01-01T00:00:00Z')

const invalid = (msg: string) => new Invalid([{ loc: ['body', 'period'], msg, type: 'custom' }])
