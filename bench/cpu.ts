import { readdirSync, readFileSync } from 'node:fs'

/** Linux counts processor time in these. */
const TICKS_PER_SECOND = 100

interface Stat {
  readonly pid: number
  readonly parent: number
  readonly seconds: number
}

function statOf(pid: number): Stat | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    const ticks = Number(fields[11]) + Number(fields[12]) + Number(fields[13]) + Number(fields[14])
    return { pid, parent: Number(fields[1]), seconds: ticks / TICKS_PER_SECOND }
  } catch {
    return undefined
  }
}

/** Processor seconds that a process and its children have used so far: what work costs, however busy the machine is. */
export function cpuSeconds(pid: number): number {
  const own = statOf(pid)?.seconds ?? 0
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => statOf(Number(name)))
    .filter((stat): stat is Stat => stat !== undefined && stat.parent === pid)
  return children.reduce((sum, { seconds }) => sum + seconds, own)
}
