import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Chromium, chromiumPath } from './support/chromium.ts'
import { Invoices } from './support/invoices.ts'

let invoices: Invoices

beforeAll(async () => {
  invoices = await Invoices.start()
})
afterAll(async () => {
  await invoices.bursar.quiet()
  expect(await invoices.wallets.unfinished()).toEqual([])
  await invoices.bursar.expectCleanBooks()
  await invoices.stop()
})
beforeEach(() => invoices.stripe.behave())

const urlOf = (made: { payment_url: string }) => `${invoices.bursar.door.url}${invoices.pagePath(made)}`
const press = (made: { payment_url: string }) => fetch(`${urlOf(made)}/pay`, { method: 'POST', redirect: 'manual' })

describe('an invoice’s own page', () => {
  test('is opened by whoever has its link, and by no link that is almost it', async () => {
    const made = await invoices.invoice(await invoices.customer())
    const url = urlOf(made)
    const { status, headers } = await fetch(url)
    expect(status).toBe(200)
    expect(headers.get('content-type')).toContain('text/html')
    // The link is the key: it is told to nobody and kept nowhere.
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    expect(headers.get('cache-control')).toContain('no-store')
    expect(headers.get('x-robots-tag')).toBe('noindex')
    const last = url.at(-1) === 'A' ? 'B' : 'A'
    const others = [
      url.slice(0, -1) + last,
      url.slice(0, -1),
      url.replace(/invoices\/(\d+)/, (_, id) => `invoices/${Number(id) + 1}`),
      `${invoices.bursar.door.url}/invoices/1`,
    ]
    for (const other of others) expect((await fetch(other)).status, other).toBe(404)
  })

  test('is a page for people and an error for programs where there is none', async () => {
    const url = `${invoices.bursar.door.url}/invoices/nothing`
    const page = await fetch(url, { headers: { Accept: 'text/html' } })
    expect([page.status, page.headers.get('content-type')]).toEqual([404, 'text/html; charset=UTF-8'])
    const error = await fetch(url)
    expect(((await error.json()) as { code: string }).code).toBe('invoice.notFound')
  })

  test('runs nothing, loads nothing, and shows words as words', async () => {
    const user = await invoices.customer({ name: '</title><script>alert(1)</script>' })
    const items = [{ description: '<b>bold</b> "quoted" & more', quantity: 1, unit_price: 5 }]
    const made = await invoices.invoice(user, 5, { items })
    const answer = await fetch(urlOf(made))
    const page = await answer.text()
    expect(page).not.toMatch(/<script|<b>|javascript:|onerror=|src=/i)
    expect(page).toContain('&lt;b&gt;bold&lt;/b&gt; &quot;quoted&quot; &amp; more')
    const policy = answer.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).not.toContain('unsafe')
  })

  test('of one that is paid or canceled asks for nothing', async () => {
    const user = await invoices.customer()
    const [paid, canceled] = [await invoices.invoice(user), await invoices.invoice(user)]
    await invoices.pay(paid.invoice_id)
    await invoices.cancel(canceled.invoice_id)
    for (const [made, says] of [
      [paid, 'Paid on '],
      [canceled, 'Canceled: nothing is to be paid'],
    ] as const) {
      const page = await (await fetch(urlOf(made))).text()
      expect(page).toContain(says)
      expect(page).not.toContain('<form')
    }
  })
})

