import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { moveTo } from './support/tokens.ts'
import { funded, purse, refund, setKyc, withdraw } from './support/wallet-moves.ts'
import { BACKEND, Wallets } from './support/wallets.ts'

let wallets: Wallets

beforeAll(async () => {
  wallets = await Wallets.start()
  await wallets.midMonth()
})
afterAll(() => wallets.stop())

const DAY_SECONDS = 86_400

const put = (user: string, amount: number | string, more: Record<string, unknown> = {}) =>
  wallets.deposit(user, { amount, gateway: 'mock', ...more })

const used = async (user: string, currency = 'INR') => {
  const { daily_used: daily, monthly_used: monthly } = await wallets.balance(user, currency)
  return { daily, monthly }
}

const kycOf = (user: string, asking: Parameters<typeof setKyc>[3] = { as: user }) =>
  wallets.bursar.get(`/api/v1/users/${user}/kyc`, asking)

/** Takes everything that a BASIC user may move in one day. */
async function exhaustDay(user: string): Promise<void> {
  for (const amount of [5_000, 5_000]) expect((await put(user, amount)).status).toBe(200)
}

const isOverDay = { code: 'PAY_005', refusal: 'payment.overDailyLimit' }

test.each([
  ['with a control character', 'a%01b'],
  ['longer than any name', 'a'.repeat(256)],
])('nobody is verified under a name %s', async (_what, name) => {
  const asked = await setKyc(wallets, name, { level: 'ADVANCED' })
  expect(asked).toMatchObject({ status: 422, body: { detail: [{ loc: ['path', 'user_id'] }] } })
})

