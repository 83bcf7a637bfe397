import { type Asset, toDecimal } from '../../kit/money.ts'
import { refusals } from '../../kit/refusal.ts'

/** Every no of invoices. */
export const invoiceRefusals = refusals('invoice', {
  notFound: {
    status: 404,
    error: 'InvoiceNotFound',
    says: () => 'There is no such invoice of this user.',
  },
  customerNotFound: {
    status: 404,
    error: 'CustomerNotFound',
    says: () => 'Nothing is known of this customer: they have neither used anything nor been set up.',
  },
  monthNotOver: {
    status: 409,
    error: 'MonthNotOver',
    says: (d: { month: string; until: Date }) =>
      `${d.month} ends at ${d.until.toISOString()}: it can be billed from then on.`,
  },
  nothingToBill: {
    status: 409,
    error: 'NothingToBill',
    says: (d: { month: string }) => `There is neither usage nor a fee in ${d.month}.`,
  },
  tooLarge: {
    status: 422,
    error: 'InvoiceTooLarge',
    says: () => 'The lines add up to more than one invoice can hold. Split them.',
  },
  notDraft: {
    status: 409,
    error: 'NotADraft',
    says: (d: { status: string }) => `This invoice is ${d.status}: only a draft can be finalised.`,
  },
  notCancelable: {
    status: 409,
    error: 'NotCancelable',
    says: (d: { status: string }) =>
      d.status === 'paid'
        ? 'This invoice is paid. Give it back with a credit note: POST …/credit.'
        : `This invoice is ${d.status}: there is nothing to cancel.`,
  },
  paymentUnderWay: {
    status: 409,
    error: 'PaymentUnderWay',
    says: () => 'A payment of this invoice is under way at its gateway. Try again once its outcome is known.',
  },
  partlyPaid: {
    status: 409,
    error: 'PartlyPaid',
    says: () => 'A part of this invoice is paid or credited. Put the rest right with a credit note: POST …/credit.',
  },
  notCreditable: {
    status: 409,
    error: 'NotCreditable',
    says: (d: { status: string }) => `This is ${d.status}: credit notes are for invoices that are issued and not void.`,
  },
  invalidAmount: {
    status: 422,
    error: 'InvalidAmount',
    says: (d: { problem: string }) => `The amount ${d.problem}.`,
  },
  overCreditable: {
    status: 400,
    error: 'CreditTooLarge',
    says: (d: { left: bigint; currency: Asset }) =>
      `${toDecimal(d.left, d.currency)} ${d.currency} of this invoice can still be credited.`,
  },
  notCollectible: {
    status: 409,
    error: 'NotWrittenOff',
    says: (d: { status: string }) => `This invoice is ${d.status}: only an open one can be written off.`,
  },
})

/** Every no of those who are billed. */
export const customerRefusals = refusals('customer', {
  noPlan: {
    status: 422,
    error: 'NoSuchPlan',
    says: (d: { plan: string }) => `There is no plan ${d.plan}.`,
  },
  currencyInUse: {
    status: 409,
    error: 'CurrencyInUse',
    says: (d: { currency: string }) =>
      `Something is still to be asked for or taken off in ${d.currency}. Change the currency after the next invoice.`,
  },
  endsBeforeStart: {
    status: 422,
    error: 'EndsBeforeStart',
    says: () => 'The last day is before the first.',
  },
})
