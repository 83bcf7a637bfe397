import { z } from '@hono/zod-openapi'
import { kind, LEDGER_RETRY } from './kind.ts'

export const startSchedule = kind({
  name: 'schedule.start',
  doc: 'Starts a period of a schedule that has not been started: one that was missed, or that nobody waits for. Each period is started once, whoever does.',
  queue: 'ledger',
  input: z.object({
    schedule: z.string().max(64).openapi({ example: 'invoice-month' }),
    period: z.iso
      .datetime({ offset: true })
      .openapi({ description: 'The instant at which the period begins.', example: '2026-11-01T00:00:00Z' }),
    kind: z.string().max(64),
  }),
  result: z.object({
    success: z.literal(true),
    schedule: z.string(),
    period: z.iso.datetime(),
    operation_id: z.uuid(),
    status_url: z.string(),
    started: z.boolean().openapi({ description: 'False: it had been started before, by that operation.' }),
  }),
  retry: LEDGER_RETRY,
  batch: 1,
  // Said by the table of schedules.
  apart: ['kind'],
})
