import { type Sandbox, sandboxKeys } from '../../src/sandbox/server.ts'
import { askGateway } from '../gateways.ts'
import type { Billed } from './billing-audit.ts'

/** What the stand-in says it has charged. */
interface Charge {
  /** Ours, where we have made it; Stripe charges for an invoice under no reference of ours. */
  readonly reference: string | null
  readonly amount: number
  readonly currency: string
}

/** A copy of an invoice as Stripe’s own list has it. */
interface Listed {
  readonly id: string
  readonly status: string
  readonly amount_due: number
  readonly amount_paid: number
  readonly currency: string
  readonly payments: { readonly data: readonly { readonly payment: { readonly payment_intent: string | null } }[] }
}

/** Of a page of Stripe's lists. */
const PAGE = 100

/** What Stripe took for invoices is what our payments say, each once; and nothing can be paid there that is not due here. */
export async function auditStripe({ invoices, payments, finds }: Billed, sandbox: Sandbox): Promise<void> {
  for (const { id, invoice_id: invoice, status } of payments)
    if (status !== 'succeeded' && status !== 'declined' && status !== 'not_sent')
      finds('open', `Payment ${id} of invoice ${invoice} is ${status}`)

  const copies = await copiesOf(sandbox)
  const there = new Map(
    copies
      .filter(({ status }) => status === 'paid')
      .map((copy) => [
        copy.payments.data[0]?.payment.payment_intent ?? copy.id,
        `${copy.amount_paid} ${copy.currency.toUpperCase()}`,
      ]),
  )
  const here = Map.groupBy(
    payments.filter(({ status }) => status === 'succeeded'),
    (payment) => payment.gateway_id ?? 'nothing',
  )
  for (const id of new Set([...there.keys(), ...here.keys()])) {
    const ours = here.get(id) ?? []
    const of = ours.map((payment) => `invoice ${payment.invoice_id}`).join(', ')
    if (ours.length > 1) finds('doubled', `What Stripe calls ${id} paid ${of}`)
    const said = ours.map(({ moved, moved_currency: currency }) => `${moved} ${currency}`).join(', ')
    if (said !== (there.get(id) ?? ''))
      finds('outside', `Payment ${id} (${of}): Stripe says ${there.get(id) ?? 'nothing'}, we say ${said || 'nothing'}`)
  }
  await auditCharges(sandbox, [...there.values()], finds)

  const payable = new Map(
    invoices.flatMap((invoice) => (invoice.gateway_id === null ? [] : [[invoice.gateway_id, invoice]])),
  )
  for (const { id, status, amount_due: asks } of copies) {
    if (status !== 'open') continue
    const ours = payable.get(id)
    const isDue = ours?.status === 'open' || ours?.status === 'uncollectible'
    if (!isDue || Number(ours.gateway_amount) !== asks || Number(ours.due) !== asks)
      finds(
        'outside',
        `${asks} can be paid at Stripe by ${id}; here it is ${ours?.id} (${ours?.status}) of ${ours?.due}`,
      )
  }
}

/** No card was charged for an invoice but for those that Stripe says are paid. */
async function auditCharges(sandbox: Sandbox, paid: readonly string[], finds: Billed['finds']): Promise<void> {
  const { body } = await askGateway(sandbox, 'stripe', 'GET', '/_done')
  const charged = (body as { charges: readonly Charge[] }).charges
    .filter(({ reference }) => reference === null)
    .map(({ amount, currency }) => `${amount} ${currency.toUpperCase()}`)
  const [charges, bills] = [charged.toSorted(), paid.toSorted()]
  if (charges.join() !== bills.join())
    finds('outside', `Stripe has charged ${charges.length} times for ${bills.length} invoices that were paid there`)
}

/** Every invoice that Stripe has, with what paid it. */
async function copiesOf({ gateways }: Sandbox): Promise<readonly Listed[]> {
  const all: Listed[] = []
  for (let after = ''; ; ) {
    const url = `${gateways.stripe.apiBase}/v1/invoices?limit=${PAGE}&expand[]=data.payments${after}`
    const response = await fetch(url, { headers: { authorization: `Bearer ${sandboxKeys.stripe.secretKey}` } })
    if (!response.ok) throw new Error(`Stripe's stand-in answered ${response.status}: ${await response.text()}`)
    const { data, has_more: more } = (await response.json()) as { data: readonly Listed[]; has_more: boolean }
    all.push(...data)
    const last = data.at(-1)
    if (!more || last === undefined) return all
    after = `&starting_after=${last.id}`
  }
}
