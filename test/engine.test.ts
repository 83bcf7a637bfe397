import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
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

/** Node can lie in huge pages on x64 only, and Linux may be told to give them to nobody. */
function givesHugePages(): boolean {
  const file = '/sys/kernel/mm/transparent_hugepage/enabled'
  return process.arch === 'x64' && existsSync(file) && !readFileSync(file, 'utf8').includes('[never]')
}

/** Whether Node's program is in memory for which huge pages are asked, however many the kernel has just now. */
function asksForHugePages(...flags: string[]): boolean {
  const program = `console.log(require('node:fs').readFileSync('/proc/self/smaps', 'utf8'))`
  const { stdout } = spawnSync(process.execPath, [...flags, '--eval', program], { encoding: 'utf8' })
  const mappings = stdout.split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/)
  return mappings.some((mapping) => /^\S+ r-xp/.test(mapping) && /^VmFlags:.* hg\b/m.test(mapping))
}

/** What V8 says of itself while the program runs. Small generations, so that it has much to say. */
function saidByV8(program: string, ...flags: string[]): string[] {
  const { stdout } = spawnSync(
    process.execPath,
    ['--max-semi-space-size=1', ...flags, '--input-type=module', '--eval', program],
    { encoding: 'utf8' },
  )
  expect(stdout).toContain('done')
  return stdout.split('\n')
}

/** Which things it means to create in the old generation from now on. */
const decisions = (program: string): string[] =>
  saidByV8(program, '--trace-pretenuring-statistics').filter((line) => line.includes('=> tenure'))

/** Milliseconds of helper threads in each collection of the young generation. */
const helped = (program: string): number[] =>
  saidByV8(program, '--trace-gc', '--trace-gc-nvp').flatMap((line) => {
    const [, ms] = / gc=s .* background\.scavenge\.parallel=([\d.]+)/.exec(line) ?? []
    return ms === undefined ? [] : [Number(ms)]
  })

describe('The young generation of the heap', () => {
  test('is where everything is created, however long its like may have lived before', () => {
    expect(decisions(WORK), 'V8 creates such things in the old generation by itself').not.toEqual([])
    expect(decisions(`import '${OURS}'\n${WORK}`)).toEqual([])
  })

  test('is collected by the thread that fills it, and by no other', () => {
    expect(Math.max(...helped(WORK)), 'V8 takes helpers by itself').toBeGreaterThan(0)
    const ours = helped(`import '${OURS}'\n${WORK}`)
    expect(ours.length).toBeGreaterThan(10)
    expect(Math.max(...ours)).toBe(0)
  })

  test('is set up before anything else is loaded', () => {
    const main = readFileSync(fileURLToPath(new URL('../src/main.ts', import.meta.url)), 'utf8')
    expect(main.split('\n')[0]).toBe("import './platform/engine.ts'")
  })
})

describe('Node itself', () => {
  const read = (name: string): string => readFileSync(fileURLToPath(new URL(`../${name}`, import.meta.url)), 'utf8')
  const started = /(--\S+) src\/main\.ts all$/.exec(JSON.parse(read('package.json')).scripts.start)?.[1] ?? ''

  test('is started the same way by npm, in the image, and for the benchmark', () => {
    expect(started).toMatch(/^--/)
    expect(read('Dockerfile')).toContain(`ENTRYPOINT ["node", "${started}", "src/main.ts"]`)
    expect(read('docker-compose.yml')).not.toMatch(/command: .*main\.ts/)
    expect(read('bench/processes.ts')).toContain(`const NODE = ['${started}']`)
    expect(read('docs/OPERATIONS.md')).toContain(`node ${started} src/main.ts api`)
  })

  test.skipIf(!givesHugePages())('lies in huge pages', () => {
    expect(asksForHugePages(), 'it does not by itself').toBe(false)
    expect(asksForHugePages(started)).toBe(true)
  })
})

test('What a process has compiled is kept beside the packages for the next one', () => {
  const program = `import '${OURS}'\nimport { getCompileCacheDir } from 'node:module'\nconsole.log(getCompileCacheDir())`
  const { NODE_COMPILE_CACHE: _, ...env } = process.env
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8', env })
  expect(stdout).toContain(join('node_modules', '.cache', 'bursar'))
})
