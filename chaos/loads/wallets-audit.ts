import { fromPublicId } from '../../src/kit/ids.ts'
import type { Finding } from '../finding.ts'
import { askGateway, type GatewayName, gateways } from '../gateways.ts'
import type { Told } from '../records.ts'
import type { Audited, Evidence } from './load.ts'
import { endsOf } from './wallets-ends.ts'

interface PaymentRow {
  readonly id: string
  readonly operation_id: string
  readonly user_id: string
  readonly type: 'deposit' | 'withdrawal' | 'refund' | 'return'
  readonly status: string
  readonly currency: string
  readonly amount: string
  readonly limit_day: string | null
  readonly limit_month: string | null
  readonly failure_code: string | null
}

interface AttemptRow {
  readonly id: string
  readonly payment_id: string
  readonly verb: 'charge' | 'refund' | 'payout'
  readonly gateway: GatewayName
  readonly status: string
  readonly moved: string | null
  readonly moved_currency: string | null
}

interface OperationRow {
  readonly id: string
  readonly status: string
  readonly code: string | null
  readonly result: Record<string, unknown> | null
}

/** What a stand-in says of one reference. */
interface Done {
  readonly reference: string | null
  readonly amount: number
  readonly currency: string
  readonly times: number
}

type Finds = (sort: Finding['sort'], says: string) => void

interface Rows {
  readonly payments: readonly PaymentRow[]
  readonly attempts: readonly AttemptRow[]
}

/** Holds every movement of wallets against what its caller was told, the books, and what each gateway has really done. */
export async function auditWallets({ pool, told, sandbox }: Evidence): Promise<Audited> {
  const findings: Finding[] = []
  const finds: Finds = (sort, says) => void findings.push({ sort, says })
  const read = async <Row>(sql: string): Promise<Row[]> => (await pool.query(sql)).rows as Row[]

  const payments = await read<PaymentRow>('select * from payment order by id')
  const attempts = await read<AttemptRow>('select * from gateway_attempt order by id')
  const operations = await read<OperationRow>(
    `select id, status, coalesce(error->>'refusal', error->>'code') as code, result from operation
     where kind ~ '^(deposit|withdrawal|method|kyc)[.]'`,
  )
  const rows: Rows = { payments, attempts }

  auditTold(told, new Map(operations.map((row) => [row.id, row])), rows, finds)
  auditEnds(rows, finds)
  for (const gateway of gateways) {
    const { body } = await askGateway(sandbox, gateway, 'GET', '/_done')
    compare(gateway, body as Record<'charges' | 'refunds' | 'payouts', Done[]>, rows, finds)
  }
  await auditBalances({ read, finds, payments })
  await auditLimits({ read, finds, payments })
  await auditSuspense({ read, finds, rows })
  await auditWebhooks({ read, finds })

  const count = (type: PaymentRow['type'], status: string) =>
    payments.filter((payment) => payment.type === type && payment.status === status).length
  const [inbox] = await read<{ events: number; deliveries: number }>(
    `select (select count(*)::int from webhook) as events,
       (select count(*)::int from operation where kind = 'webhook.process') as deliveries`,
  )
  return {
    findings,
    figures: {
      deposited: count('deposit', 'completed'),
      expired: count('deposit', 'expired') + count('deposit', 'canceled'),
      refunded: count('refund', 'completed'),
      paidOut: count('withdrawal', 'completed'),
      sentBack: count('withdrawal', 'returned'),
      returned: count('return', 'completed'),
      neverReceived: payments.filter(({ failure_code: code }) => code === 'never_received').length,
      webhookEvents: inbox?.events ?? 0,
    },
  }
}

const MONEY: Readonly<Record<string, PaymentRow['type']>> = {
  'deposit.initiate': 'deposit',
  'withdrawal.initiate': 'withdrawal',
  'deposit.refund': 'refund',
}

