import { Hono } from 'hono'
import { html } from 'hono/html'
import { z } from 'zod'
import { assert } from '../../kit/assert.ts'
import { bodyOf, invalid, NotesBody, noSuchId, Refused } from './errors.ts'
import { card } from './inhabitants.ts'
import { APPROVED, type BankSays, bankSays, cardSays, vpaSays } from './instruments.ts'
import { alreadyPaid, approve, asked, bankRefused, begin, fail, handed, orderOf, paymentOf } from './payments.ts'
import { newId, type World } from './world.ts'

const Card = z
  .union([z.string(), z.object({ number: z.string() }).transform(({ number }) => number)])
  .transform((number) => number.replace(/\s/g, ''))

const Checkout = z.object({
  /** The key id, as Checkout is opened with. */
  key: z.string().optional(),
  order_id: z.string(),
  method: z.enum(['card', 'upi', 'netbanking', 'wallet', 'bank_transfer']),
  card: Card.optional(),
  vpa: z.string().optional(),
  bank: z.string().default('HDFC'),
  wallet: z.string().default('payzapp'),
  /** What the customer types: four to ten digits are right, fewer are wrong. */
  otp: z.string().optional(),
  email: z.string().optional(),
  contact: z.string().optional(),
  notes: NotesBody,
  save: z.boolean().default(false),
  customer_id: z.string().optional(),
  does: z.enum(['approve', 'fail', 'wait']).default('approve'),
  late: z.boolean().default(false),
  again: z.boolean().default(false),
})
type Checkout = z.infer<typeof Checkout>

const CustomerDoes = z.object({ does: z.enum(['approve', 'fail']) })

/** The customer's browser. */
export function checkoutRoutes(world: World): Hono {
  const app = new Hono()

  app.post('/_checkout', async (c) => {
    const wanted = await bodyOf(c, Checkout)
    if (wanted.key !== undefined && wanted.key !== world.keys.keyId)
      throw new Refused({ description: 'The api key provided is invalid' }, 401)
    const order = orderOf(world, wanted.order_id)
    if (order.status === 'paid' && !wanted.again) throw alreadyPaid()
    if (order.currency !== 'INR' && wanted.method !== 'card')
      throw invalid('This payment method does not take the currency of the order', 'method')

    const says = instrumentSays(wanted)
    const { amount, waits, fails } = asked(world, 'POST /_checkout', order)
    const payment = begin(
      world,
      order,
      {
        method: wanted.method,
        card: wanted.method === 'card' ? wanted.card : undefined,
        vpa: wanted.method === 'upi' ? wanted.vpa : undefined,
        bank: wanted.method === 'netbanking' ? wanted.bank : undefined,
        wallet: wanted.method === 'wallet' ? wanted.wallet : undefined,
        email: wanted.email,
        contact: wanted.contact,
        customer: wanted.customer_id,
        token: savedToken(world, wanted),
        notes: wanted.notes,
      },
      amount,
    )

    if (waits) world.postpone('payment.approve', payment.id)
    if (fails) world.postpone('payment.fail', payment.id)
    if (waits || fails || wanted.does === 'wait')
      return c.json(
        { ...without(handed(world, payment)), next: [{ action: 'redirect', url: `/_customer/${payment.id}` }] },
        202,
      )
    const no = bankSays(says)
    if (no !== undefined) throw bankRefused(fail(world, payment.id, no), no)
    return c.json(handed(world, approve(world, payment.id, { late: wanted.late, again: wanted.again })))
  })

  app.get('/_customer/:id', (c) => {
    const payment = paymentOf(world, c.req.param('id'))
    return c.html(html`<!doctype html>
<title>Sandbox bank</title>
<h1>Pay ${payment.amount} ${payment.currency} (minor units)?</h1>
<form method="post">
  <button name="does" value="approve">Success</button>
  <button name="does" value="fail">Failure</button>
</form>`)
  })

  app.post('/_customer/:id', async (c) => {
    const payment = paymentOf(world, c.req.param('id'))
    const isForm = c.req.header('content-type')?.startsWith('application/x-www-form-urlencoded')
    const sent: unknown = isForm ? await c.req.parseBody() : await c.req.json().catch(() => undefined)
    const wanted = CustomerDoes.safeParse(sent)
    if (!wanted.success) throw invalid('The does field must be approve or fail.', 'does')
    const { does } = wanted.data
    if (payment.status !== 'created') throw new Refused({ description: 'The payment is no longer waiting' })
    if (does === 'approve') return c.json(handed(world, approve(world, payment.id)))
    const no = refusalOf('authentication_failed')
    throw bankRefused(fail(world, payment.id, no), no)
  })
  return app
}

/** No signature yet: that is what a payment earns. */
const without = ({ razorpay_signature, ...rest }: ReturnType<typeof handed>) => rest

function instrumentSays(wanted: Checkout): string {
  if (wanted.does === 'fail') return 'payment_failed'
  if (wanted.otp !== undefined && !/^\d{4,10}$/.test(wanted.otp)) return 'authentication_failed'
  if (wanted.method === 'card') {
    if (wanted.card === undefined) throw invalid('The card field is required.', 'card')
    return cardSays(wanted.card)
  }
  if (wanted.method === 'upi') {
    if (wanted.vpa === undefined) throw invalid('The vpa field is required.', 'vpa')
    return vpaSays(wanted.vpa)
  }
  return APPROVED
}

function savedToken(world: World, wanted: Checkout): string | undefined {
  if (!wanted.save || wanted.method !== 'card' || wanted.card === undefined) return undefined
  const customer_id = wanted.customer_id ?? ''
  if (world.customers.get(customer_id) === undefined) throw noSuchId()
  const number = wanted.card
  return world.tokens.put(
    card({ id: newId('token'), number, bankSays: cardSays(number), customer_id, created_at: world.now() }),
  ).id
}

/** What a reason of ours reads like; it is one of the table. */
export function refusalOf(reason: string): BankSays {
  const no = bankSays(reason)
  assert(no !== undefined, `No such reason: ${reason}`)
  return no
}
