import { createHmac, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readWanted, webhooksReplayCommand } from '../src/commands/webhooks-replay.ts'
import { type GatewayName, gatewayNames } from '../src/gateways/port.ts'
import { sandboxKeys } from '../src/sandbox/server.ts'
import { secondDoor } from './support/second-door.ts'
import { mockEvent, mockSignature, Wallets } from './support/wallets.ts'

let wallets: Wallets

beforeAll(async () => {
  wallets = await Wallets.start()
})
afterAll(async () => {
  await wallets.expectAllInOrder()
  await wallets.stop()
})

const filed = async (): Promise<Record<string, number>> => {
  const { rows } = await wallets.bursar.pool.query('select status, count(*)::int from webhook group by 1')
  return Object.fromEntries(rows.map(({ status, count }) => [status, count]))
}

/** How one event stands in the inbox. */
const inbox = async (body: string) => {
  const { rows } = await wallets.bursar.pool.query('select * from webhook where event_id = $1', [JSON.parse(body).id])
  return rows[0]
}

const waiting = {
  mock: { token: 'mock_3ds', currency: 'INR', amount: 200 },
  stripe: { token: 'pm_card_threeDSecure2Required', currency: 'USD', amount: 20 },
  paystack: { token: 'AUTH_3ds', currency: 'NGN', amount: 2_000 },
  razorpay: { token: 'token_sandbox_visa', currency: 'INR', amount: 200 },
} as const satisfies Record<GatewayName, { token: string; currency: string; amount: number }>

/** A deposit that its customer has to approve. */
async function waitsAt(gateway: GatewayName) {
  const user = wallets.user()
  const { token, currency, amount } = waiting[gateway]
  const payment_method_id = await wallets.addMethod(user, gateway, token)
  const { body } = await wallets.deposit(user, {
    ...{ amount, currency, payment_method_id, gateway, email: 'ada@example.com' },
    return_url: 'https://example.com/back',
  })
  expect(body, JSON.stringify(body)).toMatchObject({ status: 'PENDING' })
  const [attempt] = await wallets.attempts(body.transaction_id)
  return {
    ...{ gateway, user, currency, amount, reference: attempt.id as string },
    transaction: body.transaction_id as string,
    charge: attempt.gateway_id as string,
  }
}

async function pay({ gateway, charge }: { gateway: GatewayName; charge: string }): Promise<void> {
  if (gateway === 'razorpay') await wallets.razorpay.checkout(charge, { method: 'upi', vpa: 'success@razorpay' })
  else await wallets[gateway].customer(charge, 'approve')
}

const creditedOnce = async ({ user, currency, amount, transaction }: Awaited<ReturnType<typeof waitsAt>>) => {
  expect(await wallets.transaction(transaction)).toMatchObject({ status: 'COMPLETED' })
  expect(await wallets.balance(user, currency)).toMatchObject({ balance: `${amount}.00` })
}

