import { type Amount, type Asset, amount } from '../kit/money.ts'
import type { Capabilities, ChargeAnswer, GatewayName, PaymentMethod, PayoutAnswer, RefundAnswer } from './port.ts'

/** Whom to ask first. A currency that is not listed goes by `ELSE`; whoever cannot take it is passed over. */
const PREFERENCE: Readonly<Partial<Record<Asset, readonly GatewayName[]>>> = {
  INR: ['razorpay', 'stripe', 'mock'],
  NGN: ['paystack', 'stripe', 'mock'],
}
/** `mock` is last everywhere: it is only there where it was configured, and real money goes to real gateways. */
const ELSE: readonly GatewayName[] = ['stripe', 'razorpay', 'paystack', 'mock']

/** What a route is sought among: the gateways that are configured. */
export type Configured = ReadonlyMap<GatewayName, { readonly capabilities: Capabilities }>

export interface Wanted {
  readonly direction: 'charge' | 'payout'
  readonly method: PaymentMethod
  readonly currency: Asset
  /** Given: whoever takes less is no route. */
  readonly amount?: Amount | undefined
  /** The caller's own choice: that one or none. */
  readonly gateway?: GatewayName | undefined
}

/** Why there is no route, for a refusal by name. */
export type NoRoute =
  | { readonly because: 'not_configured'; readonly gateway: GatewayName | undefined }
  | {
      readonly because: 'unsupported'
      readonly gateway: GatewayName | undefined
      readonly method: PaymentMethod
      readonly currency: Asset
    }
  | {
      readonly because: 'below_minimum'
      readonly gateway: GatewayName
      readonly minimum: Amount
      readonly currency: Asset
    }

export type Route = { readonly gateways: readonly [GatewayName, ...GatewayName[]] } | NoRoute

/** Whom to ask, in order; the next one only where `mayTryNext` allows it. */
export function route(configured: Configured, wanted: Wanted): Route {
  const { gateway, method, currency } = wanted
  const unsupported: NoRoute = { because: 'unsupported', gateway, method, currency }
  if (configured.size === 0 || (gateway !== undefined && !configured.has(gateway)))
    return { because: 'not_configured', gateway }

  const asked = gateway === undefined ? (PREFERENCE[currency] ?? ELSE) : [gateway]
  const able = asked.flatMap((name) => {
    const capabilities = configured.get(name)?.capabilities
    return capabilities !== undefined && supports(capabilities, wanted)
      ? [{ name, minimum: minimumOf(capabilities, wanted) }]
      : []
  })
  const [first, ...rest] = able.filter(({ minimum }) => wanted.amount === undefined || minimum <= wanted.amount)
  if (first !== undefined) return { gateways: [first.name, ...rest.map(({ name }) => name)] }

  const [least] = able.toSorted((a, b) => (a.minimum < b.minimum ? -1 : 1))
  return least === undefined
    ? unsupported
    : { because: 'below_minimum', gateway: least.name, minimum: least.minimum, currency }
}

/** Nothing was done, or this gateway was the reason: another may be asked without doing anything twice. */
export const mayTryNext = (answer: ChargeAnswer | RefundAnswer | PayoutAnswer): boolean =>
  answer.outcome === 'not_sent' || (answer.outcome === 'declined' && answer.mayFailOver)

const supports = (capabilities: Capabilities, { direction, method, currency }: Wanted): boolean =>
  (direction === 'charge' ? capabilities.charges : capabilities.payouts)[method]?.includes(currency) ?? false

/** Minimums are about charges: payouts have none that we know of. */
const minimumOf = (capabilities: Capabilities, { direction, currency }: Wanted): Amount =>
  (direction === 'charge' ? capabilities.minimumCharge[currency] : undefined) ?? amount(0)
