import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { HELP, readOptions, UsageError } from './options.ts'
import { soak } from './soak.ts'
import { reportText } from './table.ts'

/** How a process ends that was called in a way it does not understand (EX_USAGE of sysexits.h). */
const EXIT_USAGE = 64

/** `npm run soak`: shows that nothing grows while the load goes on. */
async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2), fileURLToPath(new URL('results', import.meta.url)))
  if (options === undefined) {
    process.stdout.write(HELP)
    return
  }
  const say = (line: string) => process.stdout.write(`${line}\n`)
  say(`${options.minutes} minutes on ${options.backend}, ${options.clients} clients`)
  const report = await soak(options, say)
  mkdirSync(options.results, { recursive: true })
  const file = join(options.results, `${report.at.replaceAll(':', '-')}-${options.backend}.json`)
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`)
  say(`\n${reportText(report)}; ${file}`)
  process.exitCode = report.flat ? 0 : 1
}

main().catch((error) => {
  process.stderr.write(`${error instanceof UsageError ? `${error.message}\n\n${HELP}` : (error?.stack ?? error)}\n`)
  process.exit(error instanceof UsageError ? EXIT_USAGE : 1)
})
