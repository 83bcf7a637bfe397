import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { smtpMail } from '../src/gateways/mail.ts'
import { Secret } from '../src/kit/secret.ts'
import { type MailSandbox, mailSandbox } from '../src/sandbox/mail.ts'
import { Invoices } from './support/invoices.ts'
import { readPdf } from './support/pdf.ts'
import { nobodysUrl } from './support/stand-in.ts'

/** The parts of a letter, their transfer encodings taken off. */
function partsOf(raw: string): { type: string; name: string | undefined; body: Buffer }[] {
  const boundaries = [...raw.matchAll(/boundary="([^"]+)"/g)].map(([, boundary]) => boundary)
  return boundaries
    .flatMap((boundary) => raw.split(`--${boundary}`).slice(1, -1))
    .map((part) => {
      const [head = '', ...rest] = part.trimStart().split('\r\n\r\n')
      const body = rest.join('\r\n\r\n')
      const [, type = ''] = /^Content-Type:\s*([^;\s]+)/im.exec(head) ?? []
      const [, encoding = ''] = /^Content-Transfer-Encoding:\s*(\S+)/im.exec(head) ?? []
      const [, name] = /filename="?([^"\r\n]+)"?/i.exec(head) ?? []
      const bytes =
        encoding === 'base64'
          ? Buffer.from(body, 'base64')
          : Buffer.from(
              body
                .replaceAll('=\r\n', '')
                .replaceAll(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
              'latin1',
            )
      return { type, name, body: encoding === 'quoted-printable' || encoding === 'base64' ? bytes : Buffer.from(body) }
    })
    .filter(({ type }) => !type.startsWith('multipart/'))
}

describe('an invoice that was issued', () => {
  let invoices: Invoices
  beforeAll(async () => {
    invoices = await Invoices.start()
  })
  afterAll(async () => {
    await invoices.bursar.quiet()
    expect(await invoices.wallets.unfinished()).toEqual([])
    await invoices.stop()
  })

  const mailed = async (id: number) =>
    (await invoices.bursar.pool.query('select mailed_at, mail_note from invoice where id = $1', [id])).rows[0]

  test('is mailed once, with its PDF and the link to its page', async () => {
    const user = await invoices.customer()
    const made = await invoices.invoice(user)
    await invoices.follow()
    await invoices.follow()
    const [letter, ...others] = await invoices.letters(`${user}@example.com`)
    expect(others).toEqual([])
    expect(letter?.subject).toBe(`Invoice ${made.invoice_number} from AgentHub`)
    expect(letter?.message_id).toMatch(/^<invoice-[0-9a-f-]{36}@agenthub\.example>$/)
    const parts = partsOf(letter?.raw ?? '')
    const text = parts.find(({ type }) => type === 'text/plain')?.body.toString('utf8')
    expect(text).toContain(`Number: ${made.invoice_number}`)
    expect(text).toContain('Please pay USD 25.50 here:')
    expect(text).toContain(invoices.pagePath(made))
    const html = parts.find(({ type }) => type === 'text/html')?.body.toString('utf8')
    expect(html).toContain(`href="${made.payment_url}"`)
    const pdf = parts.find(({ type }) => type === 'application/pdf')
    expect(pdf?.name).toBe(`Invoice-${made.invoice_number}.pdf`)
    expect(readPdf(pdf?.body ?? Buffer.alloc(0)).pages[0]).toEqual(
      expect.arrayContaining([made.invoice_number, 'Amount due', 'USD 25.50']),
    )
    expect(await mailed(made.invoice_id)).toMatchObject({ mailed_at: expect.any(Date), mail_note: null })
  })

  test('is mailed once, however often and however many at a time ask for it', async () => {
    const user = await invoices.customer()
    const { invoice_id } = await invoices.invoice(user)
    await invoices.follow()
    for (let time = 0; time < 3; time++)
      expect((await invoices.wallets.ours('invoice.send', { invoice_id })).result).toMatchObject({ status: 'sent' })
    expect(await invoices.letters(`${user}@example.com`)).toHaveLength(1)
  })

  test.each(['lose_answer', 'fail_after'])(
    'and whose letter was taken without a word of it (%s) goes out again under the same Message-ID',
    async (does) => {
      const user = await invoices.customer()
      const { invoice_id } = await invoices.invoice(user)
      await invoices.mailMood(`DATA ${user}@example.com`, does)
      await invoices.follow()
      const letters = await invoices.letters(`${user}@example.com`)
      expect(letters).toHaveLength(2)
      expect(new Set(letters.map(({ message_id }) => message_id)).size).toBe(1)
      expect(await mailed(invoice_id)).toMatchObject({ mailed_at: expect.any(Date) })
      await invoices.follow()
      expect(await invoices.letters(`${user}@example.com`)).toHaveLength(2)
    },
  )

  test('and whose letter the server cannot take yet goes out later', async () => {
    const user = await invoices.customer()
    await invoices.invoice(user)
    await invoices.mailMood(`RCPT ${user}@example.com`, 'limit', 2)
    await invoices.follow()
    expect(await invoices.letters(`${user}@example.com`)).toHaveLength(1)
  })

  test('to an address that there is not is given up, and its note says why', async () => {
    const user = await invoices.customer()
    const { invoice_id } = await invoices.invoice(user)
    await invoices.mailMood(`RCPT ${user}@example.com`, 'fail')
    await invoices.follow()
    expect(await mailed(invoice_id)).toMatchObject({ mailed_at: null, mail_note: expect.stringContaining('550') })
    expect(await invoices.follow()).toMatchObject({ letters: 0 })
  })

  test('to somebody without an address is not mailed, and waits for nothing', async () => {
    const user = await invoices.customer({ email: null })
    const { invoice_id } = await invoices.invoice(user)
    await invoices.follow()
    expect(await mailed(invoice_id)).toMatchObject({
      mailed_at: null,
      mail_note: 'No address is known of the customer',
    })
    expect(await invoices.follow()).toMatchObject({ letters: 0 })
  })

  test('and canceled before its letter went out is not mailed', async () => {
    const user = await invoices.customer()
    const { invoice_id } = await invoices.invoice(user)
    await invoices.cancel(invoice_id)
    await invoices.follow()
    expect(await invoices.letters(`${user}@example.com`)).toEqual([])
  })

  test('holds what its customer is called, and nothing that a name could make of it', async () => {
    const user = await invoices.customer({ name: '<img src=x onerror=alert(1)> & "Söhne"' })
    await invoices.invoice(user)
    await invoices.follow()
    const [letter] = await invoices.letters(`${user}@example.com`)
    const html = partsOf(letter?.raw ?? '').find(({ type }) => type === 'text/html')
    expect(html?.body.toString('utf8')).toContain('&lt;img src=x onerror=alert(1)&gt; &amp; &quot;Söhne&quot;')
  })
})

