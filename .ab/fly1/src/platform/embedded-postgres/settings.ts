import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { assert } from '../../kit/assert.ts'

const FILE = 'bursar.conf'

/** Appended once to the postgresql.conf that initdb wrote for this machine. */
export const INCLUDE_OUR_SETTINGS = `\n# Written by Bursar at every start; ALTER SYSTEM overrules it.\ninclude_if_exists = '${FILE}'\n`

/** For a small machine that does other work too, and must not lose an acknowledged payment. */
const DEFAULTS = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  shared_buffers: '256MB',
  effective_cache_size: '1GB',
  // Four processes with their pools, and room for a person with psql.
  max_connections: '200',
  // Few, evenly spread checkpoints: each makes the next write of every page log the whole page.
  max_wal_size: '2GB',
  min_wal_size: '256MB',
  checkpoint_timeout: '15min',
  checkpoint_completion_target: '0.9',
  wal_compression: 'on',
  // Flash, not spinning disks.
  random_page_cost: '1.1',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // One file per weekday in the data directory's `log`, each begun anew when its day comes again: a week, never more.
  logging_collector: 'on',
  log_directory: 'log',
  log_filename: 'postgres-%a.log',
  log_rotation_age: '1d',
  log_rotation_size: '0',
  log_truncate_on_rotation: 'on',
  log_checkpoints: 'off',
  log_line_prefix: '%m [%p] %a ',
  cluster_name: 'bursar',
} as const

/** The whole text of our settings file: equal texts mean a server that needs no restart. */
export function configuration(port: number, overrides: Readonly<Record<string, string>>): string {
  const settings: Record<string, string> = {
    ...DEFAULTS,
    ...overrides,
    port: String(port),
    listen_addresses: '127.0.0.1',
    // Socket paths are limited to some 100 characters, which a checkout's may exceed.
    unix_socket_directories: '',
  }
  return Object.entries(settings)
    .map(([name, value]) => {
      assert(/^[a-z_][a-z0-9_.]*$/i.test(name) && !value.includes('\n'), `Not a PostgreSQL setting: ${name}`)
      return `${name} = '${value.replaceAll("'", "''")}'\n`
    })
    .join('')
}

export function hasConfiguration(dataDir: string, text: string): boolean {
  const file = join(dataDir, FILE)
  return existsSync(file) && readFileSync(file, 'utf8') === text
}

/** World-readable in a folder that only PostgreSQL's account enters: it holds no secret. */
export function writeConfiguration(dataDir: string, text: string): void {
  writeFileSync(join(dataDir, FILE), text, { mode: 0o644 })
}
