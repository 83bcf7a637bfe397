import { cancelInvoice as cancel } from '../../domain/billing/correct.ts'
import { cancelInvoice } from '../../jobs/billing.ts'
import { transact } from '../shapes/transact.ts'
import { holdInvoice } from './hold.ts'

export const invoiceCancel = transact(cancelInvoice, {
  async perform(work) {
    const { input } = work
    const held = await holdInvoice(work, input.invoice_id, input.user_id)
    await cancel(work, held)
    // Stripe's page takes no money for it any more.
    if (held.invoice.gatewayId !== null)
      work.followUp({ kind: 'invoice.withdraw', input: { invoice_id: held.invoice.id } })
    return {
      success: true as const,
      invoice_id: held.invoice.id,
      invoice_number: held.invoice.number,
      status: held.invoice.status === 'draft' ? ('deleted' as const) : ('cancelled' as const),
    }
  },
})