describe('with AUTO_SEND_INVOICES=false', () => {
  test('nothing is mailed', async () => {
    const invoices = await Invoices.start({ env: { AUTO_SEND_INVOICES: 'false' } })
    try {
      const user = await invoices.customer()
      await invoices.invoice(user)
      expect(await invoices.follow()).toMatchObject({ letters: 0 })
      expect(await invoices.letters(`${user}@example.com`)).toEqual([])
    } finally {
      await invoices.stop()
    }
  })
})

describe('a mail server', () => {
  let sandbox: MailSandbox
  beforeAll(async () => {
    sandbox = await mailSandbox('127.0.0.1')
  })
  afterAll(() => sandbox.stop())

  const from = { name: 'AgentHub, Billing', address: 'billing@agenthub.example' }
  const letter = {
    messageId: '<one@agenthub.example>',
    subject: 'Hello',
    text: 'Hello',
    html: '<p>Hello</p>',
    attachments: [],
  }
  const mail = (url = sandbox.url) => smtpMail({ url: new Secret(url), from, silenceMs: 500 })
  const mood = (on: string, does: string) =>
    sandbox.routes.request('/_moods', { method: 'POST', body: JSON.stringify({ on, does }) })

  test.each([
    ['RCPT', 'fail', 'refused'],
    ['RCPT', 'limit', 'not_sent'],
    ['RCPT', 'hang_up', 'unknown'],
    ['RCPT', 'hang', 'unknown'],
    ['DATA', 'fail', 'refused'],
    ['DATA', 'limit', 'not_sent'],
    ['DATA', 'hang_up', 'unknown'],
    ['DATA', 'hang', 'unknown'],
    ['DATA', 'lose_answer', 'unknown'],
  ] as const)('that meets %s with «%s» has %s it', async (on, does, outcome) => {
    const to = `${on}_${does}@example.com`.toLowerCase()
    await mood(`${on} ${to}`, does)
    const answer = await mail().send({ ...letter, to })
    expect(answer.outcome).toBe(outcome)
    // Nobody's address stands in what operators read.
    expect(JSON.stringify(answer)).not.toContain(to)
  })

  test('that is not there has not been sent it', async () => {
    const url = (await nobodysUrl()).replace('http:', 'smtp:')
    expect(await mail(url).send({ ...letter, to: 'ada@example.com' })).toMatchObject({ outcome: 'not_sent' })
  })

  test('gets one reader, whatever stands in the address', async () => {
    const to = '"a, b@example.com"@example.com'
    await mail().send({ ...letter, to })
    const kept = (await (await sandbox.routes.request('/messages')).json()) as { to: string[] }[]
    expect(kept.at(-1)?.to).toHaveLength(1)
  })
})
