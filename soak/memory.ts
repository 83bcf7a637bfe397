import { readdirSync, readFileSync } from 'node:fs'

const KIBIBYTE = 1_024

/** A field of `/proc/<pid>/status` in bytes. `RssAnon` leaves out what a process shares with others. */
export function residentOf(pid: number, field: 'VmRSS' | 'RssAnon' = 'VmRSS'): number {
  const [, kibibytes] = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(statusOf(pid)) ?? []
  return Number(kibibytes ?? 0) * KIBIBYTE
}

/** A process with all of its children: what each has for itself. Shared buffers are bounded by a setting, and left out. */
export function familyOf(pid: number): number {
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((other) => new RegExp(`^PPid:\\s+${pid}$`, 'm').test(statusOf(other)))
  return [pid, ...children].reduce((sum, one) => sum + residentOf(one, 'RssAnon'), 0)
}

/** Empty for one that ended meanwhile. */
function statusOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8')
  } catch {
    return ''
  }
}
