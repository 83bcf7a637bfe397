import {
  cancelInvoice,
  composeInvoice,
  createInvoice,
  creditInvoice,
  finalizeInvoice,
  setCustomer,
  writeOffInvoice,
} from '../../src/jobs/billing.ts'
import { payInvoice } from '../../src/jobs/invoice-payments.ts'
import { startSchedule } from '../../src/jobs/schedules.ts'
import { recordUsage } from '../../src/jobs/usage.ts'

/** How wishes may end, by their kinds, whatever happens on the way: `succeeded`, or refusals that they can have deserved. */
export const billingEnds: Readonly<Record<string, readonly string[]>> = {
  [setCustomer.name]: ['succeeded'],
  [recordUsage.name]: ['succeeded'],
  [composeInvoice.name]: ['succeeded'],
  [startSchedule.name]: ['succeeded'],
  [createInvoice.name]: ['succeeded', 'invoice.nothingToBill', 'invoice.monthNotOver'],
  // A draft may be gone by then.
  [finalizeInvoice.name]: ['succeeded', 'invoice.notDraft', 'invoice.notFound'],
  [cancelInvoice.name]: [
    'succeeded',
    'invoice.notFound',
    'invoice.notCancelable',
    'invoice.partlyPaid',
    'invoice.paymentUnderWay',
  ],
  [creditInvoice.name]: [
    'succeeded',
    'invoice.notFound',
    'invoice.notCreditable',
    'invoice.overCreditable',
    'invoice.paymentUnderWay',
  ],
  [writeOffInvoice.name]: ['succeeded', 'invoice.notFound', 'invoice.notCollectible', 'invoice.paymentUnderWay'],
  [payInvoice.name]: [
    'succeeded',
    'invoice.notFound',
    'invoice.alreadyPaid',
    'invoice.notPayable',
    'invoice.paymentUnderWay',
    'invoice.declined',
    'invoice.actionRequired',
    'payment.gatewayUnavailable',
  ],
}
