import { due } from '../../domain/webhooks/inbox.ts'
import { unparkWebhooks } from '../../jobs/webhooks.ts'
import { transact } from '../shapes/transact.ts'

/** Tried in one go; the rest has a turn of its own right after. */
const MAX_TRIED = 1_000

export const webhookUnpark = transact(unparkWebhooks, {
  async perform({ sql, input, now, followUp }) {
    const parked = await due(sql, now, MAX_TRIED)
    for (const { id } of parked) followUp({ kind: 'webhook.retry', input: { webhook_id: id } })
    if (parked.length === MAX_TRIED) followUp({ kind: 'webhook.unpark', input })
    return { tried: parked.length }
  },
})