describe('webhooks', () => {
  test.each(
    gatewayNames.flatMap((gateway) =>
      (['doubled', 'reversed', 'late and shuffled'] as const).map((how) => [gateway, how] as const),
    ),
  )('of %s that come %s lead to the same end', async (gateway, how) => {
    await wallets[gateway].webhooks({ mode: 'hold', copies: how === 'reversed' ? 1 : 3 })
    const deposit = await waitsAt(gateway)
    await pay(deposit)
    if (how === 'late and shuffled') await wallets[gateway].release('shuffled')
    await wallets[gateway].release(how === 'reversed' ? 'reversed' : 'same')
    await wallets[gateway].webhooks({ mode: 'send', copies: 1 })
    await wallets.bursar.quiet()
    await creditedOnce(deposit)
  })

  test('that never come are made up for by look-ups, at every gateway', async () => {
    for (const name of gatewayNames) await wallets[name].webhooks({ mode: 'drop' })
    const deposits = await Promise.all(gatewayNames.map(waitsAt))
    await Promise.all(deposits.map(pay))
    wallets.bursar.clock.advance({ seconds: 61 })
    await wallets.follow()
    for (const name of gatewayNames) await wallets[name].webhooks({ mode: 'send' })
    for (const deposit of deposits) await creditedOnce(deposit)
  })

  test('are not believed by their word: the gateway itself is asked', async () => {
    const { transaction, reference, charge, user } = await waitsAt('mock')
    const body = mockEvent('charge.captured', {
      ...{ object: 'charge', payment_id: charge, reference, status: 'captured', amount: 20_000, currency: 'INR' },
    })
    expect(await wallets.tell(body)).toMatchObject({ status: 200, body: { received: true } })
    await wallets.bursar.quiet()
    expect(await wallets.transaction(transaction)).toMatchObject({ status: 'PENDING' })
    expect(await wallets.balance(user)).toMatchObject({ balance: '0.00' })
    expect(await inbox(body)).toMatchObject({ status: 'processed' })
  })

  test('are kept sealed, and repeats of one are one', async () => {
    await wallets.mock.webhooks({ mode: 'drop' })
    const { reference, charge } = await waitsAt('mock')
    await wallets.mock.webhooks({ mode: 'send' })
    const body = mockEvent('charge.processing', { object: 'charge', payment_id: charge, reference, note: 'whisper' })
    const before = await wallets.bursar.statuses('webhook.process')
    for (let n = 0; n < 3; n++) expect((await wallets.tell(body)).status).toBe(200)
    await wallets.bursar.quiet()
    const after = await wallets.bursar.statuses('webhook.process')
    expect(after.succeeded).toBe((before.succeeded ?? 0) + 1)
    const { raw } = await inbox(body)
    expect(raw.toString('latin1')).not.toContain('whisper')
    expect(raw.toString('latin1')).not.toContain(Buffer.from('whisper').toString('base64').slice(0, 8))
  })

  test('about nothing of ours are ignored', async () => {
    const body = mockEvent('weather.changed', { object: 'weather' })
    expect((await wallets.tell(body)).status).toBe(200)
    await wallets.bursar.quiet()
    expect(await inbox(body)).toMatchObject({ status: 'ignored' })
  })
})

