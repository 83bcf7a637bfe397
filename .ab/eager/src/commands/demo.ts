import { ConfigError, EXIT_CONFIG } from '../platform/config.ts'
import { openStage } from './demo/stage.ts'
import { openWalk, steps } from './demo/walk.ts'
import { ledgerCheckCommand } from './ledger-check.ts'

type Print = (line: string) => void

/**
 * Starts a Bursar in a folder that is removed afterwards, walks through what it does with money, and prints the ledger rows
 * of each step. Answers with the exit code: 0 when everything went as it must and the books are in order.
 */
export async function demoCommand(env: Readonly<Record<string, string | undefined>>, print: Print): Promise<number> {
  print('Starting a Bursar of its own, with stand-ins for gateways: no real money moves.')
  const stage = await openStage(env)
  try {
    print(`It listens at ${stage.url} for as long as this takes.`)
    const walk = openWalk(stage, (line) => print(`   ${line}`))
    for (const [index, { title, play }] of steps.entries()) {
      print('')
      print(`${index + 1}. ${title}`)
      await play(walk)
      const rows = await walk.rows.fresh()
      for (const row of rows) print(`     ${row}`)
      if (rows.length === 0) print('     no ledger row: no money has moved')
    }
    print('')
    print(`${steps.length + 1}. The books`)
    return await ledgerCheckCommand(stage.databaseUrl, (line) => print(line === '' ? '' : `   ${line}`))
  } finally {
    await stage.close()
  }
}

if (import.meta.main) {
  try {
    process.exitCode = await demoCommand(process.env, (line) => void process.stdout.write(`${line}\n`))
  } catch (error) {
    process.stderr.write(`The demo could not go on: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = error instanceof ConfigError ? EXIT_CONFIG : 1
  }
}
