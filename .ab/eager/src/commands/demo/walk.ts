import { runReconciliation } from '../../jobs/reconciliation.ts'
import { newId } from '../../kit/ids.ts'
import { printReport } from '../reconcile.ts'
import { LedgerRows } from './ledger-rows.ts'
import { type Body, type Stage, until } from './stage.ts'

type Print = (line: string) => void

/** What every step has: the stage, its user, and somebody who reads along. */
export interface Walk {
  readonly stage: Stage
  readonly user: string
  readonly print: Print
  readonly rows: LedgerRows
}

export const openWalk = (stage: Stage, print: Print): Walk => {
  const user = `demo_${newId().slice(-12)}`
  return { stage, user, print, rows: new LedgerRows(stage.sql, `user:${user}`) }
}

interface Step {
  readonly title: string
  play(walk: Walk): Promise<void>
}

/** A step that did not go as it must. */
const must = (so: boolean, what: string, body: Body): void => {
  if (!so) throw new Error(`${what}: ${JSON.stringify(body)}`)
}

/** The bank's hour has put Razorpay's clock ahead of ours. */
const HOUR_MS = 3_600_000

const DEPOSIT = '/api/v1/payments/deposits/initiate'

/** Every step, in the order in which they are walked. */
export const steps: readonly Step[] = [
  {
    title: 'A deposit by card (Stripe)',
    async play(walk) {
      const card = await saved(walk, { type: 'card', gateway: 'stripe', token: 'pm_card_visa' })
      const body = await deposit(walk, { amount: 30, currency: 'USD', payment_method_id: card })
      must(body.status === 'COMPLETED', 'The card was not charged', body)
      walk.print(`The card ending in 4242 was charged ${body.amount} ${body.currency}: ${body.status}.`)
    },
  },
  {
    title: 'A deposit by UPI (Razorpay)',
    async play(walk) {
      const { stage, print } = walk
      const begun = await deposit(walk, { amount: 500, currency: 'INR', method: 'upi', gateway: 'razorpay' })
      print(`Begun: ${begun.status}, the customer pays order ${begun.order_id} in Razorpay’s checkout.`)
      const paid = await checkout(stage, begun.order_id)
      const { body } = await stage.ask('POST', '/api/v1/payments/deposits/confirm', {
        transaction_id: begun.transaction_id,
        gateway_payment_id: paid.razorpay_payment_id,
        gateway_data: { razorpay_order_id: paid.razorpay_order_id, razorpay_signature: paid.razorpay_signature },
      })
      must(body.status === 'COMPLETED', 'The payment was not confirmed', body)
      print(`Confirmed with the signature that the browser brought back: ${body.status}.`)
    },
  },
  {
    title: 'A card that is declined',
    async play(walk) {
      const card = await saved(walk, { type: 'card', gateway: 'stripe', token: 'pm_card_chargeDeclined' })
      const body = await deposit(walk, { amount: 30, currency: 'USD', payment_method_id: card })
      must(body.error === 'PaymentDeclined', 'The card was not declined', body)
      walk.print(`${body.error} (${body.code}): ${body.message}`)
    },
  },
  {
    title: '3-D Secure: the customer’s bank wants to see them first',
    async play(walk) {
      const { stage, print } = walk
      const card = await saved(walk, { type: 'card', gateway: 'stripe', token: 'pm_card_threeDSecure2Required' })
      const begun = await deposit(walk, { amount: 20, currency: 'USD', payment_method_id: card })
      must(begun.status === 'PENDING', 'Nobody asked for the customer', begun)
      print(`${begun.status}: nothing is credited before the customer has answered their bank.`)
      await stage.play('stripe', 'POST', `/_customer/${begun.order_id}`, { does: 'approve' })
      await credited(stage, begun.transaction_id)
      print('The customer approved, Stripe’s webhook said so, the payment was read again from Stripe: COMPLETED.')
    },
  },
  {
    title: 'A refund',
    async play(walk) {
      const { stage, print, user } = walk
      const card = await saved(walk, { type: 'card', gateway: 'stripe', token: 'pm_card_mastercard' })
      const paid = await deposit(walk, { amount: 25, currency: 'USD', payment_method_id: card })
      const path = `/api/v1/payments/deposits/${paid.transaction_id}/refund`
      const { body } = await stage.ask('POST', path, { user_id: user, amount: 10, reason: 'Changed their mind' })
      must(body.refund_id !== undefined, 'It was not refunded', body)
      await credited(stage, body.refund_id)
      print(`10.00 of 25.00 USD went back to the card. The rest can still be refunded; more than that is refused:`)
      const more = await stage.ask('POST', path, { user_id: user, amount: 20 })
      must(more.status === 400, 'More than is left was refunded', more.body)
      print(`${more.body.error}: ${more.body.message}`)
    },
  },
  {
    title: 'A withdrawal to a bank account (Razorpay)',
    async play(walk) {
      const { stage, print, user } = walk
      const bank = await saved(walk, { type: 'bank_transfer', gateway: 'razorpay', token: 'fa_sandbox_bank' })
      const { body } = await stage.ask('POST', '/api/v1/payments/withdrawals/initiate', {
        ...{ user_id: user, amount: 200, currency: 'INR', payment_method_id: bank },
      })
      must(body.withdrawal_id !== undefined, 'It was not paid out', body)
      const { body: meanwhile } = await stage.ask('GET', `/api/v1/payments/wallet/balance?user_id=${user}&currency=INR`)
      print(`${body.status}: ${meanwhile.locked_balance} INR are set aside, ${meanwhile.available_balance} are free.`)
      // The bank takes an hour: this is the hour.
      await stage.play('razorpay', 'POST', '/_time', { advance_seconds: 3_600 })
      await credited(stage, body.withdrawal_id)
      print('The bank has paid it: COMPLETED.')
    },
  },
  {
    title: 'One webhook, delivered three times',
    async play(walk) {
      const { stage, print } = walk
      await stage.play('stripe', 'PUT', '/_webhooks', { copies: 3 })
      const begun = await deposit(walk, { amount: 15, currency: 'USD', method: 'card', gateway: 'stripe' })
      must(begun.status === 'PENDING', 'The checkout did not open', begun)
      await stage.play('stripe', 'POST', `/_customer/${begun.order_id}`, { does: 'approve' })
      await credited(stage, begun.transaction_id)
      await stage.play('stripe', 'PUT', '/_webhooks', { copies: 1 })
      print('Stripe told of it three times. It was received each time, filed once, and credited once:')
    },
  },
  {
    title: 'Reconciliation: the webhook that never came',
    async play(walk) {
      const { stage, print, user } = walk
      await stage.play('razorpay', 'PUT', '/_webhooks', { mode: 'drop' })
      const begun = await deposit(walk, { amount: 300, currency: 'INR', method: 'upi', gateway: 'razorpay' })
      await checkout(stage, begun.order_id)
      print('The customer has paid 300.00 INR, the webhook was lost, and their browser never came back.')
      for (const gateway of ['stripe', 'razorpay']) {
        const now = Date.now()
        const { body } = await stage.ask(
          'POST',
          '/api/v1/payments/reconciliations',
          { gateway, from: new Date(now - HOUR_MS).toISOString(), until: new Date(now + 2 * HOUR_MS).toISOString() },
          'operator',
        )
        const { reconciliation_id: id } = runReconciliation.result.parse(body)
        await printReport(stage.sql, id, print)
      }
      await credited(stage, begun.transaction_id)
      await stage.play('razorpay', 'PUT', '/_webhooks', { mode: 'send' })
      for (const currency of ['USD', 'INR']) {
        const { body } = await stage.ask('GET', `/api/v1/payments/wallet/balance?user_id=${user}&currency=${currency}`)
        print(`The wallet holds ${body.balance} ${currency}.`)
      }
    },
  },
]

async function saved({ stage, user }: Walk, method: Record<string, string>): Promise<unknown> {
  const { body } = await stage.ask('POST', '/api/v1/payments/methods', { user_id: user, ...method })
  must(body.success === true, 'The method was not kept', body)
  return body.id
}

async function deposit({ stage, user }: Walk, wanted: Record<string, unknown>): Promise<Body> {
  const { body } = await stage.ask('POST', DEPOSIT, { user_id: user, ...wanted })
  return body
}

/** What the customer does in Razorpay's own window. */
const checkout = (stage: Stage, orderId: unknown): Promise<Body> =>
  stage.play('razorpay', 'POST', '/_checkout', { order_id: orderId, method: 'upi', vpa: 'success@razorpay' })

const credited = (stage: Stage, transaction: unknown): Promise<void> =>
  until(`${transaction} to be completed`, async () => {
    const { body } = await stage.ask('GET', `/api/v1/payments/wallet/transactions/${transaction}`)
    return body.status === 'COMPLETED'
  })
