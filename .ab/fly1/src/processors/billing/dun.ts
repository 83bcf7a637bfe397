import { takeDunning } from '../../domain/billing/dunning.ts'
import { dunInvoices } from '../../jobs/billing.ts'
import { transact } from '../shapes/transact.ts'

/** Collected in one go; the rest has a turn of its own right after. */
const MAX_COLLECTED = 1_000

/** Where nobody collects for us, invoices wait for their customers. */
export const invoiceDun = transact(dunInvoices, {
  async perform({ sql, now, input, followUp }, { stripeInvoices }) {
    if (stripeInvoices === undefined) return { collected: 0 }
    const due = await takeDunning(sql, { now, limit: MAX_COLLECTED })
    for (const id of due) followUp({ kind: 'invoice.collect', input: { invoice_id: id } })
    if (due.length === MAX_COLLECTED) followUp({ kind: 'invoice.dun', input })
    return { collected: due.length }
  },
})
