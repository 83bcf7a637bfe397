import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { copyReference, customerReference } from '../src/domain/billing/copy.ts'
import { Fault } from '../src/kit/fault.ts'
import { Invoices } from './support/invoices.ts'
import { OPERATOR } from './support/tokens.ts'

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
beforeEach(async () => {
  await invoices.stripe.behave()
  await invoices.stripe.webhooks({ mode: 'send', copies: 1 })
})

/** Without one webhook. */
async function unheard(work: () => Promise<void>): Promise<void> {
  await invoices.stripe.webhooks({ mode: 'drop' })
  try {
    await work()
  } finally {
    await invoices.stripe.webhooks({ mode: 'send' })
  }
}

describe('an invoice that is paid with a saved method', () => {
  test('answers what was paid, and is paid for everybody who looks', async () => {
    const user = await invoices.customer()
    const { invoice_id: id, invoice_number: number } = await invoices.invoice(user)
    const receivable = await invoices.balance('receivable')
    const method = await invoices.wallets.addMethod(user, 'stripe', 'pm_card_visa')

    const { status, body } = await invoices.pay(id, method, { as: user, roles: [] })
    expect({ status, body }).toMatchObject({
      status: 200,
      body: {
        success: true,
        invoice_id: id,
        invoice_number: number,
        status: 'paid',
        amount_paid: 25.5,
        currency: 'USD',
      },
    })
    expect(await invoices.details(id)).toMatchObject({ is_paid: true, status: 'paid', amount_paid: 25.5 })
    expect(await invoices.charged(user)).toEqual([2_550])
    expect(await invoices.balance('receivable')).toBe(receivable + 2_550)
  })

  test('may be named by the id that Stripe gave the caller’s front end', async () => {
    const user = await invoices.customer()
    const { invoice_id: id } = await invoices.invoice(user, 10)
    expect(await invoices.pay(id, 'pm_card_mastercard', { user })).toMatchObject({
      status: 200,
      body: { amount_paid: 10 },
    })
  })

  test('cannot be one that somebody else has saved', async () => {
    const [owner, thief] = [await invoices.customer(), await invoices.customer()]
    const card = { type: 'card', 'card[number]': '4242424242424242' }
    const token = (await invoices.stripeApi('/v1/payment_methods', card)).body.id
    const saved = await invoices.wallets.addMethod(owner, 'stripe', token)
    const { invoice_id: id } = await invoices.invoice(thief)
    for (const method of [saved, token])
      expect(await invoices.pay(id, method, { as: thief, roles: [] })).toMatchObject({
        status: 404,
        body: { refusal: 'payment.methodNotFound' },
      })
    expect(await invoices.charged(thief)).toEqual([])
  })

  test('is one that Stripe keeps: another gateway’s is refused by name', async () => {
    const user = await invoices.customer()
    const { invoice_id: id } = await invoices.invoice(user)
    const method = await invoices.wallets.addMethod(user, 'mock', 'mock_card')
    expect(await invoices.pay(id, method)).toMatchObject({
      status: 400,
      body: { refusal: 'payment.methodUnsupported' },
    })
  })

  test('pays nobody else’s invoice', async () => {
    const [user, other] = [await invoices.customer(), await invoices.customer()]
    const { invoice_id: id } = await invoices.invoice(user)
    expect(await invoices.pay(id, 'pm_card_visa', { as: other, roles: [] })).toMatchObject({
      status: 404,
      body: { code: 'invoice.notFound' },
    })
  })
})

describe('two people at one pay button', () => {
  test('charge once: one pays, the other is told', async () => {
    const user = await invoices.customer()
    const { invoice_id: id } = await invoices.invoice(user, 40)
    const answers = await Promise.all([1, 2, 3, 4].map(() => invoices.pay(id)))
    const [paid, ...others] = answers.toSorted((a, b) => a.status - b.status)
    expect(paid).toMatchObject({ status: 200, body: { status: 'paid', amount_paid: 40 } })
    for (const other of others) {
      expect(other.status).toBe(409)
      expect(['invoice.paymentUnderWay', 'invoice.alreadyPaid']).toContain(other.body.code)
    }
    expect(await invoices.charged(user)).toEqual([4_000])
  })

  test('the second after the first has paid is refused', async () => {
    const user = await invoices.customer()
    const { invoice_id: id } = await invoices.invoice(user)
    await invoices.pay(id)
    expect(await invoices.pay(id)).toMatchObject({ status: 409, body: { code: 'invoice.alreadyPaid' } })
    expect(await invoices.charged(user)).toEqual([2_550])
  })

  test('one here and one on Stripe’s page pay it once', async () => {
    const user = await invoices.customer()
    const { invoice_id: id } = await invoices.invoice(user)
    await invoices.wallets.ours('invoice.publish', { invoice_id: id })
    const { gateway_id: copy } = await invoices.copyOf(id)
    await unheard(async () => {
      await invoices.atStripe(copy, 'approve')
      expect(await invoices.pay(id)).toMatchObject({ status: 200, body: { status: 'paid', amount_paid: 25.5 } })
    })
    expect(await invoices.charged(user)).toEqual([2_550])
    expect((await invoices.payments(id)).map(({ status }) => status)).toEqual(['succeeded'])
  })
})

