import { checks, examineLedger, inSnapshot } from '../domain/ledger/check.ts'
import { lastBlock } from '../domain/ledger/seal.ts'
import { inTransaction, openPool } from '../platform/database.ts'
import { configuration } from '../start/configuration.ts'
import { withDatabase } from './with-database.ts'

/** Proves that the books balance, and prints what does not. Answers with the exit code: 0 when all is well, 1 when not. */
export async function ledgerCheckCommand(url: string, print: (line: string) => void): Promise<number> {
  const pool = openPool({ url, name: 'bursar ledger:check', max: 1, readOnly: true })
  try {
    return await inTransaction(pool, (sql) =>
      inSnapshot(sql, async () => {
        const reports = await examineLedger(sql, new Date())
        print(row('check', 'findings', 'ms', 'makes sure that'))
        for (const { check, total, tookMs } of reports) print(row(check, `${total}`, `${tookMs}`, checks[check]))

        for (const { check, findings, total } of reports) {
          if (total === 0) continue
          print('')
          print(findings.length < total ? `${check}: the first ${findings.length} of ${total}` : `${check}:`)
          for (const { account, transfer, block, message } of findings) {
            const where = [named('account', account), named('transfer', transfer), named('block', block)].filter(
              Boolean,
            )
            print(`  ${[...where, message].join(': ')}`)
          }
        }

        print('')
        const sealed = await lastBlock(sql)
        // Kept elsewhere, this line proves later that the chain was not cut or written anew.
        if (sealed !== undefined) print(`Sealed up to block ${sealed.number}, ${sealed.hash.toString('hex')}`)
        const sound = reports.every(({ total }) => total === 0)
        print(sound ? 'The books are in order.' : 'The books are NOT in order.')
        return sound ? 0 : 1
      }),
    )
  } finally {
    await pool.end()
  }
}

const row = (check: string, findings: string, ms: string, says: string): string =>
  `${check.padEnd(10)} ${findings.padStart(8)} ${ms.padStart(8)}   ${says}`

const named = (what: string, id: string | undefined): string => (id === undefined ? '' : `${what} ${id}`)

if (import.meta.main) {
  const config = await configuration()
  process.exitCode = await withDatabase(config, (url) =>
    ledgerCheckCommand(url, (line) => void process.stdout.write(`${line}\n`)),
  )
}
