import type { Finding, Report } from './soak.ts'
import type { Measure, Verdict } from './verdict.ts'

const MEBIBYTE = 1_048_576
const HOUR = 3_600

/** The report as people read it. */
export function reportText(report: Report): string {
  const { counts, operations, operationsPerSecond, seconds, warmUpSeconds, finishedJobs, retention } = report
  const bytes = Object.entries(report.bytesPerOperation)
  return [
    table([
      ['process', 'of which', 'first', 'last', 'per hour', 'grown', 'tolerated', 'verdict'],
      ...report.findings.map(rowOf),
    ]),
    '',
    `${operations} operations in ${Math.round(seconds - warmUpSeconds)} s after the warm-up, ${Math.round(operationsPerSecond)}/s; ` +
      `${counts.sentAway} sent away, ${counts.cutOff} cut off, ${counts.wrong} wrong`,
    `finished jobs in a queue: at most ${finishedJobs.completed} completed and ${finishedJobs.failed} failed: ${word(finishedJobs.bounded, 'bounded', 'UNBOUNDED')}`,
    `bytes per operation: ${bytes.map(([name, count]) => `${name} ${count}`).join(', ')}`,
    `after the retention: ${retention.before.operations} operations and ${retention.before.keys} keys became ` +
      `${retention.after.operations} and ${retention.after.keys} in ${retention.seconds.toFixed(1)} s, ` +
      `${retention.after.transfers} of ${retention.before.transfers} transfers stay: ${word(retention.bounded, 'bounded', 'UNBOUNDED')}`,
    '',
    outcome(report),
  ].join('\n')
}

function rowOf({ process, what, measure, verdict }: Finding): string[] {
  if (verdict === undefined) return [process, what, '', '', '', '', '', 'too few samples']
  return [process, what, ...figures(measure, verdict), word(verdict.flat, 'flat', 'GROWS')]
}

function figures(measure: Measure, { first, last, slope, grown, tolerated }: Verdict): string[] {
  const shown = (value: number) =>
    measure === 'rows' ? String(Math.round(value)) : `${(value / MEBIBYTE).toFixed(1)} MiB`
  return [first, last, slope * HOUR, Math.max(0, grown), tolerated].map(shown)
}

function outcome({ flat, findings }: Report): string {
  if (flat) return 'flat'
  return findings.some(({ verdict }) => verdict?.flat === false) ? 'NOT FLAT' : 'not shown to be flat'
}

const word = (well: boolean, yes: string, no: string): string => (well ? yes : no)

function table(rows: readonly (readonly string[])[]): string {
  const [head = []] = rows
  const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  '),
    )
    .join('\n')
}
