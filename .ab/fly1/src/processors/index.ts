import type { KindName } from '../jobs/catalogue.ts'
import { securityRecord } from './audit/record.ts'
import { auditSeal } from './audit/seal.ts'
import { auditWrite } from './audit/write.ts'
import { invoiceCompose, invoiceFinalize } from './billing/by-hand.ts'
import { invoiceCancel } from './billing/cancel.ts'
import { invoiceCredit, invoiceForgive } from './billing/correct.ts'
import { invoiceCreate } from './billing/create.ts'
import { invoiceDecide } from './billing/decide-payment.ts'
import { invoiceDun } from './billing/dun.ts'
import { invoiceFollow } from './billing/follow-invoices.ts'
import { invoiceLookUp } from './billing/look-up.ts'
import { invoiceOverdue } from './billing/overdue.ts'
import { invoiceCollect, invoicePay } from './billing/pay.ts'
import { invoicePublish, invoiceWithdraw } from './billing/publish.ts'
import { invoiceChunks, invoiceRun } from './billing/run.ts'
import { invoiceSend } from './billing/send.ts'
import { customerSet } from './billing/set-customer.ts'
import { taxRateSet } from './billing/set-tax-rate.ts'
import { fraudReview } from './fraud/review.ts'
import { depositConfirm } from './payments/confirm-deposit.ts'
import { paymentDecide } from './payments/decide.ts'
import { paymentFollow } from './payments/follow.ts'
import { depositInitiate } from './payments/initiate-deposit.ts'
import { withdrawalInitiate } from './payments/initiate-withdrawal.ts'
import { paymentLookUp } from './payments/look-up.ts'
import { methodAdd, methodRemove } from './payments/methods.ts'
import { depositRefund } from './payments/refund-deposit.ts'
import { paymentReturn } from './payments/return-payment.ts'
import { kycSet } from './payments/set-kyc.ts'
import { planSet } from './pricing/set-plan.ts'
import { priceSet } from './pricing/set-price.ts'
import { reconciliationPlan } from './reconciliation/plan.ts'
import { reconciliationRun } from './reconciliation/run.ts'
import { scheduleStart } from './schedules/start.ts'
import type { Processor } from './shapes/processor.ts'
import { tokenDeduct } from './tokens/deduct.ts'
import { tokenIssue } from './tokens/issue.ts'
import { tokenMirror } from './tokens/mirror.ts'
import { tokenRevoke } from './tokens/revoke.ts'
import { tokenSweep } from './tokens/sweep.ts'
import { ledgerCheck } from './upkeep/check-ledger.ts'
import { operationPrune } from './upkeep/prune-operations.ts'
import { operationRetry } from './upkeep/retry-operations.ts'
import { ledgerSeal } from './upkeep/seal-ledger.ts'
import { ledgerTidy } from './upkeep/tidy-ledger.ts'
import { relayWatch } from './upkeep/watch-relay.ts'
import { metricDeclare } from './usage/declare-metric.ts'
import { usageRecord } from './usage/record.ts'
import { usageRollUp } from './usage/roll-up.ts'
import { webhookProcess, webhookRetry } from './webhooks/process.ts'
import { webhookUnpark } from './webhooks/unpark.ts'

/** How each kind is done. A kind without a line here does not compile. */
export const processors: { readonly [Name in KindName]: Processor } = {
  'token.issue': tokenIssue,
  'token.deduct': tokenDeduct,
  'token.revoke': tokenRevoke,
  'token.sweep': tokenSweep,
  'token.mirror': tokenMirror,
  'deposit.initiate': depositInitiate,
  'deposit.confirm': depositConfirm,
  'deposit.refund': depositRefund,
  'withdrawal.initiate': withdrawalInitiate,
  'method.add': methodAdd,
  'method.remove': methodRemove,
  'kyc.set': kycSet,
  'payment.decide': paymentDecide,
  'payment.lookup': paymentLookUp,
  'payment.return': paymentReturn,
  'payment.follow': paymentFollow,
  'reconciliation.run': reconciliationRun,
  'reconciliation.plan': reconciliationPlan,
  'webhook.process': webhookProcess,
  'webhook.retry': webhookRetry,
  'webhook.unpark': webhookUnpark,
  'usage.record': usageRecord,
  'usage.rollup': usageRollUp,
  'metric.declare': metricDeclare,
  'plan.set': planSet,
  'price.set': priceSet,
  'invoice.create': invoiceCreate,
  'invoice.compose': invoiceCompose,
  'invoice.finalize': invoiceFinalize,
  'invoice.cancel': invoiceCancel,
  'invoice.credit': invoiceCredit,
  'invoice.forgive': invoiceForgive,
  'invoice.run': invoiceRun,
  'invoice.chunk': invoiceChunks,
  'invoice.overdue': invoiceOverdue,
  'invoice.dun': invoiceDun,
  'invoice.pay': invoicePay,
  'invoice.collect': invoiceCollect,
  'invoice.publish': invoicePublish,
  'invoice.withdraw': invoiceWithdraw,
  'invoice.lookup': invoiceLookUp,
  'invoice.decide': invoiceDecide,
  'invoice.follow': invoiceFollow,
  'invoice.send': invoiceSend,
  'customer.set': customerSet,
  'taxrate.set': taxRateSet,
  'schedule.start': scheduleStart,
  'fraud.review': fraudReview,
  'audit.seal': auditSeal,
  'audit.write': auditWrite,
  'security.record': securityRecord,
  'ledger.check': ledgerCheck,
  'ledger.tidy': ledgerTidy,
  'ledger.seal': ledgerSeal,
  'operation.prune': operationPrune,
  'operation.retry': operationRetry,
  'relay.watch': relayWatch,
}
