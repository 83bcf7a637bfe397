import { z } from '@hono/zod-openapi'
import type { Currency } from '../../domain/payments/reads.ts'
import { currencyCode } from '../../jobs/payments.ts'
import { MAX_ID, plainText } from '../../jobs/text.ts'
import { toDecimal } from '../../kit/money.ts'

export const moneyText = z.string().openapi({ example: '1500.00' })

/** Which wallet of the user's, in a query. */
export const walletQuery = {
  user_id: plainText(MAX_ID).optional().openapi({ description: 'Left out by the user whom it would name.' }),
  currency: currencyCode.optional(),
}

export const decimalOf = (currency: Currency) => (value: bigint) => toDecimal(value, currency)

/** What is left of a limit; nothing where it was lowered below what is used. */
export const remaining = (limit: bigint, used: bigint): bigint => (limit > used ? limit - used : 0n)
