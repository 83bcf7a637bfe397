import { markOverdue } from '../../domain/billing/dunning.ts'
import { markOverdueInvoices } from '../../jobs/billing.ts'
import { dayOf, dayStart } from '../../kit/months.ts'
import { transact } from '../shapes/transact.ts'

/** Invoices in one transaction; the rest has a turn of its own right after. */
const MAX_MARKED = 20_000

/** Paid in time is until the end of the last day, where the issuer is. */
export const invoiceOverdue = transact(markOverdueInvoices, {
  async perform({ sql, now, input, followUp }, { invoicing: { timeZone } }) {
    const marked = await markOverdue(sql, { before: dayStart(dayOf(now, timeZone), timeZone), now, limit: MAX_MARKED })
    if (marked === MAX_MARKED) followUp({ kind: 'invoice.overdue', input })
    return { marked }
  },
})
