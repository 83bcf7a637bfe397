import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Deployment } from './support/deployment.ts'
import { moveTo } from './support/tokens.ts'
import { BACKEND } from './support/wallets.ts'

/* The API of the seeds: paths, fields and bodies as their clients know them. */

let bursar: Deployment

const ADMIN = { as: 'adam', roles: ['admin'] } as const
const ALICE = { as: 'alice' } as const

beforeAll(async () => {
  bursar = await Deployment.start({
    env: { INVOICE_PREFIX: 'AH', PUBLIC_URL: 'https://pay.example', ISSUER_COUNTRY: 'US', COMPANY_NAME: 'AgentHub' },
  })
  await bursar.do('PUT', '/api/v1/billing/customers/alice', { plan: 'pro', starts_on: '2024-01-01' }, BACKEND)
  // The month of the seed's example is over.
  moveTo(bursar.clock, new Date('2027-01-01T00:01:00Z'))
})
afterAll(() => bursar.stop())

const createdFor = (month: string, query = '', asking: object = ALICE) =>
  bursar.do('POST', `/api/v1/billing/invoice/${month}/create${query}`, undefined, asking)

test('a month is billed and answered as in the seed', async () => {
  const usage = { user_id: 'alice', metric: 'api_calls', quantity: 60_000, timestamp: '2026-12-28T10:00:00Z' }
  expect(await bursar.do('POST', '/api/v1/billing/usage', usage, BACKEND)).toMatchObject({ status: 200 })
  const { status, body } = await createdFor('2026-12', '?user_id=alice', BACKEND)
  expect(status, JSON.stringify(body)).toBe(200)
  expect(body).toEqual({
    success: true,
    invoice_id: expect.any(Number),
    invoice_number: 'AH-2026-12-000001-20270101',
    amount: expect.any(Number),
    payment_url: expect.stringMatching(/^https:\/\/pay\.example\/invoices\/\d+\.[\w-]{24}$/),
    status: 'sent',
    due_date: '2027-01-31T00:00:00',
  })
  expect(body.amount).toBeGreaterThan(29.99)
  // The user need not name themselves, and gets the same invoice.
  expect((await createdFor('2026-12')).body).toEqual(body)
})

test('invoices are listed, newest first, each user’s own', async () => {
  const made = await bursar.do(
    'POST',
    '/api/v1/billing/invoices',
    {
      customer_id: 'user_456',
      items: [{ description: 'API Usage - January', quantity: 10000, unit_price: 1 }],
      due_date: '2027-02-15',
    },
    BACKEND,
  )
  expect(made.body).toMatchObject({ success: true, amount: 10_000, due_date: '2027-02-15T00:00:00', status: 'sent' })
  const all = await bursar.get('/api/v1/billing/invoices?limit=50', BACKEND)
  expect(all.body.invoices.map(({ user_id }: { user_id: string }) => user_id)).toEqual(['user_456', 'alice'])
  const own = await bursar.get('/api/v1/billing/invoices?user_id=alice&limit=50', ALICE)
  expect(own.body.invoices).toHaveLength(1)
  expect(own.body.next_cursor).toBeNull()
  expect(await bursar.get('/api/v1/billing/invoices', ALICE)).toMatchObject({ body: own.body })
  expect(await bursar.get('/api/v1/billing/invoices?user_id=user_456', ALICE)).toMatchObject({ status: 403 })
  const first = await bursar.get('/api/v1/billing/invoices?limit=1', BACKEND)
  const next = await bursar.get(`/api/v1/billing/invoices?limit=1&cursor=${first.body.next_cursor}`, BACKEND)
  expect([...first.body.invoices, ...next.body.invoices]).toEqual(all.body.invoices)
  expect((await bursar.get('/api/v1/billing/invoices?month=2026-12', BACKEND)).body.invoices).toEqual(own.body.invoices)
})

test('an invoice has the fields that the seed’s clients read, its lines, and what became of it', async () => {
  const { body: list } = await bursar.get('/api/v1/billing/invoices', ALICE)
  const id = list.invoices[0].invoice_id
  const { status, body } = await bursar.get(`/api/v1/billing/invoice/${id}?user_id=alice`, ALICE)
  expect(status).toBe(200)
  expect(body).toMatchObject({ status: 'sent', is_paid: false, month: '2026-12', currency: 'USD', user_id: 'alice' })
  const sum = body.lines.reduce((total: number, line: { amount: number }) => total + Math.round(line.amount * 100), 0)
  expect(sum).toBe(Math.round(body.amount * 100))
  expect(body.lines[0]).toMatchObject({ description: 'Pro', quantity: 1, unit_price: 29.99, amount: 29.99 })
  for (const path of [`/api/v1/billing/invoice/${id}?user_id=bob`, '/api/v1/billing/invoice/999999'])
    expect([403, 404]).toContain((await bursar.get(path, ALICE)).status)
  expect(await bursar.get(`/api/v1/billing/invoice/${id}`, { as: 'bob' })).toMatchObject({
    status: 404,
    body: { error: 'InvoiceNotFound', code: 'invoice.notFound' },
  })
})

