import { z } from '@hono/zod-openapi'
import { paymentOf, TRANSACTION } from '../../domain/payments/reads.ts'
import { fromPublicId, publicId } from '../../kit/ids.ts'
import { errorSchema } from '../errors.ts'
import { reply } from '../reply.ts'
import type { Asked, Router } from '../route.ts'
import { submission } from '../submission.ts'
import { clientOf, methodMeant, ownerMeant, perUser, transactionMeant, userMeant } from './acting.ts'
import type { PaymentRouteParts } from './parts.ts'
import { transactionBody, transactionSchema } from './wallet.ts'

const tag = 'Deposits and withdrawals'

type Sent = Asked<Record<string, unknown>, object, Record<string, unknown>>

/** Money in and out of wallets. */
export function movementRoutes(router: Router, parts: PaymentRouteParts): void {
  const { reads, walletCurrency, paymentLimits } = parts
  const beginning = ({ c, caller, sent }: Sent) => ({
    user_id: userMeant(caller, sent.user_id),
    currency: sent.currency ?? walletCurrency,
    ...(sent.payment_method_id === undefined ? {} : { payment_method_id: methodMeant(sent.payment_method_id) }),
    client: clientOf(c, parts.keyring),
  })
  const about = ({ c, caller, sent }: Sent) => {
    const owner = ownerMeant(caller, sent.user_id)
    return {
      ...(sent.transaction_id === undefined ? {} : { transaction_id: transactionMeant(sent.transaction_id) }),
      ...(owner === undefined ? {} : { user_id: owner }),
      client: clientOf(c, parts.keyring),
    }
  }

  submission(router, parts, {
    kind: 'deposit.initiate',
    method: 'post',
    path: '/api/v1/payments/deposits/initiate',
    tag,
    summary: 'Begin a deposit',
    access: 'caller',
    limits: [perUser('deposits.initiate', 5, 5), ...paymentLimits],
    fill: beginning,
  })
  submission(router, parts, {
    kind: 'deposit.confirm',
    method: 'post',
    path: '/api/v1/payments/deposits/confirm',
    tag,
    summary: 'Confirm a deposit with what the gateway’s checkout gave',
    access: 'caller',
    limits: paymentLimits,
    fill: about,
  })
  submission(router, parts, {
    kind: 'deposit.refund',
    method: 'post',
    path: '/api/v1/payments/deposits/{transaction_id}/refund',
    tag,
    summary: 'Give a deposit back, in whole or in part',
    access: 'caller',
    limits: paymentLimits,
    fromPath: { transaction_id: transactionMeant },
    fill: about,
  })
  submission(router, parts, {
    kind: 'withdrawal.initiate',
    method: 'post',
    path: '/api/v1/payments/withdrawals/initiate',
    tag,
    summary: 'Begin a withdrawal',
    access: 'caller',
    limits: [perUser('withdrawals.initiate', 3, 10), ...paymentLimits],
    fill: beginning,
  })

  router.route(
    {
      method: 'get',
      path: '/api/v1/payments/withdrawals/{withdrawal_id}/status',
      tag,
      summary: 'How a withdrawal stands',
      access: 'caller',
      limits: paymentLimits,
      params: z.object({ withdrawal_id: z.string() }),
      answers: {
        200: {
          says: 'The withdrawal',
          schema: transactionSchema.extend({ withdrawal_id: z.string() }).openapi('Withdrawal'),
        },
        404: { says: 'Refused: payment.notFound', schema: errorSchema },
      },
    },
    async ({ c, caller, params }) => {
      const id = fromPublicId(TRANSACTION, params.withdrawal_id)
      const view = await paymentOf(reads, id, ownerMeant(caller, undefined), 'withdrawal')
      return reply(c, { withdrawal_id: publicId(TRANSACTION, view.id), ...transactionBody(view) })
    },
  )
}
