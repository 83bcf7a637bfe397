import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { collectionFailed, DUNNING_DAYS, takeDunning } from '../src/domain/billing/dunning.ts'
import { receivePayment } from '../src/domain/billing/pay.ts'
import { lockInvoice } from '../src/domain/billing/reads.ts'
import { openBooks } from '../src/domain/ledger/books.ts'
import { newId } from '../src/kit/ids.ts'
import { type Asset, amount } from '../src/kit/money.ts'
import { inTransaction } from '../src/platform/database.ts'
import { holdInvoice } from '../src/processors/billing/hold.ts'
import { Issuer } from './support/billing.ts'
import { Workshop } from './support/workshop.ts'

let shop: Workshop
let issuer: Issuer

beforeAll(async () => {
  shop = await Workshop.open()
  issuer = new Issuer(shop)
})
afterAll(() => shop.close())
beforeEach(async () => {
  await issuer.startOver()
  await issuer.done('taxrate.set', { country: 'DE', starts_on: '2020-01-01', name: 'VAT', percent: 19 })
})
afterEach(async () => {
  expect(await issuer.findings()).toEqual([])
})

/** An invoice of so much without its tax, of 19 %: its id as callers write it. */
async function invoice(price: number | string, wishes: Parameters<Issuer['customer']>[0] = { country: 'DE' }) {
  const customer = await issuer.customer(wishes)
  const { invoice_id } = await issuer.done('invoice.compose', {
    customer_id: customer,
    items: [{ description: 'Work', unit_price: price }],
  })
  return { id: String(invoice_id), number: Number(invoice_id), customer }
}

/** Money comes by a gateway. */
const pay = (id: number, minorUnits: bigint, currency: Asset = 'USD') =>
  inTransaction(shop.pool, async (sql) => {
    const now = shop.clock.now()
    const opened: Awaited<ReturnType<typeof openBooks>>[] = []
    const desk = {
      sql,
      now,
      operation: { id: newId() },
      async books(ids: readonly string[]) {
        const books = await openBooks(sql, ids, now)
        opened.push(books)
        return books
      },
    }
    const held = await holdInvoice(desk, id)
    const received = await receivePayment(desk, held, { gateway: 'stripe', amount: amount(minorUnits), currency })
    for (const books of opened) await books.write(sql)
    return received
  })

const wallet = (customer: string) => issuer.balance('wallet', 'USD', `user:${customer}`)

const standing = async (customer: string) => {
  const [row] = await issuer.invoices(customer)
  return row
}

describe('A cancelled invoice', () => {
  test('is owed by nobody and earned by nobody, and keeps its number', async () => {
    const { id, customer } = await invoice(100)
    const before = await standing(customer)
    expect(await issuer.done('invoice.cancel', { invoice_id: id })).toEqual({
      ...{ success: true, invoice_id: Number(id), invoice_number: before.number, status: 'cancelled' },
    })
    expect(await standing(customer)).toMatchObject({ status: 'void', number: before.number, sequence: 1, due: 0 })
    for (const purpose of ['receivable', 'billing_revenue', 'tax_payable'])
      expect(await issuer.balance(purpose)).toBe(0)
    expect(await issuer.do('invoice.cancel', { invoice_id: id })).toMatchObject({
      error: { code: 'invoice.notCancelable', http_status: 409 },
    })
  })

  test('is refused once it is paid, in part or in whole, or while a payment is under way', async () => {
    const { id, number, customer } = await invoice(100)
    await issuer.rows(
      `insert into invoice_payment (id, invoice_id, operation_id, gateway, status, amount, created_at, asked_at)
       values ($1, $2, $1, 'stripe', 'unknown', 11900, now(), now())`,
      ...[newId(), number],
    )
    expect(await issuer.do('invoice.cancel', { invoice_id: id })).toMatchObject({
      error: { code: 'invoice.paymentUnderWay' },
    })
    await issuer.rows('delete from invoice_payment')
    await pay(number, 900n)
    expect(await issuer.do('invoice.cancel', { invoice_id: id })).toMatchObject({
      error: { code: 'invoice.partlyPaid' },
    })
    await pay(number, 11_000n)
    expect(await issuer.do('invoice.cancel', { invoice_id: id })).toMatchObject({
      error: { code: 'invoice.notCancelable', message: expect.stringContaining('credit') },
    })
    expect(await standing(customer)).toMatchObject({ status: 'paid', amount_paid: 11_900, due: 0 })
  })

  test('of somebody else is not there', async () => {
    const { id } = await invoice(100)
    expect(await issuer.do('invoice.cancel', { invoice_id: id, user_id: 'mallory' })).toMatchObject({
      error: { code: 'invoice.notFound', http_status: 404 },
    })
  })
})

