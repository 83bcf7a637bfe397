import { z } from 'zod'
import { Fault } from '../../kit/fault.ts'
import type { Secret } from '../../kit/secret.ts'
import type { Gateway, Listed } from '../port.ts'
import type { Client } from './client.ts'
import { isCaptured } from './judgement.ts'
import { collection, money, type Order, Payment, Payout, Refund } from './objects.ts'
import { readOrder } from './orders.ts'
import { Problem } from './problem.ts'

/** Payments, then refunds, then payouts; the cursor says which and how many were passed. */
const SORTS = ['charge', 'refund', 'payout'] as const
type Sort = (typeof SORTS)[number]

/** Things in one page. A payment's order is read for its receipt, so that a page of payments costs as many requests again. */
const PAGE = 50

/** Orders read at once: Razorpay limits rates by the second. */
const AT_ONCE = 5

const Cursor = z.tuple([z.enum(SORTS), z.coerce.number().int().nonnegative()])

interface Period {
  /** Unix seconds, both included, as Razorpay has it. */
  readonly from: number
  readonly to: number
  readonly skip: number
}

export function listing(options: { client: Client; accountNumber: Secret | undefined }): Pick<Gateway, 'list'> {
  const { client, accountNumber } = options
  const pages: Record<Sort, (period: Period) => Promise<{ items: Listed[]; read: number }>> = {
    charge: listCharges,
    refund: listRefunds,
    payout: listPayouts,
  }

  return {
    /** Throws a Fault where Razorpay cannot be read: half a list would look like money that is missing. */
    async list({ from, until, cursor }) {
      const [sort, skip] = Cursor.parse(cursor?.split(':') ?? ['charge', 0])
      const period = { from: seconds(from), to: seconds(until) - 1, skip }
      const { items, read } = period.to < period.from ? { items: [], read: 0 } : await pages[sort](period)
      return { items, next: read === PAGE ? `${sort}:${skip + PAGE}` : after(sort) }
    },
  }

  async function listCharges({ from, to, skip }: Period) {
    const listed = orFault(
      await client.sdk('payments', collection(Payment), (razorpay) =>
        razorpay.payments.all({ from, to, skip, count: PAGE }),
      ),
    )
    const receipts = await receiptsOf(listed.items)
    const items = listed.items.flatMap((payment) =>
      line(
        'charge',
        payment,
        chargeStatus(payment),
        receipts.get(payment.order_id ?? '') ?? referenceIn(payment.notes),
      ),
    )
    return { items, read: listed.items.length }
  }

  async function listRefunds({ from, to, skip }: Period) {
    const listed = orFault(
      await client.sdk('refunds', collection(Refund), (razorpay) =>
        razorpay.refunds.all({ from, to, skip, count: PAGE }),
      ),
    )
    const items = listed.items.flatMap((refund) =>
      line('refund', refund, REFUND_STATUSES[refund.status] ?? 'pending', refund.receipt ?? undefined),
    )
    return { items, read: listed.items.length }
  }

  async function listPayouts({ from, to, skip }: Period) {
    if (accountNumber === undefined) return { items: [], read: 0 }
    const query = new URLSearchParams({
      account_number: accountNumber.reveal(),
      from: `${from}`,
      to: `${to}`,
      skip: `${skip}`,
      count: `${PAGE}`,
    })
    const listed = orFault(
      await client.http('payouts', collection(Payout), { method: 'GET', path: `/v1/payouts?${query}` }),
    )
    const items = listed.items.flatMap((payout) =>
      line('payout', payout, PAYOUT_STATUSES[payout.status] ?? 'pending', payout.reference_id ?? undefined),
    )
    return { items, read: listed.items.length }
  }

  /** A payment itself only carries our reference where we made it; Checkout's have it in their order. */
  async function receiptsOf(payments: readonly Payment[]): Promise<Map<string, string>> {
    const wanted = payments
      .filter(({ notes }) => referenceIn(notes) === undefined)
      .flatMap((payment) => payment.order_id ?? [])
    const left = [...new Set(wanted)]
    const receipts = new Map<string, string>()
    while (left.length > 0) {
      const orders = await Promise.all(left.splice(0, AT_ONCE).map((id) => readOrder(client, id)))
      for (const order of orders.map((one): Order => orFault(one)))
        if (order.receipt) receipts.set(order.id, order.receipt)
    }
    return receipts
  }
}

const seconds = (at: Date): number => Math.ceil(at.getTime() / 1_000)

function after(sort: Sort): string | undefined {
  const next = SORTS[SORTS.indexOf(sort) + 1]
  return next === undefined ? undefined : `${next}:0`
}

function orFault<One>(read: One | Problem): One {
  if (read instanceof Problem) throw new Fault(read.reason)
  return read
}

const referenceIn = (notes: Record<string, unknown>): string | undefined =>
  typeof notes.reference === 'string' ? notes.reference : undefined

function chargeStatus(payment: Payment): Listed['status'] {
  if (isCaptured(payment)) return 'succeeded'
  return payment.status === 'failed' || payment.status === 'refunded' ? 'failed' : 'pending'
}

const REFUND_STATUSES: Readonly<Record<string, Listed['status']>> = { processed: 'succeeded', failed: 'failed' }

const PAYOUT_STATUSES: Readonly<Record<string, Listed['status']>> = {
  processed: 'succeeded',
  reversed: 'returned',
  failed: 'failed',
  rejected: 'failed',
  cancelled: 'failed',
}

/** Nothing for a currency that we keep no books in: somebody else uses the same account. */
function line(
  type: Sort,
  of: { id: string; amount: number; currency: string; created_at: number },
  status: Listed['status'],
  reference: string | undefined,
): Listed[] {
  const moved = money(of)
  return moved === undefined
    ? []
    : [{ type, id: of.id, reference, status, ...moved, at: new Date(of.created_at * 1_000) }]
}
