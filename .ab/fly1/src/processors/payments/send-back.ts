import type { Standing } from '../../domain/payments/settle.ts'
import type { FollowUp } from '../../jobs/followup.ts'

/** Asks for everything that came in vain to be given back, in the transaction that found it. */
export function sendBack(work: { followUp(...followUps: FollowUp[]): void }, { giveBack = [] }: Standing): void {
  for (const paymentId of giveBack) work.followUp({ kind: 'payment.return', input: { payment_id: paymentId } })
}
