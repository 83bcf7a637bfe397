import type { Secret } from '../kit/secret.ts'

/** Where the gateways' part of the configuration and of the sandbox meet: who is asked, where, and with which keys. */

/** As the configuration has it. */
export interface ConfiguredKeys {
  readonly stripe: {
    readonly secretKey: Secret | undefined
    readonly publishableKey: string | undefined
    readonly webhookSecret: Secret | undefined
    readonly apiBase: string | undefined
  }
  readonly razorpay: {
    readonly keyId: string | undefined
    readonly keySecret: Secret | undefined
    /** The RazorpayX account that payouts are paid from. */
    readonly accountNumber?: Secret | undefined
    readonly webhookSecret: Secret | undefined
    readonly apiBase: string | undefined
  }
  readonly paystack: { readonly secretKey: Secret | undefined; readonly apiBase: string | undefined }
  readonly mock?: {
    readonly key: Secret | undefined
    readonly webhookSecret: Secret | undefined
    readonly apiBase: string | undefined
  }
}

/** What a gateway of which everything needed is known is opened with. */
export interface Credentials {
  readonly stripe: {
    readonly secretKey: Secret
    readonly publishableKey?: string | undefined
    /** Not set: its webhooks cannot be believed. */
    readonly webhookSecret?: Secret | undefined
    /** Not set: the real one. */
    readonly apiBase?: string | undefined
  }
  readonly razorpay: {
    readonly keyId: string
    readonly keySecret: Secret
    readonly accountNumber?: Secret | undefined
    readonly webhookSecret?: Secret | undefined
    readonly apiBase?: string | undefined
  }
  readonly paystack: {
    /** Signs its webhooks, too. */
    readonly secretKey: Secret
    readonly apiBase?: string | undefined
  }
  readonly mock: { readonly key: Secret; readonly webhookSecret: Secret; readonly apiBase: string }
}

/** The stand-ins that are running, with the keys that they accept. `apiBase` is their URL. */
export type SandboxKeys = Readonly<Partial<Credentials>>

/** A key of one's own means the real gateway, or wherever `*_API_BASE` points; without one it is the sandbox, or nothing. */
export function credentials(config: ConfiguredKeys, sandbox: SandboxKeys = {}): Readonly<Partial<Credentials>> {
  const { stripe, razorpay, paystack, mock } = config
  return {
    stripe: stripe.secretKey === undefined ? sandbox.stripe : { ...stripe, secretKey: stripe.secretKey },
    razorpay:
      razorpay.keyId === undefined || razorpay.keySecret === undefined
        ? sandbox.razorpay
        : { ...razorpay, keyId: razorpay.keyId, keySecret: razorpay.keySecret },
    paystack: paystack.secretKey === undefined ? sandbox.paystack : { ...paystack, secretKey: paystack.secretKey },
    // Nothing of it is real: it is there where a stand-in is.
    mock:
      mock?.key === undefined || mock.webhookSecret === undefined || mock.apiBase === undefined
        ? sandbox.mock
        : { key: mock.key, webhookSecret: mock.webhookSecret, apiBase: mock.apiBase },
  }
}
