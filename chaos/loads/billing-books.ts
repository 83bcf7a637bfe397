import type { Billed, InvoiceRow } from './billing-audit.ts'

interface Balance {
  readonly purpose: string
  readonly owner: string
  readonly asset: string
  readonly balance: string
}

/** Sums by a name. */
class Sums {
  readonly #sums = new Map<string, bigint>()

  add(name: string, amount: bigint | string): void {
    this.#sums.set(name, this.of(name) + BigInt(amount))
  }

  of(name: string): bigint {
    return this.#sums.get(name) ?? 0n
  }

  get names(): string[] {
    return [...this.#sums.keys()]
  }
}

/** What the ledger says is what the invoices say: what is owed, earned, taxed, given up, and given back. */
export async function auditInvoiceBooks(billed: Billed): Promise<void> {
  const { invoices, payments, read, finds } = billed
  const due = new Sums()
  const customers = await read<{ id: string; currency: string; brought: string; credit: string }>(
    'select id, currency, brought, credit from billing_customer',
  )
  for (const { currency, brought } of customers) due.add(`receivable ${currency}`, `-${brought}`)
  for (const invoice of invoices) addInvoice(due, invoice)
  const currencyOf = new Map(invoices.map(({ id, currency }) => [id, currency]))
  for (const { invoice_id: id, status, moved, moved_currency: currency } of payments) {
    if (status !== 'succeeded') continue
    if (currency !== currencyOf.get(id))
      finds('told', `Invoice ${id} is in ${currencyOf.get(id)}, and ${currency} came`)
    due.add(`came ${currency}`, moved ?? '0')
  }
  await auditBalances(billed, due)
  await auditMovements(billed, due)
  auditCarried(billed, customers)
}

function addInvoice(due: Sums, invoice: InvoiceRow): void {
  const { currency, status, type } = invoice
  if (status === 'draft') return
  const [total, tax] = [BigInt(invoice.total), BigInt(invoice.tax)]
  if (type === 'credit_note') {
    due.add(`billing_revenue ${currency}`, tax - total)
    due.add(`tax_payable ${currency}`, -tax)
    return
  }
  if (status === 'open') due.add(`receivable ${currency}`, -BigInt(invoice.due))
  if (status === 'uncollectible') due.add(`given up ${currency}`, invoice.due)
  if (status !== 'void') {
    due.add(`billing_revenue ${currency}`, total - tax)
    due.add(`tax_payable ${currency}`, tax)
  }
  due.add(`applied ${currency}`, invoice.amount_paid)
  due.add(`refunded ${currency}`, invoice.refunded)
}

/** By account, and that wallets of customers hold what was given back and what was paid too much. */
async function auditBalances({ read, finds }: Billed, due: Sums): Promise<void> {
  const balances = await read<Balance>(
    `select purpose, owner, account.asset,
       coalesce(sum(case when credit_id = account.id then amount else -amount end), 0)::text as balance
     from account left join transfer on account.id in (debit_id, credit_id)
     where purpose in ('receivable', 'billing_revenue', 'tax_payable')
       or (purpose = 'wallet' and owner not like 'user:wallet%') group by account.id`,
  )
  const wallets = new Sums()
  for (const { purpose, asset, balance } of balances) {
    if (purpose === 'wallet') wallets.add(asset, balance)
    else if (BigInt(balance) !== due.of(`${purpose} ${asset}`))
      finds('books', `${purpose} has ${balance} ${asset}; by the invoices it is ${due.of(`${purpose} ${asset}`)}`)
  }
  const assets = [...due.names, ...wallets.names].flatMap((name) => name.split(' ').at(-1) ?? [])
  for (const asset of new Set(assets)) {
    const wallet = due.of(`refunded ${asset}`) + due.of(`came ${asset}`) - due.of(`applied ${asset}`)
    if (wallets.of(asset) !== wallet)
      finds('books', `Wallets of customers have ${wallets.of(asset)} ${asset}; by the invoices it is ${wallet}`)
  }
}

/** What came is what pays invoices and what is beyond; only what was called off or credited meanwhile is beyond. */
async function auditMovements({ invoices, read, finds }: Billed, due: Sums): Promise<void> {
  const moves = await read<{ movement: string; asset: string; memo: string; amount: string }>(
    `select movement, asset, memo, sum(amount)::text as amount from transfer where movement like 'invoice.%' group by 1, 2, 3`,
  )
  const sums = new Sums()
  const byNumber = new Sums()
  for (const { movement, asset, memo, amount } of moves) {
    sums.add(`${movement} ${asset}`, amount)
    byNumber.add(`${movement} ${memo}`, amount)
  }
  for (const asset of new Set(moves.map((move) => move.asset))) {
    const came = sums.of(`invoice.pay ${asset}`) + sums.of(`invoice.overpay ${asset}`)
    if (came !== due.of(`came ${asset}`))
      finds('books', `${came} ${asset} was posted for invoices; by their payments ${due.of(`came ${asset}`)} came`)
    const lost = sums.of(`invoice.write_off ${asset}`) - sums.of(`invoice.recover ${asset}`)
    if (lost !== due.of(`given up ${asset}`))
      finds('books', `${lost} ${asset} of invoices is lost; by the invoices it is ${due.of(`given up ${asset}`)}`)
  }
  for (const { id, number, type, status, credited, amount_paid: paid } of invoices) {
    if (number === null || type !== 'invoice') continue
    if (byNumber.of(`invoice.pay ${number}`) !== BigInt(paid))
      finds(
        'books',
        `Invoice ${id} (${number}) says ${paid} is paid; posted is ${byNumber.of(`invoice.pay ${number}`)}`,
      )
    const beyond = byNumber.of(`invoice.overpay ${number}`)
    if (beyond > 0n && status !== 'void' && BigInt(credited) === 0n)
      finds('doubled', `Invoice ${id} (${number}) was paid ${beyond} too much`)
  }
}

/** What a customer carries from invoice to invoice is what those say that stand. */
function auditCarried(
  { invoices, finds }: Billed,
  customers: readonly { id: string; brought: string; credit: string }[],
): void {
  const [carried, credit] = [new Sums(), new Sums()]
  for (const invoice of invoices) {
    if (invoice.type !== 'invoice' || invoice.status === 'void' || invoice.status === 'draft') continue
    carried.add(invoice.customer_id, BigInt(invoice.carried) - BigInt(invoice.brought))
    credit.add(invoice.customer_id, invoice.credit_change)
  }
  for (const { id, ...customer } of customers) {
    if (carried.of(id) !== BigInt(customer.brought))
      finds('books', `${id} still owes ${customer.brought} of small invoices; by those it is ${carried.of(id)}`)
    if (credit.of(id) !== BigInt(customer.credit))
      finds('books', `${id} has ${customer.credit} of adjustments; by the invoices it is ${credit.of(id)}`)
  }
}
