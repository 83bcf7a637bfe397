import { isBehind } from '../../domain/audit/file.ts'
import { sealEvents } from '../../domain/audit/seal.ts'
import { sealAudit } from '../../jobs/audit.ts'
import { transact } from '../shapes/transact.ts'

/** Blocks in one run: a million events, more than a minute brings. */
const MAX_BLOCKS = 100

/** The file is written by an operation of its own: a full disk must not hold sealing up. */
export const auditSeal = transact(sealAudit, {
  async perform({ sql, now, followUp }, { auditFile }) {
    const sealed = { blocks: 0, events: 0 }
    while (sealed.blocks < MAX_BLOCKS) {
      const block = await sealEvents(sql, { now })
      if (block === undefined) break
      sealed.blocks += 1
      sealed.events += block.size
    }
    if (auditFile !== undefined && (await isBehind(sql, auditFile.path))) followUp({ kind: 'audit.write', input: {} })
    return sealed
  },
})
