import { existsSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { invoicePdf } from '../src/domain/billing/pdf.ts'
import { face } from './support/faces.ts'
import { Invoices } from './support/invoices.ts'
import { readPdf } from './support/pdf.ts'

describe('an invoice on paper', () => {
  test('says who owes what to whom for what, and until when', async () => {
    const { pages } = readPdf(await invoicePdf(face()))
    expect(pages).toHaveLength(1)
    expect(pages[0]).toEqual([
      ...['AgentHub', '123 Business St, City, State 12345', 'billing@agenthub.example', '+1-555-123-4567'],
      ...['Invoice', 'Number', 'AH-2026-10-000001-20261101', 'Issued', '1 November 2026', 'Due', '1 December 2026'],
      ...['Period', 'October 2026', 'Status', 'To be paid'],
      ...['Bill to', 'Ada Example & Söhne <GmbH>', '1 Long Street', '10115 Berlin', 'Germany', 'Tax id DE123456789'],
      ...['Description', 'Quantity', 'Unit price', 'Amount'],
      ...['Pro plan, October 2026', '1', '29.99', 'USD 29.99'],
      ...['API calls beyond 50,000', '12,500', '0.0015', 'USD 18.75'],
      ...['Late usage of September 2026', '-150', '-USD 0.23'],
      ...['Subtotal', 'USD 48.51', 'Discount', '-USD 4.85', 'VAT 19 %', 'USD 8.30', 'Total', 'USD 51.96'],
      ...['Amount due', 'USD 51.96', 'Invoice AH-2026-10-000001-20261101 · page 1 of 1'],
    ])
  })

  test('names tax that is inside its prices, tax that the customer accounts for, and what is carried', async () => {
    const inclusive = readPdf(await invoicePdf(face({ taxInclusive: true, discount: 0n }))).pages.flat()
    expect(inclusive).toContain('of which VAT 19 %')
    expect(inclusive).toContain('Prices include tax.')
    const reversed = readPdf(await invoicePdf(face({ reverseCharge: true, tax: 0n }))).pages.flat()
    expect(reversed).toContain('Reverse charge: the recipient accounts for the tax.')
    expect(reversed.filter((text) => text.startsWith('VAT'))).toEqual([])
    const carried = readPdf(
      await invoicePdf(face({ brought: 12n, paid: 5_208n, due: 0n, status: 'paid' })),
    ).pages.flat()
    expect(carried).toEqual(expect.arrayContaining(['Brought from earlier invoices', 'USD 0.12', 'Paid', 'USD 52.08']))
  })

  test('counts in the decimals of its currency', async () => {
    const yen = readPdf(await invoicePdf(face({ currency: 'JPY', total: 1_234_567n }))).pages.flat()
    expect(yen).toContain('JPY 1,234,567')
    const dinars = readPdf(await invoicePdf(face({ currency: 'KWD', total: 1_234_567n }))).pages.flat()
    expect(dinars).toContain('KWD 1,234.567')
  })

  test('of more lines than a page holds goes on, and loses none', async () => {
    const lines = Array.from({ length: 200 }, (_, index) => ({
      description: `Line ${index} ${'that is long '.repeat(index % 7)}`.trim(),
      quantity: '1',
      unitPrice: '1',
      amount: 100n,
    }))
    const { pages } = readPdf(await invoicePdf(face({ lines })))
    expect(pages.length).toBeGreaterThan(3)
    const text = pages.flat()
    for (let index = 0; index < lines.length; index++)
      expect(
        text.some((piece) => piece === `Line ${index}` || piece.startsWith(`Line ${index} `)),
        `${index}`,
      ).toBe(true)
    // Each page says the table's head again, and which page it is.
    expect(pages.slice(0, -1).every((page) => page.includes('Unit price'))).toBe(true)
    expect(pages.map((page) => page.at(-1))).toEqual(
      pages.map((_, index) => `Invoice AH-2026-10-000001-20261101 · page ${index + 1} of ${pages.length}`),
    )
  })

  test('has a heading, a table and cells for whoever hears it', async () => {
    const { objects } = readPdf(await invoicePdf(face()))
    expect(objects).toContain('/MarkInfo')
    expect(objects).toContain('/Lang (en)')
    const count = (type: string) => objects.split(`/S /${type}\n`).length - 1
    expect({ headings: count('H1'), tables: count('Table'), rows: count('TR') }).toEqual({
      headings: 1,
      tables: 1,
      rows: 4,
    })
    expect({ heads: count('TH'), cells: count('TD') }).toEqual({ heads: 4, cells: 12 })
  })

  test('is the same, byte for byte, whenever it is made', async () => {
    expect((await invoicePdf(face())).equals(await invoicePdf(face()))).toBe(true)
  })

  test('shows a question mark for a letter that its font does not have, and never a wrong one', async () => {
    const text = readPdf(
      await invoicePdf(face({ description: null, customer: { name: 'Łukasz 東京 €', address: null, taxId: null } })),
    )
    expect(text.pages.flat()).toContain('?ukasz ?? €')
  })

  const font = '/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf'
  test.skipIf(!existsSync(font))(
    'has every letter of a font of one’s own (skipped where that font is missing)',
    async () => {
      const pdf = await invoicePdf(face({ customer: { name: 'Łukasz Ωμέγα', address: null, taxId: null } }), {
        regular: font,
        bold: font,
      })
      const { objects } = readPdf(pdf)
      expect(objects).toContain('/FontFile2')
      expect(objects).toContain('/ToUnicode')
    },
  )
})

describe('the PDF of an invoice', () => {
  let invoices: Invoices
  beforeAll(async () => {
    invoices = await Invoices.start()
  })
  afterAll(() => invoices.stop())

  test('is downloaded by whom it is for, and by nobody else', async () => {
    const [user, other] = [await invoices.customer(), await invoices.customer()]
    const made = await invoices.invoice(user, 25.5)
    const path = `/api/v1/billing/invoice/${made.invoice_id}/pdf`
    const ask = async (asking: string) =>
      fetch(`${invoices.bursar.door.url}${path}`, {
        headers: { Authorization: `Bearer ${await invoices.bursar.jwt(asking)}` },
      })
    const answer = await ask(user)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toBe('application/pdf')
    const { pages } = readPdf(Buffer.from(await answer.arrayBuffer()))
    expect(pages[0]).toEqual(expect.arrayContaining([made.invoice_number, 'API usage', 'Total', 'USD 25.50']))
    expect((await ask(other)).status).toBe(404)
    expect((await fetch(`${invoices.bursar.door.url}${path}`)).status).toBe(401)
  })

  test('is opened by the invoice’s link, too', async () => {
    const made = await invoices.invoice(await invoices.customer(), 12)
    const answer = await fetch(`${invoices.bursar.door.url}${invoices.pagePath(made)}/pdf`)
    expect(readPdf(Buffer.from(await answer.arrayBuffer())).pages[0]).toContain('USD 12.00')
  })
})