describe('a webhook that is not the gateway’s own', () => {
  const stripeSigned = (body: string, at: number, secret: string = sandboxKeys.stripe.webhookSecret) => ({
    'stripe-signature': `t=${at},v1=${createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')}`,
  })
  const hmac = (algorithm: string, secret: string, body: string) =>
    createHmac(algorithm, secret).update(body).digest('hex')
  const body = JSON.stringify({ id: 'evt_1', object: 'event', type: 'payment_intent.succeeded', data: { object: {} } })
  const now = () => Math.floor(wallets.bursar.clock.now().getTime() / 1_000)

  const bad: [string, string, number, () => { body: string; headers: Record<string, string> }][] = [
    ['unsigned at stripe', '/webhooks/stripe', 401, () => ({ body, headers: {} })],
    ['unsigned at razorpay', '/webhooks/razorpay', 401, () => ({ body, headers: {} })],
    ['unsigned at paystack', '/webhooks/paystack', 401, () => ({ body, headers: {} })],
    ['unsigned at mock', '/webhooks/mock', 401, () => ({ body, headers: {} })],
    [
      'forged at stripe',
      '/webhooks/stripe',
      401,
      () => ({ body, headers: stripeSigned(body, now(), 'whsec_guessed') }),
    ],
    [
      'forged at stripe by its other address',
      '/api/v1/webhooks/stripe',
      401,
      () => ({ body, headers: stripeSigned(body, now(), 'whsec_guessed') }),
    ],
    [
      'forged at razorpay',
      '/webhooks/razorpay',
      401,
      () => ({ body, headers: { 'x-razorpay-signature': hmac('sha256', 'guessed', body) } }),
    ],
    [
      'forged at paystack',
      '/webhooks/paystack',
      401,
      () => ({ body, headers: { 'x-paystack-signature': hmac('sha512', 'guessed', body) } }),
    ],
    [
      'changed after it was signed',
      '/webhooks/mock',
      401,
      () => ({ body: `${body} `, headers: mockSignature(body, wallets.bursar.clock.now()) }),
    ],
    [
      'signed ten minutes ago at stripe',
      '/webhooks/stripe',
      401,
      () => ({ body, headers: stripeSigned(body, now() - 600) }),
    ],
    [
      'signed ten minutes ago at mock',
      '/webhooks/mock',
      401,
      () => ({ body, headers: mockSignature(body, new Date((now() - 600) * 1_000)) }),
    ],
    ['no event at stripe', '/webhooks/stripe', 400, () => ({ body: '[]', headers: stripeSigned('[]', now()) })],
    [
      'no event at razorpay',
      '/webhooks/razorpay',
      400,
      () => ({
        body: '{',
        headers: {
          'x-razorpay-event-id': 'evt_2',
          'x-razorpay-signature': hmac('sha256', sandboxKeys.razorpay.webhookSecret, '{'),
        },
      }),
    ],
    [
      'no event at paystack',
      '/webhooks/paystack',
      400,
      () => ({
        body: 'null',
        headers: { 'x-paystack-signature': hmac('sha512', sandboxKeys.paystack.secretKey, 'null') },
      }),
    ],
    [
      'no event at mock',
      '/webhooks/mock',
      400,
      () => ({ body: 'ten', headers: mockSignature('ten', wallets.bursar.clock.now()) }),
    ],
    [
      'larger than anything that gateways send',
      '/webhooks/mock',
      413,
      () => {
        const large = mockEvent('charge.captured', { object: 'other', filling: 'x'.repeat(1_048_576) })
        return { body: large, headers: mockSignature(large, wallets.bursar.clock.now()) }
      },
    ],
  ]

  test.each(bad)('(%s) changes nothing', async (_what, path, status, make) => {
    const [operations, webhooks] = [await wallets.bursar.statuses('webhook.process'), await filed()]
    const answer = await wallets.bursar.ask('POST', path, make())
    expect(answer.status, JSON.stringify(answer.body)).toBe(status)
    expect(answer.body).toMatchObject({ error: expect.any(String), request_id: expect.any(String) })
    await wallets.bursar.quiet()
    expect([await wallets.bursar.statuses('webhook.process'), await filed()]).toEqual([operations, webhooks])
  })

  test('by its address is turned away, however well it is signed; one from an address that is allowed is taken', async () => {
    const mock = { MOCK_API_KEY: sandboxKeys.mock.key, MOCK_WEBHOOK_SECRET: sandboxKeys.mock.webhookSecret }
    const env = { ...mock, MOCK_API_BASE: wallets.mock.url }
    for (const [ips, status] of [
      ['203.0.113.0/24,2001:db8::/32', 403],
      ['203.0.113.7,127.0.0.0/8', 200],
    ] as const) {
      const door = await secondDoor(wallets.bursar, { ...env, WEBHOOK_ALLOWED_IPS: ips })
      try {
        const event = mockEvent('weather.changed', { object: 'weather' })
        const headers = mockSignature(event, wallets.bursar.clock.now())
        const answer = await wallets.bursar.ask('POST', '/webhooks/mock', { body: event, headers, at: door.url })
        expect(answer.status).toBe(status)
        const unconfigured = await wallets.bursar.ask('POST', '/webhooks/stripe', { body, at: door.url })
        expect(unconfigured.status).toBe(status === 403 ? 403 : 404)
      } finally {
        await door.stop()
      }
    }
    await wallets.bursar.quiet()
  })
})

describe('a webhook about something that nobody here knows', () => {
  test('is parked, and processed once it is known', async () => {
    await wallets.mock.webhooks({ mode: 'drop' })
    // It overtakes our own commit: the gateway's next charge.
    const next = (await wallets.mock.done()).charges.length + 123
    const early = mockEvent('charge.captured', {
      ...{ object: 'charge', payment_id: `mock_payment_${next}`, reference: randomUUID() },
    })
    expect((await wallets.tell(early)).status).toBe(200)
    await wallets.bursar.quiet()
    expect(await inbox(early)).toMatchObject({ status: 'parked', tries: 1 })
    const { body: health } = await wallets.bursar.get('/api/v1/webhooks/health')
    expect(health.gateways.mock.parked).toBe(1)

    const deposit = await waitsAt('mock')
    expect(deposit.charge).toBe(`mock_payment_${next}`)
    await pay(deposit)
    expect(await wallets.unpark()).toBe(0)
    wallets.bursar.clock.advance({ seconds: 61 })
    expect(await wallets.unpark()).toBe(1)
    await creditedOnce(deposit)
    expect(await inbox(early)).toMatchObject({ status: 'processed', try_at: null })
    await wallets.mock.webhooks({ mode: 'send' })
  })
})

