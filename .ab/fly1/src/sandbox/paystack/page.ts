import { html } from 'hono/html'
import type { Transaction } from './rows.ts'

/** Where the customer pays. Works without scripts. */
export const page = (row: Transaction) => html`<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Paystack sandbox</title>
  <style>body { font: 1rem/1.5 system-ui; max-width: 24rem; margin: 4rem auto; padding: 0 1rem } button { font: inherit; padding: .5rem 1rem }</style>
  <h1>Paystack sandbox</h1>
  <p>${row.requestedAmount} minor units of ${row.currency} for <code>${row.id}</code>: ${row.status}.</p>
  ${
    row.status === 'abandoned' || row.status === 'ongoing'
      ? html`<form method="post" action="../_customer/${row.accessCode}">
          <button name="does" value="approve">Pay</button>
          <button name="does" value="fail">Fail</button>
        </form>`
      : ''
  }
</html>`
