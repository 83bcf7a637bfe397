import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { INVOICE_PAYMENT } from '../src/domain/billing/payment.ts'
import type { InvoiceState } from '../src/gateways/stripe/invoices.ts'
import { publicId } from '../src/kit/ids.ts'
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

const DAY = 86_400

/** What the clock asks for at the hour, and everything that follows from it. */
async function hour(): Promise<{ collected: number }> {
  const period = invoices.bursar.clock.now().toISOString()
  await invoices.wallets.ours('invoice.overdue', { period })
  return (await invoices.wallets.ours('invoice.dun', { period })).result
}

/** How often Stripe was asked to take money for an invoice. */
const tries = async (id: number) => (await invoices.payments(id)).length

/** Days until `most` on which an invoice was collected, counted from the first time. The clock has two looks a day. */
async function daysOfTries(id: number, most: number): Promise<number[]> {
  const days: number[] = []
  for (let half = 0; half <= most * 2; half++) {
    const before = await tries(id)
    await hour()
    if ((await tries(id)) > before) days.push(half / 2)
    await invoices.wallets.pass(DAY / 2)
  }
  return days
}

/** An invoice that is overdue, of somebody with this card on file. */
async function overdue(token: string): Promise<{ id: number; user: string }> {
  const user = await invoices.customer()
  const { invoice_id: id } = await invoices.invoice(user)
  await invoices.wallets.addMethod(user, 'stripe', token)
  await invoices.wallets.pass(32 * DAY)
  return { id, user }
}

describe('An overdue invoice', () => {
  test('is collected by the clock, and then nobody asks for it again', async () => {
    const { id, user } = await overdue('pm_card_visa')
    expect(await daysOfTries(id, 3)).toEqual([0])
    expect(await invoices.details(id)).toMatchObject({ status: 'paid', amount_paid: 25.5, next_collection_at: null })
    expect(await invoices.charged(user)).toEqual([2_550])
  })

  test('whose card has no money is tried on the day, and 2, 7, 14 and 21 days after it', async () => {
    const { id } = await overdue('pm_card_visa_chargeDeclinedInsufficientFunds')
    expect(await daysOfTries(id, 40)).toEqual([0, 2, 7, 14, 21])
    expect(await invoices.details(id)).toMatchObject({ status: 'overdue', amount_due: 25.5, next_collection_at: null })
  }, 60_000)

  test('whose card is stolen is tried once', async () => {
    const { id } = await overdue('pm_card_visa_chargeDeclinedStolenCard')
    expect(await daysOfTries(id, 8)).toEqual([0])
  })

  test('whose payment was of another amount is collected again two days after a person has decided', async () => {
    const { id, user } = await overdue('pm_card_visa')
    await invoices.stripe.mood('POST /v1/payment_intents', 'wrong_amount')
    expect(await daysOfTries(id, 3)).toEqual([0])
    const [payment] = await invoices.payments(id)
    expect(payment).toMatchObject({ status: 'review' })
    expect(await invoices.details(id)).toMatchObject({ is_paid: false, next_collection_at: null })
    await invoices.bursar.do(
      'POST',
      `/api/v1/billing/payments/${publicId(INVOICE_PAYMENT, payment?.id)}/decision`,
      { decision: 'to_wallet', note: 'Looked at Stripe' },
      OPERATOR,
    )
    expect(await daysOfTries(id, 4)).toEqual([2])
    expect(await invoices.details(id)).toMatchObject({ status: 'paid', amount_paid: 25.5, next_collection_at: null })
    expect(await invoices.charged(user)).toEqual([2_550, 2_551])
  })

  test('that is canceled between two tries is not collected again', async () => {
    const { id } = await overdue('pm_card_visa_chargeDeclinedInsufficientFunds')
    expect(await daysOfTries(id, 1)).toEqual([0])
    expect((await invoices.cancel(id)).body).toMatchObject({ status: 'cancelled' })
    expect(await daysOfTries(id, 8)).toEqual([])
  })

  test('whose «no» was lost on the way is tried no sooner for that, and never again with a stolen card', async () => {
    for (const [token, days] of [
      ['pm_card_visa_chargeDeclinedInsufficientFunds', [2]],
      ['pm_card_visa_chargeDeclinedStolenCard', []],
    ] as const) {
      const { id } = await overdue(token)
      await invoices.wallets.ours('invoice.publish', { invoice_id: id })
      const { gateway_id: copy } = await invoices.copyOf(id)
      await invoices.stripe.webhooks({ mode: 'drop' })
      await invoices.stripe.mood(`POST /v1/invoices/${copy}/pay`, 'lose_answer', 3)
      await hour()
      expect((await invoices.payments(id)).map(({ status }) => status)).toEqual(['unknown'])
      await invoices.stripe.behave()
      await invoices.wallets.pass(60)
      await invoices.follow()
      expect((await invoices.payments(id)).map(({ status }) => status)).toEqual(['declined'])
      await invoices.stripe.webhooks({ mode: 'send' })
      expect(await daysOfTries(id, 4), token).toEqual(days)
    }
  }, 60_000)
})

