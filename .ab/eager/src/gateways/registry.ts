import { type BreakerOptions, type Guarded, guarded } from './breaker.ts'
import { type ConfiguredKeys, type Credentials, credentials, type SandboxKeys } from './credentials.ts'
import { mockGateway } from './mock/gateway.ts'
import { paystackGateway } from './paystack/gateway.ts'
import { type Gateway, type GatewayName, gatewayNames } from './port.ts'
import { razorpayGateway } from './razorpay/gateway.ts'
import { stripeGateway } from './stripe/gateway.ts'
import { type Timed, timed } from './timed.ts'

/** The gateways that there are, each behind its breaker. One that is not configured is absent. */
export type Gateways = ReadonlyMap<GatewayName, Guarded>

export function openGateways(options: {
  config: ConfiguredKeys
  /** The stand-ins that are running: they take the place of gateways without a key. */
  sandbox?: SandboxKeys | undefined
  /** Milliseconds for one call; each gateway has its own when it is not set. */
  timeoutMs?: number | undefined
  breaker?: BreakerOptions | undefined
  timed?: Timed | undefined
}): Gateways {
  const keys = credentials(options.config, options.sandbox)
  const { timeoutMs } = options
  const openings: { readonly [Name in GatewayName]: (keys: Credentials[Name]) => Gateway } = {
    stripe: (its) => stripeGateway({ ...its, timeoutMs }),
    razorpay: (its) => razorpayGateway({ ...its, timeoutMs }),
    paystack: (its) => paystackGateway({ ...its, timeoutMs }),
    mock: (its) => mockGateway({ ...its, timeoutMs }),
  }
  const open = <Name extends GatewayName>(name: Name): [GatewayName, Guarded][] => {
    const its = keys[name]
    if (its === undefined) return []
    const gateway = openings[name](its)
    // Timed within the breaker: what it refuses never was a call.
    return [[name, guarded(options.timed === undefined ? gateway : timed(gateway, options.timed), options.breaker)]]
  }
  return new Map(gatewayNames.flatMap((name) => open(name)))
}
