import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const OURS = new URL('../src/platform/engine.ts', import.meta.url).href

/** Things that outlive several collections before they die, like requests that wait for their commit. */
const WORK = `
  let waiting = []
  for (let turn = 0; turn < 500; turn++) {
    const next = []
    for (let n = 0; n < 2_000; n++) next.push({ turn, n, words: [turn, n] })
    waiting = [...waiting.slice(-20_000), ...next]
  }
  console.log('done')`

/** What V8 says about where it means to create things. Small generations, so that it decides soon. */
function decisions(program: string): string[] {
  const flags = ['--max-semi-space-size=1', '--trace-pretenuring-statistics', '--input-type=module', '--eval', program]
  const { stdout } = spawnSync(process.execPath, flags, { encoding: 'utf8' })
  expect(stdout).toContain('done')
  return stdout.split('\n').filter((line) => line.includes('=> tenure'))
}

describe('The young generation of the heap', () => {
  test('is where everything is created, however long its like may have lived before', () => {
    expect(decisions(WORK), 'V8 creates such things in the old generation by itself').not.toEqual([])
    expect(decisions(`import '${OURS}'\n${WORK}`)).toEqual([])
  })

  test('is set up before anything else is loaded', () => {
    const main = readFileSync(fileURLToPath(new URL('../src/main.ts', import.meta.url)), 'utf8')
    expect(main.split('\n')[0]).toBe("import './platform/engine.ts'")
  })
})

test('What a process has compiled is kept beside the packages for the next one', () => {
  const program = `import '${OURS}'\nimport { getCompileCacheDir } from 'node:module'\nconsole.log(getCompileCacheDir())`
  const { NODE_COMPILE_CACHE: _, ...env } = process.env
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8', env })
  expect(stdout).toContain(join('node_modules', '.cache', 'bursar'))
})
