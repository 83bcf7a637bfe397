import type { Hono } from 'hono'
import { html } from 'hono/html'
import { z } from 'zod'
import { parseForm } from './form.ts'
import { fail, failAuthentication, pay } from './intent-life.ts'
import { intentOf } from './intents.ts'
import { use } from './methods.ts'
import { refused } from './problem.ts'
import type { Intent } from './rows.ts'
import { shown, type World } from './world.ts'

const Does = z.object({ does: z.enum(['approve', 'fail']), payment_method: z.string().default('pm_card_visa') })

const WAITING: ReadonlySet<string> = new Set(['requires_payment_method', 'requires_confirmation', 'requires_action'])

/** The page on which a customer pays, or shows their bank who they are: by hand, or by `POST {"does"}`. */
export function customerRoutes(app: Hono, world: World): void {
  app.get('/_customer/:id', (c) => {
    const intent = intentOf(world, c.req.param('id'))
    return c.html(html`<!doctype html>
      <html lang="en">
        <head><meta charset="utf-8" /><title>Stripe stand-in</title></head>
        <body style="font-family: sans-serif; max-width: 30rem; margin: 4rem auto">
          <h1>Pay ${intent.amount} ${intent.currency.toUpperCase()}</h1>
          <p>Minor units. This is a stand-in: no money moves. The payment is ${intent.status}.</p>
          <form method="post">
            <button name="does" value="approve">Approve</button> <button name="does" value="fail">Fail</button>
          </form>
        </body>
      </html>`)
  })

  app.post('/_customer/:id', async (c) => {
    const text = await c.req.text()
    const isForm = c.req.header('content-type')?.includes('form-urlencoded') ?? false
    const wanted = Does.safeParse(isForm ? { ...parseForm(text) } : parseJson(text))
    if (!wanted.success) return c.json({ error: z.prettifyError(wanted.error) }, 422)
    const before = intentOf(world, c.req.param('id'))
    if (!WAITING.has(before.status)) throw refused(`The payment is ${before.status}: there is nothing to do.`)
    const after = decide(world, before, wanted.data, new URL(c.req.url).origin)
    if (!isForm || before._returnUrl === null) return c.json(shown(after))
    const back = new URL(before._returnUrl)
    back.searchParams.set('payment_intent', after.id)
    back.searchParams.set('payment_intent_client_secret', after.client_secret)
    back.searchParams.set('redirect_status', after.status === 'requires_payment_method' ? 'failed' : 'succeeded')
    return c.redirect(back.href, 303)
  })
}

function decide(world: World, intent: Intent, wanted: z.infer<typeof Does>, origin: string): Intent {
  const declined = intent.last_payment_error?.payment_method as { id?: string } | undefined
  const waits = intent.last_payment_error?.code === 'authentication_required' ? declined?.id : undefined
  const method = use(world, intent.payment_method ?? waits ?? wanted.payment_method, 'payment_method')
  if (wanted.does === 'approve') return pay(world, intent, method, { present: true, origin, authenticated: true })
  if (intent.payment_method !== null || waits !== undefined)
    return failAuthentication(world, { ...intent, payment_method: method.id })
  return fail(
    world,
    { ...intent, payment_method: method.id },
    { code: 'card_declined', declineCode: 'generic_decline' },
  )
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
