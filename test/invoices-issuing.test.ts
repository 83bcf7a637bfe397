import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { InvoicingTerms } from '../src/domain/billing/invoice.ts'
import { taxWithin, totals } from '../src/domain/billing/totals.ts'
import { shares } from '../src/kit/shares.ts'
import { Issuer } from './support/billing.ts'
import { Workshop } from './support/workshop.ts'

const TERMS: InvoicingTerms = {
  issuer: 'default',
  timeZone: 'UTC',
  currency: 'USD',
  dueDays: 30,
  prefix: 'AH',
  autoSend: true,
  country: 'DE',
  minimums: { USD: 50n },
  publicUrl: 'https://pay.example',
}

let shop: Workshop
let issuer: Issuer

beforeAll(async () => {
  shop = await Workshop.open({ invoicing: TERMS })
  issuer = new Issuer(shop)
})
afterAll(() => shop.close())
beforeEach(() => issuer.startOver())
afterEach(async () => {
  expect(await issuer.findings()).toEqual([])
})

const item = (unit_price: number | string, quantity: number | string = 1) => ({
  description: 'Work',
  quantity,
  unit_price,
})

describe('An invoice made by hand', () => {
  test('has the seed’s lines, a number, a due day, and is owed to us', async () => {
    const result = await issuer.done('invoice.compose', {
      customer_id: 'user_456',
      items: [{ description: 'API Usage - January', quantity: 10000, unit_price: '0.01' }],
      due_date: '2027-02-15',
    })
    expect(result).toMatchObject({ success: true, amount: 100, status: 'sent', due_date: '2027-02-15T00:00:00' })
    expect(result.invoice_number).toMatch(/^AH-\d{4}-\d{2}-000001-\d{8}$/)
    expect(result.payment_url).toMatch(/^https:\/\/pay\.example\/invoices\/\d+\.[\w-]{24}$/)
    expect(await issuer.lines(result.invoice_id)).toMatchObject([
      { description: 'API Usage - January', quantity: '10000', price: '0.01', amount: 10_000 },
    ])
    expect(await issuer.balance('receivable')).toBe(-10_000)
    expect(await issuer.balance('billing_revenue')).toBe(10_000)
  })

  test('rounds each line once, half up, however fine its price is', async () => {
    const result = await issuer.done('invoice.compose', {
      customer_id: 'a',
      items: [item('0.0025', 3), item('0.004999', 1), item('0.005', 1), item('1.5', '0.333333')],
    })
    const amounts = (await issuer.lines(result.invoice_id)).map(({ amount }) => amount)
    expect(amounts).toEqual([1, 0, 1, 50])
  })

  test('stays a draft when told so: without a number, without a debt, and deleted without a trace', async () => {
    const kept = await issuer.done('invoice.compose', { customer_id: 'a', items: [item(10)], draft: true })
    expect(kept).toMatchObject({ invoice_number: null, status: 'draft', payment_url: null })
    expect(await issuer.balance('receivable')).toBe(0)
    expect(await issuer.done('invoice.cancel', { invoice_id: String(kept.invoice_id) })).toMatchObject({
      status: 'deleted',
    })
    const next = await issuer.done('invoice.compose', { customer_id: 'a', items: [item(10)] })
    expect((await issuer.invoices()).map(({ sequence }) => sequence)).toEqual([1])
    expect(next.invoice_id).toBeGreaterThan(kept.invoice_id)
  })

  test('gets its number, its tax and its discount when its draft is finalised', async () => {
    await issuer.done('taxrate.set', { country: 'DE', starts_on: '2020-01-01', name: 'VAT', percent: 19 })
    const id = await issuer.customer({ country: 'DE', discount: '10' })
    const kept = await issuer.done('invoice.compose', { customer_id: id, items: [item(100), item(50)], draft: true })
    const final = await issuer.done('invoice.finalize', { invoice_id: String(kept.invoice_id) })
    expect(final).toMatchObject({ invoice_id: kept.invoice_id, amount: 160.65, status: 'sent' })
    const [row] = await issuer.invoices()
    expect(row).toMatchObject({ subtotal: 15_000, discount: 1_500, tax: 2_565, total: 16_065, sequence: 1 })
    expect(await issuer.do('invoice.finalize', { invoice_id: String(kept.invoice_id) })).toMatchObject({
      error: { code: 'invoice.notDraft', http_status: 409 },
    })
  })

  test('is refused where it adds up to more than an invoice can hold', async () => {
    const answer = await issuer.do('invoice.compose', {
      customer_id: 'a',
      items: [item(999_999_999_999, 999_999_999_999)],
    })
    expect(answer.error).toMatchObject({ code: 'invoice.tooLarge', http_status: 422 })
    expect(await issuer.invoices()).toEqual([])
  })
})

