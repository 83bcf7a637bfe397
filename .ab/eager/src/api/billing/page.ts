import { createHash } from 'node:crypto'
import { html, raw } from 'hono/html'
import {
  customerLines,
  decimalText,
  factsOf,
  type InvoiceFace,
  moneyText,
  notesOf,
  sellerLines,
  titleOf,
  totalsOf,
} from '../../domain/billing/reads.ts'

/** What the page has to say beside the invoice, after its reader pressed the button. */
export const pageSays = {
  working: 'Your payment is being prepared. Press the button again in a moment.',
  underway: 'A payment of this invoice is under way. Come back in a few minutes to see it here.',
  settled: 'Nothing is left to be paid.',
  unavailable: 'The payment service could not be reached, and nothing was charged. Please try again in a few minutes.',
  review: 'A payment of this invoice is being looked at by our staff. Please do not pay again.',
} as const

export type PageSays = keyof typeof pageSays

export const isPageSays = (said: string | undefined): said is PageSays =>
  said !== undefined && Object.hasOwn(pageSays, said)

/** Colours as pairs that stay readable: at least 4.5 to 1 for text, by day and by night. */
const CSS = `
:root { color-scheme: light dark; --paper: #ffffff; --ground: #eef0f3; --ink: #1a1d21; --muted: #50565e; --rule: #c3c8cf;
  --act: #0b57d0; --on-act: #ffffff; --note: #fff3cd; --on-note: #4d3800 }
@media (prefers-color-scheme: dark) {
  :root { --paper: #1c1f24; --ground: #111317; --ink: #f1f3f5; --muted: #b4bac2; --rule: #4a5058;
    --act: #a8c7fa; --on-act: #062e6f; --note: #4a3b00; --on-note: #ffe9a8 }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
main { max-width: 48rem; margin: 0 auto; padding: 1.5rem 1rem 3rem }
header, footer, nav { padding: 0 .25rem }
section { background: var(--paper); border: 1px solid var(--rule); border-radius: .5rem; padding: 1.25rem; margin: 1rem 0 }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .5rem }
h2 { font-size: 1rem; margin: 0 0 .5rem; color: var(--muted) }
p { margin: .25rem 0 }
.muted, footer { color: var(--muted) }
.due { font-size: 2rem; font-weight: 700; line-height: 1.2; margin: 0 }
.note { background: var(--note); color: var(--on-note); border-radius: .5rem; padding: .75rem 1rem; margin: 1rem 0 }
.sides { display: grid; gap: 1.25rem; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)) }
dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem .75rem; margin: 0 }
dt { color: var(--muted) }
dd { margin: 0; text-align: right }
table { width: 100%; border-collapse: collapse }
caption { text-align: left; font-weight: 700; color: var(--muted); padding-bottom: .5rem }
th, td { padding: .5rem 0 .5rem 1rem; text-align: right; vertical-align: top; border-top: 1px solid var(--rule) }
th:first-child, td:first-child { padding-left: 0; text-align: left }
thead th { border-top: 0; color: var(--muted); font-size: .875rem }
td.amount, .sums dd { white-space: nowrap; font-variant-numeric: tabular-nums }
.sums { margin: 1rem 0 0 auto; max-width: 24rem }
.sums .strong { color: inherit; font-weight: 700; font-size: 1.125rem }
button { font: inherit; font-weight: 700; min-height: 3rem; width: 100%; border: 0; border-radius: .5rem; cursor: pointer;
  margin-top: 1rem; padding: .75rem 1.25rem; background: var(--act); color: var(--on-act) }
a { color: var(--act); display: inline-block; padding: .25rem 0 }
:focus-visible { outline: 3px solid var(--act); outline-offset: 3px }
@media (max-width: 34rem) {
  section { padding: 1rem }
  thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
  tr { display: grid; grid-template-columns: 1fr auto; padding: .5rem 0; border-top: 1px solid var(--rule) }
  th, td { border: 0; padding: 0 }
  tbody th { grid-column: 1 / -1 }
  td.quantity, td.price { text-align: left; color: var(--muted) }
  td.quantity::before { content: 'Quantity ' }
  td.price:not(:empty)::before { content: 'at ' }
  td.quantity, td.price { grid-column: 1 }
  td.amount { grid-column: 2; grid-row: 2 }
}
@media print { body { background: none } section { border: 0; padding: 0 } form, nav { display: none } }
`