describe('an invoice that is canceled', () => {
  test('cannot be paid', async () => {
    const user = await invoices.customer()
    const { invoice_id: id } = await invoices.invoice(user)
    expect((await invoices.cancel(id)).status).toBe(200)
    expect(await invoices.pay(id)).toMatchObject({ status: 409, body: { code: 'invoice.notPayable' } })
    expect(await invoices.charged(user)).toEqual([])
  })

  test('is withdrawn at Stripe, where it could be paid', async () => {
    const user = await invoices.customer()
    const { invoice_id: id } = await invoices.invoice(user)
    await invoices.wallets.ours('invoice.publish', { invoice_id: id })
    const { gateway_id: copy } = await invoices.copyOf(id)
    expect((await invoices.cancel(id)).status).toBe(200)
    await invoices.follow()
    expect((await invoices.stripeApi(`/v1/invoices/${copy}`)).body.status).toBe('void')
    expect(await invoices.copyOf(id)).toMatchObject({ gateway_amount: null, payment_url: null })
  })

  test('but was paid on Stripe’s page before that, gives its money to the customer’s wallet and stays void', async () => {
    const user = await invoices.customer()
    const { invoice_id: id } = await invoices.invoice(user)
    await invoices.wallets.ours('invoice.publish', { invoice_id: id })
    const { gateway_id: copy } = await invoices.copyOf(id)
    await unheard(async () => {
      await invoices.bursar.pool.query('update invoice set gateway_id = null where id = $1', [id])
      await invoices.cancel(id)
      await invoices.bursar.pool.query('update invoice set gateway_id = $2 where id = $1', [id, copy])
      await invoices.atStripe(copy, 'approve')
      await invoices.follow()
    })
    expect((await invoices.details(id)).status).toBe('cancelled')
    expect(await invoices.wallets.balance(user, 'USD')).toMatchObject({ balance: '25.50' })
  })
})

