import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type CampaignReport, campaign } from './campaign.ts'
import { Misuse, type Options, readOptions, USAGE } from './options.ts'
import { progressLine } from './progress.ts'
import { table } from './report.ts'

/** How a process ends that was called in a way it does not understand (EX_USAGE of sysexits.h). */
const EXIT_USAGE = 64

const LATEST = fileURLToPath(new URL('results/latest.json', import.meta.url))

const say = (line: string) => void process.stdout.write(`${line}\n`)

/** `npm run chaos`: a real deployment, a load, faults from a seed, and an audit of everything that was promised. */
async function main(options: Options): Promise<number> {
  if (
    options.backends.some((backend) => backend !== 'postgres') &&
    spawnSync('redis-server', ['--version']).status !== 0
  )
    throw new Misuse('redis-server is not installed: install it, or choose --backend postgres')
  say(`Seed ${options.seed}. To repeat: npm run chaos -- --faults ${options.faults} --seed ${options.seed}`)
  const runs: CampaignReport[] = []
  for (const backend of options.backends) {
    const progress = progressLine(process.stdout)
    const report = await campaign({ ...options, backend, progress: progress.tell }).finally(progress.end)
    for (const line of table(report)) say(line)
    runs.push(report)
  }
  const out = options.out ?? LATEST
  mkdirSync(dirname(out), { recursive: true })
  const machine = { cpus: cpus().length, model: cpus()[0]?.model, node: process.version }
  writeFileSync(out, `${JSON.stringify({ at: new Date().toISOString(), machine, runs }, null, 2)}\n`)

  const wrong = runs.reduce((sum, { findings }) => sum + findings.length, 0)
  say('')
  say(wrong === 0 ? 'Nothing was lost, and nothing was done twice.' : `${wrong} findings: see above and ${out}`)
  return wrong === 0 ? 0 : 1
}

try {
  const options = readOptions(process.argv.slice(2))
  if (options === 'help') say(USAGE)
  else process.exitCode = await main(options)
} catch (error) {
  if (!(error instanceof Misuse)) throw error
  process.stderr.write(`${error.message}\n\n${USAGE}\n`)
  process.exitCode = EXIT_USAGE
}