/** Every wish ended as it may, has one payment at most, of what was asked for, and what was told of it still holds. */
function auditTold(
  told: readonly Told[],
  operations: ReadonlyMap<string, OperationRow>,
  { payments }: Rows,
  finds: Finds,
): void {
  const paymentsOf = Map.groupBy(payments, (payment) => payment.operation_id)
  const paymentNamed = new Map(payments.map((payment) => [payment.id, payment]))
  const ours = new Set<string>()
  for (const one of told) {
    const operation = operations.get(one.operationId ?? '')
    // The general audit has said so already.
    if (operation === undefined || (operation.status !== 'succeeded' && operation.status !== 'failed')) continue
    const wrong = (sort: Finding['sort'], says: string) => finds(sort, `${one.kind} ${operation.id} ${says}`)
    const done = operation.status === 'succeeded'
    const ends = endsOf(one)
    if (!ends.includes(done ? 'succeeded' : (operation.code ?? '')))
      wrong('told', `ended with ${operation.code ?? 'success'}`)

    const type = MONEY[one.kind]
    if (type === undefined) continue
    const made = paymentsOf.get(operation.id) ?? []
    for (const { id } of made) ours.add(id)
    if (made.length > 1) wrong('doubled', `has ${made.length} payments`)
    const [payment] = made
    if (!done) {
      if (payment !== undefined && payment.status !== 'failed')
        wrong('told', `was refused with ${operation.code}, and its payment is ${payment.status}`)
      continue
    }
    const { transaction_id: named, refund_id: refund, status: said } = operation.result as Record<string, string>
    const about = paymentNamed.get(fromPublicId('txn', refund ?? named ?? '') ?? '')
    // A deposit that was called off before it was paid has no payment of its own.
    const calledOff = type === 'refund' && about?.type === 'deposit'
    if (about === undefined || (payment?.id !== about.id && !calledOff)) {
      wrong('lost', `succeeded, and names ${refund ?? named}`)
      continue
    }
    if (!calledOff && about.type !== type) wrong('told', `made a ${about.type}`)
    const { amount, user_id: user, currency } = one.body as Record<string, string | undefined>
    if (amount !== undefined && !calledOff && Number(about.amount) !== Math.round(Number(amount) * 100))
      wrong('told', `was asked for ${amount}, and is about ${about.amount}`)
    if (user !== undefined && user !== about.user_id) wrong('told', `is of ${about.user_id}`)
    if (currency !== undefined && currency !== about.currency) wrong('told', `is in ${about.currency}`)
    // What was done may have come back since, which is another story; what had failed may not be done.
    const may = said === 'PENDING' ? undefined : [said?.toLowerCase(), ...(said === 'COMPLETED' ? ['returned'] : [])]
    if (may !== undefined && !may.includes(about.status)) wrong('told', `was told ${said}, and is ${about.status}`)
  }
  for (const { id, type } of payments)
    if (type !== 'return' && !ours.has(id)) finds('doubled', `${type} ${id} was made beside what was asked for`)
}

/** Everything has ended, and ended payments have no attempt that could still do something. */
function auditEnds({ payments, attempts }: Rows, finds: Finds): void {
  const attemptsOf = Map.groupBy(attempts, (attempt) => attempt.payment_id)
  for (const { id, type, status, failure_code: code } of payments) {
    const its = attemptsOf.get(id) ?? []
    const how = its.map((attempt) => `${attempt.gateway} ${attempt.status}`).join(', ')
    if (status === 'requested' || status === 'pending' || status === 'review')
      finds('open', `${type} ${id} is ${status} (${how})`)
    else if (type === 'return' && status !== 'completed') finds('open', `return ${id} is ${status}: ${code}`)
    const succeeded = its.filter((attempt) => attempt.status === 'succeeded').length
    if (succeeded > 1) finds('doubled', `${type} ${id} was done ${succeeded} times (${how})`)
    if (status === 'completed' && succeeded !== 1)
      finds('told', `${type} ${id} is completed, and its attempts are ${how}`)
    if (type !== 'deposit' && its.some((attempt) => attempt.status === 'surplus'))
      finds('doubled', `${type} ${id} was done after it had been given up (${how})`)
  }
}