describe('limits of a transaction, a day and a month', () => {
  test.each([
    ['BASIC', '5000.00', '10000.00', '100000.00'],
    ['INTERMEDIATE', '25000.00', '50000.00', '1000000.00'],
    ['ADVANCED', '100000.00', '500000.00', '5000000.00'],
  ])('are as tabled at level %s', async (level, single, daily, monthly) => {
    const user = wallets.user()
    // Nobody has to be verified to be BASIC.
    if (level !== 'BASIC') expect((await setKyc(wallets, user, { level })).status).toBe(200)
    expect((await kycOf(user)).body).toMatchObject({
      user_id: user,
      level,
      limits: { INR: { single_transaction: single, daily_limit: daily, monthly_limit: monthly } },
    })
    expect(await wallets.balance(user)).toMatchObject({
      single_transaction_limit: single,
      daily_limit: daily,
      monthly_limit: monthly,
      daily_remaining: daily,
      monthly_remaining: monthly,
      kyc_level: level,
    })
    const over = await put(user, `${Number(single)}.01`)
    expect(over.status).toBe(400)
    expect(over.body).toMatchObject({ error: 'LimitExceeded', code: 'PAY_005', refusal: 'payment.overSingleLimit' })
    expect(over.body.message).toContain(`${single} INR`)
    expect(over.body.message).toContain(level)
    expect(await used(user)).toEqual({ daily: '0.00', monthly: '0.00' })
    expect((await put(user, single)).status).toBe(200)
  })

  test('refuse what would pass the day’s, with what is left of it', async () => {
    const user = wallets.user()
    await put(user, 5_000)
    await put(user, '4999.99')
    const over = await put(user, '0.02')
    expect(over.status).toBe(400)
    expect(over.body).toMatchObject({ error: 'LimitExceeded', ...isOverDay })
    expect(over.body.message).toBe('The daily limit is 10000.00 INR, of which 0.01 is left today.')
    expect((await put(user, '0.01')).status).toBe(200)
    expect(await wallets.balance(user)).toMatchObject({ daily_used: '10000.00', daily_remaining: '0.00' })
  })

  test('refuse what would pass the month’s, and begin anew with the next day and month', async () => {
    const user = wallets.user()
    for (let day = 0; day < 10; day++) {
      await exhaustDay(user)
      wallets.bursar.clock.advance({ seconds: DAY_SECONDS })
    }
    expect(await wallets.balance(user)).toMatchObject({
      daily_used: '0.00',
      daily_remaining: '10000.00',
      monthly_used: '100000.00',
      monthly_remaining: '0.00',
    })
    const over = await put(user, 1)
    expect(over.body).toMatchObject({ code: 'PAY_005', refusal: 'payment.overMonthlyLimit' })
    expect(over.body.message).toBe('The monthly limit is 100000.00 INR, of which 0.00 is left this month.')
    await wallets.midMonth()
    expect(await used(user)).toEqual({ daily: '0.00', monthly: '0.00' })
    expect((await put(user, 1)).status).toBe(200)
  })

  test('are those of each currency by itself', async () => {
    const user = wallets.user()
    await exhaustDay(user)
    expect((await put(user, 1)).body).toMatchObject(isOverDay)
    expect((await put(user, 60, { currency: 'USD' })).status).toBe(200)
    expect((await put(user, '60.01', { currency: 'USD' })).body.message).toContain('60.00 USD')
    expect((await put(user, 9_000, { currency: 'JPY' })).status).toBe(200)
    expect((await put(user, '18.000', { currency: 'KWD' })).status).toBe(200)
    expect(await used(user, 'USD')).toEqual({ daily: '60.00', monthly: '60.00' })
    expect(await used(user, 'JPY')).toEqual({ daily: '9000.00', monthly: '9000.00' })
    expect(await used(user, 'KWD')).toEqual({ daily: '18.000', monthly: '18.000' })
  })

  test('count deposits and withdrawals together, and refunds not at all', async () => {
    const user = wallets.user()
    const account = await wallets.addMethod(user, 'mock', 'mock_account', 'BANK_TRANSFER')
    const { body: deposit } = await put(user, 5_000)
    expect((await withdraw(wallets, user, { amount: 3_000, payment_method_id: account })).status).toBe(200)
    expect(await used(user)).toEqual({ daily: '8000.00', monthly: '8000.00' })
    const over = await withdraw(wallets, user, { amount: '2000.00', payment_method_id: account })
    expect(over.status).toBe(200)
    const more = await put(user, 1)
    expect(more.body).toMatchObject(isOverDay)
    expect((await refund(wallets, deposit.transaction_id, { amount: '0' })).status).toBe(422)
    const rich = await funded(wallets, 100)
    const [first] = await wallets.transactions(rich, 'DEPOSIT')
    expect((await refund(wallets, first.id)).body).toMatchObject({ status: 'COMPLETED' })
    expect(await used(rich)).toEqual({ daily: '100.00', monthly: '100.00' })
  })

  test('hold for withdrawals, too: first what is there, then what may be moved', async () => {
    const user = await funded(wallets, 20_000)
    await setKyc(wallets, user, { level: 'BASIC' })
    wallets.bursar.clock.advance({ seconds: DAY_SECONDS })
    const account = await wallets.addMethod(user, 'mock', 'mock_account', 'BANK_TRANSFER')
    const ask = (amount: number) => withdraw(wallets, user, { amount, payment_method_id: account })
    expect((await ask(5_001)).body).toMatchObject({ code: 'PAY_005', refusal: 'payment.overSingleLimit' })
    expect((await ask(5_000)).status).toBe(200)
    expect((await ask(5_000)).status).toBe(200)
    expect((await ask(1)).body).toMatchObject(isOverDay)
    // Nothing is set aside by what was refused.
    expect(await purse(wallets, user)).toEqual({ balance: '10000.00', locked: '0.00', available: '10000.00' })
  })

  test('are given back when a movement comes to nothing, to the day from which they were taken', async () => {
    const user = wallets.user()
    const declined = await wallets.addMethod(user, 'mock', 'mock_decline')
    expect((await put(user, 5_000, { payment_method_id: declined })).status).toBe(402)
    expect(await used(user)).toEqual({ daily: '0.00', monthly: '0.00' })

    const slow = await wallets.addMethod(user, 'mock', 'mock_3ds')
    const { body: forgotten } = await put(user, 4_000, { payment_method_id: slow })
    expect(forgotten.status).toBe('PENDING')
    expect(await used(user)).toEqual({ daily: '4000.00', monthly: '4000.00' })
    wallets.bursar.clock.advance({ seconds: DAY_SECONDS + 60 })
    await put(user, 1_000)
    expect(await used(user)).toEqual({ daily: '1000.00', monthly: '5000.00' })
    await wallets.follow()
    expect((await wallets.transaction(forgotten.transaction_id)).status).toBe('EXPIRED')
    expect(await used(user)).toEqual({ daily: '1000.00', monthly: '1000.00' })
  })

  test('are taken before a gateway is asked: of many at once no more pass than may', async () => {
    const user = wallets.user()
    const answers = await Promise.all(Array.from({ length: 12 }, () => put(user, '2500.00')))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(4)
    for (const { body } of answers.filter(({ status }) => status !== 200)) expect(body).toMatchObject(isOverDay)
    expect(await used(user)).toEqual({ daily: '10000.00', monthly: '10000.00' })
    expect((await purse(wallets, user)).balance).toBe('10000.00')
  })
})

