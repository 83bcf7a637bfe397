import { refusals } from '../../kit/refusal.ts'

/** Every no of paying invoices. */
export const invoicePaymentRefusals = refusals('invoice', {
  alreadyPaid: {
    status: 409,
    error: 'AlreadyPaid',
    says: () => 'Nothing of this invoice is due any more.',
  },
  notPayable: {
    status: 409,
    error: 'NotPayable',
    says: (d: { status: string }) => `This is ${d.status}: there is nothing to pay.`,
  },
  inReview: {
    status: 409,
    error: 'PaymentInReview',
    says: () =>
      'A payment of this invoice moved another amount than was asked for, and a person looks at it. Do not pay again.',
  },
  declined: {
    status: 402,
    error: 'PaymentDeclined',
    says: (d: { code: string; message: string }) => `Stripe declined it (${d.code}): ${d.message}`,
  },
  actionRequired: {
    status: 402,
    error: 'ActionRequired',
    says: (d: { url: string }) => `The customer’s bank wants to see them: they pay at ${d.url}.`,
  },
  amountDiffers: {
    status: 502,
    error: 'AmountDiffers',
    says: () => 'Stripe asks for another amount than this invoice: nothing was charged, and a person has to look.',
  },
  noGateway: {
    status: 503,
    error: 'NoGateway',
    says: () => 'Invoices are paid through Stripe, which is not configured here.',
  },
  noMethod: {
    status: 409,
    error: 'NoPaymentMethod',
    says: () => 'The customer has no saved method at Stripe that could be charged.',
  },
  paymentNotFound: {
    status: 404,
    error: 'PaymentNotFound',
    says: () => 'There is no such payment of an invoice.',
  },
  otherCurrency: {
    status: 409,
    error: 'OtherCurrency',
    says: (d: { currency: string }) =>
      `It came in ${d.currency}, and no invoice of this customer is in that: give it back at Stripe.`,
  },
  notInReview: {
    status: 409,
    error: 'NotInReview',
    says: (d: { status: string }) => `This payment is ${d.status}: there is nothing to decide.`,
  },
})