describe('the health of webhooks', () => {
  test('says which gateways are configured, and when each was last heard', async () => {
    const { status, body } = await wallets.bursar.get('/api/v1/webhooks/health')
    expect(status).toBe(200)
    expect(body).toMatchObject({ status: 'healthy', timestamp: expect.stringMatching(/Z$/) })
    expect(Object.keys(body.gateways).toSorted()).toEqual([...gatewayNames].toSorted())
    for (const name of gatewayNames)
      expect(body.gateways[name]).toEqual({
        configured: true,
        last_received_at: expect.stringMatching(/^\d{4}-.*Z$/),
        parked: 0,
      })
  })
})

describe('a replay', () => {
  const printed: string[] = []
  const replay = async (...written: string[]): Promise<number> => {
    const { config, database, clock } = wallets.bursar
    const hour = (hours: number) => new Date(clock.now().getTime() + hours * 3_600_000).toISOString()
    const wanted = readWanted(['--from', hour(-1), '--until', hour(1), ...written])
    const count = await webhooksReplayCommand(config, database.url, wanted, (line) => printed.push(line))
    await wallets.bursar.quiet()
    return count
  }

  test('makes up for what could not be looked up when the webhooks came', async () => {
    await wallets.mock.webhooks({ mode: 'hold' })
    const deposit = await waitsAt('mock')
    await pay(deposit)
    await wallets.mock.mood('GET /charges', 'fail', 100)
    await wallets.mock.webhooks({ mode: 'send' })
    await wallets.mock.release()
    await wallets.bursar.quiet()
    expect(await wallets.transaction(deposit.transaction)).toMatchObject({ status: 'PENDING' })
    await wallets.mock.behave()
    expect(await replay('--gateway', 'mock', '--status', 'parked')).toBe(0)
    expect(await wallets.transaction(deposit.transaction)).toMatchObject({ status: 'PENDING' })
    expect(await replay('--gateway', 'mock', '--status', 'processed')).toBeGreaterThan(0)
    await creditedOnce(deposit)
  })

  test('of everything changes nothing that was done', async () => {
    const settled = await wallets.bursar.transfers('deposit.settle')
    const before = await filed()
    const { rows } = await wallets.bursar.pool.query('select count(*)::int from webhook')
    expect(await replay()).toBe(rows[0].count)
    expect(printed.at(-1)).toBe(`${rows[0].count} webhooks are worked on once more`)
    expect(await wallets.bursar.transfers('deposit.settle')).toBe(settled)
    expect(await filed()).toEqual(before)
    expect(await wallets.unfinished()).toEqual([])
  })

  test('says what it does not understand', () => {
    expect(() => readWanted(['--from', 'yesterday', '--until', '2026-11-21'])).toThrow(/--from takes a day/)
    expect(() => readWanted(['--from', '2026-11-22', '--until', '2026-11-21'])).toThrow(/--until must be after --from/)
    expect(() => readWanted(['--gateway', 'paypal', '--from', '2026-11-20', '--until', '2026-11-21'])).toThrow(
      /--gateway/,
    )
    expect(() => readWanted(['--until', '2026-11-21', '--loudly'])).toThrow(/loudly/)
  })
})

describe('a webhook that nobody ever knows', () => {
  test('is tried ever more rarely and ignored after more than a week', async () => {
    const stray = mockEvent('charge.captured', {
      object: 'charge',
      payment_id: 'mock_payment_9999',
      reference: randomUUID(),
    })
    expect((await wallets.tell(stray)).status).toBe(200)
    await wallets.bursar.quiet()
    const since = wallets.bursar.clock.now().getTime()
    let tried = 0
    while ((await inbox(stray)).status === 'parked' && tried < 50) {
      const { try_at } = await inbox(stray)
      wallets.bursar.clock.advance({ seconds: (try_at.getTime() - wallets.bursar.clock.now().getTime()) / 1_000 + 1 })
      tried += await wallets.unpark()
    }
    expect(await inbox(stray)).toMatchObject({ status: 'ignored', try_at: null })
    const days = (wallets.bursar.clock.now().getTime() - since) / 86_400_000
    expect(days).toBeGreaterThan(7)
    expect(days).toBeLessThan(10)
    expect(tried).toBeLessThan(20)
    expect(await wallets.unpark()).toBe(0)
  })
})
