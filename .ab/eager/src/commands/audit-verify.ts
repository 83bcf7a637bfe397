import { lastAuditBlock } from '../domain/audit/seal.ts'
import { verifyAudit } from '../domain/audit/verify.ts'
import { inSnapshot } from '../domain/ledger/check.ts'
import { inTransaction, openPool } from '../platform/database.ts'
import { configuration } from '../start/configuration.ts'
import { withDatabase } from './with-database.ts'

/** Computes every hash of the audit log again, and prints what was changed or removed. Answers with the exit code: 0 when nothing was, 1 when something was. */
export async function auditVerifyCommand(url: string, print: (line: string) => void): Promise<number> {
  const pool = openPool({ url, name: 'bursar audit:verify', max: 1, readOnly: true })
  try {
    return await inTransaction(pool, (sql) =>
      inSnapshot(sql, async () => {
        const { events, blocks, unsealed, findings, total } = await verifyAudit(sql)
        print(`${events} events, ${events - unsealed} of them sealed in ${blocks} blocks`)
        if (total > 0) {
          print('')
          print(findings.length < total ? `The first ${findings.length} of ${total} findings:` : 'Findings:')
          for (const { event, block, message } of findings)
            print(`  ${event === undefined ? `block ${block}` : `event ${event}`}: ${message}`)
          print('')
        }
        const last = await lastAuditBlock(sql)
        // Kept elsewhere, this line proves later that the chain was not cut or written anew.
        if (last !== undefined) print(`Sealed up to block ${last.number}, ${last.hash.toString('hex')}`)
        print(total === 0 ? 'The audit log is as it was written.' : 'The audit log is NOT as it was written.')
        return total === 0 ? 0 : 1
      }),
    )
  } finally {
    await pool.end()
  }
}

if (import.meta.main) {
  const config = await configuration()
  process.exitCode = await withDatabase(config, (url) =>
    auditVerifyCommand(url, (line) => void process.stdout.write(`${line}\n`)),
  )
}
