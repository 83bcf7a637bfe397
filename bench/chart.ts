import type { Measure, Verdict } from './findings.ts'
import type { Results } from './results.ts'
import { targetOf } from './table.ts'

const WIDTH = 960
const LABELS = 370
const BAR = 18
const ROW = 30
/** Room for the figure behind the longest bar. */
const FIGURES = 150
const BARS = WIDTH - LABELS - FIGURES

/** A promise that is kept this many times over still fits; a bar that would be longer ends here. */
const MOST = 3

/** Readable on a light page and on a dark one: it asks the reader's browser which. */
const STYLE = `
    text { font: 13px system-ui, sans-serif; fill: #1f2328 }
    .title { font-weight: 600; font-size: 15px }
    .faint { fill: #59636e }
    .bar { fill: #818b98 }
    .ours { fill: #0969da }
    .kept { fill: #1a7f37 }
    .missed { fill: #bc4c00 }
    .target { stroke: #1f2328; stroke-width: 1.5; stroke-dasharray: 4 3 }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc }
      .faint { fill: #9198a1 }
      .bar { fill: #656c76 }
      .ours { fill: #4493f8 }
      .kept { fill: #3fb950 }
      .missed { fill: #db6d28 }
      .target { stroke: #f0f6fc }
    }`

/** The promises against their targets, and how many deductions each design did in a second, as an SVG. */
export function chart(results: Results): string {
  const designs = results.sections
    .filter(({ name }) => name === 'bare-route' || name === 'peers')
    .flatMap(({ measures }) => measures)
  const shown = designs.filter(({ what }, index) => designs.findLastIndex((other) => other.what === what) === index)
  const promises = promisesPanel(results.verdicts, 0)
  const rates = ratesPanel(
    shown.toSorted((a, b) => (b.perSecond ?? 0) - (a.perSecond ?? 0)),
    promises.height,
  )
  const height = promises.height + rates.height + ROW
  const { cpus, model, versions } = results.machine
  const foot = `${results.at.slice(0, 10)}, ${cpus} × ${model}, Node ${versions.node}, PostgreSQL ${versions.postgres}. Ratios within one run count, not digits.`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Bursar's promises about speed, and what was measured">
  <style>${STYLE}
  </style>
${promises.lines.join('\n')}
${rates.lines.join('\n')}
  <text class="faint" x="8" y="${height - 10}">${escaped(foot)}</text>
</svg>
`
}

interface Panel {
  readonly lines: readonly string[]
  readonly height: number
}

/** Each bar reaches the dashed line where its promise is kept. */
function promisesPanel(verdicts: readonly Verdict[], top: number): Panel {
  if (verdicts.length === 0) return { lines: [], height: 0 }
  const first = top + ROW + 8
  const target = LABELS + BARS / MOST
  const bottom = first + verdicts.length * ROW
  const lines = verdicts.map((verdict, index) =>
    bar({
      y: first + index * ROW,
      label: verdict.brief,
      share: Math.min(reached(verdict), MOST) / MOST,
      figure: `${verdict.measured} ${verdict.unit} (${targetOf(verdict)})`,
      // In a column of their own, clear of the line.
      figureAt: LABELS + BARS,
      as: verdict.kept ? 'kept' : 'missed',
    }),
  )
  const line = `  <line class="target" x1="${target}" x2="${target}" y1="${first - 6}" y2="${bottom}"/>`
  return {
    lines: [title('Promises: bars that reach the line are kept', top), ...lines, line],
    height: bottom - top + 12,
  }
}

/** 1 is the promise. Of times that may not be exceeded, the shorter is the better. */
const reached = ({ target, measured }: Verdict): number =>
  'atLeast' in target ? measured / target.atLeast : target.atMost / measured

function ratesPanel(measures: readonly Measure[], top: number): Panel {
  if (measures.length === 0) return { lines: [], height: 0 }
  const first = top + ROW + 8
  const most = Math.max(...measures.map(({ perSecond = 0 }) => perSecond))
  const lines = measures.map(({ what, perSecond = 0 }, index) =>
    bar({
      y: first + index * ROW,
      label: what,
      share: perSecond / most,
      figure: perSecond.toLocaleString('en'),
      as: what.startsWith('Bursar') ? 'ours' : 'bar',
    }),
  )
  return {
    lines: [title('Deductions a second, from request to outcome', top), ...lines],
    height: ROW * (measures.length + 1) + 20,
  }
}

const title = (text: string, top: number): string =>
  `  <text class="title" x="8" y="${top + 24}">${escaped(text)}</text>`

function bar(of: { y: number; label: string; share: number; figure: string; figureAt?: number; as: string }): string {
  const width = Math.max(1, Math.round(of.share * BARS))
  const middle = of.y + BAR - 5
  return [
    `  <text x="${LABELS - 10}" y="${middle}" text-anchor="end">${escaped(of.label)}</text>`,
    `  <rect class="${of.as}" x="${LABELS}" y="${of.y}" width="${width}" height="${BAR}" rx="3"/>`,
    `  <text class="faint" x="${(of.figureAt ?? LABELS + width) + 8}" y="${middle}">${escaped(of.figure)}</text>`,
  ].join('\n')
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
