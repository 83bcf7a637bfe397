import { z } from '@hono/zod-openapi'
import { type Amount, amount } from '../kit/money.ts'
import { GATEWAY_RETRY, kind, LEDGER_BATCH, LEDGER_RETRY } from './kind.ts'
import { scheduledInput } from './scheduled.ts'

/** Budgets are whole units. JSON integers only: anything a double cannot hold exactly is refused. */
const budgetAmount = z
  .int()
  .positive('ensure this value is greater than 0')
  .transform((value): Amount => amount(value))
  .openapi({ type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER })

const tokenId = z.uuid().openapi({ example: '550e8400-e29b-41d4-a716-446655440000' })

/** Room for any voice system's identifiers; longer ones are a mistake. */
const MAX_VOICE_ID = 255

/** A line on a statement. */
const MAX_DESCRIPTION = 500

export const issueToken = kind({
  name: 'token.issue',
  doc: 'Verifies a voice and issues a payment token with a budget, within the voice’s transaction, daily and monthly limits.',
  queue: 'gateways',
  input: z.object({
    budget: budgetAmount.openapi({ description: 'Available budget, whole units.', example: 100 }),
    voice_id: z
      .string()
      .trim()
      .min(1, 'Voice ID cannot be empty')
      .max(MAX_VOICE_ID)
      .openapi({ description: 'Voice authentication identifier.', example: 'voice_researcher_001' }),
  }),
  result: z.object({
    token_id: tokenId,
    expire_in: z.int().openapi({ description: 'Seconds until it expires, counted from issue.', example: 3600 }),
    token: z.string().openapi({
      description: 'The same token signed and encrypted: stands wherever a token id may, and expires by itself.',
    }),
  }),
  retry: GATEWAY_RETRY,
  batch: 1,
  sensitive: { input: ['voice_id'], result: ['token'] },
  refusals: {
    'token.voiceRejected': 401,
    'token.overTransactionLimit': 400,
    'token.overDailyLimit': 400,
    'token.overMonthlyLimit': 400,
  },
})

export const deductToken = kind({
  name: 'token.deduct',
  doc: 'Takes an amount from a payment token’s budget.',
  queue: 'ledger',
  input: z.object({
    token_id: tokenId,
    amount: budgetAmount.openapi({ example: 25 }),
    description: z.string().max(MAX_DESCRIPTION).optional().openapi({ example: 'Literature search' }),
  }),
  result: z.object({
    success: z.literal(true),
    token_id: tokenId,
    amount: z.int(),
    remaining: z.int(),
    transaction_id: z.uuid(),
  }),
  retry: LEDGER_RETRY,
  batch: LEDGER_BATCH,
  refusals: { 'token.insufficient': 400, 'token.notFound': 404, 'token.expired': 410, 'token.revoked': 410 },
})

export const revokeToken = kind({
  name: 'token.revoke',
  doc: 'Ends a payment token before its time; the rest of its budget goes back to issuance.',
  queue: 'ledger',
  input: z.object({ token_id: tokenId }),
  result: z.object({ success: z.literal(true), token_id: tokenId, returned: z.int() }),
  retry: LEDGER_RETRY,
  batch: LEDGER_BATCH,
  refusals: { 'token.notFound': 404, 'token.expired': 410, 'token.revoked': 410 },
})

export const sweepTokens = kind({
  name: 'token.sweep',
  doc: 'Expires the payment tokens whose time is over; what is left of their budgets goes back to issuance.',
  queue: 'ledger',
  input: scheduledInput,
  result: z.object({ expired: z.int(), returned: z.int() }),
  retry: LEDGER_RETRY,
  batch: 1,
})

export const mirrorToken = kind({
  name: 'token.mirror',
  doc: 'Writes a payment token’s record to the vault.',
  queue: 'outbound',
  input: z.object({ token_id: tokenId }),
  result: z.object({ mirrored: z.boolean() }),
  retry: GATEWAY_RETRY,
  batch: 1,
})
