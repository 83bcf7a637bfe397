import { z } from '@hono/zod-openapi'
import { GATEWAY_RETRY, kind, LEDGER_RETRY } from './kind.ts'
import { scheduledInput } from './scheduled.ts'

const gateways = ['stripe', 'razorpay', 'paystack', 'mock'] as const

/** A month and a day: gateways’ lists are slow, and what is older was compared when it was new. */
const MAX_DAYS = 32

const instant = z.iso.datetime({ offset: true })

export const runReconciliation = kind({
  name: 'reconciliation.run',
  doc: 'Compares what we asked a gateway for in a period with its own list, and does what can be done about each difference.',
  queue: 'gateways',
  input: z.object({
    gateway: z
      .string()
      .trim()
      .toLowerCase()
      .pipe(z.enum(gateways))
      .openapi({ type: 'string', enum: [...gateways, ...gateways.map((name) => name.toUpperCase())] }),
    from: instant.openapi({ description: 'Included.', example: '2026-11-20T00:00:00Z' }),
    until: instant.openapi({ description: 'Not included.', example: '2026-11-21T00:00:00Z' }),
  }),
  check: periodProblems,
  result: z.object({
    reconciliation_id: z.uuid(),
    compared: z.int().openapi({ description: 'Lines of the gateway’s list.' }),
    found: z.int(),
    for_person: z.int().openapi({ description: 'How many of them nobody but a person can put right.' }),
  }),
  retry: GATEWAY_RETRY,
  batch: 1,
  refusals: { 'reconciliation.notConfigured': 400 },
})

export const planReconciliation = kind({
  name: 'reconciliation.plan',
  doc: 'Asks for the reconciliation of the day before, at every gateway.',
  queue: 'ledger',
  input: scheduledInput,
  result: z.object({ gateways: z.array(z.string()) }),
  retry: LEDGER_RETRY,
  batch: 1,
})

function periodProblems(input: Readonly<Record<string, unknown>>): { field: string; message: string }[] {
  const days = (Date.parse(String(input.until)) - Date.parse(String(input.from))) / 86_400_000
  if (days <= 0) return [{ field: 'until', message: 'must be after from' }]
  return days > MAX_DAYS ? [{ field: 'until', message: `must be at most ${MAX_DAYS} days after from` }] : []
}
