import { html } from 'hono/html'
import type { Sql } from '../../kit/sql.ts'
import { factsOf, type InvoiceFace, moneyText, sellerLines, titleOf, totalsOf } from './face.ts'

/** Before the same letter is asked for again, should this time be lost: seconds. */
const AGAIN_SECONDS = 3_600

/** Issued invoices that were handed over to be mailed and are not, with the next time put off. */
export async function takeLetters(sql: Sql, { now, limit }: { now: Date; limit: number }): Promise<number[]> {
  const rows = await sql.query<{ id: string }>(
    `with waiting as (
       select id from invoice
       where sent_at is not null and mailed_at is null and mail_note is null and (mail_at is null or mail_at <= $1)
       order by id limit $2 for no key update skip locked
     )
     update invoice set mail_at = $1::timestamptz + make_interval(secs => ${AGAIN_SECONDS})
     from waiting where invoice.id = waiting.id returning invoice.id`,
    [now, limit],
  )
  return rows.map(({ id }) => Number(id))
}

/** How an invoice's letter stands: sent, never to be sent, or still to be. */
export async function letterOf(sql: Sql, id: number): Promise<{ mailedAt: Date | null; note: string | null }> {
  const [row] = await sql.query<{ mailed_at: Date | null; mail_note: string | null }>(
    'select mailed_at, mail_note from invoice where id = $1',
    [id],
  )
  return { mailedAt: row?.mailed_at ?? null, note: row?.mail_note ?? null }
}

export const letterSent = (sql: Sql, id: number, now: Date): Promise<unknown> =>
  sql.query('update invoice set mailed_at = $2 where id = $1', [id, now])

export const letterGivenUp = (sql: Sql, id: number, note: string): Promise<unknown> =>
  sql.query('update invoice set mail_note = $2 where id = $1', [id, note])

/** What the letter says, as text and as a page. */
export async function letter(face: InvoiceFace, url: string): Promise<{ subject: string; text: string; html: string }> {
  const subject = `${titleOf(face)} from ${face.seller.name}`
  const facts = factsOf(face)
  const sums = totalsOf(face)
  const ask =
    face.type === 'invoice' && face.due > 0n
      ? `Please pay ${moneyText(face.due, face.currency)} here:`
      : 'You can look at it here:'
  const text = [
    `Dear ${face.customer.name},`,
    '',
    `here is ${titleOf(face)}. It is attached as a PDF.`,
    '',
    ...facts.map(([name, value]) => `${name}: ${value}`),
    ...sums.map(({ name, amount }) => `${name}: ${amount}`),
    '',
    ask,
    url,
    '',
    face.seller.name,
    ...sellerLines(face.seller),
    '',
  ].join('\n')
  const page = await html`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>${subject}</title></head>
<body style="font: 16px/1.5 sans-serif; color: #1a1d21; background: #ffffff; max-width: 36rem; margin: 0 auto; padding: 1rem">
<p>Dear ${face.customer.name},</p>
<p>here is <strong>${titleOf(face)}</strong>. It is attached as a PDF.</p>
<table style="border-collapse: collapse">
${[...facts, ...sums.map(({ name, amount }) => [name, amount] as const)].map(
  ([name, value]) =>
    html`<tr><th scope="row" style="text-align: left; font-weight: normal; color: #50565e; padding: 2px 16px 2px 0">${name}</th><td style="padding: 2px 0">${value}</td></tr>`,
)}
</table>
<p>${ask}<br><a href="${url}" style="color: #0b57d0">${url}</a></p>
<p style="color: #50565e">${face.seller.name}${sellerLines(face.seller).map((line) => html`<br>${line}`)}</p>
</body>
</html>`
  return { subject, text, html: String(page) }
}
