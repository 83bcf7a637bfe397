import { z } from 'zod'
import { Fault } from '../../kit/fault.ts'
import { isAsset } from '../../kit/money.ts'
import type { Listed } from '../port.ts'
import { Transaction } from './charges.ts'
import type { Client } from './client.ts'
import { Transfer } from './payouts.ts'
import { Refund } from './refunds.ts'

/** Things on a page: the most that Paystack gives. */
const PER_PAGE = 100

/** Where one type ends the next begins: the cursor is `<type>:<page>`. */
const TYPES = ['charge', 'refund', 'payout'] as const
type Type = (typeof TYPES)[number]
const PATHS: Readonly<Record<Type, string>> = { charge: '/transaction', refund: '/refund', payout: '/transfer' }

const Line = z.looseObject({ currency: z.string() })
const Meta = z.object({ pageCount: z.int().nonnegative() })
const At = z.iso.datetime({ offset: true }).transform((text) => new Date(text))

/** All three of Paystack's lists, one after the other. Throws a Fault when it cannot be asked: a short list would be a lie. */
export async function list(
  client: Client,
  { from, until, cursor }: { from: Date; until: Date; cursor?: string | undefined },
): Promise<{ items: readonly Listed[]; next: string | undefined }> {
  const { type, page } = parse(cursor)
  const query = new URLSearchParams({
    perPage: String(PER_PAGE),
    page: String(page),
    from: from.toISOString(),
    to: until.toISOString(),
  })
  const reply = await client.ask('GET', `${PATHS[type]}?${query}`)
  const lines = reply.outcome === 'answered' ? z.array(Line).safeParse(reply.data) : undefined
  const meta = reply.outcome === 'answered' ? Meta.safeParse(reply.meta) : undefined
  if (lines?.success !== true || meta?.success !== true) throw new Fault(`Paystack could not be asked for its ${type}s`)
  const items = lines.data
    // What was moved in a currency that the books do not know was moved by somebody else.
    .filter(({ currency }) => isAsset(currency))
    .map((line) => READ[type](line))
    // Paystack's `to` belongs to the period, ours does not.
    .filter(({ at }) => at >= from && at < until)
  if (page < meta.data.pageCount) return { items, next: `${type}:${page + 1}` }
  const following = TYPES[TYPES.indexOf(type) + 1]
  return { items, next: following === undefined ? undefined : `${following}:1` }
}

function parse(cursor: string | undefined): { type: Type; page: number } {
  const [name, page] = (cursor ?? 'charge:1').split(':')
  const type = TYPES.find((one) => one === name)
  if (type === undefined || !/^[1-9]\d{0,8}$/.test(page ?? '')) throw new Fault('Not a cursor of Paystack’s list')
  return { type, page: Number(page) }
}

const READ: Readonly<Record<Type, (line: unknown) => Listed>> = {
  charge: (line) => {
    const { reference, status, amount, currency, created_at: at } = parsed(Transaction.extend({ created_at: At }), line)
    return { type: 'charge', id: reference, reference, status: chargeStatus(status), amount, currency, at }
  },
  refund: (line) => {
    const {
      id,
      status,
      amount,
      currency,
      merchant_note,
      createdAt: at,
    } = parsed(Refund.extend({ createdAt: At }), line)
    return {
      type: 'refund',
      id,
      reference: merchant_note ?? undefined,
      status: refundStatus(status),
      amount,
      currency,
      at,
    }
  },
  payout: (line) => {
    const {
      reference,
      transfer_code: id,
      status,
      amount,
      currency,
      createdAt: at,
    } = parsed(Transfer.extend({ createdAt: At }), line)
    return { type: 'payout', id, reference, status: payoutStatus(status), amount, currency, at }
  },
}

function parsed<Row>(Shape: z.ZodType<Row>, line: unknown): Row {
  const row = Shape.safeParse(line)
  if (!row.success) throw new Fault('Paystack lists something that cannot be read')
  return row.data
}

/** A charge that went back was taken all the same: the refund is a line of its own. */
const chargeStatus = (status: string): Listed['status'] =>
  status === 'success' || status === 'reversed' ? 'succeeded' : status === 'failed' ? 'failed' : 'pending'

const refundStatus = (status: string): Listed['status'] =>
  status === 'processed' ? 'succeeded' : status === 'failed' ? 'failed' : 'pending'

function payoutStatus(status: string): Listed['status'] {
  if (status === 'success') return 'succeeded'
  if (status === 'reversed') return 'returned'
  return ['failed', 'blocked', 'rejected', 'abandoned'].includes(status) ? 'failed' : 'pending'
}
