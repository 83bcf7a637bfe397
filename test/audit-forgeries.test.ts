import { expect, test } from 'vitest'
import { forgeryReports } from '../src/api/security.ts'
import type { Intake } from '../src/jobs/intake.ts'
import type { Log } from '../src/platform/log.ts'
import { MovableClock } from './support/clock.ts'

/** What was submitted, and what was logged. The clock stands at the beginning of a minute. */
function desk(submit: Intake['submit'] = async () => ({}) as never) {
  const submitted: Parameters<Intake['submit']>[0][] = []
  const warned: string[] = []
  const clock = new MovableClock()
  clock.advance({ seconds: 60 - ((clock.now().getTime() / 1_000) % 60) })
  const intake = {
    submit: (one: Parameters<Intake['submit']>[0]) => {
      submitted.push(one)
      return submit(one)
    },
  } as Intake
  const log = { warn: (_fields: object, message: string) => warned.push(message) } as unknown as Log
  return { report: forgeryReports({ intake, clock, log }), submitted, warned, clock }
}

const forgery = { gateway: 'mock', ip: '203.0.113.66', reason: 'forged' }

test('a forged webhook is one event, one from the wrong address another', () => {
  const { report, submitted } = desk()
  report(forgery)
  report({ ...forgery, reason: 'address_not_allowed' })
  expect(submitted.map(({ kind, input }) => [kind, input.event_type, input.indicators])).toEqual([
    ['security.record', 'webhook_forged', ['forged', 'gateway_mock']],
    ['security.record', 'webhook_refused', ['address_not_allowed', 'gateway_mock']],
  ])
})

test('a flood of them is told a hundred and twenty times a minute, and once that there are more', () => {
  const { report, submitted, warned, clock } = desk()
  for (let one = 0; one < 1_000; one++) report(forgery)
  expect(submitted).toHaveLength(120)
  expect(warned).toEqual([expect.stringMatching(/^A flood of forged webhooks/)])
  clock.advance({ seconds: 60 })
  report(forgery)
  expect(submitted).toHaveLength(121)
})

test('one that cannot be taken in is a line in the log', async () => {
  const { report, warned } = desk(() => Promise.reject(new Error('Overloaded')))
  report(forgery)
  await expect.poll(() => warned).toEqual(['A forged webhook could not be recorded'])
})
