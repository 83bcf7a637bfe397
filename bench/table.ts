import type { Findings, Measure, Verdict } from './findings.ts'
import type { Machine } from './machine.ts'

/** What was measured in a section, one line each. */
export function measuresTable(measures: readonly Measure[]): string {
  const rows = measures.map((measure) => [
    measure.what,
    measure.condition ?? '',
    figure(measure.perSecond),
    measure.range === undefined ? '' : `${figure(measure.range[0])}–${figure(measure.range[1])}`,
    figure(measure.acceptedPerSecond),
    latencyOf(measure),
    measure.idleP50Ms === undefined ? '' : measure.idleP50Ms.toFixed(1),
    Object.entries(measure.cpuMicros ?? {})
      .map(([name, micros]) => `${name} ${micros}`)
      .join(', '),
  ])
  const head = [
    '',
    'condition',
    'done/s',
    'range',
    'accepted/s',
    'p50/p99/p99.9 ms',
    'idle p50 ms',
    'µs of processor each',
  ]
  return aligned([head, ...rows.map((row) => row)])
}

/** The promises: target, measured, kept or not. */
export function verdictsTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map((verdict) => [
    verdict.kept ? '✓' : '✗',
    verdict.what,
    verdict.against,
    targetOf(verdict),
    `${verdict.measured} ${verdict.unit}`,
  ])
  return aligned([['', 'what', 'against', 'target', 'measured'], ...rows, MEMORY])
}

/** Needs ten minutes of its own. */
const MEMORY = [
  '·',
  'memory of each process over ten minutes of full load',
  'after the first minute',
  'flat',
  'npm run soak',
]

export const targetOf = ({ target, unit }: Verdict): string =>
  'atLeast' in target ? `≥ ${target.atLeast} ${unit}` : `≤ ${target.atMost} ${unit}`

export function machineLines({
  cpus,
  model,
  memoryGiB,
  system,
  loadBefore,
  versions,
  postgresSettings,
}: Machine): string {
  const listed = (pairs: Readonly<Record<string, string>>) =>
    Object.entries(pairs)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')
  return [
    `machine: ${cpus} × ${model}, ${memoryGiB} GiB, ${system}, load ${loadBefore}`,
    `versions: ${listed(versions)}`,
    `PostgreSQL: ${listed(postgresSettings)}`,
  ].join('\n')
}

export const keptOf = ({ verdicts }: Findings): string =>
  `${verdicts.filter(({ kept }) => kept).length} of ${verdicts.length} promises that were measured are kept`

const figure = (value: number | undefined): string => (value === undefined ? '' : value.toLocaleString('en'))

const latencyOf = ({ latency }: Measure): string =>
  latency === undefined
    ? ''
    : [latency.p50, latency.p99, latency.p999]
        .filter((value) => value !== undefined)
        .map((value) => Number(value.toPrecision(3)))
        .join(' / ')

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