/**
 * Nothing runs, nothing is loaded, nobody frames it. Forms go to us, and from us to the gateway's own page, which may be
 * anywhere on the web.
 */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(CSS).digest('base64')}'; img-src data:; base-uri 'none'; form-action 'self' https: http://127.0.0.1:*; frame-ancestors 'none'`,
  // The link is the key: it goes to nobody else, stays in no shared cache and in no search engine.
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'private, no-store',
  'X-Robots-Tag': 'noindex',
}

export interface PageOptions {
  /** Where the form goes; absent where there is nobody to pay by. */
  readonly payPath: string | undefined
  readonly pdfPath: string
  readonly says: PageSays | undefined
}

/** The invoice as a page that needs no script: it can be read, printed, heard and paid. */
export function invoicePage(face: InvoiceFace, { payPath, pdfPath, says }: PageOptions) {
  const money = (amount: bigint) => moneyText(amount, face.currency)
  const isDue = face.type === 'invoice' && face.due > 0n && (face.status === 'open' || face.status === 'uncollectible')
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${titleOf(face)} · ${face.seller.name}</title>
<link rel="icon" href="data:,">
<style>${raw(CSS)}</style>
</head>
<body>
<main>
<header>
<p class="muted">${face.seller.name}</p>
<h1>${titleOf(face)}</h1>
</header>
${says === undefined ? '' : html`<p class="note" role="status">${pageSays[says]}</p>`}
${
  isDue
    ? html`<section aria-labelledby="due">
<h2 id="due">Amount due</h2>
<p class="due">${money(face.due)}</p>
${
  payPath === undefined
    ? html`<p>Please pay as agreed, and state the number of the invoice.</p>`
    : html`<form method="post" action="${payPath}">
<button type="submit">Pay ${money(face.due)}</button>
<p class="muted">You pay on the secure page of our payment provider. We never see your card.</p>
</form>`
}
</section>`
    : ''
}
<section aria-labelledby="about">
<h2 id="about">About this ${face.type === 'invoice' ? 'invoice' : 'credit note'}</h2>
<div class="sides">
<dl>${factsOf(face).map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>
<div>
<h2>Bill to</h2>
<p><strong>${face.customer.name}</strong></p>
${customerLines(face.customer).map((line) => html`<p>${line}</p>`)}
</div>
</div>
${face.description === null ? '' : html`<p>${face.description}</p>`}
</section>
<section>
<table>
<caption>What it is for</caption>
<thead><tr><th scope="col">Description</th><th scope="col">Quantity</th><th scope="col">Unit price</th><th scope="col">Amount</th></tr></thead>
<tbody>
${face.lines.map(
  (line) => html`<tr><th scope="row">${line.description}</th>
<td class="quantity">${decimalText(line.quantity)}</td>
<td class="price">${line.unitPrice === null ? '' : decimalText(line.unitPrice)}</td>
<td class="amount">${money(line.amount)}</td></tr>`,
)}
</tbody>
</table>
<dl class="sums">
${totalsOf(face).map(({ name, amount, strong }) =>
  strong === true
    ? html`<dt class="strong">${name}</dt><dd class="strong">${amount}</dd>`
    : html`<dt>${name}</dt><dd>${amount}</dd>`,
)}
</dl>
${notesOf(face).map((note) => html`<p class="muted">${note}</p>`)}
</section>
<nav aria-label="Copies"><a href="${pdfPath}" type="application/pdf">Download as PDF</a></nav>
<footer>
<p>${face.seller.name}</p>
${sellerLines(face.seller).map((line) => html`<p>${line}</p>`)}
</footer>
</main>
</body>
</html>`
}

/** For whoever follows a link that leads nowhere. */
export const missingPage = () => html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>No such invoice</title>
<link rel="icon" href="data:,">
<style>${raw(CSS)}</style>
</head>
<body>
<main>
<h1>There is no invoice here</h1>
<p>Please open the link from your letter again, all of it.</p>
</main>
</body>
</html>`
