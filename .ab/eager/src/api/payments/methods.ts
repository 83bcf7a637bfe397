import { z } from '@hono/zod-openapi'
import { isExpired, type MethodView, methodsOf, PAYMENT_METHOD } from '../../domain/payments/reads.ts'
import { publicId } from '../../kit/ids.ts'
import { errorSchema } from '../errors.ts'
import { reply } from '../reply.ts'
import type { Router } from '../route.ts'
import { submission } from '../submission.ts'
import { clientOf, methodMeant, ownerMeant, userMeant } from './acting.ts'
import { walletQuery } from './amounts.ts'
import type { PaymentRouteParts } from './parts.ts'

const tag = 'Payment methods'

const methodSchema = z
  .object({
    id: z.string().openapi({ example: 'pm_0198c9f24d5e7c3aa1b2c3d4e5f60718' }),
    type: z.string().openapi({ example: 'CARD' }),
    gateway: z.string().openapi({ example: 'RAZORPAY' }),
    masked: z.string().nullable().openapi({ example: '****-****-****-1234' }),
    last_four: z.string().nullable(),
    brand: z.string().nullable(),
    expiry_month: z.int().nullable(),
    expiry_year: z.int().nullable(),
    is_expired: z.boolean(),
    created_at: z.iso.datetime(),
  })
  .openapi('PaymentMethod')

export function methodRoutes(router: Router, parts: PaymentRouteParts): void {
  const { reads, clock, paymentLimits } = parts

  submission(router, parts, {
    kind: 'method.add',
    method: 'post',
    path: '/api/v1/payments/methods',
    tag,
    summary: 'Keep a gateway’s token for a card, account or address',
    access: 'caller',
    limits: paymentLimits,
    fill: ({ c, caller, sent }) => ({ user_id: userMeant(caller, sent.user_id), client: clientOf(c, parts.keyring) }),
  })
  submission(router, parts, {
    kind: 'method.remove',
    method: 'delete',
    path: '/api/v1/payments/methods/{payment_method_id}',
    tag,
    summary: 'Forget a payment method',
    access: 'caller',
    limits: paymentLimits,
    fromPath: { payment_method_id: methodMeant },
    fill: ({ c, caller }) => {
      const owner = ownerMeant(caller, undefined)
      return { ...(owner === undefined ? {} : { user_id: owner }), client: clientOf(c, parts.keyring) }
    },
  })
  router.route(
    {
      method: 'get',
      path: '/api/v1/payments/methods',
      tag,
      summary: 'A user’s payment methods, masked',
      access: 'caller',
      limits: paymentLimits,
      query: z.object({ user_id: walletQuery.user_id }),
      answers: {
        200: { says: 'All of them, newest first', schema: z.object({ methods: z.array(methodSchema) }) },
        403: { says: 'Somebody else’s methods', schema: errorSchema },
      },
    },
    async ({ c, caller, query }) => {
      const methods = await methodsOf(reads, userMeant(caller, query.user_id))
      return reply(c, { methods: methods.map((method) => methodBody(method, clock.now())) })
    },
  )
}

const methodBody = (method: MethodView, now: Date): z.input<typeof methodSchema> => ({
  id: publicId(PAYMENT_METHOD, method.id),
  type: method.type.toUpperCase(),
  gateway: method.gateway.toUpperCase(),
  masked: method.lastFour === null ? null : `****-****-****-${method.lastFour}`,
  last_four: method.lastFour,
  brand: method.brand,
  expiry_month: method.expiryMonth,
  expiry_year: method.expiryYear,
  is_expired: isExpired(method, now),
  created_at: method.addedAt.toISOString(),
})
