import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Backend, Deployment } from '../support/deployment.ts'
import { BursarProcess } from '../support/process.ts'

export function manyAtOnce(backend: Backend): void {
  let bursar: Deployment
  beforeAll(async () => {
    bursar = await Deployment.start({ backend })
  })
  afterAll(() => bursar.stop())

  /** Asks for 500 deductions of 1 at once and counts the answers by status. */
  async function deduct500(tokenId: string): Promise<Record<number, number>> {
    const answers = await Promise.all(Array.from({ length: 500 }, () => bursar.deduct(tokenId, 1)))
    return Object.fromEntries(
      [...Map.groupBy(answers, ({ status }) => status)].map(([status, all]) => [status, all.length]),
    )
  }

  test('500 concurrent deductions of 1 take exactly the 100 that a token holds', async () => {
    const token = await bursar.issue(100)
    const before = await bursar.transfers('token.deduct')

    expect(await deduct500(token)).toEqual({ 200: 100, 400: 400 })
    expect(await bursar.balance(token)).toBe(0)
    expect((await bursar.transfers('token.deduct')) - before).toBe(100)
    await bursar.expectCleanBooks()
  })

  test('two worker processes beside each other take exactly what the token holds, too', async () => {
    const token = await bursar.issue(100)
    const before = await bursar.transfers('token.deduct')
    await bursar.workers?.stop()
    const workers = await Promise.all([1, 2].map(() => BursarProcess.start(['worker'], bursar.env)))

    expect(await deduct500(token)).toEqual({ 200: 100, 400: 400 })
    expect(await bursar.balance(token)).toBe(0)
    expect((await bursar.transfers('token.deduct')) - before).toBe(100)
    await bursar.expectCleanBooks()

    for (const worker of workers) expect(await worker.kill('SIGTERM')).toEqual({ code: 0, signal: null })
    await bursar.startWorkers()
  })
}