describe('a user’s day and month', () => {
  /** The next day of the clock on which it is this time in UTC. */
  const nextAt = (hours: number, minutes: number): Date => {
    const now = wallets.bursar.clock.now()
    return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() + 1, hours, minutes))
  }

  test.each([
    ['Pacific/Kiritimati', 'UTC+14', 10],
    ['Pacific/Pago_Pago', 'UTC−11', 11],
    ['Asia/Kathmandu', 'UTC+5:45', 18.25],
  ])('begin at their own midnight (%s, %s)', async (timeZone, _offset, utcHour) => {
    const user = wallets.user()
    const { body } = await setKyc(wallets, user, { level: 'BASIC', time_zone: timeZone })
    expect(body).toMatchObject({ time_zone: timeZone })
    const midnight = nextAt(Math.floor(utcHour), (utcHour % 1) * 60)
    moveTo(wallets.bursar.clock, new Date(midnight.getTime() - 60_000))
    await exhaustDay(user)
    expect((await put(user, 1)).body).toMatchObject(isOverDay)
    moveTo(wallets.bursar.clock, new Date(midnight.getTime() + 1_000))
    expect((await used(user)).daily).toBe('0.00')
    await exhaustDay(user)
    expect((await put(user, 1)).body).toMatchObject(isOverDay)
  })

  test('of the month end at their own midnight: it is next month in the east while it is still this one in the west', async () => {
    const now = wallets.bursar.clock.now()
    const firstOfNext = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1)
    const zones = ['Pacific/Kiritimati', 'UTC', 'Pacific/Pago_Pago']
    const users = await Promise.all(
      zones.map(async (time_zone) => {
        const user = wallets.user()
        await setKyc(wallets, user, { level: 'BASIC', time_zone })
        return user
      }),
    )
    const monthly = () => Promise.all(users.map(async (user) => (await used(user)).monthly))
    moveTo(wallets.bursar.clock, new Date(firstOfNext - 15 * 3_600_000))
    for (const user of users) await put(user, 100)
    expect(await monthly()).toEqual(['100.00', '100.00', '100.00'])
    moveTo(wallets.bursar.clock, new Date(firstOfNext - 13 * 3_600_000))
    expect(await monthly()).toEqual(['0.00', '100.00', '100.00'])
    moveTo(wallets.bursar.clock, new Date(firstOfNext + 3_600_000))
    expect(await monthly()).toEqual(['0.00', '0.00', '100.00'])
    moveTo(wallets.bursar.clock, new Date(firstOfNext + 12 * 3_600_000))
    expect(await monthly()).toEqual(['0.00', '0.00', '0.00'])
  })

  /** The last Sunday of a month: nights in which European clocks are changed. */
  const lastSunday = (month: number): number => {
    const now = wallets.bursar.clock.now()
    const last = new Date(Date.UTC(now.getUTCFullYear() + 1, month + 1, 0))
    return last.getTime() - last.getUTCDay() * DAY_SECONDS * 1_000
  }

  test.each([
    ['of 23 hours in spring', 2, -1, 22],
    ['of 25 hours in autumn', 9, -2, 23],
  ])('%s is one day (Europe/Berlin)', async (_title, month, firstHour, nextHour) => {
    const user = wallets.user()
    await setKyc(wallets, user, { level: 'BASIC', time_zone: 'Europe/Berlin' })
    const sunday = lastSunday(month)
    const at = (hours: number, minutes: number) =>
      moveTo(wallets.bursar.clock, new Date(sunday + (hours * 60 + minutes) * 60_000))
    at(firstHour, -5)
    await put(user, 3_000)
    at(firstHour, 1)
    expect((await used(user)).daily).toBe('0.00')
    await put(user, 5_000)
    at(nextHour, -2)
    await put(user, 5_000)
    expect((await put(user, 1)).body).toMatchObject(isOverDay)
    at(nextHour, 1)
    expect((await used(user)).daily).toBe('0.00')
    expect((await put(user, 5_000)).status).toBe(200)
  })
})

