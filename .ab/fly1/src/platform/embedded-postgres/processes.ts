import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'

export interface ProcessFacts {
  /** Differs between two processes that were given the same pid one after the other, even across a reboot. */
  readonly identity: string
  readonly command: string
}

const HAS_PROC = existsSync('/proc/self/stat')

/** What is known of a living process; undefined if there is none, or only a zombie of it. */
export function processFacts(pid: number): ProcessFacts | undefined {
  return HAS_PROC ? fromProc(pid) : fromPs(pid)
}

function fromProc(pid: number): ProcessFacts | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in parentheses and may hold spaces: count from behind it. See proc(5).
    const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (state === 'Z' || state === 'X') return undefined
    const startTicks = fields[18]
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trimEnd()
    return { identity: `${pid}-${startTicks}-${bootId()}`, command }
  } catch {
    return undefined
  }
}

/** Ticks count from boot, so the same pid may start at the same tick after the next one. */
function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8)
  } catch {
    return 'unknown'
  }
}

function fromPs(pid: number): ProcessFacts | undefined {
  const ask = (column: string) =>
    spawnSync('ps', ['-ww', '-p', String(pid), '-o', `${column}=`], { encoding: 'utf8' }).stdout?.trim() ?? ''
  const state = ask('state')
  if (state === '' || state.startsWith('Z')) return undefined
  return { identity: `${pid}-${ask('lstart').replaceAll(/\W+/g, '_')}`, command: ask('command') }
}
