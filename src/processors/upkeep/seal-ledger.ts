import { sealBlock } from '../../domain/ledger/seal.ts'
import { sealLedger } from '../../jobs/upkeep.ts'
import { transact } from '../shapes/transact.ts'

/** Blocks in one run: a million transfers, more than ten minutes bring. */
const MAX_BLOCKS = 100

export const ledgerSeal = transact(sealLedger, {
  async perform({ sql, now }) {
    const sealed = { blocks: 0, transfers: 0 }
    while (sealed.blocks < MAX_BLOCKS) {
      const block = await sealBlock(sql, { now })
      if (block === undefined) break
      sealed.blocks += 1
      sealed.transfers += block.size
    }
    return sealed
  },
})
