import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { kinds } from '../src/jobs/catalogue.ts'
import { GATEWAY_RETRY, LEDGER_RETRY } from '../src/jobs/kind.ts'
import { Fault } from '../src/kit/fault.ts'
import { StuckJob, waitBeforeTry } from '../src/processors/run-job.ts'
import type { Processor } from '../src/processors/shapes/processor.ts'
import { tokenDeduct } from '../src/processors/tokens/deduct.ts'
import { Workshop } from './support/workshop.ts'

let workshop: Workshop
beforeAll(async () => {
  workshop = await Workshop.open()
})
afterAll(() => workshop.close())
beforeEach(() => {
  workshop.logged.length = 0
})

const deductions = (tokenId: string, howMany: number) =>
  Promise.all(Array.from({ length: howMany }, () => workshop.submit('token.deduct', { token_id: tokenId, amount: 1 })))

describe('A job that is delivered more than once', () => {
  test('late, it says that everything was done already and takes nothing', async () => {
    const token = await workshop.issue(100)
    const ids = await deductions(token, 30)
    expect(await workshop.run('token.deduct', ids)).toMatchObject({ succeeded: 30, already_done: 0 })
    expect(await workshop.run('token.deduct', ids)).toEqual({ succeeded: 0, refused: {}, stuck: [], already_done: 30 })
    expect(await workshop.balance(token)).toBe(70)
  })

  test('five times at once, each deduction is taken once', async () => {
    const token = await workshop.issue(100)
    const ids = await deductions(token, 30)
    const reports = await Promise.all([1, 2, 3, 4, 5].map(() => workshop.run('token.deduct', ids)))
    expect(reports.reduce((sum, { succeeded }) => sum + succeeded, 0)).toBe(30)
    expect(reports.reduce((sum, { already_done }) => sum + already_done, 0)).toBe(4 * 30)
    expect(await workshop.balance(token)).toBe(70)
  })

  test('twice at once, one issue gives one token', async () => {
    const id = await workshop.submit('token.issue', { budget: 5, voice_id: 'voice_twice' })
    const reports = await Promise.all([1, 2, 3].map(() => workshop.run('token.issue', [id])))
    reports.push(await workshop.run('token.issue', [id]))
    expect(reports.reduce((sum, { succeeded }) => sum + succeeded, 0)).toBe(1)
    const { rows } = await workshop.pool.query('select status from token where operation_id = $1', [id])
    expect(rows).toEqual([{ status: 'active' }])
  })

  test('with operations that another job has refused, the refusal stands', async () => {
    const token = await workshop.issue(1)
    const ids = await deductions(token, 2)
    await workshop.run('token.deduct', ids)
    const before = await Promise.all(ids.map((id) => workshop.operation(id)))
    expect(before.map(({ status }) => status)).toEqual(['succeeded', 'failed'])
    expect(await workshop.run('token.deduct', ids.toReversed())).toMatchObject({ already_done: 2 })
    expect(await Promise.all(ids.map((id) => workshop.operation(id)))).toEqual(before)
  })
})