describe('Numbers', () => {
  test('of two workers that finalise one draft one gives the number, and there is no gap', async () => {
    const kept = await issuer.done('invoice.compose', { customer_id: 'a', items: [item(10)], draft: true })
    const input = { invoice_id: String(kept.invoice_id) }
    const asked = await Promise.all([1, 2, 3, 4].map(() => shop.submit('invoice.finalize', input)))
    await Promise.all(asked.map((id) => shop.run('invoice.finalize', [id])))
    const ends = await Promise.all(asked.map((id) => shop.operation(id)))
    expect(ends.map(({ status }) => status).toSorted()).toEqual(['failed', 'failed', 'failed', 'succeeded'])
    expect((await issuer.invoices()).map(({ sequence }) => sequence)).toEqual([1])
  })

  test('of one customer’s month and day differ, and go on gaplessly whoever is refused between them', async () => {
    const made = []
    for (const price of [1, 999_999_999_999, 2, 999_999_999_999, 3]) {
      const { status, result } = await issuer.do('invoice.compose', {
        customer_id: 'a',
        items: [item(price, price > 3 ? 999_999_999_999 : 1)],
      })
      if (status === 'succeeded') made.push((result as { invoice_number: string }).invoice_number)
    }
    const [first] = made
    expect(made).toEqual([first, `${first}-2`, `${first}-3`])
    expect((await issuer.invoices()).map(({ sequence }) => sequence)).toEqual([1, 2, 3])
  })

  test('of many customers finalised at once are all different and without a gap', async () => {
    const asked = await Promise.all(
      Array.from({ length: 24 }, (_, index) =>
        shop.submit('invoice.compose', { customer_id: `c${index % 5}`, items: [item(index + 1)] }),
      ),
    )
    await Promise.all(asked.map((id) => shop.run('invoice.compose', [id])))
    const rows = await issuer.invoices()
    expect(rows.map(({ sequence }) => sequence).toSorted((a, b) => a - b)).toEqual(rows.map((_, index) => index + 1))
    expect(new Set(rows.map(({ number }) => number)).size).toBe(24)
  })
})

describe('Tax', () => {
  beforeEach(async () => {
    const rate = { starts_on: '2020-01-01', name: 'VAT' }
    await issuer.done('taxrate.set', { ...rate, country: 'DE', percent: 19 })
    await issuer.done('taxrate.set', { ...rate, country: 'FR', percent: 20, inclusive: true, reverse_charge: true })
    await issuer.done('taxrate.set', { ...rate, country: 'AT', percent: 20, reverse_charge: true })
    await issuer.done('taxrate.set', { ...rate, country: 'IN', name: 'GST', percent: '18.125' })
  })

  const billed = async (wishes: Parameters<Issuer['customer']>[0], price: number | string) => {
    const id = await issuer.customer(wishes)
    await issuer.done('invoice.compose', { customer_id: id, items: [item(price)] })
    const [row] = await issuer.invoices(id)
    return row
  }

  test('is put on top of prices, or taken out of those that hold it', async () => {
    expect(await billed({ country: 'DE' }, '9.99')).toMatchObject({ subtotal: 999, tax: 190, total: 1_189 })
    expect(await billed({ country: 'FR' }, '9.99')).toMatchObject({ subtotal: 999, tax: 167, total: 999 })
    expect(await billed({ country: 'IN' }, 100)).toMatchObject({ tax: 1_813, total: 11_813, tax_name: 'GST' })
    expect(await billed({ country: 'US' }, 100)).toMatchObject({ tax: 0, total: 10_000, tax_name: null })
    expect(await billed({}, 100)).toMatchObject({ tax: 0, total: 10_000 })
    expect(await issuer.balance('tax_payable')).toBe(190 + 167 + 1_813)
  })

  test('is accounted for by a business abroad, who does not pay it inside a price either', async () => {
    expect(await billed({ country: 'AT', taxId: 'ATU1' }, 100)).toMatchObject({
      ...{ tax: 0, total: 10_000, reverse_charge: true },
    })
    expect(await billed({ country: 'FR', taxId: 'FR1' }, 120)).toMatchObject({
      ...{ subtotal: 12_000, tax: 0, total: 10_000, reverse_charge: true },
    })
    expect(await billed({ country: 'AT' }, 100)).toMatchObject({ tax: 2_000, reverse_charge: false })
    expect(await billed({ country: 'DE', taxId: 'DE1' }, 100)).toMatchObject({ tax: 1_900, reverse_charge: false })
    expect(await issuer.balance('tax_payable')).toBe(2_000 + 1_900)
  })

  test('has the rate of the day: usage that of its month’s last', async () => {
    const id = await issuer.customer({ country: 'DE', plan: 'pro' })
    await issuer.done('taxrate.set', { country: 'DE', starts_on: '2026-12-15', name: 'VAT', percent: 25 })
    await issuer.done('taxrate.set', { country: 'DE', starts_on: '2027-01-01', name: 'VAT', percent: 7 })
    issuer.after('2026-12')
    await issuer.done('invoice.create', { user_id: id, month: '2026-11' })
    await issuer.done('invoice.create', { user_id: id, month: '2026-12' })
    await issuer.done('invoice.compose', { customer_id: id, items: [item(1)] })
    const rates = (await issuer.invoices(id)).map(({ tax_percent }) => Number(tax_percent))
    expect(rates).toEqual([19, 25, 7])
  })
})