describe('the button on it', () => {
  test('leads to Stripe’s page of this invoice, the same one however often it is pressed', async () => {
    const made = await invoices.invoice(await invoices.customer())
    const answers = await Promise.all([press(made), press(made), press(made)])
    expect(answers.map(({ status }) => status)).toEqual([303, 303, 303])
    const { payment_url } = await invoices.copyOf(made.invoice_id)
    expect(new Set(answers.map(({ headers }) => headers.get('location')))).toEqual(new Set([payment_url]))
    expect((await invoices.details(made.invoice_id)).payment_url).toBe(payment_url)
  })

  test('leads back with a word on why not where there is nothing to pay, or a payment is under way', async () => {
    const user = await invoices.customer()
    const paid = await invoices.invoice(user)
    await invoices.pay(paid.invoice_id)
    expect((await press(paid)).headers.get('location')).toBe(`${invoices.pagePath(paid)}?says=settled`)

    const open = await invoices.invoice(user)
    await invoices.wallets.ours('invoice.publish', { invoice_id: open.invoice_id })
    const { gateway_id: copy } = await invoices.copyOf(open.invoice_id)
    await invoices.stripe.webhooks({ mode: 'drop' })
    await invoices.stripe.mood(`POST /v1/invoices/${copy}/pay`, 'hang_up', 3)
    await invoices.pay(open.invoice_id)
    await invoices.stripe.behave()
    expect((await press(open)).headers.get('location')).toBe(`${invoices.pagePath(open)}?says=underway`)
    expect(await (await fetch(urlOf(open))).text()).toContain('A payment of this invoice is under way.')
    await invoices.wallets.pass(60)
    await invoices.follow()
    await invoices.stripe.webhooks({ mode: 'send' })
  })

  test('leads back where Stripe cannot be reached, and nothing is charged', async () => {
    const made = await invoices.invoice(await invoices.customer())
    await invoices.stripe.down()
    const answer = await press(made)
    await invoices.stripe.behave()
    expect(answer.headers.get('location')).toBe(`${invoices.pagePath(made)}?says=unavailable`)
    expect(await (await fetch(`${urlOf(made)}?says=unavailable`)).text()).toContain('nothing was charged')
  })

  test('asks for what is due now: a credit note lowers what Stripe’s page asks for', async () => {
    const user = await invoices.customer()
    const made = await invoices.invoice(user, 100)
    await press(made)
    const first = await invoices.copyOf(made.invoice_id)
    expect(await invoices.credit(made.invoice_id, 30)).toMatchObject({ status: 200 })
    await press(made)
    const second = await invoices.copyOf(made.invoice_id)
    expect(second).toMatchObject({ gateway_amount: '7000' })
    expect((await invoices.stripeApi(`/v1/invoices/${first.gateway_id}`)).body.status).toBe('void')
    await invoices.atStripe(second.gateway_id, 'approve')
    await expect.poll(async () => (await invoices.details(made.invoice_id)).status, { timeout: 20_000 }).toBe('paid')
    expect(await invoices.charged(user)).toEqual([7_000])
  })
})

const path = chromiumPath()