describe('the level of verification', () => {
  test('holds from its own time on, and not before', async () => {
    const user = wallets.user()
    const startsAt = new Date(wallets.bursar.clock.now().getTime() + 3_600_000)
    const { status, body } = await setKyc(wallets, user, { level: 'advanced', starts_at: startsAt.toISOString() })
    expect(status, JSON.stringify(body)).toBe(200)
    expect(body).toEqual({ user_id: user, level: 'ADVANCED', starts_at: startsAt.toISOString(), time_zone: 'UTC' })
    expect((await kycOf(user)).body).toMatchObject({ level: 'BASIC', since: null })
    expect((await put(user, 5_001)).body).toMatchObject({ code: 'PAY_005' })
    wallets.bursar.clock.advance({ seconds: 3_601 })
    expect((await kycOf(user)).body).toMatchObject({ level: 'ADVANCED', since: startsAt.toISOString() })
    expect((await put(user, 5_001)).status).toBe(200)
  })

  test('that is lowered leaves nothing where more was used, and never less than nothing', async () => {
    const user = await funded(wallets, 60_000)
    await setKyc(wallets, user, { level: 'BASIC' })
    expect(await wallets.balance(user)).toMatchObject({
      daily_limit: '10000.00',
      daily_used: '60000.00',
      daily_remaining: '0.00',
      monthly_remaining: '40000.00',
    })
    expect((await put(user, 1)).body.message).toContain('0.00 is left today')
    await setKyc(wallets, user, { level: 'INTERMEDIATE' })
    expect(await wallets.balance(user)).toMatchObject({ kyc_level: 'INTERMEDIATE', daily_remaining: '0.00' })
  })

  test('set twice for the same instant is the one that was said last', async () => {
    const user = wallets.user()
    const starts_at = wallets.bursar.clock.now().toISOString()
    for (const level of ['ADVANCED', 'INTERMEDIATE']) await setKyc(wallets, user, { level, starts_at })
    expect((await kycOf(user)).body).toMatchObject({ level: 'INTERMEDIATE', since: starts_at })
  })

  test('is set by administrators only, and read by its user and by back ends', async () => {
    const user = wallets.user()
    for (const roles of [['user'], ['service'], ['operator']] as const) {
      expect((await setKyc(wallets, user, { level: 'ADVANCED' }, { as: user, roles })).status, roles[0]).toBe(403)
    }
    expect((await setKyc(wallets, user, { level: 'ADVANCED' }, {})).status).toBe(401)
    expect((await kycOf(user)).body.level).toBe('BASIC')
    expect((await kycOf(user, BACKEND)).status).toBe(200)
    expect((await kycOf(user, { as: wallets.user() })).status).toBe(403)
    expect((await kycOf(user, {})).status).toBe(401)
  })

  test('is one of three, from a time that is one, in a zone that there is', async () => {
    const user = wallets.user()
    for (const body of [
      {},
      { level: 'GOLD' },
      { level: 'BASIC', starts_at: 'tomorrow' },
      { level: 'BASIC', time_zone: 'Mars/Olympus' },
    ])
      expect((await setKyc(wallets, user, body)).status, JSON.stringify(body)).toBe(422)
  })
})

describe('the balance route', () => {
  test('answers the documented example, field by field', async () => {
    const user = wallets.user()
    await wallets.midMonth()
    await put(user, 1_000)
    wallets.bursar.clock.advance({ seconds: DAY_SECONDS })
    const { body: deposit } = await put(user, 500)
    await wallets.mock.mood('POST /refunds', 'stay_pending')
    expect((await refund(wallets, deposit.transaction_id, { amount: 200 })).body).toMatchObject({ status: 'PENDING' })
    const { status, body } = await wallets.bursar.get('/api/v1/payments/wallet/balance', { as: user })
    expect(status).toBe(200)
    const { single_transaction_limit, kyc_level, currency, ...documented } = body
    expect(documented).toEqual({
      balance: '1500.00',
      locked_balance: '200.00',
      available_balance: '1300.00',
      daily_limit: '10000.00',
      daily_used: '500.00',
      daily_remaining: '9500.00',
      monthly_limit: '100000.00',
      monthly_used: '1500.00',
      monthly_remaining: '98500.00',
    })
    expect({ single_transaction_limit, kyc_level, currency }).toEqual({
      single_transaction_limit: '5000.00',
      kyc_level: 'BASIC',
      currency: 'INR',
    })
  })

  test('answers nothing of another user, and an empty wallet for one who never had any', async () => {
    const user = wallets.user()
    const path = '/api/v1/payments/wallet/balance'
    expect((await wallets.bursar.get(path)).status).toBe(401)
    expect((await wallets.bursar.get(`${path}?user_id=${wallets.user()}`, { as: user })).status).toBe(403)
    expect((await wallets.bursar.get(`${path}?currency=XXX`, { as: user })).status).toBe(422)
    expect((await wallets.bursar.get(`${path}?currency=jpy`, { as: user })).body).toMatchObject({
      balance: '0.00',
      available_balance: '0.00',
      daily_used: '0.00',
      currency: 'JPY',
    })
  })
})

test('after all of this the books are in order', () => wallets.expectAllInOrder())
