import { html } from 'hono/html'
import type { Charge } from './rows.ts'

/** Where the customer of the mock gateway says yes or no. Works without scripts. */
export const page = (charge: Charge) => html`<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Mock gateway</title>
  <style>body { font: 1rem/1.5 system-ui; max-width: 24rem; margin: 4rem auto; padding: 0 1rem } button { font: inherit; padding: .5rem 1rem }</style>
  <h1>Mock gateway</h1>
  <p>Payment <code>${charge.id}</code>: ${charge.amount} minor units of ${charge.currency}, ${charge.status.replaceAll('_', ' ')}.</p>
  ${
    charge.status === 'requires_action'
      ? html`<form method="post" action="../_customer/${charge.id}">
          <button name="does" value="approve">Approve</button>
          <button name="does" value="fail">Fail</button>
        </form>`
      : ''
  }
</html>`