describe('Discounts', () => {
  test('are shared among the lines so that they add up to the cent', async () => {
    const id = await issuer.customer({ discount: '33.33' })
    const items = [item('0.01'), item('0.01'), item('0.01'), item('10'), item('3.33')]
    const { invoice_id } = await issuer.done('invoice.compose', { customer_id: id, items })
    const [row] = await issuer.invoices(id)
    expect(row).toMatchObject({ subtotal: 1_336, discount: 445, total: 891 })
    const parts = (await issuer.lines(invoice_id)).map(({ discount }) => discount)
    expect(parts).toEqual([1, 0, 0, 333, 111])
  })

  test('of everything leave nothing to pay: paid at once, and no gateway is asked', async () => {
    const id = await issuer.customer({ discount: '100' })
    const result = await issuer.done('invoice.compose', { customer_id: id, items: [item(10)] })
    expect(result).toMatchObject({ amount: 0, status: 'paid' })
    expect(await issuer.balance('receivable')).toBe(0)
    expect(await issuer.rows('select * from invoice_payment')).toEqual([])
  })

  test('any whole is divided into shares that add up, each within one of its own part', () => {
    const seed = Date.now() % 1_000_000
    let state = seed
    const random = (below: number) => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
      return state % below
    }
    for (let turn = 0; turn < 500; turn++) {
      const weights = Array.from({ length: 1 + random(8) }, () => BigInt(random(1_000)))
      const sum = weights.reduce((total, weight) => total + weight, 0n)
      const whole = sum === 0n ? 0n : BigInt(random(100_000))
      const parts = shares(whole, weights)
      expect(
        parts.reduce((total, part) => total + part, 0n),
        `seed ${seed}`,
      ).toBe(whole)
      for (const [index, part] of parts.entries()) {
        const exact = sum === 0n ? 0 : Number(whole * (weights[index] ?? 0n)) / Number(sum)
        expect(Math.abs(Number(part) - exact), `seed ${seed}`).toBeLessThan(1)
      }
    }
    expect(shares(2n, [1n, 1n, 1n])).toEqual([1n, 1n, 0n])
    expect(() => shares(1n, [0n])).toThrow('nobody')
  })

  test('come before tax, which is reckoned on the sum and not on each line', () => {
    const tax = { name: 'VAT', percent: '19', inclusive: false, reverseCharge: false }
    expect(totals([3n, 3n, 3n, 3n, 3n], { discountPercent: '0', tax })).toMatchObject({ tax: 3n, total: 18n })
    expect(totals([100n, -40n], { discountPercent: '50', tax })).toMatchObject({
      ...{ subtotal: 60n, discount: 30n, shares: [30n, 0n], tax: 6n, total: 36n },
    })
    expect([taxWithin(119n, '19'), taxWithin(1n, '19'), taxWithin(3n, '50'), taxWithin(0n, '19')]).toEqual([
      19n,
      0n,
      1n,
      0n,
    ])
  })
})

