import { BlockList, isIPv6 } from 'node:net'
import { z } from '@hono/zod-openapi'
import { type InboxState, inboxState } from '../domain/webhooks/reads.ts'
import type { GatewayName, ReadWebhook, WebhookEvent } from '../gateways/webhook.ts'
import type { Intake } from '../jobs/intake.ts'
import type { Clock } from '../kit/clock.ts'
import { refusals } from '../kit/refusal.ts'
import type { Sql } from '../kit/sql.ts'
import { rawBody } from './body.ts'
import { errorSchema } from './errors.ts'
import { headerOf, reply } from './reply.ts'
import type { Asked, Router } from './route.ts'

export interface WebhookRouteParts {
  readonly intake: Intake
  readonly reads: Sql
  readonly clock: Clock
  /** How each gateway's webhooks are read; absent where no secret is configured, and then none are taken. */
  readonly readers: Readonly<Partial<Record<GatewayName, ReadWebhook>>>
  /** Addresses or networks from which webhooks are taken; empty: from anywhere, since the signature is what counts. */
  readonly allowedIps: readonly string[]
  /** Told of each forgery, for the security log. */
  readonly forged: (what: { gateway: GatewayName; ip: string | null; reason: string }) => void
}

export const webhookRefusals = refusals('delivery', {
  forged: {
    status: 401,
    error: 'InvalidSignature',
    says: () => 'The signature is not the gateway’s own: check the webhook secret on both sides. Nothing was kept.',
  },
  stale: {
    status: 401,
    error: 'StaleWebhook',
    says: () => 'The webhook was signed too long ago: check the clocks. Nothing was kept.',
  },
  malformed: {
    status: 400,
    error: 'MalformedWebhook',
    says: () => 'The signature is right, but the body is not an event of this gateway. Nothing was kept.',
  },
  notAllowed: {
    status: 403,
    error: 'AddressNotAllowed',
    says: () => 'Webhooks are taken from the addresses in WEBHOOK_ALLOWED_IPS only.',
  },
  notConfigured: {
    status: 404,
    error: 'WebhooksNotConfigured',
    says: (d: { gateway: string }) => `No webhook secret is configured for ${d.gateway}.`,
  },
})

/** Headers that signatures and event ids come in. */
const HEADERS = [
  'stripe-signature',
  'x-razorpay-signature',
  'x-razorpay-event-id',
  'x-paystack-signature',
  'x-mock-signature',
] as const

const tag = 'Webhooks'
const names = ['stripe', 'razorpay', 'paystack', 'mock'] as const

/** Where gateways tell us. What is answered 200 is on disk; it is worked on afterwards. */
export function webhookRoutes(router: Router, parts: WebhookRouteParts): void {
  const allowed = blockList(parts.allowedIps)

  const receive = (gateway: GatewayName) => async (asked: Asked<object, object, object>) => {
    const { c, requestId } = asked
    const ip = c.get('address')
    if (allowed !== undefined && !allowed.check(ip, isIPv6(ip) ? 'ipv6' : 'ipv4')) {
      parts.forged({ gateway, ip, reason: 'address_not_allowed' })
      throw webhookRefusals.notAllowed()
    }
    const read = parts.readers[gateway]
    if (read === undefined) throw webhookRefusals.notConfigured({ gateway })
    const raw = await rawBody(c)
    const headers = Object.fromEntries(HEADERS.map((name) => [name, headerOf(c, name)]))
    const event = read({ raw, headers, now: parts.clock.now() })
    if (typeof event === 'string') {
      if (event !== 'malformed') parts.forged({ gateway, ip, reason: event })
      throw webhookRefusals[event]()
    }
    await parts.intake.submit({
      kind: 'webhook.process',
      input: {
        gateway,
        event_id: event.eventId,
        type: event.type,
        about: aboutOnWire(event.about),
        raw: raw.toString('base64'),
      },
      submittedBy: ` gateway:${gateway}`,
      requestId,
      idempotency: { scope: `webhook:${gateway}`, key: event.eventId },
    })
    return reply(c, { received: true })
  }

  const route = (path: string, gateway: GatewayName) =>
    router.route(
      {
        method: 'post',
        path,
        tag,
        summary: `Events of ${gateway}`,
        description:
          'Signed by the gateway: the signature over the raw body is the only credential. A repeat is answered like the first.',
        access: 'anyone',
        answers: {
          200: { says: 'Kept, or known already', schema: z.object({ received: z.literal(true) }) },
          400: { says: 'Refused: delivery.malformed', schema: errorSchema },
          401: { says: 'Refused: delivery.forged, delivery.stale', schema: errorSchema },
          403: { says: 'Refused: delivery.notAllowed', schema: errorSchema },
          404: { says: 'Refused: delivery.notConfigured', schema: errorSchema },
          413: { says: 'The body is too large', schema: errorSchema },
        },
      },
      receive(gateway),
    )
  for (const name of names) route(`/webhooks/${name}`, name)
  route('/api/v1/webhooks/stripe', 'stripe')

  router.route(
    {
      method: 'get',
      path: '/api/v1/webhooks/health',
      tag,
      summary: 'Which webhooks are configured, and when the last ones came',
      access: 'anyone',
      answers: {
        200: {
          says: 'Per gateway',
          schema: z.object({
            status: z.enum(['healthy', 'not_configured']),
            timestamp: z.iso.datetime(),
            gateways: z.record(
              z.string(),
              z.object({
                configured: z.boolean(),
                last_received_at: z.iso.datetime().nullable(),
                parked: z.int().openapi({ description: 'Events about something that nobody here knows (yet).' }),
              }),
            ),
          }),
        },
      },
    },
    async ({ c }) => {
      const states = await inboxState(parts.reads)
      const configured = Object.keys(parts.readers).length > 0
      return reply(c, {
        status: configured ? 'healthy' : 'not_configured',
        timestamp: parts.clock.now().toISOString(),
        gateways: Object.fromEntries(states.map((state) => [state.gateway, stateBody(state, parts)])),
      })
    },
  )
}

const stateBody = (state: InboxState, { readers }: WebhookRouteParts) => ({
  configured: readers[state.gateway as GatewayName] !== undefined,
  last_received_at: state.lastReceivedAt?.toISOString() ?? null,
  parked: state.parked,
})

/** JSON has no bigint: amounts travel as text. */
const aboutOnWire = (about: WebhookEvent['about']): Record<string, unknown> =>
  about.object === 'dispute' ? { ...about, amount: about.amount.toString() } : { ...about }

function blockList(entries: readonly string[]): BlockList | undefined {
  if (entries.length === 0) return undefined
  const list = new BlockList()
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return list
}
