import { staleCopies, takeCopies } from '../../domain/billing/copy.ts'
import { takeLetters } from '../../domain/billing/letter.ts'
import { takeLooks } from '../../domain/billing/payment.ts'
import { followInvoices } from '../../jobs/invoice-payments.ts'
import { transact } from '../shapes/transact.ts'

/** Asked for in one go, of each sort; the rest has a turn of its own right after. */
const MAX_FOLLOWED = 1_000

/** Withdrawals of one round: those that cannot be done come again with the next. */
const MAX_WITHDRAWN = 100

/** Nothing waits for a webhook that may never come, and no letter for whoever issued the invoice to still be there. */
export const invoiceFollow = transact(followInvoices, {
  async perform({ sql, input, now, followUp }, { mail }) {
    const looks = await takeLooks(sql, { now, limit: MAX_FOLLOWED })
    const copies = await takeCopies(sql, { now, limit: MAX_FOLLOWED })
    for (const id of new Set([...looks, ...copies])) followUp({ kind: 'invoice.lookup', input: { invoice_id: id } })
    const stale = await staleCopies(sql, MAX_WITHDRAWN)
    for (const id of stale) followUp({ kind: 'invoice.withdraw', input: { invoice_id: id } })
    const letters = mail === undefined ? [] : await takeLetters(sql, { now, limit: MAX_FOLLOWED })
    for (const id of letters) followUp({ kind: 'invoice.send', input: { invoice_id: id } })
    if ([looks, copies, letters].some(({ length }) => length === MAX_FOLLOWED))
      followUp({ kind: 'invoice.follow', input })
    return { look_ups: looks.length + copies.length, withdrawals: stale.length, letters: letters.length }
  },
})
