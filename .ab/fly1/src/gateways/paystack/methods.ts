import { z } from 'zod'
import type { Gateway } from '../port.ts'
import { type Client, unusable } from './client.ts'
import { segment } from './fields.ts'

const Recipient = z.object({
  is_deleted: z.boolean().default(false),
  details: z.object({ account_number: z.string(), bank_name: z.string().nullish() }),
})

/**
 * Recipients (`RCP_…`) can be asked for. Authorizations (`AUTH_…`) cannot: Paystack shows them only with the customer or the
 * transaction that they came from, so that a well-formed one is taken for good, without details, until it is charged.
 */
export function describe(client: Client): Gateway['describeMethod'] {
  return async ({ token }) => {
    if (/^AUTH_\w{1,100}$/.test(token)) return { outcome: 'known' }
    if (!/^RCP_\w{1,100}$/.test(token))
      return { outcome: 'unusable', reason: 'Neither an authorization (AUTH_…) nor a recipient (RCP_…) of Paystack' }
    const reply = await client.ask('GET', `/transferrecipient/${segment(token)}`)
    if (reply.outcome === 'refused') return { outcome: 'unusable', reason: reply.message }
    if (reply.outcome !== 'answered') return reply
    const recipient = Recipient.safeParse(reply.data)
    if (!recipient.success) return unusable('recipient')
    if (recipient.data.is_deleted) return { outcome: 'unusable', reason: 'The recipient was deleted' }
    const { account_number, bank_name } = recipient.data.details
    return { outcome: 'known', lastFour: account_number.slice(-4), brand: bank_name ?? undefined }
  }
}
