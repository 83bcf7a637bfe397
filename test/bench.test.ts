import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import type { Results } from '../bench/results.ts'

const RUN = fileURLToPath(new URL('../bench/run.ts', import.meta.url))

/** Enough to see that everything runs; how fast it is, a machine that runs tests cannot tell. */
const SHORT = ['--seconds', '0.2', '--rounds', '1', '--connections', '16', '--rows', '0', '--backends', 'postgres']

/** As a developer would type it, against the tests' own PostgreSQL. */
async function bench(words: readonly string[]) {
  const run = promisify(execFile)(process.execPath, [RUN, ...words])
  const { stdout } = await run.catch((error: { stdout: string; stderr: string }) => {
    throw new Error(`The benchmark ended badly:\n${error.stdout}\n${error.stderr}`)
  })
  return stdout
}

describe('The benchmark', () => {
  let folder: string
  let printed: string
  let results: Results
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'bursar-bench-test-'))
    const only = ['--only', 'bare-route,engine']
    printed = await bench([...SHORT, ...only, '--server', inject('serverUrl'), '--results', folder])
    results = JSON.parse(readFileSync(join(folder, 'latest.json'), 'utf8'))
  }, 300_000)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test('holds deductions against a bare route, and the ledger engine against plain transactions', () => {
    expect(results.verdicts.map(({ id }) => id)).toEqual(['bare-route.postgres', 'engine.hot', 'engine.spread'])
    for (const { measured, unit } of results.verdicts) {
      expect(measured).toBeGreaterThan(0)
      expect(unit).toBe('×')
    }
  })

  test('computes each ratio from what it has measured in the same run', () => {
    const [echo, bursar] = results.sections[0]?.measures ?? []
    const ratio = (bursar?.perSecond ?? 0) / (echo?.perSecond ?? 0)
    expect(results.verdicts[0]?.measured).toBeCloseTo(ratio, 1)
    expect(results.verdicts[0]?.kept).toBe((results.verdicts[0]?.measured ?? 0) >= 0.33)
  })

  test('says on what machine and with which versions it ran', () => {
    expect(results.machine.versions).toMatchObject({ node: process.versions.node, bullmq: expect.any(String) })
    expect(printed).toContain(`node ${process.versions.node}`)
    expect(printed).toContain('npm run soak')
  })

  test('draws a chart of what it measured', () => {
    const svg = readFileSync(join(folder, 'latest.svg'), 'utf8')
    expect(svg).toMatch(/^<svg .*<\/svg>\n$/s)
    expect(svg).toContain('Bursar, queue on PostgreSQL')
    expect(svg).toContain('prefers-color-scheme: dark')
  })

  test('refuses what it does not understand, and says what it does', async () => {
    await Promise.all([
      expect(bench(['--only', 'no-such-section'])).rejects.toThrow('No section is called no-such-section'),
      expect(bench(['--rows', 'many'])).rejects.toThrow('--rows wants numbers'),
      expect(bench(['--help'])).resolves.toContain('bare-route'),
    ])
  }, 60_000)
})
