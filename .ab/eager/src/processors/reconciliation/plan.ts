import { planReconciliation } from '../../jobs/reconciliation.ts'
import { transact } from '../shapes/transact.ts'

const DAY_MS = 86_400_000

/** Of the day before that one: what was asked for around midnight is in one list or in the other, by whichever clock. */
const OVERLAP_MS = 3_600_000

/** The UTC day before the period, at each gateway. */
export const reconciliationPlan = transact(planReconciliation, {
  async perform({ input, followUp }, { gateways }) {
    const until = new Date(input.period)
    until.setUTCHours(0, 0, 0, 0)
    const from = new Date(until.getTime() - DAY_MS - OVERLAP_MS)
    const names = [...gateways.keys()]
    for (const gateway of names)
      followUp({
        kind: 'reconciliation.run',
        input: { gateway, from: from.toISOString(), until: until.toISOString() },
      })
    return { gateways: names }
  },
})
