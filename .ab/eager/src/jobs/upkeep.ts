import { z } from '@hono/zod-openapi'
import { kind, LEDGER_RETRY } from './kind.ts'
import { scheduledInput } from './scheduled.ts'

export const checkLedger = kind({
  name: 'ledger.check',
  doc: 'Proves that the books balance, and remembers what it found.',
  queue: 'ledger',
  input: scheduledInput,
  result: z.object({ findings: z.int(), took_ms: z.int() }),
  retry: LEDGER_RETRY,
  batch: 1,
})

export const tidyLedger = kind({
  name: 'ledger.tidy',
  doc: 'Rolls what platform accounts have moved into their balances, and releases holds whose time is over.',
  queue: 'ledger',
  input: scheduledInput,
  result: z.object({ rolled_up: z.int(), holds_expired: z.int() }),
  retry: LEDGER_RETRY,
  batch: 1,
})

export const sealLedger = kind({
  name: 'ledger.seal',
  doc: 'Chains the transfers written since the last block into sealed ones, so that later tampering shows.',
  queue: 'ledger',
  input: scheduledInput,
  result: z.object({ blocks: z.int(), transfers: z.int() }),
  retry: LEDGER_RETRY,
  batch: 1,
})

export const watchRelay = kind({
  name: 'relay.watch',
  doc: 'Counts operations that have been open for a minute and whose job the queue does not mean to run, and schedules that are overdue: what relay and clock should have seen to.',
  queue: 'ledger',
  input: scheduledInput,
  result: z.object({
    open: z.int().openapi({ description: 'Operations that are open and left behind.' }),
    oldest_seconds: z.number().openapi({ description: 'Age of the oldest of them; 0 without any.' }),
    stuck: z.int().openapi({ description: 'Operations that wait for an operator.' }),
    overdue: z.int(),
    schedules: z.array(z.string()).openapi({ description: 'Those that are overdue.' }),
  }),
  retry: LEDGER_RETRY,
  batch: 1,
})

export const pruneOperations = kind({
  name: 'operation.prune',
  doc: 'Forgets idempotency keys, finished operations, used allowances and unremarkable verdicts on payments whose retention is over. Transfers are never forgotten.',
  queue: 'ledger',
  input: scheduledInput,
  result: z.object({ operations: z.int(), keys: z.int(), periods: z.int(), allowances: z.int(), decisions: z.int() }),
  retry: LEDGER_RETRY,
  batch: 1,
})

/** What one request may bring back; an operator with more to do sends several. */
const MAX_RETRIED = 1_000

export const retryOperations = kind({
  name: 'operation.retry',
  doc: 'Gives stuck operations a second chance, with all their tries before them.',
  queue: 'ledger',
  input: z.object({ operation_ids: z.array(z.uuid()).min(1).max(MAX_RETRIED) }),
  result: z.object({
    requeued: z.array(z.uuid()).openapi({ description: 'Operations that were stuck and are queued again.' }),
  }),
  retry: LEDGER_RETRY,
  batch: 1,
  refusals: { 'operation.notFound': 404, 'operation.notStuck': 409 },
})
