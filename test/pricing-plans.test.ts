import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { monthOf, nextMonth } from '../src/kit/months.ts'
import { type Answer, Deployment } from './support/deployment.ts'
import { moveToMidMonth } from './support/tokens.ts'

const BILLING = '/api/v1/billing'
const ADMIN = { as: 'ada', roles: ['admin'] } as const

describe('plans and metrics', () => {
  let bursar: Deployment
  let month: string

  beforeAll(async () => {
    bursar = await Deployment.start()
    moveToMidMonth(bursar.clock)
    month = monthOf(bursar.clock.now(), 'UTC')
  })
  afterAll(() => bursar.stop())

  const plans = async (): Promise<Map<string, Answer['body']>> => {
    const { body } = await bursar.get(`${BILLING}/plans`, { as: 'anybody' })
    return new Map(body.plans.map((plan: Answer['body']) => [plan.plan, plan]))
  }
  const declare = (metric: string, aggregation: string) =>
    bursar.do('PUT', `${BILLING}/metrics/${metric}`, { aggregation, unit: 'piece', description: 'Pieces' }, ADMIN)
  const makePlan = (plan: string, cycle = 'none') =>
    bursar.do('PUT', `${BILLING}/plans/${plan}`, { name: 'A plan', cycle, features: 'Some' }, ADMIN)
  const price = (plan: string, body: Record<string, unknown>) =>
    bursar.do('POST', `${BILLING}/plans/${plan}/prices`, { currency: 'usd', ...body }, ADMIN)
  const perUnit = (unit_amount: string, starts_on: string) => ({
    metric: 'api_calls',
    starts_on,
    model: 'per_unit',
    terms: { unit_amount },
  })

  test('are Free, Pro and Enterprise at the beginning, priced in every currency', async () => {
    const known = await plans()
    expect([...known.keys()]).toEqual(['enterprise', 'free', 'pro'])
    const pro = known.get('pro')
    expect(pro).toMatchObject({ name: 'Pro', cycle: 'monthly' })
    expect(pro.prices.filter(({ currency }: { currency: string }) => currency === 'USD')).toMatchObject([
      { metric: null, label: 'Pro', model: 'flat', terms: { amount: '29.99' } },
      { metric: 'api_calls', model: 'per_unit', terms: { free_units: '50000', unit_amount: '0.001' } },
    ])
    const currencies = new Set(pro.prices.map(({ currency }: { currency: string }) => currency))
    expect([...currencies].toSorted()).toEqual(['EUR', 'INR', 'JPY', 'KWD', 'NGN', 'USD'])
  })

  test('that are new can be used and paid by at once', async () => {
    expect((await declare('pieces', 'sum')).body).toEqual({ success: true, metric: 'pieces', aggregation: 'sum' })
    expect((await makePlan('pieces_only')).status).toBe(200)
    const tiers = [
      { up_to: 10, unit_amount: '0.5' },
      { up_to: null, unit_amount: 0.25 },
    ]
    const set = await price('pieces_only', {
      metric: 'pieces',
      starts_on: `${month}-01`,
      model: 'graduated',
      terms: { tiers },
    })
    expect([set.status, set.body]).toMatchObject([200, { starts_on: `${month}-01` }])
    await bursar.do('POST', `${BILLING}/usage`, { metric: 'pieces', quantity: 1 }, { as: 'piet' })
    await bursar.pool.query(`update billing_customer set plan = 'pieces_only' where id = 'piet'`)
    await bursar.do('POST', `${BILLING}/usage`, { metric: 'pieces', quantity: 11 }, { as: 'piet' })
    const { body } = await bursar.get(`${BILLING}/usage`, { as: 'piet' })
    expect(body).toMatchObject({ plan: 'pieces_only', expected_cost: 5.5, lines: [{ quantity: 12, unit_price: null }] })
  })

  test('keep the price of a month that has begun', async () => {
    for (const day of [`${month}-01`, '2020-01-01']) {
      const { status, body } = await price('pro', perUnit('1', day))
      expect([status, body.code]).toEqual([409, 'price.begun'])
    }
    expect((await price('pro', perUnit('0.5', `${nextMonth(month)}-01`))).status).toBe(200)
    expect((await price('pro', perUnit('0.75', `${nextMonth(month)}-01`))).status).toBe(200) // thought better of
    await bursar.do('POST', `${BILLING}/usage`, { metric: 'api_calls', quantity: 50_010 }, { as: 'pia' })
    await bursar.pool.query(`update billing_customer set plan = 'pro' where id = 'pia'`)
    const { body } = await bursar.get(`${BILLING}/usage`, { as: 'pia' })
    expect(body).toMatchObject({ expected_cost: 30, lines: [{ amount: 29.99 }, { amount: 0.01 }] })
    const starts = (await plans())
      .get('pro')
      .prices.filter((one: Answer['body']) => one.metric && one.currency === 'USD')
    expect(starts.map((one: Answer['body']) => [one.starts_on, one.terms.unit_amount])).toEqual([
      ['2000-01-01', '0.001'],
      [`${nextMonth(month)}-01`, '0.75'],
    ])
  })

  test('are refused by name where something is missing or would change what was promised', async () => {
    expect((await price('nowhere', perUnit('1', '2099-01-01'))).body.code).toBe('price.noPlan')
    expect((await price('pro', { ...perUnit('1', '2099-01-01'), metric: 'nothing' })).body.code).toBe('price.noMetric')
    await declare('counted', 'count')
    expect((await declare('counted', 'sum')).body.code).toBe('metric.countedOtherwise')
    await bursar.do('POST', `${BILLING}/usage`, { metric: 'api_calls' }, { as: 'somebody' })
    expect((await makePlan('free', 'monthly')).body.code).toBe('plan.cycleInUse')
    expect((await makePlan('free')).status).toBe(200)
  })

  test.each([
    ['without the terms of its model', { model: 'package', terms: { package_size: 10 } }, 'package_amount is required'],
    [
      'with those of another',
      { model: 'per_unit', terms: { unit_amount: 1, tiers: [{ up_to: null, unit_amount: 1 }] } },
      'tiers is not for per_unit',
    ],
    [
      'of packages that hold nothing',
      { model: 'package', terms: { package_size: '0', package_amount: 1 } },
      'package_size must be greater than 0',
    ],
    [
      'whose tiers fall',
      {
        model: 'volume',
        terms: {
          tiers: [
            { up_to: 9, unit_amount: 1 },
            { up_to: 9, unit_amount: 1 },
            { up_to: null, unit_amount: 1 },
          ],
        },
      },
      'tiers must have growing limits above 0, and the last one none',
    ],
    [
      'whose last tier ends',
      { model: 'graduated', terms: { tiers: [{ up_to: 9, unit_amount: 1 }] } },
      'tiers must have growing limits above 0, and the last one none',
    ],
    [
      'that is flat and of a metric',
      { model: 'flat', terms: { amount: 1 } },
      'flat is for a plan’s own fee, which has no metric, and for nothing else',
    ],
  ])('a price %s is refused at the door', async (_, wrong, message) => {
    const { status, body } = await price('pro', { metric: 'api_calls', starts_on: '2099-01-01', ...wrong })
    expect(status).toBe(422)
    expect(body.detail.map(({ msg }: { msg: string }) => msg)).toContain(message)
  })

  test('a price below 0, or finer than it can be kept, is refused at the door', async () => {
    for (const unit_amount of [-1, '-0.1', '0.0000000001', 'a', 1e30])
      expect((await price('pro', { ...perUnit('1', '2099-01-01'), terms: { unit_amount } })).status).toBe(422)
    expect((await declare('Not a code', 'sum')).status).toBe(422)
  })

  test('a price from a day that nobody can have meant is refused at the door', async () => {
    for (const day of ['0000-01-01', '1999-12-31', '2200-01-01', '2026-02-30'])
      expect((await price('pro', perUnit('1', day))).status, day).toBe(422)
  })
})
