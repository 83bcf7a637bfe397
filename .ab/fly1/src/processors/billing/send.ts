import { fileNameOf } from '../../domain/billing/face.ts'
import { letter, letterGivenUp, letterOf, letterSent } from '../../domain/billing/letter.ts'
import { pageUrl } from '../../domain/billing/link.ts'
import { invoicePdf } from '../../domain/billing/pdf.ts'
import { billedOf, faceOf, type InvoiceFace, invoiceOf, lockInvoice } from '../../domain/billing/reads.ts'
import type { MailAnswer } from '../../gateways/mail.ts'
import { sendInvoice } from '../../jobs/invoice-payments.ts'
import { namedId } from '../../kit/ids.ts'
import type { Sql } from '../../kit/sql.ts'
import { Done, staged, TryLater } from '../shapes/staged.ts'

interface Begun {
  readonly to: string
  readonly messageId: string
  readonly url: string
  readonly face: InvoiceFace
}

/**
 * Once for each invoice, by its row. Outside at least once: a server whose «yes» was lost gets the letter again, under the
 * same Message-ID, which mail programs show once.
 */
export const invoiceSend = staged(sendInvoice, {
  async begin(work, { mail, keyring, seller, invoicing }): Promise<Begun | Done<Sent>> {
    const { sql, input } = work
    const invoice = await invoiceOf(sql, input.invoice_id, undefined)
    const over = await isOver(sql, invoice.id)
    if (over !== undefined) return new Done(over)
    if (mail === undefined) return new Done({ status: 'not_sent', note: 'No mail server is configured' })
    const giveUp = async (note: string) => {
      await letterGivenUp(sql, invoice.id, note)
      return new Done<Sent>({ status: 'not_sent', note })
    }
    if (invoice.number === null) return giveUp('It is not issued')
    if (invoice.status === 'void') return giveUp('It was canceled before it was sent')
    const { email } = await billedOf(sql, keyring, invoice.customerId)
    if (email === null) return giveUp('No address is known of the customer')
    return {
      to: email,
      messageId: messageIdOf(invoice, seller.email ?? 'billing@bursar.invalid'),
      url: pageUrl(invoicing.publicUrl, keyring, invoice.id),
      face: await faceOf(sql, invoice, { keyring, seller, timeZone: invoicing.timeZone }),
    }
  },

  async call({ begun: { to, messageId, url, face } }, { mail, pdfFonts }): Promise<MailAnswer> {
    if (mail === undefined) return { outcome: 'not_sent', reason: 'No mail server is configured any more' }
    const pdf = await invoicePdf(face, pdfFonts)
    const attachments = [{ name: fileNameOf(face), type: 'application/pdf', content: pdf }]
    return mail.send({ to, messageId, ...(await letter(face, url)), attachments })
  },

  async finish({ sql, now, input }, { answer }) {
    await lockInvoice(sql, input.invoice_id)
    // Another job may have sent it meanwhile.
    const over = await isOver(sql, input.invoice_id)
    if (over !== undefined) return over
    switch (answer.outcome) {
      case 'sent':
        await letterSent(sql, input.invoice_id, now)
        return { status: 'sent' as const, note: null }
      case 'refused':
        await letterGivenUp(sql, input.invoice_id, answer.message)
        return { status: 'not_sent' as const, note: answer.message }
      case 'not_sent':
      case 'unknown':
        return new TryLater(answer.reason)
    }
  },
})

type Sent = { status: 'sent' | 'not_sent'; note: string | null }

async function isOver(sql: Sql, id: number): Promise<Sent | undefined> {
  const { mailedAt, note } = await letterOf(sql, id)
  if (mailedAt !== null) return { status: 'sent', note: 'It was sent before' }
  return note === null ? undefined : { status: 'not_sent', note }
}

/** Named by the invoice, in the company's own domain: the same for every try, and for every process. */
function messageIdOf(invoice: { id: number; number: string | null; issuedAt: Date | null }, from: string): string {
  const name = namedId(`letter ${invoice.id} ${invoice.number} ${invoice.issuedAt?.getTime()}`)
  return `<invoice-${name}@${from.split('@').at(-1)}>`
}