/** What a gateway has moved, by payment, is what our attempts say that it has moved: no more, no less, no oftener. */
function compare(
  gateway: GatewayName,
  done: Readonly<Record<'charges' | 'refunds' | 'payouts', readonly Done[]>>,
  { attempts }: Rows,
  finds: Finds,
): void {
  const paymentOf = new Map(attempts.map(({ id, payment_id }) => [id, payment_id]))
  const sorts = [
    { theirs: done.charges, verb: 'charge', moved: ['succeeded', 'surplus'] },
    { theirs: done.refunds, verb: 'refund', moved: ['succeeded'] },
    { theirs: done.payouts, verb: 'payout', moved: ['succeeded', 'returned'] },
  ] as const
  for (const { theirs, verb, moved } of sorts) {
    const there = tally(
      theirs
        .filter(({ times }) => times > 0)
        // Stripe charges for an invoice under no reference of ours: the audit of billing knows of those.
        .filter(({ reference }) => gateway !== 'stripe' || verb !== 'charge' || reference !== null)
        .map(({ reference, amount, currency, times }) => ({
          payment: paymentOf.get(reference ?? '') ?? `nobody’s ${reference}`,
          amount,
          currency: currency.toUpperCase(),
          times,
        })),
    )
    const here = tally(
      attempts
        .filter((one) => one.gateway === gateway && one.verb === verb && one.moved !== null)
        .filter(({ status }) => (moved as readonly string[]).includes(status))
        .map((one) => ({
          payment: one.payment_id,
          amount: Number(one.moved),
          currency: one.moved_currency ?? '',
          times: 1,
        })),
    )
    for (const payment of new Set([...there.keys(), ...here.keys()])) {
      const [theirs, ours] = [there.get(payment), here.get(payment)]
      // Paid and sent back before we had heard of the first: for us it never left.
      if (verb === 'payout' && ours === undefined && isDeclined(attempts, payment)) continue
      if (theirs !== ours)
        finds(
          'outside',
          `${verb} of payment ${payment}: ${gateway} says ${theirs ?? 'nothing'}, we say ${ours ?? 'nothing'}`,
        )
    }
  }
}

const isDeclined = (attempts: readonly AttemptRow[], payment: string): boolean =>
  attempts.some((one) => one.payment_id === payment && one.status === 'declined')

/** For each payment how much moved, and how often. */
function tally(moves: readonly { payment: string; amount: number; currency: string; times: number }[]) {
  const sums = new Map<string, string>()
  for (const [payment, all] of Map.groupBy(moves, (move) => move.payment)) {
    const amount = all.reduce((sum, move) => sum + move.amount, 0)
    const times = all.reduce((sum, move) => sum + move.times, 0)
    sums.set(payment, `${amount} ${all[0]?.currency} in ${times}`)
  }
  return sums
}

interface Auditing {
  read<Row>(sql: string): Promise<Row[]>
  readonly finds: Finds
  readonly payments: readonly PaymentRow[]
}

/**
 * Each wallet of this load's users holds what came in, less what went out and what banks argue about; nothing of it is set
 * aside.
 */