describe('an answer of Stripe that is lost', () => {
  test.each(['lose_answer', 'fail_after'] as const)(
    'after the charge (%s) is looked up, and nothing is asked under a new key',
    async (does) => {
      const user = await invoices.customer()
      const { invoice_id: id } = await invoices.invoice(user)
      await invoices.wallets.ours('invoice.publish', { invoice_id: id })
      const { gateway_id: copy } = await invoices.copyOf(id)
      await unheard(async () => {
        // The SDK itself asks again under the same key: it hears nothing either.
        await invoices.stripe.mood(`POST /v1/invoices/${copy}/pay`, does, 3)
        expect(await invoices.pay(id)).toMatchObject({ status: 200, body: { status: 'pending', amount_paid: 0 } })
        expect((await invoices.payments(id)).map(({ status }) => status)).toEqual(['unknown'])
        expect(await invoices.pay(id)).toMatchObject({ status: 409, body: { code: 'invoice.paymentUnderWay' } })
        expect(await invoices.cancel(id)).toMatchObject({ status: 409, body: { code: 'invoice.paymentUnderWay' } })
        await invoices.stripe.behave()
        await invoices.wallets.pass(60)
        expect(await invoices.follow()).toMatchObject({ look_ups: 1 })
      })
      expect(await invoices.details(id)).toMatchObject({ is_paid: true, amount_paid: 25.5 })
      expect(await invoices.charged(user)).toEqual([2_550])
      expect((await invoices.payments(id)).map(({ status }) => status)).toEqual(['succeeded'])
    },
  )

  test('before the charge is put again under its own key, and charges once', async () => {
    const user = await invoices.customer()
    const { invoice_id: id } = await invoices.invoice(user)
    await invoices.wallets.ours('invoice.publish', { invoice_id: id })
    const { gateway_id: copy } = await invoices.copyOf(id)
    await unheard(async () => {
      await invoices.stripe.mood(`POST /v1/invoices/${copy}/pay`, 'hang_up', 3)
      expect((await invoices.pay(id)).body).toMatchObject({ status: 'pending' })
      await invoices.stripe.behave()
      await invoices.wallets.pass(60)
      await invoices.follow()
    })
    expect(await invoices.details(id)).toMatchObject({ is_paid: true })
    expect(await invoices.charged(user)).toEqual([2_550])
  })

  test('of a customer or of an invoice makes neither twice', async () => {
    const user = await invoices.customer()
    const { invoice_id: id } = await invoices.invoice(user)
    for (const on of ['POST /v1/customers', 'POST /v1/invoices']) await invoices.stripe.mood(on, 'lose_answer', 3)
    expect((await invoices.pay(id)).body).toMatchObject({ status: 'paid' })
    const { rows } = await invoices.bursar.pool.query('select stripe_id from billing_customer where id = $1', [user])
    const { body } = await invoices.stripeApi(`/v1/invoices?customer=${rows[0].stripe_id}`)
    expect(body.data).toHaveLength(1)
    expect(await invoices.charged(user)).toEqual([2_550])
  })

  test('with the worker that waited for it is asked for again by the next one, which finds what was done', async () => {
    const user = await invoices.customer()
    const { invoice_id: id } = await invoices.invoice(user)
    const stripe = invoices.bursar.foundation.stripeInvoices
    if (stripe === undefined) throw new Error('Stripe is not configured')
    const attempts: string[] = []
    const pay = vi.spyOn(stripe, 'pay')
    pay.mockImplementation(async (wanted) => {
      attempts.push(wanted.attempt)
      pay.mockReset()
      const answer = await stripe.pay(wanted)
      pay.mockImplementation((again) => {
        attempts.push(again.attempt)
        pay.mockReset()
        return stripe.pay(again)
      })
      expect(answer.outcome).toBe('paid')
      throw new Fault('killed before the answer was written down')
    })
    await unheard(async () => {
      expect((await invoices.pay(id)).body).toMatchObject({ status: 'paid', amount_paid: 25.5 })
    })
    pay.mockRestore()
    expect(new Set(attempts).size).toBe(1)
    expect(attempts).toHaveLength(2)
    expect(await invoices.charged(user)).toEqual([2_550])
  })

  test('of nobody: Stripe that cannot be reached charges nothing, and the caller is told', async () => {
    const user = await invoices.customer()
    const { invoice_id: id } = await invoices.invoice(user)
    await invoices.stripe.down()
    expect(await invoices.pay(id)).toMatchObject({ status: 502, body: { refusal: 'payment.gatewayUnavailable' } })
    await invoices.stripe.behave()
    expect(await invoices.pay(id)).toMatchObject({ status: 200, body: { status: 'paid' } })
    expect(await invoices.charged(user)).toEqual([2_550])
  })
})

describe('a card that is declined', () => {
  test('leaves the invoice open, and another card may pay it', async () => {
    const user = await invoices.customer()
    const { invoice_id: id } = await invoices.invoice(user)
    expect(await invoices.pay(id, 'pm_card_visa_chargeDeclinedInsufficientFunds')).toMatchObject({
      status: 402,
      body: { code: 'invoice.declined' },
    })
    expect((await invoices.details(id)).is_paid).toBe(false)
    expect(await invoices.pay(id)).toMatchObject({ status: 200, body: { amount_paid: 25.5 } })
    expect((await invoices.payments(id)).map(({ status }) => status)).toEqual(['declined', 'succeeded'])
  })

  test('because its bank wants to see the customer names the page on which they can', async () => {
    const user = await invoices.customer()
    const { invoice_id: id } = await invoices.invoice(user)
    const { status, body } = await invoices.pay(id, 'pm_card_authenticationRequired')
    expect({ status, code: body.code }).toEqual({ status: 402, code: 'invoice.actionRequired' })
    expect(body.message).toContain((await invoices.copyOf(id)).payment_url)
  })
})

