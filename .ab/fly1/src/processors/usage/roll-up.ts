import { rollUpUsage as rollUp } from '../../domain/usage/roll-up.ts'
import { rollUpUsage } from '../../jobs/usage.ts'
import { transact } from '../shapes/transact.ts'

/** One bounded step; what is left has a turn of its own right after. */
export const usageRollUp = transact(rollUpUsage, {
  async perform({ sql, input, followUp }, { invoicing: { timeZone } }) {
    const { days, asOf, more } = await rollUp(sql, timeZone)
    if (more) followUp({ kind: 'usage.rollup', input })
    return { days, as_of: asOf?.toISOString() ?? null }
  },
})
