import { byFault, type CampaignReport } from './campaign.ts'
import { findingSorts } from './finding.ts'

/** Findings printed of each run; the file has all of them. */
const PRINTED = 20

/** What a person reads at the end of a run. */
export function table(report: CampaignReport): string[] {
  const { backend, seed, faults, kinds, figures, findings, seconds, logs } = report
  const lines = [
    '',
    `${backend}, seed ${seed}: ${faults.length} faults in ${seconds.load} s of load, quiet ${seconds.quiet} s later, ${seconds.all} s in all`,
    '',
    row('fault', 'times', 'missed', 'recovered p50', 'p99', 'longest ms'),
  ]
  for (const [name, all] of [...byFault(faults)].toSorted(([a], [b]) => a.localeCompare(b))) {
    lines.push(row(name, all.length, all.filter(({ missed }) => missed !== undefined).length, ...recovery(all)))
  }
  lines.push(row('all', faults.length, faults.filter(({ missed }) => missed !== undefined).length, ...recovery(faults)))
  lines.push('', row('operations', 'asked', 'requests', 'in doubt', 'succeeded', 'refused'))
  for (const [kind, { asked, requests, doubts, succeeded, refused }] of Object.entries(kinds))
    lines.push(row(kind, asked, requests, doubts, succeeded, refused))
  lines.push(
    '',
    Object.entries(figures)
      .map(([name, figure]) => `${name} ${figure}`)
      .join(', '),
  )
  lines.push(findingSorts.map((sort) => `${sort} ${findings.filter((one) => one.sort === sort).length}`).join(', '))
  for (const { sort, says } of findings.slice(0, PRINTED)) lines.push(`  ${sort}: ${says}`)
  if (findings.length > PRINTED) lines.push(`  and ${findings.length - PRINTED} more`)
  if (logs !== undefined) lines.push(`What the processes said is in ${logs}`)
  return lines
}

/** p50, p99 and the longest, in milliseconds. */
function recovery(faults: CampaignReport['faults']): [string, string, string] {
  const took = faults.flatMap(({ recoveredMs }) => recoveredMs ?? []).toSorted((a, b) => a - b)
  const at = (share: number) => `${took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? '-'}`
  return [at(0.5), at(0.99), at(1)]
}

const row = (name: string, ...cells: readonly (string | number)[]): string =>
  `${name.padEnd(22)}${cells.map((cell) => `${cell}`.padStart(14)).join('')}`