describe('What is too little for a gateway', () => {
  test('is carried to the next invoice, which asks for it, and back when that one is void', async () => {
    const small = await issuer.done('invoice.compose', { customer_id: 'a', items: [item('0.30')] })
    expect(small).toMatchObject({ amount: 0, status: 'paid' })
    const again = await issuer.done('invoice.compose', { customer_id: 'a', items: [item('0.10')] })
    expect(again).toMatchObject({ amount: 0, status: 'paid' })
    expect((await issuer.invoices('a')).map(({ carried }) => carried)).toEqual([30, 10])
    expect(await issuer.balance('receivable')).toBe(-40)

    const large = await issuer.done('invoice.compose', { customer_id: 'a', items: [item('2')] })
    expect(large).toMatchObject({ amount: 2.4, status: 'sent' })
    expect(await issuer.rows('select brought::int from billing_customer')).toEqual([{ brought: 0 }])
    await issuer.done('invoice.cancel', { invoice_id: String(large.invoice_id) })
    expect(await issuer.rows('select brought::int from billing_customer')).toEqual([{ brought: 40 }])
    expect(await issuer.done('invoice.compose', { customer_id: 'a', items: [item('0.10')] })).toMatchObject({
      ...{ amount: 0.5, status: 'sent' },
    })
  })

  test('keeps the customer in their currency until it is asked for', async () => {
    await issuer.done('invoice.compose', { customer_id: 'a', items: [item('0.30')] })
    expect(await issuer.do('customer.set', { user_id: 'a', currency: 'EUR' })).toMatchObject({
      error: { code: 'customer.currencyInUse' },
    })
    await issuer.done('invoice.compose', { customer_id: 'a', items: [item('2')] })
    await issuer.done('customer.set', { user_id: 'a', currency: 'EUR' })
    const [row] = await issuer.invoices((await issuer.done('customer.set', { user_id: 'a' })).user_id)
    expect(row.currency).toBe('USD')
  })

  test('is asked for where its currency knows no least amount', async () => {
    const id = await issuer.customer({ currency: 'KWD' })
    const result = await issuer.done('invoice.compose', { customer_id: id, items: [item('0.001')] })
    expect(result).toMatchObject({ amount: 0.001, status: 'sent' })
  })
})

describe('A month', () => {
  test('is billed with its fee and its usage, once, however often it is asked for', async () => {
    const id = await issuer.customer({ plan: 'pro' })
    issuer.after('2026-12')
    await issuer.used(id, '2026-12-05T10:00:00Z', 51_000)
    const asked = await Promise.all(
      [1, 2, 3].map(() => shop.submit('invoice.create', { user_id: id, month: '2026-12' })),
    )
    await Promise.all(asked.map((one) => shop.run('invoice.create', [one])))
    const results = await Promise.all(asked.map(async (one) => (await shop.operation(one)).result))
    expect(results[0]).toMatchObject({ success: true, invoice_number: 'AH-2026-12-000001-20270101', amount: 30.99 })
    expect(new Set(results.map((one) => JSON.stringify(one))).size).toBe(1)
    expect(await issuer.invoices(id)).toHaveLength(1)
  })

  test('is refused while it runs, without usage and fee, and for nobody', async () => {
    const id = await issuer.customer({ plan: 'free' })
    issuer.after('2026-12')
    expect(await issuer.do('invoice.create', { user_id: id, month: '2027-01' })).toMatchObject({
      error: { code: 'invoice.monthNotOver', http_status: 409 },
    })
    expect(await issuer.do('invoice.create', { user_id: id, month: '2026-12' })).toMatchObject({
      error: { code: 'invoice.nothingToBill', http_status: 409 },
    })
    expect(await issuer.do('invoice.create', { user_id: 'nobody', month: '2026-12' })).toMatchObject({
      error: { code: 'invoice.customerNotFound', http_status: 404 },
    })
  })

  test('that was cancelled can be billed again, under a number of its own', async () => {
    const id = await issuer.customer({ plan: 'pro' })
    issuer.after('2026-12')
    const first = await issuer.done('invoice.create', { user_id: id, month: '2026-12' })
    await issuer.done('invoice.cancel', { invoice_id: String(first.invoice_id) })
    const second = await issuer.done('invoice.create', { user_id: id, month: '2026-12' })
    expect(second.invoice_number).toBe(`${first.invoice_number}-2`)
    expect((await issuer.invoices(id)).map(({ status }) => status)).toEqual(['void', 'open'])
  })
})