describe('A fault', () => {
  const unwell: Processor = {
    run: () => Promise.reject(new Fault('The ledger disk does not answer')),
  }
  const { attempts } = kinds['token.deduct'].retry

  test('counts tries until they run out; then the operation is stuck, says why, and the log is loud', async () => {
    const [id = ''] = await deductions(await workshop.issue(5), 1)
    for (let tried = 1; tried < attempts; tried++) {
      await expect(workshop.run('token.deduct', [id], unwell)).rejects.toThrow(Fault)
      expect(await workshop.operation(id)).toMatchObject({ status: 'queued', attempts: tried, error: null })
    }
    await expect(workshop.run('token.deduct', [id], unwell)).rejects.toThrow(StuckJob)
    const { status, error, finished_at } = await workshop.operation(id)
    expect({ status, finished_at, code: error?.code, http: error?.http_status }).toEqual({
      status: 'stuck',
      finished_at: null,
      code: 'operation.stuck',
      http: 503,
    })
    expect(error?.message).toContain('waits for an operator: The ledger disk does not answer')
    expect(workshop.logged).toContainEqual(
      expect.objectContaining({ level: 'error', kind: 'token.deduct', operation_id: id }),
    )
  })

  test('makes only those of a job stuck whose own tries ran out', async () => {
    const token = await workshop.issue(5)
    const [tired = ''] = await deductions(token, 1)
    for (let tried = 1; tried < attempts; tried++) {
      await expect(workshop.run('token.deduct', [tired], unwell)).rejects.toThrow(Fault)
    }
    const [fresh = ''] = await deductions(token, 1)
    await expect(workshop.run('token.deduct', [tired, fresh], unwell)).rejects.toThrow(Fault)
    expect((await workshop.operation(tired)).status).toBe('stuck')
    expect(await workshop.operation(fresh)).toMatchObject({ status: 'queued', attempts: 1 })
    expect(await workshop.run('token.deduct', [tired, fresh])).toMatchObject({ succeeded: 1, already_done: 1 })
    expect(await workshop.balance(token)).toBe(4)
  })

  test('after the commit, in which the answer of the commit was lost, is tried again and finds it done', async () => {
    const token = await workshop.issue(5)
    const ids = await deductions(token, 3)
    const losesTheAnswer: Processor = {
      async run(context, operationIds) {
        await tokenDeduct.run(context, operationIds)
        throw new Fault('Connection terminated unexpectedly')
      },
    }
    const running = workshop.run('token.deduct', ids, losesTheAnswer)
    await expect(running).rejects.toThrow('Connection terminated unexpectedly')
    await expect(running).rejects.not.toBeInstanceOf(StuckJob)
    expect(await workshop.run('token.deduct', ids)).toMatchObject({ succeeded: 0, already_done: 3 })
    expect(await workshop.balance(token)).toBe(2)
    expect((await workshop.operation(ids[0] ?? '')).attempts).toBe(1)
  })

  test('that cannot even be written down is still the job’s to try again', async () => {
    const ids = await deductions(await workshop.issue(5), 1)
    const context = {
      ...workshop.context,
      database: { ...workshop.context.database, transaction: () => Promise.reject(new Fault('no database')) },
    }
    const besides = Object.assign(Object.create(workshop), { context }) as Workshop
    await expect(besides.run('token.deduct', ids, unwell)).rejects.toThrow('The ledger disk does not answer')
    expect(await workshop.operation(ids[0] ?? '')).toMatchObject({ status: 'queued', attempts: 0 })
  })
})

describe('The wait before the next try', () => {
  const policies = [LEDGER_RETRY, GATEWAY_RETRY]
  const unshaken = () => 0

  test.each(policies)('doubles from try to try up to the longest wait of its policy: %o', (policy) => {
    const waits = Array.from({ length: policy.attempts }, (_, made) => waitBeforeTry(policy, made + 1, unshaken))
    expect(waits[0]).toBe(policy.delayMs)
    expect(waits[1]).toBe(policy.delayMs * 2)
    expect(waits[2]).toBe(policy.delayMs * 4)
    for (const [made, wait] of waits.slice(1).entries()) expect(wait).toBeGreaterThanOrEqual(waits[made] ?? 0)
    expect(waits.at(-1)).toBe(policy.maxDelayMs)
  })

  test('is shaken by a fifth at most, and is a whole number of milliseconds', () => {
    for (const policy of policies) {
      for (let made = 1; made <= 60; made++) {
        const longest = waitBeforeTry(policy, made, unshaken)
        for (const random of [0, 0.123456, 0.5, 0.999999]) {
          const wait = waitBeforeTry(policy, made, () => random)
          expect(Number.isInteger(wait)).toBe(true)
          expect(wait).toBeLessThanOrEqual(longest)
          expect(wait).toBeGreaterThanOrEqual(Math.floor(longest * 0.8))
        }
      }
    }
  })

  test('adds up to what the kinds promise: minutes for our own database, hours for others', () => {
    const inAll = (policy: typeof LEDGER_RETRY) =>
      Array.from({ length: policy.attempts - 1 }, (_, made) => waitBeforeTry(policy, made + 1, () => 0.5)).reduce(
        (sum, wait) => sum + wait,
      )
    const minutes = inAll(LEDGER_RETRY) / 60_000
    expect(minutes).toBeGreaterThan(1)
    expect(minutes).toBeLessThan(5)
    const hours = inAll(GATEWAY_RETRY) / 3_600_000
    expect(hours).toBeGreaterThan(1)
    expect(hours).toBeLessThan(3)
  })
})
