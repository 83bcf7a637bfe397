import { z } from '@hono/zod-openapi'
import { Decimal } from '../kit/decimal.ts'
import { kind, LEDGER_RETRY } from './kind.ts'
import { scheduledInput } from './scheduled.ts'
import { MAX_ID, plainText } from './text.ts'

/** Events in one request. */
export const MAX_EVENTS = 1_000

/** As fine and as large as a quantity is kept. */
const QUANTITY = /^-?\d{1,15}(\.\d{1,6})?$/

const quantity = z
  .union([z.number(), z.string().max(40)])
  .refine((written) => QUANTITY.test(String(written).trim()), {
    error: 'must be a decimal number with at most 15 digits and 6 decimals, such as 150 or "0.25"',
  })
  .transform((written) => Decimal.of(String(written).trim()))
  .openapi({
    anyOf: [{ type: 'number' }, { type: 'string' }],
    description: '1 unless told; below 0 corrects a sum, or takes back one that was counted.',
    example: 150,
  })

export const metricCode = z
  .string()
  .trim()
  .max(64)
  .regex(/^[a-z][a-z0-9_]*$/, 'must begin with a letter and hold lower case letters, digits and underscores')
  .openapi({ example: 'api_calls' })

/** Who used it: left out by the user whom it would name. */
const userId = plainText(MAX_ID).optional().openapi({ description: 'Left out by the user whom it would name.' })

const event = {
  user_id: userId,
  event_id: plainText(MAX_ID).optional().openapi({
    description: 'Unique for the user: a second event with it is a duplicate. Without it a repeat counts again.',
    example: 'evt_0198c9f2',
  }),
  quantity: quantity.optional(),
  timestamp: z.iso.datetime({ offset: true }).optional().openapi({
    description: 'When it happened; now, unless told. Up to 35 days back and 5 minutes ahead.',
    example: '2026-11-21T10:00:00Z',
  }),
  value: plainText(MAX_ID).optional().openapi({ description: 'What unique metrics count once: a user, a project.' }),
}

const usageEvent = z.object({ metric: metricCode, ...event }).openapi('UsageEvent')

export const usageOutcomes = ['recorded', 'duplicate', 'refused'] as const

export const recordUsage = kind({
  name: 'usage.record',
  doc: 'Records what was used: one event, or up to 1,000. Each is counted once by its id; bad ones are refused one by one, the rest is taken.',
  queue: 'ledger',
  input: z.object({
    metric: metricCode.optional(),
    ...event,
    events: z.array(usageEvent).min(1).max(MAX_EVENTS).optional().openapi({ description: 'In place of one event.' }),
  }),
  check: oneOrMany,
  result: z.object({
    success: z.boolean().openapi({ description: 'Nothing was refused.' }),
    recorded: z.int(),
    duplicates: z.int(),
    refused: z.int(),
    events: z.array(
      z.object({
        index: z.int(),
        event_id: z.string(),
        outcome: z.enum(usageOutcomes),
        late_for: z.string().optional().openapi({
          description: 'The event’s month is invoiced: the month whose invoice will hold the difference.',
          example: '2026-11',
        }),
        reason: z.string().optional().openapi({ example: 'too_old' }),
        message: z.string().optional(),
      }),
    ),
  }),
  retry: LEDGER_RETRY,
  // Of events: a request may bring as many as a whole job carries.
  batch: MAX_EVENTS,
  weigh: (input) => (hasEvents(input) ? input.events.length : 1),
})

export const rollUpUsage = kind({
  name: 'usage.rollup',
  doc: 'Sums what was used by customer, metric and day, for the days in which something was recorded since the last time.',
  queue: 'runs',
  input: scheduledInput,
  result: z.object({
    days: z.int().openapi({ description: 'Customers’ days that were summed anew.' }),
    as_of: z.iso.datetime().nullable().openapi({ description: 'Everything recorded before it is in the sums.' }),
  }),
  retry: LEDGER_RETRY,
  batch: 1,
})

const hasEvents = (input: unknown): input is { events: readonly unknown[] } =>
  input !== null && typeof input === 'object' && 'events' in input && Array.isArray(input.events)

function oneOrMany(input: Readonly<Record<string, unknown>>): { field: string; message: string }[] {
  if (input.events === undefined)
    return input.metric === undefined ? [{ field: 'metric', message: 'is required, or events' }] : []
  return ['metric', 'event_id', 'quantity', 'timestamp', 'value']
    .filter((field) => input[field] !== undefined)
    .map((field) => ({ field, message: 'stands in each of the events' }))
}