describe('Stripe’s events', () => {
  test('of an invoice that was paid on Stripe’s page pay it here, however often and in whatever order they come', async () => {
    const user = await invoices.customer()
    const { invoice_id: id } = await invoices.invoice(user)
    await invoices.wallets.ours('invoice.publish', { invoice_id: id })
    const { gateway_id: copy } = await invoices.copyOf(id)
    await invoices.stripe.webhooks({ mode: 'hold', copies: 3 })
    await invoices.atStripe(copy, 'fail')
    await invoices.atStripe(copy, 'approve')
    await invoices.stripe.release('reversed')
    await invoices.stripe.webhooks({ mode: 'send' })
    await expect.poll(async () => (await invoices.details(id)).status, { timeout: 20_000 }).toBe('paid')
    await invoices.bursar.quiet()
    expect((await invoices.payments(id)).map(({ status, amount }) => [status, amount])).toEqual([['succeeded', '2550']])
    expect(await invoices.charged(user)).toEqual([2_550])
  })

  test('that come before the answer to our own question are the same payment', async () => {
    const user = await invoices.customer()
    const { invoice_id: id } = await invoices.invoice(user)
    await invoices.wallets.ours('invoice.publish', { invoice_id: id })
    const { gateway_id: copy } = await invoices.copyOf(id)
    // While our question is on its way the customer pays on Stripe's page, and Stripe tells of that.
    await invoices.stripe.ask('POST', '/_moods', {
      on: `POST /v1/invoices/${copy}/pay`,
      does: 'slow',
      delay_ms: 3_000,
    })
    const paying = invoices.pay(id)
    await expect.poll(async () => (await invoices.payments(id)).map(({ status }) => status)).toEqual(['sent'])
    await invoices.atStripe(copy, 'approve')
    await expect.poll(async () => (await invoices.details(id)).status, { timeout: 2_500 }).toBe('paid')
    expect((await paying).body).toMatchObject({ status: 'paid', amount_paid: 25.5 })
    await invoices.bursar.quiet()
    expect((await invoices.payments(id)).map(({ status }) => status)).toEqual(['succeeded'])
    expect(await invoices.charged(user)).toEqual([2_550])
  })

  test('about an invoice that somebody made in Stripe’s dashboard change nothing here', async () => {
    const customer = (await invoices.stripeApi('/v1/customers', {})).body.id
    const made = (await invoices.stripeApi('/v1/invoices', { customer, currency: 'usd' })).body
    await invoices.stripeApi(`/v1/invoices/${made.id}/finalize`, {})
    await expect
      .poll(
        async () =>
          (
            await invoices.bursar.pool.query(
              `select status from webhook where type = 'invoice.finalized' order by id desc limit 1`,
            )
          ).rows,
      )
      .toEqual([{ status: 'ignored' }])
  })

  test('that never come are made up for by a look', async () => {
    const user = await invoices.customer()
    const { invoice_id: id } = await invoices.invoice(user)
    await invoices.wallets.ours('invoice.publish', { invoice_id: id })
    const { gateway_id: copy } = await invoices.copyOf(id)
    await unheard(async () => {
      await invoices.atStripe(copy, 'approve')
      await invoices.wallets.pass(1_000)
      await invoices.follow()
    })
    expect((await invoices.details(id)).status).toBe('paid')
  })
})

