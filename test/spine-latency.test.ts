import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Deployment, onBothBackends } from './support/deployment.ts'

const ASKED = 60

/** What is promised of an idle system, in milliseconds at the median. */
const PROMISED_MS = 30

/** A machine that takes longer than this for one request with one query is busy with something else: the bound grows with it. */
const UNDISTURBED_MS = 2

onBothBackends('An idle system', (backend) => {
  let bursar: Deployment
  beforeAll(async () => {
    bursar = await Deployment.start({ backend })
  })
  afterAll(() => bursar.stop())

  test('answers a deduction with its outcome within 30 ms at the median', async () => {
    const token = await bursar.issue(500)
    const deductions: number[] = []
    const beats: number[] = []
    for (let n = 0; n < ASKED; n++) {
      beats.push(await took(() => bursar.get(`/api/v1/operations/${randomUUID()}`)))
      deductions.push(await took(() => bursar.deduct(token, 1)))
    }
    const slowness = Math.max(1, median(beats) / UNDISTURBED_MS)
    expect(median(deductions)).toBeLessThanOrEqual(PROMISED_MS * slowness)
    expect(await bursar.balance(token)).toBe(500 - ASKED)
  })
})

async function took(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0
