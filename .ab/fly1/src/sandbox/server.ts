import { once } from 'node:events'
import { createServer } from 'node:http'
import { isIPv6 } from 'node:net'
import { join } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { assert } from '../kit/assert.ts'
import { Secret } from '../kit/secret.ts'
import { Deliveries } from './deliveries.ts'
import { mailSandbox } from './mail.ts'
import { mockSandbox } from './mock.ts'
import { Moods } from './moods.ts'
import { paystackSandbox } from './paystack.ts'
import { razorpaySandbox } from './razorpay/sandbox.ts'
import { Store } from './store.ts'
import { stripeSandbox } from './stripe.ts'
import { vaultSandbox } from './vault.ts'
import { voiceSandbox } from './voice.ts'

/** Keys that the stand-ins accept and sign with. They open nothing else. */
export const sandboxKeys = {
  stripe: { secretKey: 'sk_test_sandbox', publishableKey: 'pk_test_sandbox', webhookSecret: 'whsec_sandbox' },
  razorpay: {
    keyId: 'rzp_test_sandbox',
    keySecret: 'sandbox_razorpay_secret',
    webhookSecret: 'sandbox_razorpay_webhooks',
    accountNumber: '2323230041626905',
  },
  paystack: { secretKey: 'sk_test_paystack_sandbox' },
  mock: { key: 'mock_sandbox', webhookSecret: 'mock_webhooks_sandbox' },
} as const

type GatewayName = keyof typeof sandboxKeys

export interface Sandbox {
  readonly voiceUrl: string
  readonly vaultUrl: string
  /** Of the mail server that delivers to nobody, and where what it took is looked at over HTTP. */
  readonly smtpUrl: string
  readonly mailUrl: string
  /** Where each gateway's stand-in listens, and the keys that it takes. */
  readonly gateways: {
    readonly stripe: { apiBase: string; secretKey: Secret; publishableKey: string; webhookSecret: Secret }
    readonly razorpay: {
      apiBase: string
      keyId: string
      keySecret: Secret
      webhookSecret: Secret
      accountNumber: Secret
    }
    readonly paystack: { apiBase: string; secretKey: Secret }
    readonly mock: { apiBase: string; key: Secret; webhookSecret: Secret }
  }
  /** Where webhooks go from now on: each gateway's under its name, `<url>/stripe`. */
  sendWebhooksTo(url: string): void
  /** Also ends requests that are kept waiting. */
  stop(): Promise<void>
}

export interface SandboxOptions {
  readonly host?: string
  /** Of the voice service and the vault; gateways take any that is free. */
  readonly port?: number
  readonly slowMs?: number
  /** Set: what the gateways remember outlives the process. */
  readonly directory?: string
  /** Where webhooks go; nowhere unless told. */
  readonly webhooksTo?: string | undefined
}

/**
 * Every stand-in. The voice service, the vault and what the mail server took share a listener, each under its own path;
 * gateways have one each, since their clients know hosts and no paths in front of theirs.
 */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const host = options.host ?? '127.0.0.1'
  const app = new Hono()
  app.route('/voice', voiceSandbox({ slowMs: options.slowMs }))
  app.route('/vault', vaultSandbox())
  const mail = await mailSandbox(host)
  app.route('/mail', mail.routes)
  const services = await listen(app, host, options.port ?? 0)

  const deliveries = new Map<GatewayName, Deliveries>()
  const parts = <Name extends GatewayName>(name: Name) => {
    const its = new Deliveries()
    if (options.webhooksTo !== undefined) its.to(options.webhooksTo)
    deliveries.set(name, its)
    return {
      store: new Store(options.directory === undefined ? undefined : join(options.directory, `${name}.jsonl`)),
      deliveries: its,
      moods: new Moods(),
      keys: sandboxKeys[name],
    }
  }
  const [stripe, razorpay, paystack, mock] = await Promise.all([
    listen(stripeSandbox(parts('stripe')), host),
    listen(razorpaySandbox(parts('razorpay')), host),
    listen(paystackSandbox(parts('paystack')), host),
    listen(mockSandbox(parts('mock')), host),
  ])

  return {
    voiceUrl: `${services.url}/voice`,
    vaultUrl: `${services.url}/vault`,
    smtpUrl: mail.url,
    mailUrl: `${services.url}/mail`,
    gateways: {
      stripe: {
        apiBase: stripe.url,
        secretKey: new Secret(sandboxKeys.stripe.secretKey),
        publishableKey: sandboxKeys.stripe.publishableKey,
        webhookSecret: new Secret(sandboxKeys.stripe.webhookSecret),
      },
      razorpay: {
        apiBase: razorpay.url,
        keyId: sandboxKeys.razorpay.keyId,
        keySecret: new Secret(sandboxKeys.razorpay.keySecret),
        webhookSecret: new Secret(sandboxKeys.razorpay.webhookSecret),
        accountNumber: new Secret(sandboxKeys.razorpay.accountNumber),
      },
      paystack: { apiBase: paystack.url, secretKey: new Secret(sandboxKeys.paystack.secretKey) },
      mock: {
        apiBase: mock.url,
        key: new Secret(sandboxKeys.mock.key),
        webhookSecret: new Secret(sandboxKeys.mock.webhookSecret),
      },
    },
    sendWebhooksTo(url) {
      for (const its of deliveries.values()) its.to(url)
    },
    async stop() {
      for (const its of deliveries.values()) its.stop()
      await Promise.all([services, mail, stripe, razorpay, paystack, mock].map((one) => one.stop()))
    },
  }
}

/** One stand-in behind a listener of its own. Port 0 takes any that is free. */
async function listen(app: Hono, host: string, port = 0): Promise<{ url: string; stop(): Promise<void> }> {
  const server = createServer(getRequestListener(app.fetch))
  server.listen(port, host)
  await once(server, 'listening')
  const address = server.address()
  assert(address !== null && typeof address === 'object', 'The sandbox listens on no port')
  return {
    url: `http://${isIPv6(host) ? `[${host}]` : host}:${address.port}`,
    async stop() {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