async function auditBalances({ read, finds, payments }: Auditing): Promise<void> {
  const due = new Map<string, number>()
  const add = (user: string, currency: string, amount: number) => {
    const name = `user:${user} ${currency}`
    due.set(name, (due.get(name) ?? 0) + amount)
  }
  for (const { user_id: user, currency, amount, type, status } of payments)
    if (status === 'completed' && type !== 'return') add(user, currency, type === 'deposit' ? +amount : -amount)
  const disputes = await read<{ user_id: string; currency: string; taken: string }>(
    `select user_id, dispute.currency, taken from dispute join payment on payment.id = payment_id
     where dispute.status <> 'won'`,
  )
  for (const { user_id: user, currency, taken } of disputes) add(user, currency, -taken)
  const wallets = await read<{ owner: string; asset: string; balance: string; held: string }>(
    `select owner, asset, balance, held from account where purpose = 'wallet' and owner like 'user:wallet%'`,
  )
  for (const { owner, asset, balance, held } of wallets) {
    const name = `${owner} ${asset}`
    if (Number(balance) !== (due.get(name) ?? 0))
      finds('books', `The wallet ${name} holds ${balance}; by its payments it is ${due.get(name) ?? 0}`)
    if (held !== '0') finds('open', `${held} are still set aside in the wallet ${name}`)
    due.delete(name)
  }
  for (const [name, amount] of due) if (amount !== 0) finds('books', `There is no wallet ${name} for ${amount}`)
}

/** Limits are used by what was moved, and by nothing that came to nothing. */
async function auditLimits({ read, finds, payments }: Auditing): Promise<void> {
  const due = new Map<string, number>()
  for (const { id, user_id, currency, amount, limit_day, limit_month, status, type } of payments) {
    const counts = status === 'completed' && (type === 'deposit' || type === 'withdrawal')
    if (counts !== (limit_day !== null))
      finds('books', `${type} ${id} is ${status}, and its limit is taken: ${limit_day}`)
    for (const period of [limit_day, limit_month]) {
      if (period === null) continue
      const name = `${user_id} ${currency} ${period}`
      due.set(name, (due.get(name) ?? 0) + Number(amount))
    }
  }
  const uses = await read<{ user_id: string; currency: string; period: string; used: string }>(
    'select * from limit_use',
  )
  for (const { user_id, currency, period, used } of uses) {
    const name = `${user_id} ${currency} ${period}`
    if (Number(used) !== (due.get(name) ?? 0))
      finds('books', `The limit of ${name} is used by ${used}; by its payments it is ${due.get(name) ?? 0}`)
  }
}

/** What came in vain has all gone back. */
async function auditSuspense({ read, finds, rows }: Omit<Auditing, 'payments'> & { rows: Rows }): Promise<void> {
  const left = await read<{ asset: string; left: string }>(
    `select asset, (select coalesce(sum(case when credit_id = account.id then amount else -amount end), 0)
       from transfer where account.id in (credit_id, debit_id))::text as left
     from account where purpose = 'suspense'`,
  )
  for (const { asset, left: amount } of left) {
    const came = rows.attempts
      .filter(
        ({ status, verb, moved_currency: currency }) => status === 'surplus' && verb === 'charge' && currency === asset,
      )
      .reduce((sum, { moved }) => sum + Number(moved), 0)
    const went = rows.payments
      .filter(({ type, status, currency }) => type === 'return' && status === 'completed' && currency === asset)
      .reduce((sum, payment) => sum + Number(payment.amount), 0)
    if (Number(amount) !== came - went)
      finds('books', `Suspense holds ${amount} ${asset}: ${came} came in vain, and ${went} went back`)
  }
}

/** Every event has been worked on, and none is about something that nobody here knows. */
async function auditWebhooks({ read, finds }: Omit<Auditing, 'payments'>): Promise<void> {
  const open = await read<{ gateway: string; type: string; status: string; about: unknown; note: string | null }>(
    `select gateway, type, status, about, note from webhook where status in ('received', 'parked')`,
  )
  for (const { gateway, type, status, about, note } of open) {
    // So it says that an invoice's card was declined, which nobody here has to be told.
    const { object, reference } = about as { object?: unknown; reference?: unknown }
    if (gateway === 'stripe' && object === 'charge' && reference === undefined && status === 'parked') continue
    finds('open', `The ${gateway} webhook ${type} is ${status} (${note ?? 'no note'}): ${JSON.stringify(about)}`)
  }
}
