import { creditInvoice as credit, writeOff } from '../../domain/billing/correct.ts'
import { statusOnWire } from '../../domain/billing/invoice.ts'
import { invoiceOf } from '../../domain/billing/reads.ts'
import { invoiceRefusals } from '../../domain/billing/refusals.ts'
import { creditInvoice, writeOffInvoice } from '../../jobs/billing.ts'
import { type Amount, type Asset, assets, parseDecimal } from '../../kit/money.ts'
import { transact } from '../shapes/transact.ts'
import { decimalNumber } from './answers.ts'
import { holdInvoice } from './hold.ts'

export const invoiceCredit = transact(creditInvoice, {
  async perform(work, { invoicing }) {
    const { input, sql } = work
    const held = await holdInvoice(work, input.invoice_id)
    const { currency } = held.invoice
    const amount = input.amount === undefined ? undefined : minorUnits(input.amount, currency)
    const note = await credit(work, invoicing, held, { amount, reason: input.reason })
    return {
      success: true as const,
      credit_note_id: note.id,
      credit_note_number: note.number,
      invoice_id: held.invoice.id,
      amount: decimalNumber(note.amount, currency),
      tax: decimalNumber(note.tax, currency),
      refunded_to_wallet: decimalNumber(note.refunded, currency),
      invoice_status: statusOnWire(await invoiceOf(sql, held.invoice.id, undefined)),
    }
  },
})

/** How many decimals an amount may have is the invoice's currency's to say, so it is not the door that looks. */
function minorUnits(written: number | string, currency: Asset): Amount {
  const parsed = parseDecimal(written, currency)
  if (typeof parsed !== 'string' && parsed > 0n) return parsed
  throw invoiceRefusals.invalidAmount({
    problem:
      parsed === 'too precise'
        ? `has more decimals than ${currency}, which has ${assets[currency].scale}; it is never rounded silently`
        : 'must be a positive decimal number such as 10.50',
  })
}

export const invoiceForgive = transact(writeOffInvoice, {
  async perform(work) {
    const { input } = work
    const held = await holdInvoice(work, input.invoice_id)
    await writeOff(work, held, input.reason)
    return { success: true as const, invoice_id: held.invoice.id, status: 'uncollectible' }
  },
})
