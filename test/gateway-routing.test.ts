import { describe, expect, test } from 'vitest'
import type { Capabilities, ChargeAnswer, GatewayName } from '../src/gateways/port.ts'
import { type Configured, mayTryNext, type Route, route, type Wanted } from '../src/gateways/routing.ts'
import { type Asset, amount } from '../src/kit/money.ts'

const every: readonly Asset[] = ['INR', 'USD', 'EUR', 'NGN', 'JPY', 'KWD']

const capabilities: Readonly<Record<GatewayName, Capabilities>> = {
  stripe: {
    charges: { card: ['USD', 'EUR', 'INR', 'NGN', 'JPY', 'KWD'] },
    payouts: { bank_transfer: ['USD', 'EUR'] },
    minimumCharge: { USD: amount(50) },
  },
  razorpay: {
    charges: { card: ['INR', 'USD'], upi: ['INR'], netbanking: ['INR'], wallet: ['INR'] },
    payouts: { bank_transfer: ['INR'], upi: ['INR'] },
    minimumCharge: { INR: amount(100) },
  },
  paystack: {
    charges: { card: ['NGN', 'USD'], bank_transfer: ['NGN'] },
    payouts: { bank_transfer: ['NGN'] },
    minimumCharge: { NGN: amount(5_000), USD: amount(200) },
  },
  mock: {
    charges: { card: every, upi: every, netbanking: every, wallet: every, bank_transfer: every },
    payouts: { card: every, upi: every, netbanking: every, wallet: every, bank_transfer: every },
    minimumCharge: {},
  },
}

const configured = (...names: GatewayName[]): Configured =>
  new Map(names.map((name) => [name, { capabilities: capabilities[name] }]))
const all = configured('mock', 'paystack', 'razorpay', 'stripe')

const charge = (method: Wanted['method'], currency: Asset, more: Partial<Wanted> = {}): Wanted => ({
  direction: 'charge',
  method,
  currency,
  ...more,
})
const payout = (method: Wanted['method'], currency: Asset): Wanted => ({
  ...charge(method, currency),
  direction: 'payout',
})

describe('whom to ask, in order', () => {
  test.each<[string, Configured, Wanted, GatewayName[]]>([
    ['rupees by card go to Razorpay, then Stripe', all, charge('card', 'INR'), ['razorpay', 'stripe', 'mock']],
    ['rupees by UPI pass over Stripe, which has none', all, charge('upi', 'INR'), ['razorpay', 'mock']],
    ['naira by card go to Paystack, then Stripe', all, charge('card', 'NGN'), ['paystack', 'stripe', 'mock']],
    ['naira by bank transfer go to Paystack', all, charge('bank_transfer', 'NGN'), ['paystack', 'mock']],
    ['dollars by card go to Stripe first', all, charge('card', 'USD'), ['stripe', 'razorpay', 'paystack', 'mock']],
    ['dinars by card go to Stripe', all, charge('card', 'KWD'), ['stripe', 'mock']],
    ['nothing is asked that is not configured', configured('stripe'), charge('card', 'INR'), ['stripe']],
    [
      'without a sandbox there is no mock',
      configured('stripe', 'razorpay'),
      charge('card', 'INR'),
      ['razorpay', 'stripe'],
    ],
    ['a payout in rupees goes to Razorpay', all, payout('bank_transfer', 'INR'), ['razorpay', 'mock']],
    ['a payout in euros goes to Stripe', all, payout('bank_transfer', 'EUR'), ['stripe', 'mock']],
    ['a named gateway is the only one', all, charge('card', 'USD', { gateway: 'paystack' }), ['paystack']],
    ['a named mock is asked before all others', all, charge('card', 'INR', { gateway: 'mock' }), ['mock']],
    [
      'who asks for more than that is passed over',
      all,
      charge('card', 'INR', { amount: amount(60) }),
      ['stripe', 'mock'],
    ],
    [
      'the least that it takes is enough',
      all,
      charge('card', 'NGN', { amount: amount(5_000) }),
      ['paystack', 'stripe', 'mock'],
    ],
    [
      'payouts have no minimum of charges',
      all,
      { ...payout('bank_transfer', 'INR'), amount: amount(1) },
      ['razorpay', 'mock'],
    ],
  ])('%s', (_title, gateways, wanted, expected) => {
    expect(route(gateways, wanted)).toEqual({ gateways: expected })
  })
})

describe('no way is said by name', () => {
  test.each<[string, Configured, Wanted, Exclude<Route, { gateways: unknown }>]>([
    [
      'a named gateway that does not take the method',
      all,
      charge('upi', 'INR', { gateway: 'stripe' }),
      { because: 'unsupported', gateway: 'stripe', method: 'upi', currency: 'INR' },
    ],
    [
      'a named gateway that does not take the currency',
      all,
      charge('card', 'EUR', { gateway: 'paystack' }),
      { because: 'unsupported', gateway: 'paystack', method: 'card', currency: 'EUR' },
    ],
    [
      'a named gateway that nobody configured',
      configured('stripe'),
      charge('card', 'INR', { gateway: 'razorpay' }),
      { because: 'not_configured', gateway: 'razorpay' },
    ],
    [
      'a method that nobody has for the currency',
      configured('stripe', 'razorpay', 'paystack'),
      charge('upi', 'USD'),
      { because: 'unsupported', gateway: undefined, method: 'upi', currency: 'USD' },
    ],
    [
      'a currency whose gateways are others than those configured',
      configured('paystack'),
      charge('card', 'INR'),
      { because: 'unsupported', gateway: undefined, method: 'card', currency: 'INR' },
    ],
    ['no gateway at all', configured(), charge('card', 'USD'), { because: 'not_configured', gateway: undefined }],
    [
      'a charge below what everybody asks for names the one that asks for least',
      configured('stripe', 'paystack'),
      charge('card', 'USD', { amount: amount(49) }),
      { because: 'below_minimum', gateway: 'stripe', minimum: amount(50), currency: 'USD' },
    ],
  ])('%s', (_title, gateways, wanted, expected) => {
    expect(route(gateways, wanted)).toEqual(expected)
  })
})

describe('who may be asked next', () => {
  const declined = {
    outcome: 'declined',
    code: 'card_declined',
    message: 'No',
    hard: false,
    mayFailOver: false,
  } as const
  test.each<[string, ChargeAnswer, boolean]>([
    ['nothing was sent', { outcome: 'not_sent', reason: 'refused' }, true],
    ['a decline that is about the gateway', { ...declined, mayFailOver: true }, true],
    ['a decline that is about the customer', declined, false],
    ['nobody knows what happened', { outcome: 'unknown', reason: 'timeout' }, false],
    ['it is under way', { outcome: 'pending', waitsFor: 'gateway' }, false],
    ['it is done', { outcome: 'succeeded', id: 'x', amount: amount(1), currency: 'USD' }, false],
  ])('%s', (_title, answer, may) => {
    expect(mayTryNext(answer)).toBe(may)
  })
})
