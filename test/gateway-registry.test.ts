import { randomUUID } from 'node:crypto'
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import type { ConfiguredKeys, SandboxKeys } from '../src/gateways/credentials.ts'
import { credentials } from '../src/gateways/credentials.ts'
import { openGateways } from '../src/gateways/registry.ts'
import { route } from '../src/gateways/routing.ts'
import { amount } from '../src/kit/money.ts'
import { Secret } from '../src/kit/secret.ts'
import { mockSandbox } from '../src/sandbox/mock.ts'
import { nobodysUrl, startStandIn } from './support/stand-in.ts'

const nothing: ConfiguredKeys = {
  stripe: { secretKey: undefined, publishableKey: undefined, webhookSecret: undefined, apiBase: undefined },
  razorpay: { keyId: undefined, keySecret: undefined, webhookSecret: undefined, apiBase: undefined },
  paystack: { secretKey: undefined, apiBase: undefined },
  mock: { key: undefined, webhookSecret: undefined, apiBase: undefined },
}
const secret = (value: string) => new Secret(value)
const sandbox: SandboxKeys = {
  stripe: { secretKey: secret('sk_sandbox'), webhookSecret: secret('whsec'), apiBase: 'http://127.0.0.1:9' },
  razorpay: {
    keyId: 'rzp_sandbox',
    keySecret: secret('sandbox_secret'),
    accountNumber: secret('7878'),
    webhookSecret: secret('whsec'),
    apiBase: 'http://127.0.0.1:9',
  },
  paystack: { secretKey: secret('sk_sandbox'), apiBase: 'http://127.0.0.1:9' },
  mock: { key: secret('mock_key'), webhookSecret: secret('mock_whsec'), apiBase: 'http://127.0.0.1:9' },
}
const charge = () => ({ reference: randomUUID(), amount: amount(100), currency: 'INR', method: 'upi' }) as const

test('without keys and without a sandbox there is no gateway, and no route', () => {
  const gateways = openGateways({ config: nothing })
  expect([...gateways]).toEqual([])
  const wanted = { direction: 'charge', method: 'card', currency: 'USD' } as const
  expect(route(gateways, wanted)).toEqual({ because: 'not_configured', gateway: undefined })
})

test('with the sandbox there are all four, closed and ready', () => {
  const gateways = openGateways({ config: nothing, sandbox })
  expect([...gateways.keys()]).toEqual(['stripe', 'razorpay', 'paystack', 'mock'])
  for (const [name, gateway] of gateways)
    expect(gateway).toMatchObject({ name, circuit: { state: 'closed', openings: 0 } })
})

test('a key of one’s own goes to the real host, or where the configuration points, never to the sandbox', () => {
  const config: ConfiguredKeys = {
    stripe: { ...nothing.stripe, secretKey: secret('sk_live') },
    razorpay: { ...nothing.razorpay, keyId: 'rzp_live', keySecret: secret('live'), apiBase: 'https://proxy.example' },
    paystack: nothing.paystack,
    mock: { key: secret('mock_elsewhere'), webhookSecret: secret('theirs'), apiBase: 'http://mock.example' },
  }
  const keys = credentials(config, sandbox)
  expect(keys.stripe?.apiBase).toBeUndefined()
  expect(keys.stripe?.secretKey.reveal()).toBe('sk_live')
  // The sandbox's own would make anybody who reads this file a sender of webhooks.
  expect(keys.stripe?.webhookSecret).toBeUndefined()
  expect(keys.razorpay).toMatchObject({ keyId: 'rzp_live', apiBase: 'https://proxy.example' })
  expect(keys.paystack).toBe(sandbox.paystack)
  expect(keys.mock?.apiBase).toBe('http://mock.example')
  expect([...openGateways({ config }).keys()]).toEqual(['stripe', 'razorpay', 'mock'])
})

test('half a key is none', () => {
  const config = {
    ...nothing,
    razorpay: { ...nothing.razorpay, keyId: 'rzp_live' },
    mock: { key: secret('mock_key'), webhookSecret: undefined, apiBase: undefined },
  }
  expect(credentials(config)).toEqual({})
})

test('no secret shows when a gateway is looked at', () => {
  const shown = inspect([openGateways({ config: nothing, sandbox }), credentials(nothing, sandbox)], { depth: 9 })
  for (const value of ['sk_sandbox', 'sandbox_secret', 'mock_key', 'whsec']) expect(shown).not.toContain(value)
})

test('what is opened charges, is timed, and is left alone once nobody answers', async () => {
  const keys = { key: 'mock_key', webhookSecret: 'mock_whsec' }
  const standIn = await startStandIn((parts) => mockSandbox({ ...parts, keys }))
  const calls: string[] = []
  const open = (apiBase: string) =>
    openGateways({
      config: nothing,
      sandbox: { mock: { key: secret(keys.key), webhookSecret: secret(keys.webhookSecret), apiBase } },
      breaker: { failures: 2 },
      timed: ({ gateway, method, outcome }) => calls.push(`${gateway} ${method} ${outcome}`),
    }).get('mock')

  expect(await open(standIn.url)?.charge(charge())).toMatchObject({ outcome: 'succeeded', amount: 100n })
  const dead = open(await nobodysUrl())
  for (let i = 0; i < 3; i++) expect(await dead?.charge(charge())).toMatchObject({ outcome: 'not_sent' })
  expect(dead?.circuit.state).toBe('open')
  expect(await dead?.lookUpCharge({ reference: randomUUID() })).toMatchObject({ outcome: 'unknown' })
  expect(calls).toEqual([
    'mock charge succeeded',
    'mock charge not_sent',
    'mock charge not_sent',
    'mock lookUpCharge unknown',
  ])
  await standIn.stop()
})
