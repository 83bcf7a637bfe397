import { customerSpans, lockCustomers } from '../../domain/billing/customer.ts'
import { issue, lastDayOf } from '../../domain/billing/issue.ts'
import { closeMonth } from '../../domain/usage/close.ts'
import { invoiceChunk, runInvoices } from '../../jobs/billing.ts'
import { type Month, monthOf } from '../../kit/months.ts'
import { run } from '../shapes/run.ts'
import { draftMonth } from './month.ts'

/** Customers of one chunk: some hundred milliseconds, and some megabytes whatever the month holds. */
const CUSTOMERS = 1_000

/** Into the middle of the month before, whatever the zone was when the period was reckoned: days. */
const BACK_DAYS = 15

/** A month for everybody: closed first, then billed in chunks, each of which is whole or not there. */
export const { run: invoiceRun, chunk: invoiceChunks } = run({
  run: runInvoices,
  chunk: invoiceChunk,

  names: ({ period }, { invoicing }) => ({
    subject: invoicing.issuer,
    period: monthOf(new Date(Date.parse(period) - BACK_DAYS * 86_400_000), invoicing.timeZone),
  }),

  opening: ({ sql, now }, { period }) => closeMonth(sql, { month: period, now }),

  spans: ({ sql }, { period }) => customerSpans(sql, { ...daysOf(period), size: CUSTOMERS }),

  async perform(work, { run: { id: runId, period: month }, span }, { invoicing: terms }) {
    const customers = await lockCustomers(work.sql, { ...span, ...daysOf(month) })
    const { drafts, problems } = await draftMonth(work.sql, customers, { month, terms, runId })
    const issued = await issue(work, terms, drafts)
    return { made: issued.length, problems }
  },

  result: ({ id, period, total, made, failed }, already) => ({
    run_id: id,
    month: period,
    customers: total,
    invoices: made,
    failed,
    already_done: already,
  }),
})

/** The first day of a month and its last. */
const daysOf = (month: Month): { from: string; until: string } => ({
  from: `${month}-01`,
  until: lastDayOf(month),
})
