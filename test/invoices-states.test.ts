import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type InvoiceStatus, invoiceCycle, invoiceStatuses } from '../src/domain/billing/invoice.ts'
import type { KindName } from '../src/jobs/catalogue.ts'
import { Issuer } from './support/billing.ts'
import { Workshop } from './support/workshop.ts'

let shop: Workshop
let issuer: Issuer

beforeAll(async () => {
  shop = await Workshop.open()
  issuer = new Issuer(shop)
})
afterAll(() => shop.close())
beforeEach(() => issuer.startOver())
afterEach(async () => {
  expect(await issuer.findings()).toEqual([])
})

/** An invoice of ten dollars in each state that can be reached, and how it gets there. */
const states = {
  draft: async () => made({ draft: true }),
  open: async () => made(),
  overdue: async () => {
    const id = await made()
    await issuer.rows('update invoice set overdue = true where id = $1', id)
    return id
  },
  paid: async () => made({ discount_percent: 100 }),
  uncollectible: async () => {
    const id = await made()
    await issuer.done('invoice.forgive', { invoice_id: id, reason: 'Gone' })
    return id
  },
  void: async () => {
    const id = await made()
    await issuer.done('invoice.cancel', { invoice_id: id })
    return id
  },
  'a credit note': async () => {
    const id = await made()
    const { credit_note_id } = await issuer.done('invoice.credit', { invoice_id: id, amount: 1, reason: 'Sorry' })
    return String(credit_note_id)
  },
} as const
type State = keyof typeof states

async function made(wishes: Record<string, unknown> = {}): Promise<string> {
  const { invoice_id } = await issuer.done('invoice.compose', {
    customer_id: await issuer.customer(),
    items: [{ description: 'Work', unit_price: 10 }],
    ...wishes,
  })
  return String(invoice_id)
}

/** What may be asked of an invoice, and what it is asked with. */
const verbs = {
  'invoice.finalize': {},
  'invoice.cancel': {},
  'invoice.credit': { amount: 2, reason: 'Sorry' },
  'invoice.forgive': { reason: 'Gone' },
} as const satisfies Partial<Record<KindName, object>>

/** What becomes of each state by each verb: the state after it, «deleted», or the code of its refusal. */
const table: Record<State, Record<keyof typeof verbs, string>> = {
  draft: {
    'invoice.finalize': 'open',
    'invoice.cancel': 'deleted',
    'invoice.credit': 'invoice.notCreditable',
    'invoice.forgive': 'invoice.notCollectible',
  },
  open: {
    'invoice.finalize': 'invoice.notDraft',
    'invoice.cancel': 'void',
    'invoice.credit': 'open',
    'invoice.forgive': 'uncollectible',
  },
  overdue: {
    'invoice.finalize': 'invoice.notDraft',
    'invoice.cancel': 'void',
    'invoice.credit': 'open',
    'invoice.forgive': 'uncollectible',
  },
  paid: {
    'invoice.finalize': 'invoice.notDraft',
    'invoice.cancel': 'invoice.notCancelable',
    // One of nothing has nothing to take back.
    'invoice.credit': 'invoice.overCreditable',
    'invoice.forgive': 'invoice.notCollectible',
  },
  uncollectible: {
    'invoice.finalize': 'invoice.notDraft',
    'invoice.cancel': 'void',
    'invoice.credit': 'invoice.notCreditable',
    'invoice.forgive': 'invoice.notCollectible',
  },
  void: {
    'invoice.finalize': 'invoice.notDraft',
    'invoice.cancel': 'invoice.notCancelable',
    'invoice.credit': 'invoice.notCreditable',
    'invoice.forgive': 'invoice.notCollectible',
  },
  'a credit note': {
    'invoice.finalize': 'invoice.notDraft',
    'invoice.cancel': 'invoice.notCancelable',
    'invoice.credit': 'invoice.notCreditable',
    'invoice.forgive': 'invoice.notCollectible',
  },
}

const rows = Object.entries(table).flatMap(([state, answers]) =>
  Object.entries(answers).map(([verb, outcome]) => [state as State, verb as keyof typeof verbs, outcome] as const),
)

describe('An invoice', () => {
  test.each(rows)('that is %s, asked for %s: %s', async (state, verb, outcome) => {
    const id = await states[state]()
    const before = await issuer.rows('select * from invoice where id = $1', id)
    const posted = await issuer.rows('select count(*)::int as transfers from transfer')

    const { status, error } = await issuer.do(verb, { invoice_id: id, ...verbs[verb] })

    const [after] = await issuer.rows('select * from invoice where id = $1', id)
    if (outcome.startsWith('invoice.')) {
      expect([status, error?.code]).toEqual(['failed', outcome])
      expect([after]).toEqual(before)
      expect(await issuer.rows('select count(*)::int as transfers from transfer')).toEqual(posted)
    } else {
      expect(status).toBe('succeeded')
      expect(after?.status ?? 'deleted').toBe(outcome)
      // Where an invoice may go is said once, by its life cycle.
      if (after !== undefined && after.status !== before[0].status) {
        expect(reachable(before[0].status)).toContain(after.status)
      }
    }
  })

  test('that is paid or void stays so for ever, and every other state has a way on', () => {
    expect(invoiceStatuses.filter((status) => invoiceCycle[status].length === 0)).toEqual(['paid', 'void'])
  })

  test.each(invoiceStatuses)('that is %s has what the database demands of it', async (status) => {
    const id = await states.open()
    const wanted = ['open', 'uncollectible', 'void'].includes(status)
    const changed = issuer.rows('update invoice set status = $2 where id = $1', id, status)
    // Numbered, and not paid: neither a draft nor paid by a stroke of the pen.
    if (wanted) {
      await changed
      await issuer.rows(`update invoice set status = 'open' where id = $1`, id)
    } else await expect(changed).rejects.toThrow(/check constraint/)
  })
})

/** States that a state leads to, through `finalizing`, in which nobody ever sees one. */
const reachable = (from: InvoiceStatus): readonly InvoiceStatus[] =>
  invoiceCycle[from].flatMap((next) => (next === 'finalizing' ? invoiceCycle.finalizing : [next]))
