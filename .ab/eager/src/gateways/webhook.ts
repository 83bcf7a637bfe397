import type { Credentials } from './credentials.ts'
import { readMockWebhook } from './mock/webhook.ts'
import { readPaystackWebhook } from './paystack/webhook.ts'
import type { GatewayName, ReadWebhook } from './port.ts'
import { readRazorpayWebhook } from './razorpay/webhook.ts'
import { readStripeWebhook } from './stripe/webhook.ts'

export type { GatewayName, ReadWebhook, WebhookEvent } from './port.ts'

/** How webhooks of those gateways are read whose secrets are known. Nothing is believed without one. */
export function webhookReaders(keys: Readonly<Partial<Credentials>>): Partial<Record<GatewayName, ReadWebhook>> {
  const { stripe, razorpay, paystack, mock } = keys
  return {
    ...(stripe?.webhookSecret === undefined ? {} : { stripe: readStripeWebhook(stripe.webhookSecret) }),
    ...(razorpay?.webhookSecret === undefined ? {} : { razorpay: readRazorpayWebhook(razorpay.webhookSecret) }),
    ...(paystack === undefined ? {} : { paystack: readPaystackWebhook(paystack.secretKey) }),
    ...(mock === undefined ? {} : { mock: readMockWebhook(mock.webhookSecret) }),
  }
}
