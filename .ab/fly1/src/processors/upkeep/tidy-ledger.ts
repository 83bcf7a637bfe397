import { releaseExpiredHolds } from '../../domain/ledger/holds.ts'
import { rollUp } from '../../domain/ledger/roll-up.ts'
import { tidyLedger } from '../../jobs/upkeep.ts'
import { transact } from '../shapes/transact.ts'

/** Rows in one transaction; a minute's worth at full speed is below it. */
const MAX_ROWS = 50_000

export const ledgerTidy = transact(tidyLedger, {
  async perform({ sql, now }) {
    return { rolled_up: await rollUp(sql, MAX_ROWS), holds_expired: await releaseExpiredHolds(sql, now, MAX_ROWS) }
  },
})
