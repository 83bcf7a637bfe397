import type { Sandbox } from '../src/sandbox/server.ts'

/** Whose stand-ins move the money of wallets. */
export const gateways = ['stripe', 'razorpay', 'paystack', 'mock'] as const
export type GatewayName = (typeof gateways)[number]

/** Asks a stand-in for what only those may ask who test against it, or in the name of a customer: past all proxies. */
export async function askGateway(
  { gateways: stands }: Pick<Sandbox, 'gateways'>,
  gateway: GatewayName,
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: unknown,
): Promise<{ readonly ok: boolean; readonly body: unknown }> {
  const response = await fetch(stands[gateway].apiBase + path, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { ok: response.ok, body: text === '' ? undefined : JSON.parse(text) }
}
