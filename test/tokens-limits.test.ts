import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Answer, Deployment, onBothBackends } from './support/deployment.ts'
import { moved, moveTo, moveToMidMonth, tally } from './support/tokens.ts'

describe('What a voice may have', () => {
  let bursar: Deployment
  beforeAll(async () => {
    bursar = await Deployment.start()
    moveToMidMonth(bursar.clock)
  })
  afterAll(() => bursar.stop())

  const ask = (budget: number, voiceId: string): Promise<Answer> =>
    bursar.do('POST', '/token', { budget, voice_id: voiceId })
  const tomorrow = () => bursar.clock.advance({ seconds: 86_400 })

  async function expectRefused(budget: number, voiceId: string, code: string, detail: string): Promise<void> {
    const before = await bursar.transfers('token.issue')
    const { status, body } = await ask(budget, voiceId)
    expect({ status, code: body.code, detail: body.detail }).toEqual({ status: 400, code, detail })
    expect(body.error).toBe('BudgetLimitExceeded')
    expect(await bursar.transfers('token.issue')).toBe(before)
  }

  test('by default 500 in one token and 1000 in one day', async () => {
    const voice = 'usual_voice'
    await expectRefused(501, voice, 'token.overTransactionLimit', 'Budget exceeds transaction limit of 500')
    await bursar.issue(500, voice)
    await bursar.issue(499, voice)
    await expectRefused(2, voice, 'token.overDailyLimit', 'Budget exceeds daily limit of 1000: 1 left today (UTC)')
    await bursar.issue(1, voice)
    await expectRefused(1, voice, 'token.overDailyLimit', 'Budget exceeds daily limit of 1000: 0 left today (UTC)')
  })

  test('by default 10000 in one month, and again from the first of the next', async () => {
    const voice = 'busy_voice'
    for (let day = 0; day < 10; day++) {
      await bursar.issue(500, voice)
      await bursar.issue(500, voice)
      tomorrow()
    }
    const detail = 'Budget exceeds monthly limit of 10000: 0 left this month (UTC)'
    await expectRefused(1, voice, 'token.overMonthlyLimit', detail)

    moveToMidMonth(bursar.clock)
    await bursar.issue(500, voice)
  })

  test('what the voice service says, where it says something', async () => {
    const voice = 'limits_700_800_900_carol'
    await expectRefused(701, voice, 'token.overTransactionLimit', 'Budget exceeds transaction limit of 700')
    await bursar.issue(700, voice)
    await expectRefused(101, voice, 'token.overDailyLimit', 'Budget exceeds daily limit of 800: 100 left today (UTC)')
    await bursar.issue(100, voice)
    tomorrow()
    const detail = 'Budget exceeds monthly limit of 900: 100 left this month (UTC)'
    await expectRefused(101, voice, 'token.overMonthlyLimit', detail)
    await bursar.issue(100, voice)
  })

  test('each voice for itself', async () => {
    await bursar.issue(500, 'first_voice')
    await bursar.issue(500, 'first_voice')
    await bursar.issue(500, 'second_voice')
  })

  test('refused requests use nothing of it, whichever limit they were over', async () => {
    const voice = 'limits_600_1000_1000_dave'
    expect((await ask(601, voice)).status).toBe(400)
    await bursar.issue(600, voice)
    expect((await ask(500, voice)).status).toBe(400)
    await bursar.issue(400, voice)
    tomorrow()
    expect((await ask(1, voice)).body.code).toBe('token.overMonthlyLimit')
  })

  test('what was budgeted counts, spent or not: a token that was revoked gives no allowance back', async () => {
    const voice = 'hesitant_voice'
    const token = await bursar.issue(500, voice)
    await bursar.issue(500, voice)
    expect((await bursar.do('DELETE', `/token/${token}`)).body.returned).toBe(500)
    expect((await ask(1, voice)).body.code).toBe('token.overDailyLimit')
  })

  test('a day ends at midnight UTC, a month with its last day', async () => {
    const voice = 'limits_500_500_600_erin'
    const now = bursar.clock.now()
    /** A time of a day of the next month; day 0 is the last of this one. */
    const moveToDay = (day: number, hour: number, minute: number) =>
      moveTo(bursar.clock, new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, day, hour, minute)))

    moveToDay(-1, 23, 50)
    await bursar.issue(500, voice)
    expect((await ask(1, voice)).body.code).toBe('token.overDailyLimit')
    moveToDay(0, 0, 0)
    await bursar.issue(100, voice)
    moveToDay(0, 23, 50)
    expect((await ask(1, voice)).body.code).toBe('token.overMonthlyLimit')
    moveToDay(1, 0, 0)
    await bursar.issue(500, voice)
  })
})

onBothBackends('Twenty requests of 100 at once, where 1000 are left', (backend) => {
  let bursar: Deployment
  beforeAll(async () => {
    bursar = await Deployment.start({ backend })
    moveToMidMonth(bursar.clock)
  })
  afterAll(() => bursar.stop())

  const twenty = (voiceId: string) =>
    Promise.all(Array.from({ length: 20 }, () => bursar.do('POST', '/token', { budget: 100, voice_id: voiceId })))

  test('in the day: exactly ten are issued, and ten again on the next', async () => {
    expect(tally(await twenty('crowded_voice'))).toEqual({ 200: 10, 400: 10 })
    expect(await moved(bursar, 'token.issue')).toBe(1_000)

    bursar.clock.advance({ seconds: 86_400 })
    expect(tally(await twenty('crowded_voice'))).toEqual({ 200: 10, 400: 10 })
    expect(await moved(bursar, 'token.issue')).toBe(2_000)
    await bursar.expectCleanBooks()
  })

  test('in the month: exactly ten are issued', async () => {
    const before = await moved(bursar, 'token.issue')
    const answers = await twenty('limits_500_5000_1000_frank')
    expect(tally(answers)).toEqual({ 200: 10, 400: 10 })
    const codes = answers.flatMap(({ status, body }) => (status === 400 ? [body.code] : []))
    expect(new Set(codes)).toEqual(new Set(['token.overMonthlyLimit']))
    expect((await moved(bursar, 'token.issue')) - before).toBe(1_000)
  })
})