describe('A bank that takes its days', () => {
  test('and says yes has paid the invoice', async () => {
    const user = await invoices.customer()
    const { invoice_id: id } = await invoices.invoice(user)
    expect((await invoices.pay(id, 'pm_usBankAccount_success')).body).toMatchObject({
      status: 'pending',
      amount_paid: 0,
    })
    expect((await invoices.pay(id)).body).toMatchObject({ code: 'invoice.paymentUnderWay' })
    await invoices.wallets.pass(6 * DAY)
    await invoices.follow()
    await expect.poll(async () => (await invoices.details(id)).status).toBe('paid')
  })

  test.each(['send', 'drop'] as const)('and says no leaves the invoice to another card: webhooks %s', async (mode) => {
    const user = await invoices.customer()
    const { invoice_id: id } = await invoices.invoice(user)
    await invoices.stripe.webhooks({ mode })
    await invoices.pay(id, 'pm_usBankAccount_insufficientFunds')
    expect((await invoices.payments(id)).map(({ status }) => status)).toEqual(['pending'])
    await invoices.wallets.pass(6 * DAY)
    await invoices.follow()
    await expect.poll(async () => (await invoices.payments(id)).map(({ status }) => status)).toEqual(['declined'])
    await invoices.stripe.webhooks({ mode: 'send' })
    expect((await invoices.pay(id)).body).toMatchObject({ status: 'paid', amount_paid: 25.5 })
    expect(await invoices.charged(user)).toEqual([2_550])
  })

  test('and says no to what the clock has collected is asked again two days later', async () => {
    const { id } = await overdue('pm_card_visa')
    await invoices.stripe.webhooks({ mode: 'drop' })
    await invoices.stripe.mood('POST /v1/payment_intents', 'late_failure')
    await hour()
    expect((await invoices.payments(id)).map(({ status }) => status)).toEqual(['pending'])
    await invoices.wallets.pass(DAY)
    await invoices.follow()
    expect((await invoices.payments(id)).map(({ status, code }) => [status, code])).toEqual([
      ['declined', 'insufficient_funds'],
    ])
    await invoices.stripe.webhooks({ mode: 'send' })
    expect(await daysOfTries(id, 3)).toEqual([2])
    expect(await invoices.details(id)).toMatchObject({ status: 'paid' })
  })

  test('has said nothing yet when a card was refused before it', async () => {
    const user = await invoices.customer()
    const { invoice_id: id } = await invoices.invoice(user)
    await invoices.stripe.webhooks({ mode: 'drop' })
    expect((await invoices.pay(id, 'pm_card_chargeDeclined')).status).toBe(402)
    // A look that reads Stripe before the bank is asked, and is believed after it.
    const { stripeInvoices } = invoices.bursar.foundation
    if (stripeInvoices === undefined) throw new Error('Stripe is not configured')
    const { lookUp } = stripeInvoices
    const bankIsAsked = Promise.withResolvers<void>()
    const looked = Promise.withResolvers<InvoiceState>()
    vi.spyOn(stripeInvoices, 'lookUp').mockImplementationOnce(async (wanted) => {
      const state = await lookUp(wanted)
      looked.resolve(state)
      await bankIsAsked.promise
      return state
    })
    const looking = invoices.wallets.ours('invoice.lookup', { invoice_id: id })
    expect(await looked.promise).toMatchObject({ outcome: 'open', failure: { code: 'generic_decline' } })
    expect((await invoices.pay(id, 'pm_usBankAccount_success')).body).toMatchObject({ status: 'pending' })
    bankIsAsked.resolve()
    expect((await looking).result).toEqual({ status: 'open' })
    expect((await invoices.payments(id)).map(({ status }) => status)).toEqual(['declined', 'pending'])
    await invoices.wallets.pass(6 * DAY)
    await invoices.follow()
    expect((await invoices.payments(id)).map(({ status }) => status)).toEqual(['declined', 'succeeded'])
    await invoices.stripe.webhooks({ mode: 'send' })
    expect(await invoices.charged(user)).toEqual([2_550])
  })
})
