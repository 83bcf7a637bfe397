import { z } from '@hono/zod-openapi'
import { kind, LEDGER_BATCH, LEDGER_RETRY } from './kind.ts'
import { scheduledInput } from './scheduled.ts'

export const sealAudit = kind({
  name: 'audit.seal',
  doc: 'Chains the events written since the last block into sealed ones, so that later tampering shows.',
  queue: 'ledger',
  input: scheduledInput,
  result: z.object({ blocks: z.int(), events: z.int() }),
  retry: LEDGER_RETRY,
  batch: 1,
})

/** Ours: after sealing, where a file is configured. */
export const writeAudit = kind({
  name: 'audit.write',
  doc: 'Appends sealed events to the audit log’s file, each once and in order.',
  queue: 'ledger',
  input: z.object({}),
  result: z.object({ lines: z.int() }),
  retry: LEDGER_RETRY,
  batch: 1,
})

/** Ours: what the door has seen, which writes nothing itself. */
export const recordSecurityEvent = kind({
  name: 'security.record',
  doc: 'Writes down what was turned away at the door, for those who look after security.',
  queue: 'ledger',
  input: z.object({
    event_type: z.enum(['webhook_forged', 'webhook_refused']),
    at: z.iso.datetime(),
    indicators: z.array(z.string().max(100)).max(10),
    ip_address: z.string().max(64).nullable(),
    action_taken: z.string().max(100),
  }),
  result: z.object({ recorded: z.literal(true) }),
  retry: LEDGER_RETRY,
  batch: LEDGER_BATCH,
})
