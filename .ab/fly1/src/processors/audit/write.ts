import { writeOut } from '../../domain/audit/file.ts'
import { writeAudit } from '../../jobs/audit.ts'
import { transact } from '../shapes/transact.ts'

/** What is left after one piece has an operation of its own, so that no transaction becomes long. */
export const auditWrite = transact(writeAudit, {
  async perform({ sql, followUp }, { auditFile }) {
    if (auditFile === undefined) return { lines: 0 }
    const { lines, more } = await writeOut(sql, auditFile)
    if (more) followUp({ kind: 'audit.write', input: {} })
    return { lines }
  },
})
