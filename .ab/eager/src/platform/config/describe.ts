import { Secret } from '../../kit/secret.ts'
import type { Config } from '../config.ts'
import { addressesShown, redisTopology } from './redis-url.ts'
import { developmentSecrets } from './variables.ts'

const published = new Set<string>(Object.values(developmentSecrets))

/** The configuration as aligned lines that may be shown to anybody: no secret, no URL with credentials. */
export function describeConfig(config: Config): string {
  const rows = leaves(config, [])
  const width = Math.max(...rows.map(([path]) => path.length))
  return rows.map(([path, value]) => `${path.padEnd(width)}  ${value}`).join('\n')
}

function leaves(value: unknown, path: readonly string[]): [path: string, shown: string][] {
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Secret))
    return Object.entries(value).flatMap(([key, inner]) => leaves(inner, [...path, key]))
  return [[path.join('.'), shown(value, path)]]
}

function shown(value: unknown, path: readonly string[]): string {
  if (value === undefined) return 'not set'
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map((item) => shown(item, path)).join(', ')
  if (value instanceof Secret) {
    if (path.at(-1) === 'redisUrl') return redisShown(value.reveal())
    if (path.at(-1)?.endsWith('Url')) return withoutCredentials(value.reveal())
    return published.has(value.reveal()) ? '<redacted> (development default)' : '<redacted>'
  }
  return typeof value === 'string' && value.includes('://') && URL.canParse(value)
    ? withoutCredentials(value)
    : String(value)
}

function redisShown(text: string): string {
  const topology = redisTopology(text)
  return topology.kind === 'single' ? withoutCredentials(text) : addressesShown(topology)
}

/** Scheme, host and path. The query goes too: drivers accept a password there. */
function withoutCredentials(text: string): string {
  const url = new URL(text)
  url.username = ''
  url.password = ''
  url.search = ''
  url.hash = ''
  return url.href
}
