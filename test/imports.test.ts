import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

/* Who may know whom. The table is the one of the architecture page. */

const SRC = fileURLToPath(new URL('../src/', import.meta.url))

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'))

interface Import {
  readonly from: string
  readonly to: string
  readonly typeOnly: boolean
}

/** Static and dynamic, of types and of values, and what is exported again. */
const IMPORT =
  /(?:^|\n)\s*(?:import|export)(\s+type)?\s(?:[^'"`;]*?\sfrom\s)?\s*'(\.[^']+)'|(?:^|\n)\s*import\s*'(\.[^']+)'|\bimport\(\s*'(\.[^']+)'/g

function importsOf(from: string, text: string): Import[] {
  return [...text.matchAll(IMPORT)].map(([, type, of, bare, dynamic]) => ({
    from,
    to: normalize(join(dirname(from), of ?? bare ?? dynamic ?? '')),
    typeOnly: type !== undefined,
  }))
}

const imports = files.flatMap((file) => importsOf(file, readFileSync(join(SRC, file), 'utf8')))

/** `domain/tokens/reads.ts` is in `domain`, its noun is `domain/tokens`; what stands beside main.ts is `main`. */
const folderOf = (path: string): string => (path.includes('/') ? (path.split('/')[0] ?? '') : 'main')
const nounOf = (path: string): string => path.split('/').slice(0, 2).join('/')

/** May this file import that one? */
type Rule = (to: string, line: Import) => boolean

const within =
  (...folders: string[]): Rule =>
  (to) =>
    folders.includes(folderOf(to))
const anyOf =
  (...rules: Rule[]): Rule =>
  (to, line) =>
    rules.some((rule) => rule(to, line))

/** The handles of the platform are given, not opened: their types are all that anybody needs. */
const handles: Rule = (to, { typeOnly }) => typeOnly && folderOf(to) === 'platform'
const reads: Rule = (to) => /^domain\/[^/]+\/reads\.ts$/.test(to)
/** What reads and checks webhooks where they come in. */
const verification: Rule = (to) => /^gateways\/(.+\/)?webhooks?(-[\w-]+)?\.ts$/.test(to)
const ledger: Rule = (to) => nounOf(to) === 'domain/ledger'
const ownNoun: Rule = (to, { from }) => nounOf(to) === nounOf(from)
const anything: Rule = () => true

const rules: { readonly [folder: string]: Rule } = {
  kit: within('kit'),
  jobs: anyOf(within('jobs', 'kit'), handles),
  gateways: within('gateways', 'kit'),
  domain: anyOf(within('kit'), ownNoun, ledger),
  processors: anyOf(within('processors', 'kit', 'jobs', 'domain', 'gateways'), handles),
  schedules: within('schedules', 'kit', 'jobs'),
  api: anyOf(within('api', 'kit', 'jobs'), reads, verification, handles),
  sandbox: within('sandbox', 'kit'),
  platform: within('platform', 'kit'),
  main: anything,
  start: anything,
  commands: anything,
}

test('every folder has its rule', () => {
  expect([...new Set(files.map(folderOf))].toSorted()).toEqual(Object.keys(rules).toSorted())
})

describe.each(Object.entries(rules))('%s', (folder, rule) => {
  test('imports only what it may', () => {
    const forbidden = imports
      .filter(({ from }) => folderOf(from) === folder)
      .filter((line) => !rule(line.to, line))
      .map(({ from, to }) => `${from} → ${to}`)
    expect(forbidden).toEqual([])
  })
})

test('the ledger imports no other noun', () => {
  const others = imports.filter(({ from, to }) => nounOf(from) === 'domain/ledger' && folderOf(to) === 'domain')
  expect(others.filter(({ to }) => nounOf(to) !== 'domain/ledger')).toEqual([])
})

test('every import is of a file that is there, and none goes around the folders', () => {
  const missing = imports.filter(({ to }) => !files.includes(to) && !to.startsWith('../'))
  expect(missing).toEqual([])
  const outside = imports.filter(({ to }) => to.startsWith('../')).map(({ from, to }) => `${from} → ${to}`)
  expect(outside).toEqual([])
})

test('the check reads every way to import', () => {
  const text = [
    `import { a } from './a.ts'`,
    `import type { B } from '../b/b.ts'`,
    `import {\n  c,\n  type D,\n} from './c.ts'`,
    `import './e.ts'`,
    `export * from './f.ts'`,
    `export type { G } from './g.ts'`,
    `  const { h } = await import('./h.ts')`,
    `import pg from 'pg'`,
  ].join('\n')
  expect(importsOf('x/y.ts', text).map(({ to, typeOnly }) => `${to}${typeOnly ? ' type' : ''}`)).toEqual([
    'x/a.ts',
    'b/b.ts type',
    'x/c.ts',
    'x/e.ts',
    'x/f.ts',
    'x/g.ts type',
    'x/h.ts',
  ])
})