describe('What is not right', () => {
  test.each([
    ['/api/v1/billing/invoice/2026-13/create', 422],
    ['/api/v1/billing/invoice/january/create', 422],
    ['/api/v1/billing/invoice/1999-01/create', 422],
    ['/api/v1/billing/invoice/2027-01/create', 409],
    ['/api/v1/billing/invoice/2027-01/create?user_id=bob', 403],
  ])('%s is answered with %i', async (path, status) => {
    expect(await bursar.do('POST', path, undefined, ALICE)).toMatchObject({ status })
  })

  test('is told at once, all of it', async () => {
    const items = [
      { description: 'x', quantity: 0, unit_price: 1 },
      { description: 'y', unit_price: '1e3' },
    ]
    const { status, body } = await bursar.do(
      'POST',
      '/api/v1/billing/invoices',
      { customer_id: 'a', items, due_date: '2027-02-30', discount_percent: 101 },
      BACKEND,
    )
    expect(status).toBe(422)
    const places = body.detail.map(({ loc }: { loc: unknown[] }) => loc.join('.'))
    expect(places.toSorted()).toEqual([
      'body.discount_percent',
      'body.due_date',
      'body.items.0.quantity',
      'body.items.1.unit_price',
    ])
  })

  test('is for users to cancel, credit or write off what they owe', async () => {
    const { body } = await bursar.get('/api/v1/billing/invoices', ALICE)
    const path = `/api/v1/billing/invoice/${body.invoices[0].invoice_id}`
    expect(await bursar.do('POST', `${path}/cancel`, undefined, ALICE)).toMatchObject({ status: 403 })
    expect(await bursar.do('POST', `${path}/credit`, { reason: 'x' }, ALICE)).toMatchObject({ status: 403 })
    expect(await bursar.do('POST', `${path}/write-off`, { reason: 'x' }, BACKEND)).toMatchObject({ status: 403 })
  })
})

test('a back end cancels and credits, an admin gives up, and the invoice tells', async () => {
  const compose = async (price: number) => {
    const items = [{ description: 'Work', unit_price: price }]
    const { body } = await bursar.do('POST', '/api/v1/billing/invoices', { customer_id: 'carol', items }, BACKEND)
    return `/api/v1/billing/invoice/${body.invoice_id}`
  }
  const cancelled = await compose(5)
  const answer = await bursar.do('POST', `${cancelled}/cancel?user_id=carol`, undefined, BACKEND)
  expect(answer.body).toMatchObject({ success: true, status: 'cancelled' })
  expect((await bursar.get(cancelled, BACKEND)).body).toMatchObject({
    status: 'cancelled',

    amount_due: 0,
  })

  const credited = await compose(10)
  const note = await bursar.do('POST', `${credited}/credit`, { amount: '2.50', reason: 'It was down' }, BACKEND)
  expect(note.body).toMatchObject({ success: true, amount: 2.5, invoice_status: 'sent' })
  const { body } = await bursar.get(credited, BACKEND)
  expect(body).toMatchObject({ amount: 10, amount_due: 7.5, amount_credited: 2.5 })
  expect(body.credit_notes).toMatchObject([{ type: 'credit_note', amount: 2.5, credits_invoice_id: body.invoice_id }])

  const lost = await compose(20)
  expect(await bursar.do('POST', `${lost}/write-off`, { reason: 'Gone' }, ADMIN)).toMatchObject({ status: 200 })
  expect((await bursar.get(lost, BACKEND)).body).toMatchObject({ status: 'uncollectible', amount_due: 20 })
  await bursar.expectCleanBooks()
})

test('a customer is set and shown; their addresses are sealed in the database, and taxes have their days', async () => {
  const rate = { country: 'de', starts_on: '2020-01-01', name: 'VAT', percent: 19, reverse_charge: true }
  expect(await bursar.do('PUT', '/api/v1/billing/tax-rates', rate, ADMIN)).toMatchObject({ status: 200 })
  const wishes = {
    ...{ name: 'Dora', email: 'dora@example.org', address: 'Weg 1\u20282 Berlin', country: 'de', tax_id: 'DE1' },
    ...{ discount_percent: 12.5, plan: 'pro' },
  }
  const set = await bursar.do('PUT', '/api/v1/billing/customers/dora', wishes, BACKEND)
  expect(set.body).toEqual({ success: true, user_id: 'dora', plan: 'pro', currency: 'USD' })
  const { body } = await bursar.get('/api/v1/billing/customers/dora', { as: 'dora' })
  expect(body).toMatchObject({ ...wishes, country: 'DE', ends_on: null, carried_forward: 0 })
  const { rows } = await bursar.pool.query(
    `select email, address, (select input::text from operation where kind = 'customer.set' and input->>'user_id' = 'dora') as input
     from billing_customer where id = 'dora'`,
  )
  expect(JSON.stringify(rows)).not.toMatch(/dora@|Weg 1/)
  const items = [{ description: 'Work', unit_price: 100 }]
  const made = await bursar.do('POST', '/api/v1/billing/invoices', { customer_id: 'dora', items }, BACKEND)
  const shown = await bursar.get(`/api/v1/billing/invoice/${made.body.invoice_id}`, { as: 'dora' })
  expect(shown.body).toMatchObject({ discount: 12.5, tax: 0, reverse_charge: true, total: 87.5 })
  expect((await bursar.get('/api/v1/billing/tax-rates', ALICE)).body.tax_rates).toMatchObject([
    { country: 'DE', percent: 19 },
  ])
  for (const [wish, status] of [
    [{ plan: 'gold' }, 422],
    [{ starts_on: '2027-01-01', ends_on: '2026-01-01' }, 422],
    [{ country: 'DEU' }, 422],
  ] as const)
    expect(await bursar.do('PUT', '/api/v1/billing/customers/dora', wish, BACKEND)).toMatchObject({ status })
  const kept = await bursar.do('PUT', '/api/v1/billing/customers/dora', { email: null }, BACKEND)
  expect(kept.status).toBe(200)
  expect((await bursar.get('/api/v1/billing/customers/dora', BACKEND)).body).toMatchObject({
    email: null,
    name: 'Dora',
  })
})