describe('Credit notes', () => {
  test('lower what is due, have numbers of their own without a gap, and take their part of the tax back', async () => {
    const { id, customer } = await invoice(100)
    const note = await issuer.done('invoice.credit', { invoice_id: id, amount: 11.9, reason: 'The API was down' })
    expect(note).toMatchObject({ amount: 11.9, tax: 1.9, refunded_to_wallet: 0, invoice_status: 'sent' })
    expect(note.credit_note_number).toMatch(/^AH-CN-\d{4}-\d{2}-000001-\d{8}$/)
    const [, credit] = await issuer.invoices(customer)
    expect(credit).toMatchObject({
      type: 'credit_note',
      sequence: 2,
      status: 'paid',
      subtotal: 1_000,
      tax: 190,
      total: 1_190,
    })
    expect(await standing(customer)).toMatchObject({ total: 11_900, credited: 1_190, due: 10_710, status: 'open' })
    expect(await issuer.balance('receivable')).toBe(-10_710)
    expect(await issuer.balance('tax_payable')).toBe(1_710)
  })

  test('together never take back more than the invoice, and all of it to the cent, its tax too', async () => {
    const { id, customer } = await invoice('33.33')
    const { total, tax } = await standing(customer)
    expect([total, tax]).toEqual([3_966, 633])
    let taxes = 0
    for (const part of [13.22, 13.22, '13.21'])
      taxes += Math.round(
        (await issuer.done('invoice.credit', { invoice_id: id, amount: part, reason: 'x' })).tax * 100,
      )
    expect(await issuer.do('invoice.credit', { invoice_id: id, amount: '0.02', reason: 'x' })).toMatchObject({
      error: { code: 'invoice.overCreditable', http_status: 400, message: expect.stringContaining('0.01 USD') },
    })
    const last = await issuer.done('invoice.credit', { invoice_id: id, reason: 'The rest' })
    expect(last).toMatchObject({ amount: 0.01, invoice_status: 'paid' })
    expect(taxes + Math.round(last.tax * 100)).toBe(tax)
    expect(await standing(customer)).toMatchObject({ credited: total, due: 0, status: 'paid', amount_paid: 0 })
    for (const purpose of ['receivable', 'billing_revenue', 'tax_payable'])
      expect(await issuer.balance(purpose)).toBe(0)
    expect(await issuer.do('invoice.credit', { invoice_id: id, reason: 'x' })).toMatchObject({
      error: { code: 'invoice.overCreditable' },
    })
  })

  test('that come at once are taken in turns: the one too many is refused', async () => {
    const { id, customer } = await invoice(100)
    const asked = await Promise.all(
      [1, 2, 3].map(() => shop.submit('invoice.credit', { invoice_id: id, amount: 50, reason: 'x' })),
    )
    await Promise.all(asked.map((one) => shop.run('invoice.credit', [one])))
    const ends = await Promise.all(asked.map((one) => shop.operation(one)))
    expect(ends.map(({ status }) => status).toSorted()).toEqual(['failed', 'succeeded', 'succeeded'])
    expect(await standing(customer)).toMatchObject({ credited: 10_000, due: 1_900 })
  })

  test('of what was paid go into the customer’s wallet', async () => {
    const { id, number, customer } = await invoice(100)
    await pay(number, 10_000n)
    expect(await standing(customer)).toMatchObject({ due: 1_900, status: 'open' })
    const note = await issuer.done('invoice.credit', { invoice_id: id, amount: 50, reason: 'x' })
    expect(note).toMatchObject({ refunded_to_wallet: 31, invoice_status: 'paid' })
    expect(await wallet(customer)).toBe(3_100)
    expect(await standing(customer)).toMatchObject({ credited: 5_000, refunded: 3_100, amount_paid: 10_000, due: 0 })
    await issuer.done('invoice.credit', { invoice_id: id, reason: 'The rest' })
    expect(await wallet(customer)).toBe(10_000)
    expect(await issuer.balance('receivable')).toBe(0)
  })

  test('are for amounts that the currency has, of invoices that are issued', async () => {
    const { id } = await invoice(100)
    for (const [written, code] of [
      ['1.005', 'invoice.invalidAmount'],
      ['abc', 'invoice.invalidAmount'],
      ['0', 'invoice.invalidAmount'],
    ])
      expect(await issuer.do('invoice.credit', { invoice_id: id, amount: written, reason: 'x' })).toMatchObject({
        error: { code, http_status: 422 },
      })
    const note = await issuer.done('invoice.credit', { invoice_id: id, amount: 1, reason: 'x' })
    expect(await issuer.do('invoice.credit', { invoice_id: String(note.credit_note_id), reason: 'x' })).toMatchObject({
      error: { code: 'invoice.notCreditable' },
    })
    expect(await issuer.do('invoice.cancel', { invoice_id: String(note.credit_note_id) })).toMatchObject({
      error: { code: 'invoice.notCancelable' },
    })
  })
})

