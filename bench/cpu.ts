import { readdirSync, readFileSync } from 'node:fs'

/** Linux counts processor time in these. */
const TICKS_PER_SECOND = 100

interface Stat {
  readonly pid: number
  readonly parent: number
  /** Of its own, and of those of its children that have ended. */
  readonly seconds: number
  readonly ofEnded: number
}

function statOf(pid: number): Stat | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    const ofEnded = (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND
    const ofItself = (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
    return { pid, parent: Number(fields[1]), seconds: ofItself + ofEnded, ofEnded }
  } catch {
    return undefined
  }
}

/** Processor seconds that a process and its children have used so far: what work costs, however busy the machine is. */
export function cpuSeconds(pid: number): number {
  for (;;) {
    const own = statOf(pid)
    const children = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((name) => statOf(Number(name)))
      .filter((stat): stat is Stat => stat !== undefined && stat.parent === pid)
    // A child that has ended while we looked would be missing on both sides.
    if (statOf(pid)?.ofEnded !== own?.ofEnded) continue
    return children.reduce((sum, { seconds }) => sum + seconds, own?.seconds ?? 0)
  }
}
