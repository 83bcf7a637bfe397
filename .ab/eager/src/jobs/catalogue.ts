import { assert } from '../kit/assert.ts'
import { recordSecurityEvent, sealAudit, writeAudit } from './audit.ts'
import {
  cancelInvoice,
  composeInvoice,
  createInvoice,
  creditInvoice,
  dunInvoices,
  finalizeInvoice,
  invoiceChunk,
  markOverdueInvoices,
  runInvoices,
  setCustomer,
  setTaxRate,
  writeOffInvoice,
} from './billing.ts'
import { reviewFraud } from './fraud.ts'
import {
  collectInvoice,
  decideInvoicePayment,
  followInvoices,
  lookUpInvoice,
  payInvoice,
  publishInvoice,
  sendInvoice,
  withdrawInvoice,
} from './invoice-payments.ts'
import type { Kind } from './kind.ts'
import {
  addMethod,
  confirmDeposit,
  decidePayment,
  followPayments,
  initiateDeposit,
  initiateWithdrawal,
  lookUpPayment,
  refundDeposit,
  removeMethod,
  returnPayment,
  setKyc,
} from './payments.ts'
import { declareMetric, setPlan, setPrice } from './pricing.ts'
import { planReconciliation, runReconciliation } from './reconciliation.ts'
import { startSchedule } from './schedules.ts'
import { deductToken, issueToken, mirrorToken, revokeToken, sweepTokens } from './tokens.ts'
import { checkLedger, pruneOperations, retryOperations, sealLedger, tidyLedger, watchRelay } from './upkeep.ts'
import { recordUsage, rollUpUsage } from './usage.ts'
import { processWebhook, retryWebhook, unparkWebhooks } from './webhooks.ts'

/** Every kind there is. A kind without a processor does not compile. */
export const kinds = {
  'token.issue': issueToken,
  'token.deduct': deductToken,
  'token.revoke': revokeToken,
  'token.sweep': sweepTokens,
  'token.mirror': mirrorToken,
  'deposit.initiate': initiateDeposit,
  'deposit.confirm': confirmDeposit,
  'deposit.refund': refundDeposit,
  'withdrawal.initiate': initiateWithdrawal,
  'method.add': addMethod,
  'method.remove': removeMethod,
  'kyc.set': setKyc,
  'payment.decide': decidePayment,
  'payment.lookup': lookUpPayment,
  'payment.return': returnPayment,
  'payment.follow': followPayments,
  'reconciliation.run': runReconciliation,
  'reconciliation.plan': planReconciliation,
  'webhook.process': processWebhook,
  'webhook.retry': retryWebhook,
  'webhook.unpark': unparkWebhooks,
  'usage.record': recordUsage,
  'usage.rollup': rollUpUsage,
  'metric.declare': declareMetric,
  'plan.set': setPlan,
  'price.set': setPrice,
  'invoice.create': createInvoice,
  'invoice.compose': composeInvoice,
  'invoice.finalize': finalizeInvoice,
  'invoice.cancel': cancelInvoice,
  'invoice.credit': creditInvoice,
  'invoice.forgive': writeOffInvoice,
  'invoice.run': runInvoices,
  'invoice.chunk': invoiceChunk,
  'invoice.overdue': markOverdueInvoices,
  'invoice.dun': dunInvoices,
  'invoice.pay': payInvoice,
  'invoice.collect': collectInvoice,
  'invoice.publish': publishInvoice,
  'invoice.withdraw': withdrawInvoice,
  'invoice.lookup': lookUpInvoice,
  'invoice.decide': decideInvoicePayment,
  'invoice.follow': followInvoices,
  'invoice.send': sendInvoice,
  'customer.set': setCustomer,
  'taxrate.set': setTaxRate,
  'schedule.start': startSchedule,
  'fraud.review': reviewFraud,
  'audit.seal': sealAudit,
  'audit.write': writeAudit,
  'security.record': recordSecurityEvent,
  'ledger.check': checkLedger,
  'ledger.tidy': tidyLedger,
  'ledger.seal': sealLedger,
  'operation.prune': pruneOperations,
  'operation.retry': retryOperations,
  'relay.watch': watchRelay,
} as const satisfies { readonly [Name in string]: Kind<Name> }

export type Kinds = typeof kinds
export type KindName = keyof Kinds

export const isKindName = (name: string): name is KindName => Object.hasOwn(kinds, name)

/** The declaration behind a name that came from a row or a job. */
export function kindNamed(name: string): Kind {
  assert(isKindName(name), `No kind is called ${name}`)
  return kinds[name]
}