describe('A payment', () => {
  test('beyond what is due, or for what nobody owes any more, is the customer’s', async () => {
    const { id, number, customer } = await invoice(100)
    expect(await pay(number, 12_000n)).toEqual({ applied: 11_900n, surplus: 100n, paid: true })
    expect(await pay(number, 50n)).toEqual({ applied: 0n, surplus: 50n, paid: true })
    expect(await wallet(customer)).toBe(150)
    const other = await invoice(10)
    await issuer.done('invoice.cancel', { invoice_id: other.id })
    await pay(other.number, 1_190n)
    expect(await wallet(other.customer)).toBe(1_190)
    expect(await issuer.balance('gateway', 'USD', 'platform:stripe')).toBe(-12_000 - 50 - 1_190)
    expect(id).toBe(String(number))
  })

  test('in another currency waits for a person', async () => {
    const { number, customer } = await invoice(100)
    expect(await pay(number, 11_900n, 'EUR')).toEqual({ applied: 0n, surplus: 11_900n, paid: false })
    expect(await issuer.balance('suspense', 'EUR')).toBe(11_900)
    expect(await standing(customer)).toMatchObject({ status: 'open', due: 11_900 })
  })

  test('of one that was given up is still taken: what was our loss is none', async () => {
    const { id, number, customer } = await invoice(100)
    expect(await issuer.done('invoice.forgive', { invoice_id: id, reason: 'Gone' })).toMatchObject({
      status: 'uncollectible',
    })
    expect(await issuer.balance('losses')).toBe(-11_900)
    expect(await issuer.balance('receivable')).toBe(0)
    await pay(number, 900n)
    expect(await standing(customer)).toMatchObject({ status: 'open', due: 11_000, amount_paid: 900 })
    await pay(number, 11_000n)
    expect(await standing(customer)).toMatchObject({ status: 'paid', due: 0 })
    expect(await issuer.balance('losses')).toBe(0)
    expect(await issuer.do('invoice.forgive', { invoice_id: id, reason: 'x' })).toMatchObject({
      error: { code: 'invoice.notCollectible' },
    })
  })

  test('that never came lets an invoice be cancelled after it was given up', async () => {
    const { id } = await invoice(100)
    await issuer.done('invoice.forgive', { invoice_id: id, reason: 'Gone' })
    await issuer.done('invoice.cancel', { invoice_id: id })
    for (const purpose of ['losses', 'receivable', 'billing_revenue']) expect(await issuer.balance(purpose)).toBe(0)
  })
})

describe('Dunning', () => {
  const fail = (number: number, hard = false) =>
    inTransaction(shop.pool, async (sql) =>
      collectionFailed({ sql, now: shop.clock.now() }, await lockInvoice(sql, number), { hard, message: 'declined' }),
    )
  const due = () => inTransaction(shop.pool, (sql) => takeDunning(sql, { now: shop.clock.now(), limit: 10 }))

  test('tries again 2, 7, 14 and 21 days after the first try, and then leaves it to a person', async () => {
    const { number } = await invoice(100)
    const first = shop.clock.now().getTime()
    const days: number[] = []
    for (;;) {
      const next = await fail(number)
      if (next === undefined) break
      days.push(Math.round((next.getTime() - first) / 86_400_000))
      expect(await due()).toEqual([])
      shop.clock.advance({ seconds: (next.getTime() - shop.clock.now().getTime()) / 1_000 + 60 })
      expect(await due()).toEqual([number])
      // Whoever has taken it is given time.
      expect(await due()).toEqual([])
    }
    expect(days).toEqual([...DUNNING_DAYS])
    expect(await due()).toEqual([])
  })

  test('stops at once for a card that will never do, and for an invoice that is paid or cancelled', async () => {
    const hard = await invoice(100)
    expect(await fail(hard.number, true)).toBeUndefined()
    const paid = await invoice(100)
    await fail(paid.number)
    await pay(paid.number, 11_900n)
    const cancelled = await invoice(100)
    await fail(cancelled.number)
    await issuer.done('invoice.cancel', { invoice_id: cancelled.id })
    shop.clock.advance({ seconds: 30 * 86_400 })
    expect(await due()).toEqual([])
  })
})

describe('An invoice whose last day is over', () => {
  test('is overdue from the issuer’s next midnight on, and no longer once it is paid', async () => {
    const { number, customer } = await invoice(100)
    const { due_at } = await standing(customer)
    const to = (at: number) => shop.clock.advance({ seconds: (at - shop.clock.now().getTime()) / 1_000 })
    const mark = () => issuer.done('invoice.overdue', { period: shop.clock.now().toISOString() })
    to(due_at.getTime() + 86_400_000 - 60_000)
    expect(await mark()).toEqual({ marked: 0 })
    to(due_at.getTime() + 86_400_000 + 1_000)
    expect(await mark()).toEqual({ marked: 1 })
    expect(await mark()).toEqual({ marked: 0 })
    await pay(number, 11_900n)
    expect(await standing(customer)).toMatchObject({ overdue: false, status: 'paid' })
  })
})
