import { z } from '@hono/zod-openapi'
import { currencies, type KycView, kycOf, limitsOf } from '../../domain/payments/reads.ts'
import { MAX_ID, plainText } from '../../jobs/text.ts'
import { errorSchema } from '../errors.ts'
import { reply } from '../reply.ts'
import type { Router } from '../route.ts'
import { AS_IN_KIND, submission } from '../submission.ts'
import { clientOf, userMeant } from './acting.ts'
import { decimalOf, moneyText } from './amounts.ts'
import type { PaymentRouteParts } from './parts.ts'

const tag = 'Verification'

const kycSchema = z.object({
  user_id: z.string(),
  level: z.enum(['BASIC', 'INTERMEDIATE', 'ADVANCED']),
  since: z.iso.datetime().nullable(),
  time_zone: z.string().openapi({ description: 'Where the user’s days and months begin at midnight.' }),
  limits: z.record(
    z.string(),
    z.object({ single_transaction: moneyText, daily_limit: moneyText, monthly_limit: moneyText }),
  ),
})

export function kycRoutes(router: Router, parts: PaymentRouteParts): void {
  const { reads, clock, paymentLimits } = parts
  router.route(
    {
      method: 'get',
      path: '/api/v1/users/{user_id}/kyc',
      tag,
      summary: 'How far a user is verified, and what they may move',
      access: 'caller',
      limits: paymentLimits,
      params: z.object({ user_id: plainText(MAX_ID) }),
      answers: {
        200: { says: 'The level that holds now', schema: kycSchema },
        403: { says: 'Somebody else', schema: errorSchema },
      },
    },
    async ({ c, caller, params }) => {
      const userId = userMeant(caller, params.user_id)
      const now = clock.now()
      const kyc: KycView = await kycOf(reads, userId, now)
      const limits = await Promise.all(
        currencies.map(async (currency) => {
          const { single, daily, monthly } = await limitsOf(reads, userId, currency, now)
          const decimal = decimalOf(currency)
          return [
            currency,
            { single_transaction: decimal(single), daily_limit: decimal(daily), monthly_limit: decimal(monthly) },
          ] as const
        }),
      )
      return reply(c, {
        user_id: userId,
        level: kyc.level,
        since: kyc.startsAt?.toISOString() ?? null,
        time_zone: kyc.timeZone,
        limits: Object.fromEntries(limits),
      })
    },
  )
  submission(router, parts, {
    kind: 'kyc.set',
    method: 'put',
    path: '/api/v1/users/{user_id}/kyc',
    tag,
    summary: 'Set how far a user is verified',
    access: ['admin'],
    fromPath: { user_id: AS_IN_KIND },
    fill: ({ c }) => ({ client: clientOf(c, parts.keyring) }),
  })
}
