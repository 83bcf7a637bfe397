import { describe, expect, test } from 'vitest'
import { type Guarded, guarded } from '../src/gateways/breaker.ts'
import type { ChargeAnswer, ChargeRequest, Gateway } from '../src/gateways/port.ts'
import { timed } from '../src/gateways/timed.ts'
import type { Clock } from '../src/kit/clock.ts'
import { amount } from '../src/kit/money.ts'

const FAILURES = 3
const WINDOW_MS = 10_000
const REST_MS = 5_000

class StandingClock implements Clock {
  #ms = Date.UTC(2026, 0, 1)
  now(): Date {
    return new Date(this.#ms)
  }
  pass(ms: number): void {
    this.#ms += ms
  }
}

const request: ChargeRequest = { reference: 'r', amount: amount(100), currency: 'USD', method: 'card' }
const good: ChargeAnswer = { outcome: 'succeeded', id: 'c', amount: amount(100), currency: 'USD' }
const unsent: ChargeAnswer = { outcome: 'not_sent', reason: 'refused' }
const unknown: ChargeAnswer = { outcome: 'unknown', reason: 'timeout' }
const declined: ChargeAnswer = { outcome: 'declined', code: 'no', message: 'No', hard: true, mayFailOver: false }

/** A gateway that answers what it is told to, and counts what reaches it. */
function talker() {
  let next: ChargeAnswer | Promise<ChargeAnswer> | Error = good
  let asked = 0
  const say = async <Reply>(): Promise<Reply> => {
    asked += 1
    if (next instanceof Error) throw next
    return (await next) as Reply
  }
  const gateway: Gateway = {
    name: 'mock',
    capabilities: { charges: {}, payouts: {}, minimumCharge: {} },
    charge: say,
    confirm: say,
    capture: say,
    cancel: say,
    lookUpCharge: say,
    refund: say,
    lookUpRefund: say,
    payout: say,
    lookUpPayout: say,
    describeMethod: say,
    list: say,
    reachable: say,
  }
  return {
    gateway,
    says: (answer: typeof next) => {
      next = answer
    },
    get asked() {
      return asked
    },
  }
}

function setUp() {
  const clock = new StandingClock()
  const gateway = talker()
  const guard = guarded(gateway.gateway, { failures: FAILURES, windowMs: WINDOW_MS, restMs: REST_MS, clock })
  return { clock, gateway, guard }
}

async function open(guard: Guarded, gateway: ReturnType<typeof talker>): Promise<void> {
  gateway.says(unknown)
  for (let i = 0; i < FAILURES; i++) await guard.charge(request)
  expect(guard.circuit.state).toBe('open')
}

describe('a gateway that stops answering', () => {
  test.each([
    ['nothing was sent', unsent],
    ['nobody knows', unknown],
  ])('is left alone after so many answers in a row of which %s', async (_title, answer) => {
    const { gateway, guard } = setUp()
    gateway.says(answer)
    for (let i = 0; i < FAILURES; i++) {
      expect(guard.circuit.state).toBe('closed')
      expect(await guard.charge(request)).toEqual(answer)
    }
    expect(guard.circuit).toMatchObject({ state: 'open', openings: 1 })
    expect(await guard.charge(request)).toEqual({
      outcome: 'not_sent',
      reason: 'mock did not answer lately: its circuit is open',
    })
    expect(gateway.asked).toBe(FAILURES)
  })

  test('is told nothing that moves money, and asked everything that finds out', async () => {
    const { gateway, guard } = setUp()
    await open(guard, gateway)
    gateway.says(good)
    const before = gateway.asked
    const money = { ...request, chargeId: 'c', destination: 'd' }
    for (const refused of [guard.charge(money), guard.capture(money), guard.refund(money), guard.payout(money)])
      expect((await refused).outcome).toBe('not_sent')
    expect(gateway.asked).toBe(before)

    const asked = [
      guard.lookUpCharge({ reference: 'r' }),
      guard.lookUpRefund({ reference: 'r', chargeId: 'c' }),
      guard.lookUpPayout({ reference: 'r' }),
      guard.confirm({ reference: 'r', paymentId: 'p', proof: {} }),
      guard.cancel({ reference: 'r', chargeId: 'c' }),
      guard.describeMethod({ token: 't', method: 'card' }),
      guard.list({ from: new Date(0), until: new Date() }),
      guard.reachable(),
    ]
    expect(await Promise.all(asked)).toEqual(asked.map(() => good))
    expect(guard.circuit.state).toBe('open')
  })

  test('is not given up on for failures that are far apart, or between answers', async () => {
    const { clock, gateway, guard } = setUp()
    gateway.says(unknown)
    for (let i = 0; i < 3 * FAILURES; i++) {
      await guard.charge(request)
      clock.pass(WINDOW_MS / (FAILURES - 1))
    }
    expect(guard.circuit.state).toBe('closed')
    for (let i = 0; i < 3 * FAILURES; i++) {
      gateway.says(i % FAILURES === 0 ? declined : unsent)
      await guard.charge(request)
    }
    expect(guard.circuit.state).toBe('closed')
  })

  test('declines are answers: no run of them opens anything', async () => {
    const { gateway, guard } = setUp()
    gateway.says(declined)
    for (let i = 0; i < 3 * FAILURES; i++) await guard.charge(request)
    expect(guard.circuit).toMatchObject({ state: 'closed', openings: 0 })
  })

  test('after its rest one request goes as a probe, and the others are still not sent', async () => {
    const { clock, gateway, guard } = setUp()
    await open(guard, gateway)
    clock.pass(REST_MS)
    expect(guard.circuit.state).toBe('half_open')
    const probe = Promise.withResolvers<ChargeAnswer>()
    gateway.says(probe.promise)
    const first = guard.charge(request)
    expect((await guard.charge(request)).outcome).toBe('not_sent')
    expect((await guard.refund({ ...request, chargeId: 'c' })).outcome).toBe('not_sent')
    probe.resolve(good)
    expect(await first).toEqual(good)
    expect(guard.circuit.state).toBe('closed')
    gateway.says(good)
    expect(await guard.charge(request)).toEqual(good)
  })

  test('a probe that fails starts the rest anew', async () => {
    const { clock, gateway, guard } = setUp()
    await open(guard, gateway)
    clock.pass(REST_MS)
    gateway.says(unsent)
    expect(await guard.charge(request)).toEqual(unsent)
    expect(guard.circuit).toMatchObject({ state: 'open', openings: 2 })
    clock.pass(REST_MS - 1)
    expect(guard.circuit.state).toBe('open')
    clock.pass(1)
    gateway.says(declined)
    expect(await guard.charge(request)).toEqual(declined)
    expect(guard.circuit.state).toBe('closed')
  })

  test('a bug in the probe frees the way for the next one', async () => {
    const { clock, gateway, guard } = setUp()
    await open(guard, gateway)
    clock.pass(REST_MS)
    gateway.says(new Error('a bug'))
    await expect(guard.charge(request)).rejects.toThrow('a bug')
    gateway.says(good)
    expect(await guard.charge(request)).toEqual(good)
    expect(guard.circuit.state).toBe('closed')
  })

  test('answers to what was on its way when it opened neither close it nor keep it open longer', async () => {
    const { clock, gateway, guard } = setUp()
    const early = Promise.withResolvers<ChargeAnswer>()
    const late = Promise.withResolvers<ChargeAnswer>()
    gateway.says(early.promise)
    const first = guard.charge(request)
    gateway.says(late.promise)
    const second = guard.charge(request)
    await open(guard, gateway)
    early.resolve(good)
    await first
    expect(guard.circuit.state).toBe('open')
    clock.pass(REST_MS - 1)
    late.resolve(unknown)
    await second
    clock.pass(1)
    expect(guard.circuit.state).toBe('half_open')
  })
})

test('each call is told of with its outcome', async () => {
  const gateway = talker()
  const calls: string[] = []
  const counted = timed(gateway.gateway, ({ gateway, method, seconds, outcome }) => {
    expect(seconds).toBeGreaterThanOrEqual(0)
    calls.push(`${gateway} ${method} ${outcome}`)
  })
  await counted.charge(request)
  gateway.says(unknown)
  await counted.lookUpCharge({ reference: 'r' })
  gateway.says(new Error('a bug'))
  await expect(counted.reachable()).rejects.toThrow('a bug')
  expect(calls).toEqual(['mock charge succeeded', 'mock lookUpCharge unknown', 'mock reachable fault'])
})