describe.skipIf(path === undefined)('in a real Chromium (skipped where none is installed)', () => {
  let browser: Chromium
  beforeAll(async () => {
    browser = await Chromium.start(path ?? '')
  })
  afterAll(() => browser.stop())

  /** An invoice with everything that makes a page wide: long words, many digits. */
  async function wide(): Promise<{ invoice_id: number; payment_url: string; invoice_number: string }> {
    const user = await invoices.customer({
      name: 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft',
      address: '1 Long Street, 10115 Berlin, Germany',
      country: 'DE',
      tax_id: 'DE123456789',
    })
    const items = [
      {
        description: 'API usage of October 2026, calls beyond the 50,000 of the plan',
        quantity: 1_234_567,
        unit_price: 1.234567,
      },
      {
        description: 'https://example.com/a/very/long/address/that/has/no/space/in/it/at/all/and/goes/on',
        quantity: 1,
        unit_price: 0.99,
      },
    ]
    return invoices.invoice(user, 0, { items })
  }

  test('it is read and paid without JavaScript, from the button to the word «Paid»', async () => {
    const user = await invoices.customer()
    const made = await invoices.invoice(user)
    const tab = await browser.open(urlOf(made), { width: 390, height: 844, script: false })
    expect(await tab.text()).toContain(`Invoice ${made.invoice_number}`)
    expect(await tab.text()).toContain('USD 25.50')
    await tab.click('button[type=submit]')
    // Stripe's own page; its stand-in has a button, too.
    expect(await tab.look('location.href')).toBe((await invoices.copyOf(made.invoice_id)).payment_url)
    await tab.click('button[value=approve]')
    await expect.poll(async () => (await invoices.details(made.invoice_id)).status, { timeout: 20_000 }).toBe('paid')
    await tab.go(urlOf(made))
    expect(await tab.text()).toContain('Paid on ')
    expect(await tab.look('document.forms.length')).toBe(0)
    expect(await invoices.charged(user)).toEqual([2_550])
    await tab.close()
  })

  test('its button is reached and pressed with the keyboard alone', async () => {
    const made = await invoices.invoice(await invoices.customer())
    const tab = await browser.open(urlOf(made), { script: false })
    await tab.press('Tab')
    expect(await tab.look('document.activeElement.textContent')).toBe('Pay USD 25.50')
    expect(await tab.look(`getComputedStyle(document.activeElement).outlineStyle`)).toBe('solid')
    await tab.press('Enter', { leads: true })
    expect(await tab.look('location.pathname')).toMatch(/^\/_invoice\//)
    await tab.close()
  })

  test.each([320, 390, 1_200])('it fits a screen %i pixels wide', async (width) => {
    const tab = await browser.open(urlOf(await wide()), { width, height: 800 })
    expect(await tab.look('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width)
    // Nothing sticks out of what it stands in, and what is touched is large enough to be touched.
    expect(
      await tab.look(
        `[...document.querySelectorAll('main *')].filter((e) => { const r = e.getBoundingClientRect()
           return r.width > 1 && (r.right > innerWidth + 0.5 || r.left < -0.5) }).map((e) => e.outerHTML.slice(0, 80))`,
      ),
    ).toEqual([])
    expect(await tab.look(`document.querySelector('button').getBoundingClientRect().height`)).toBeGreaterThanOrEqual(44)
    await tab.close()
  })

  test.each([390, 1_200])(
    'at %i pixels a screen reader finds one heading, named parts, a table and its button',
    async (width) => {
      const made = await wide()
      const tab = await browser.open(urlOf(made), { width, height: 800 })
      expect(await tab.look('document.documentElement.lang')).toBe('en')
      expect(await tab.look('document.title')).toBe(`Invoice ${made.invoice_number} · AgentHub`)
      const spoken = await tab.spoken()
      const named = (role: string) => spoken.filter((one) => one.role === role).map(({ name }) => name)
      const levels = await tab.look<string[]>(`[...document.querySelectorAll('h1,h2,h3')].map((e) => e.tagName)`)
      expect(levels.filter((level) => level === 'H1')).toHaveLength(1)
      expect(named('heading')).toEqual([
        `Invoice ${made.invoice_number}`,
        'Amount due',
        'About this invoice',
        'Bill to',
      ])
      expect(named('main')).toHaveLength(1)
      expect(named('region')).toEqual(['Amount due', 'About this invoice'])
      expect(named('table')).toEqual(['What it is for'])
      expect(named('columnheader')).toEqual(['Description', 'Quantity', 'Unit price', 'Amount'])
      expect(named('rowheader')).toHaveLength(2)
      expect(named('cell')).toHaveLength(6)
      expect(named('button')).toEqual([expect.stringMatching(/^Pay USD /)])
      expect(named('link')).toEqual(['Download as PDF'])
      await tab.close()
    },
  )

  test.each(['light', 'dark'])('its colours are read by weak eyes: %s', async (scheme) => {
    const made = await wide()
    const tab = await browser.open(`${urlOf(made)}?says=working`, { scheme })
    const contrasts = await tab.look<{ text: string; contrast: number }[]>(CONTRASTS)
    expect(contrasts.length).toBeGreaterThan(20)
    for (const { text, contrast } of contrasts) expect(contrast, text).toBeGreaterThanOrEqual(4.5)
    await tab.close()
  })

  test('no page of somebody else may hold it in a frame', async () => {
    const made = await invoices.invoice(await invoices.customer())
    const server = createServer((_, answer) =>
      answer.setHeader('Content-Type', 'text/html').end(`<iframe src="${urlOf(made)}"></iframe>`),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const tab = await browser.open(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    const { frameTree } = await tab.say('Page.getFrameTree')
    expect(frameTree.childFrames[0].frame.url).not.toContain('/invoices/')
    await tab.close()
    server.closeAllConnections()
    server.close()
  })
})

/** Contrast, as WCAG reckons it, of every text with what it stands on. */
const CONTRASTS = `(() => {
  const parts = (color) => color.match(/[\\d.]+/g).map(Number)
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0)
  const ground = (e) => { for (let at = e; at; at = at.parentElement) { const c = parts(getComputedStyle(at).backgroundColor)
    if (c.length < 4 || c[3] === 1) return c } return [255, 255, 255] }
  return [...document.querySelectorAll('main *')].filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim() !== ''))
    .map((e) => { const [a, b] = [light(parts(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x)
      return { text: e.textContent.slice(0, 40), contrast: (a + 0.05) / (b + 0.05) } })
})()`
