import { readdirSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { kinds } from '../src/jobs/catalogue.ts'
import type { Kind } from '../src/jobs/kind.ts'
import { declaredRefusals } from '../src/kit/refusal.ts'

/* What callers build on: names, codes and statuses stay for ever. A change here is a change of the contract. */

beforeAll(async () => {
  const folder = new URL('../src/', import.meta.url)
  const modules = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  // Everything but what starts something when it is imported.
  for (const module of modules.filter((path) =>
    /^(api|domain|gateways|jobs|kit|processors|schedules)\/.*\.ts$/.test(path),
  ))
    await import(new URL(module, folder).href)
})

const every: readonly Kind[] = Object.values(kinds)

test('the kinds', async () => {
  const lines = every.map(
    ({ name, queue, batch, retry }) =>
      `${name.padEnd(18)} ${queue.padEnd(9)} batch ${String(batch).padEnd(4)} ${retry.attempts} tries, ${retry.delayMs} to ${retry.maxDelayMs} ms apart`,
  )
  await expect(`${lines.toSorted().join('\n')}\n`).toMatchFileSnapshot('contract/kinds.txt')
})

test('the refusals', async () => {
  const lines = [...declaredRefusals].map(([code, { status, error }]) => `${code.padEnd(28)} ${status} ${error}`)
  await expect(`${lines.toSorted().join('\n')}\n`).toMatchFileSnapshot('contract/refusals.txt')
})

describe.each(every)('$name', ({ name, refusals = {}, doc, sensitive, input, result }) => {
  test('is called by a noun and a verb, and says what it does in a sentence', () => {
    expect(name).toMatch(/^[a-z]+\.[a-z]+$/)
    expect(doc).toMatch(/^[A-Z].*\.$/s)
  })

  test('refuses only with codes that are declared, with the status that is declared', () => {
    for (const [code, status] of Object.entries(refusals))
      expect([code, declaredRefusals.get(code)?.status]).toEqual([code, status])
  })

  test('seals only fields that it has', () => {
    for (const field of sensitive?.input ?? []) expect(Object.keys(input.shape)).toContain(field)
    const results = 'shape' in result ? Object.keys(Object(result.shape)) : []
    for (const field of sensitive?.result ?? []) expect(results).toContain(field)
  })
})

/** Said by reads only, so no kind declares them. */
const OF_READS = new Set(['operation.notFound'])

test('every refusal of a noun that kinds speak of is one that some kind declares', () => {
  const nouns = new Set(every.map(({ name }) => name.split('.')[0]))
  const declared = new Set(every.flatMap(({ refusals = {} }) => Object.keys(refusals)))
  const unclaimed = [...declaredRefusals.keys()].filter(
    (code) => nouns.has(code.split('.')[0]) && !declared.has(code) && !OF_READS.has(code),
  )
  expect(unclaimed).toEqual([])
})
