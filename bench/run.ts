import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chart } from './chart.ts'
import { describeMachine } from './machine.ts'
import { HELP, type Options, readOptions, UsageError } from './options.ts'
import type { Results, SectionResults } from './results.ts'
import { sections } from './sections/index.ts'
import { openStage, type Stage } from './stage.ts'
import { keptOf, machineLines, measuresTable, verdictsTable } from './table.ts'

/** `npm run bench`: everything in the table of promises about speed. Ratios within one run count, not digits. */
async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), fileURLToPath(new URL('results', import.meta.url)))
  if (options === undefined) {
    process.stdout.write(
      `${HELP}\nsections:\n${sections.map(({ name, doc }) => `  ${name.padEnd(14)} ${doc}\n`).join('')}`,
    )
    return
  }
  const chosen = sections.filter(({ name }) => options.only.length === 0 || options.only.includes(name))
  const unknown = options.only.filter((name) => !sections.some((section) => section.name === name))
  if (unknown.length > 0) throw new UsageError(`No section is called ${unknown.join(', ')}`)

  const stage = await openStage(options)
  const interrupted = () => void stage.close().finally(() => process.exit(130))
  process.once('SIGINT', interrupted)
  process.once('SIGTERM', interrupted)
  try {
    const results = await runSections(stage, chosen)
    keep(results, options)
    stage.say(`\n${verdictsTable(results.verdicts)}\n\n${keptOf(results)}; ${options.results}`)
  } finally {
    await stage.close()
  }
}

async function runSections(stage: Stage, chosen: typeof sections): Promise<Results> {
  const { seconds, rounds, connections, rows, backends } = stage.options
  const startedAt = new Date()
  const machine = await describeMachine(stage)
  stage.say(machineLines(machine))
  stage.say(`load: ${connections} connections, ${rounds} rounds of ${seconds} s`)
  if (backends.includes('redis') && !stage.hasRedis)
    stage.say('redis-server is not installed: nothing is measured on Redis')
  const done: SectionResults[] = []
  for (const { name, doc, run } of chosen) {
    stage.say(`\n${name}: ${doc}`)
    // A section that fails takes no other with it: the rest of a long run is kept.
    const findings: Omit<SectionResults, 'name' | 'doc'> = await run(stage).catch((error) => failure(error))
    stage.say(findings.failed === undefined ? `\n${measuresTable(findings.measures)}` : `\n✗ ${findings.failed}`)
    done.push({ name, doc, ...findings })
  }
  return {
    at: startedAt.toISOString(),
    tookSeconds: Math.round((Date.now() - startedAt.getTime()) / 1_000),
    machine,
    options: { seconds, rounds, connections, rows, backends },
    verdicts: done.flatMap(({ verdicts }) => verdicts),
    measures: done.flatMap(({ measures }) => measures),
    sections: done,
  }
}

function failure(error: unknown): Omit<SectionResults, 'name' | 'doc'> {
  process.exitCode = 1
  return { measures: [], verdicts: [], failed: error instanceof Error ? error.message : String(error) }
}

function keep(results: Results, { results: folder }: Options): void {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'latest.json'), `${JSON.stringify(results, null, 2)}\n`)
  writeFileSync(join(folder, 'latest.svg'), chart(results))
}

main().catch((error) => {
  process.stderr.write(`${error instanceof UsageError ? `${error.message}\n\n${HELP}` : (error?.stack ?? error)}\n`)
  process.exit(error instanceof UsageError ? 64 : 1)
})