describe('an amount at Stripe that is not ours', () => {
  test('asked for is not charged: the invoice there is withdrawn, and a later one is right', async () => {
    const user = await invoices.customer()
    const { invoice_id: id, invoice_number: number } = await invoices.invoice(user)
    // Somebody has put another line onto the copy before it is finalised.
    const { rows } = await invoices.bursar.pool.query('select issued_at from invoice where id = $1', [id])
    const reference = copyReference(
      { id, number, issuedAt: rows[0].issued_at },
      { customer: null, id: null, amount: null, url: null, earlier: 0 },
    )
    const key = { 'Idempotency-Key': `${customerReference(user)}:customer` }
    const form = { 'metadata[reference]': customerReference(user) }
    const customer = (await invoices.stripeApi('/v1/customers', form, key)).body.id
    const draft = (
      await invoices.stripeApi('/v1/invoices', {
        customer,
        currency: 'usd',
        collection_method: 'send_invoice',
        days_until_due: '30',
        'metadata[reference]': reference,
      })
    ).body
    await invoices.stripeApi(`/v1/invoices/${draft.id}/add_lines`, { 'lines[0][amount]': '9999' })

    expect(await invoices.pay(id)).toMatchObject({ status: 502, body: { code: 'invoice.amountDiffers' } })
    expect(await invoices.charged(user)).toEqual([])
    await invoices.follow()
    expect((await invoices.stripeApi(`/v1/invoices/${draft.id}`)).body.status).toBe('void')
    expect(await invoices.pay(id)).toMatchObject({ status: 200, body: { amount_paid: 25.5 } })
    expect(await invoices.charged(user)).toEqual([2_550])
  })

  test.each([
    ['accept', { status: 'paid', amount_paid: 25.5, to_wallet: 0.01 }, '0.01'],
    ['to_wallet', { status: 'sent', amount_paid: 0, to_wallet: 25.51 }, '25.51'],
  ] as const)('charged pays nothing until a person decides: %s', async (decision, outcome, inWallet) => {
    const user = await invoices.customer()
    const { invoice_id: id } = await invoices.invoice(user)
    const [receivable, suspense] = [await invoices.balance('receivable'), await invoices.balance('suspense')]
    await invoices.stripe.mood('POST /v1/payment_intents', 'wrong_amount')
    const { body } = await invoices.pay(id)
    expect(body).toMatchObject({ status: 'review', amount_paid: 0 })
    expect(await invoices.details(id)).toMatchObject({ is_paid: false, amount_paid: 0 })
    expect(await invoices.balance('receivable')).toBe(receivable)
    expect(await invoices.balance('suspense')).toBe(suspense + 2_551)
    expect(await invoices.pay(id)).toMatchObject({ status: 409, body: { code: 'invoice.inReview' } })
    // Operators find it where money waits.
    const clearing = await invoices.bursar.get('/api/v1/payments/clearing', OPERATOR)
    expect(clearing.body.accounts).toMatchObject([{ purpose: 'suspense', currency: 'USD', unexplained: '0.00' }])
    expect(clearing.body.waiting).toMatchObject([{ because: 'invoice_review', transaction_id: body.payment_id }])

    const decide = () =>
      invoices.bursar.do(
        'POST',
        `/api/v1/billing/payments/${body.payment_id}/decision`,
        { decision, note: 'Looked at Stripe' },
        OPERATOR,
      )
    expect(await decide()).toMatchObject({ status: 200, body: outcome })
    expect(await decide()).toMatchObject({ status: 409, body: { code: 'invoice.notInReview' } })
    expect(await invoices.balance('suspense')).toBe(suspense)
    expect(await invoices.wallets.balance(user, 'USD')).toMatchObject({ balance: inWallet })
  })
})

describe('reconciliation', () => {
  test('takes what Stripe charged for invoices for what it is', async () => {
    const user = await invoices.customer()
    const { invoice_id: id } = await invoices.invoice(user)
    await invoices.pay(id)
    const now = Date.now()
    const [from, until] = [now - 86_400_000, now + 86_400_000].map((at) => new Date(at).toISOString())
    const { status, result } = await invoices.wallets.ours('reconciliation.run', { gateway: 'stripe', from, until })
    expect({ status, ...result }).toMatchObject({ status: 'succeeded', found: 0 })
    expect(result.compared).toBeGreaterThan(0)
  })
})

describe('dunning’s collection', () => {
  test('charges the newest saved method', async () => {
    const user = await invoices.customer()
    const { invoice_id: id } = await invoices.invoice(user)
    await invoices.wallets.addMethod(user, 'stripe', 'pm_card_visa')
    expect(await invoices.wallets.ours('invoice.collect', { invoice_id: id })).toMatchObject({
      status: 'succeeded',
      result: { status: 'paid', amount_paid: 25.5 },
    })
  })

  test('that is declined is tried again days later, and never with a card that is gone for good', async () => {
    for (const [token, isTriedAgain] of [
      ['pm_card_visa_chargeDeclinedInsufficientFunds', true],
      ['pm_card_visa_chargeDeclinedStolenCard', false],
    ] as const) {
      const user = await invoices.customer()
      const { invoice_id: id } = await invoices.invoice(user)
      await invoices.wallets.addMethod(user, 'stripe', token)
      const { error } = await invoices.wallets.ours('invoice.collect', { invoice_id: id })
      expect(error.code).toBe('invoice.declined')
      const { rows } = await invoices.bursar.pool.query('select dunning_at, last_failure from invoice where id = $1', [
        id,
      ])
      expect(rows[0].dunning_at !== null, token).toBe(isTriedAgain)
      expect(rows[0].last_failure).toContain(isTriedAgain ? 'insufficient_funds' : 'stolen_card')
    }
  })

  test('of a customer without a saved method says so, and charges nobody', async () => {
    const user = await invoices.customer()
    const { invoice_id: id } = await invoices.invoice(user)
    const { error } = await invoices.wallets.ours('invoice.collect', { invoice_id: id })
    expect(error.code).toBe('invoice.noMethod')
  })
})
