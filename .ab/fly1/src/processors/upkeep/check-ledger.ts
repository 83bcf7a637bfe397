import { checkLedger as findFaults, inSnapshot } from '../../domain/ledger/check.ts'
import { checkLedger } from '../../jobs/upkeep.ts'
import { newId } from '../../kit/ids.ts'
import { staged } from '../shapes/staged.ts'

/** What one row keeps of a check: enough to see what is wrong; the command prints all of it. */
const MAX_KEPT = 100

/** The check reads one snapshot of its own, so it runs between two transactions and holds no lock meanwhile. */
export const ledgerCheck = staged(checkLedger, {
  async begin() {
    return {}
  },

  async call(_asked, { clock, longReads }) {
    const startedAt = clock.now()
    const findings = await longReads((sql) => inSnapshot(sql, () => findFaults(sql, startedAt)))
    return { startedAt, findings, tookMs: clock.now().getTime() - startedAt.getTime() }
  },

  async finish({ sql }, { answer }) {
    await sql.query(`insert into ledger_check (id, checked_at, took_ms, findings) values ($1, $2, $3, $4)`, [
      newId(),
      answer.startedAt,
      answer.tookMs,
      JSON.stringify(answer.findings.slice(0, MAX_KEPT)),
    ])
    return { findings: answer.findings.length, took_ms: answer.tookMs }
  },
})
